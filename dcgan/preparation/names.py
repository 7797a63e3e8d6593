"""Names of pictures in a package: safe to unpack anywhere, whatever the source calls them.

A source's names and classes are other people's text: of files, of a zip's entries, of TFRecords. A
name made of them stays below the package, is none that a system reserves, forbids or hides, differs
from all others in more than the letters' case, and fits into 255 bytes a part.
"""

import re
import unicodedata
from collections.abc import Sequence
from pathlib import PurePosixPath

SUFFIX = ".png"
MOST_BYTES = 200  # of a part: file systems take 255, and a number may follow
MOST_FOLDERS = 15  # the last ones are kept: with their lengths, a path stays below 4,096 bytes
# What Windows forbids, and what separates folders on some system.
_FORBIDDEN = re.compile(r'["*/:<>?\\|]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])\s*(\..*)?", re.IGNORECASE)
_FILE_END = re.compile(r"\.(png|jsonl)$", re.IGNORECASE)
_PASSED_OVER = "__macosx"  # by whatever reads folders and zips of pictures


class Names:
    """Gives pictures their names in one package."""

    def __init__(self, classes: Sequence[str] = ()):
        """Gives each class, what labels from 0 on mean, a folder of its own."""
        self._taken: dict[str, int] = {}
        folders: dict[str, int] = {}
        self._folders = [_free(_folder(text), "", folders) for text in classes]

    def give(self, name: str, label: tuple[int, str] | None = None) -> str:
        """A free name with "/", below the folder of the picture's class, with the suffix .png.

        The label is a number and what it means. Where a folder in `name` has this meaning, the
        folder of the class takes its place.
        """
        *parts, file = name.split("/")
        folders = [_folder(part) for part in parts]
        if label is not None and label[1] in parts:
            folders[parts.index(label[1])] = self._folders[label[0]]
            label = None
        folders = folders[-MOST_FOLDERS:]
        if label is not None:
            folders.insert(0, self._folders[label[0]])
        stem = _cut(PurePosixPath(_plain(file)).stem)
        return _free("/".join([*folders, stem]), SUFFIX, self._taken)


def _folder(text: str) -> str:
    """A folder never ends as the package's files do: no file can be where a folder has to be."""
    return _FILE_END.sub(r"_\1", _cut(_plain(text)))


def _plain(text: str) -> str:
    """One part of a path without anything that some system takes for more than text."""
    text = unicodedata.normalize("NFC", "".join(map(_plain_character, text)))
    text = _FORBIDDEN.sub("_", text)
    if text.startswith("."):
        text = f"_{text[1:]}"
    if _RESERVED.fullmatch(text) or text.casefold() == _PASSED_OVER:
        text = f"_{text}"
    return text


def _plain_character(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cs":  # stands for a byte that is not UTF-8
        return "\N{REPLACEMENT CHARACTER}"
    # Control characters, marks that turn the direction of writing, ends of lines.
    return "_" if category[0] == "C" or category in ("Zl", "Zp") else character


def _cut(text: str) -> str:
    text = text.encode()[:MOST_BYTES].decode("utf-8", "ignore")
    return text.rstrip(" .") or "_"


def _free(start: str, end: str, taken: dict[str, int]) -> str:
    """`start` + `end`, with a number between them where that is taken.

    `taken` has all names so far without regard to case, with the number that was given last:
    looking for the next one takes no longer with every picture of the same name.
    """
    key = (start + end).casefold()
    free, number = start + end, taken.get(key, 1)
    while free.casefold() in taken:
        number += 1
        free = f"{start}-{number}{end}"
    taken[free.casefold()] = 1
    taken[key] = number
    return free
