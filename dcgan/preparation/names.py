"""Names the pictures in a package, so that it can be unpacked safely on any system.

A source's names and classes are text from files, zip entries or TFRecords, and are not trusted. A
name made from them stays inside the package, is not reserved, forbidden or hidden on any system,
differs from all others in more than case, and has at most 255 bytes in each part.
"""

import re
import unicodedata
from collections.abc import Sequence
from pathlib import PurePosixPath

SUFFIX = ".png"
MOST_BYTES = 200  # in a part of a path; file systems allow 255, and a number may be added
MOST_FOLDERS = 15  # the last ones are kept, so a path stays below 4,096 bytes
# Characters that Windows forbids, or that separate folders on some system.
_FORBIDDEN = re.compile(r'["*/:<>?\\|]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])\s*(\..*)?", re.IGNORECASE)
_FILE_END = re.compile(r"\.(png|jsonl)$", re.IGNORECASE)
_PASSED_OVER = "__macosx"  # a folder that readers of picture folders and zips ignore


class PictureNames:
    """The names in one package; `classes` are the names of the labels 0, 1, ..., for folders."""

    def __init__(self, classes: Sequence[str] = ()):
        self._taken: dict[str, int] = {}
        folders: dict[str, int] = {}
        self._folders = [_free(_folder(text), "", folders) for text in classes]

    def give(self, name: str, label: tuple[int, str] | None = None) -> str:
        """Returns an unused name with "/" and the suffix .png, inside the folder of its class.

        `label` is (number, class name). The folder of the class replaces a folder in `name` that
        has the name of the class; without one, it is put in front.
        """
        *parts, file = name.split("/")
        folders = [_folder(part) for part in parts]
        if label is not None and label[1] in parts:
            folders[parts.index(label[1])] = self._folders[label[0]]
            label = None
        folders = folders[-MOST_FOLDERS:]
        if label is not None:
            folders.insert(0, self._folders[label[0]])
        stem = _shorten(PurePosixPath(_plain(file)).stem)
        return _free("/".join([*folders, stem]), SUFFIX, self._taken)


def _folder(text: str) -> str:
    """Makes a folder's name that cannot collide with a file: it never ends in .png or .jsonl."""
    return _FILE_END.sub(r"_\1", _shorten(_plain(text)))


def _plain(text: str) -> str:
    """Makes one part of a path, without anything that has a special meaning on some system."""
    text = unicodedata.normalize("NFC", "".join(map(_plain_character, text)))
    text = _FORBIDDEN.sub("_", text)
    if text.startswith("."):
        text = f"_{text[1:]}"
    if _RESERVED.fullmatch(text) or text.casefold() == _PASSED_OVER:
        text = f"_{text}"
    return text


def _plain_character(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cs":  # a surrogate stands for a byte that is not UTF-8
        return "\N{REPLACEMENT CHARACTER}"
    # Control characters, marks that change the direction of writing, line separators.
    return "_" if category[0] == "C" or category in ("Zl", "Zp") else character


def _shorten(text: str) -> str:
    text = text.encode()[:MOST_BYTES].decode("utf-8", "ignore")
    return text.rstrip(" .") or "_"


def _free(start: str, end: str, taken: dict[str, int]) -> str:
    """Returns `start` + `end`, with a number between them if that is taken.

    `taken` maps all names so far, in folded case, to the number that was used last, so that finding
    the next one does not take longer with every picture of the same name.
    """
    key = (start + end).casefold()
    free, number = start + end, taken.get(key, 1)
    while free.casefold() in taken:
        number += 1
        free = f"{start}-{number}{end}"
    taken[free.casefold()] = 1
    taken[key] = number
    return free
