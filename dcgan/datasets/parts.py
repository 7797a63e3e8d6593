"""Tells whether the folders of a data set are classes or the parts train, test and val.

Folders whose names differ only in such a word are parts, in any spelling: train and test,
training_set and test_set, DIV2K_train_HR and DIV2K_valid_HR. A single such folder among others is a
class: among vehicles, "train" is one. Nothing is learnt from parts that were not asked for.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO

import numpy as np

from dcgan import UserError
from dcgan.cli.option import list_some
from dcgan.datasets.picture_files import PictureFiles, find_dividing_folders, has_pictures, is_safe
from dcgan.datasets.source import Labels, Summary
from dcgan.images import DEEP_WHITE

PARTS = ("train", "test", "val")  # in config.json and evaluation records of runs
_WORDS = {
    **{"train": "train", "training": "train", "test": "test", "testing": "test"},
    **dict.fromkeys(("val", "valid", "validation"), "val"),
}
# "train2017" is a word and a number. Numbers are ignored: train and test1 differ in the word alone.
_PIECES = re.compile(r"[a-z]+", re.IGNORECASE)
_FOLDERS_NAMED = 5


def part_of(word: str) -> str:
    """Returns the part that a word means, "val" for "Validation"; other words as they are."""
    return _WORDS.get(word.strip().lower(), word.strip())


def wanted_parts(name: object, splits: Sequence[str], there: Collection[str]) -> list[str]:
    """Returns the parts that `splits` names, each once; raises UserError unless all are `there`."""
    wanted = list(dict.fromkeys(map(part_of, splits)))
    if not wanted or not set(wanted) <= set(there):
        raise UserError(
            f"{name} has no --splits {','.join(splits)}: its splits are {', '.join(there)}; name "
            f"one or more of these, such as --splits {next(iter(there))}."
        )
    return wanted


@dataclass(frozen=True)
class PartFolders:
    """The parts of a data set and the files in them."""

    level: int  # depth of the folders that name parts, 0 for the top ones
    files: dict[str, list[int]]  # the numbers of the files of each part, in the order of `PARTS`
    others: tuple[str, ...]  # the folders beside them that belong to no part


def find(paths: Sequence[list[str]], is_picture: Callable[[int], bool]) -> PartFolders | None:
    """Finds the parts among files, whose `paths` are split at "/"; None if no folders are parts."""
    level, folders, _ = find_dividing_folders(enumerate(paths), is_picture)
    layout = _parts_at(level, folders)
    if layout is not None:
        return layout
    # Parts may be inside each class: cats/train, cats/test.
    below, loose = defaultdict(list), []
    for number in (number for members in folders.values() for number in members):
        path = paths[number]
        (below[path[level + 1]] if len(path) > level + 2 else loose).append(number)
    if any(map(is_picture, loose)):
        return None
    full = {folder: files for folder, files in below.items() if has_pictures(files, is_picture)}
    layout = _parts_at(level + 1, full)
    return layout if layout and not layout.others else None


def _parts_at(level: int, folders: dict[str, list[int]]) -> PartFolders | None:
    """Returns the parts that these folders of one level name; None if they are not parts."""
    alike = defaultdict(dict)  # folders by the rest of their name, without the word
    for folder in folders:
        pieces = [piece.lower() for piece in _PIECES.findall(folder)]
        words = [piece for piece in pieces if piece in _WORDS]
        if len(words) == 1:
            rest = tuple(piece for piece in pieces if piece not in _WORDS)
            alike[rest][folder] = _WORDS[words[0]]
    named = {}
    for group in alike.values():
        if len(set(group.values())) > 1:
            named |= group
    if not named:
        return None
    files = {part: [] for part in PARTS if part in named.values()}
    for folder, part in named.items():
        files[part] += folders[folder]
    return PartFolders(level, files, tuple(sorted(set(folders) - set(named))))


class Part(PictureFiles):
    """Some files of a folder or archive, under other names."""

    beside: Sequence[int] = ()  # the numbers in `whole` of files that belong to no part

    def __init__(
        self, whole: PictureFiles, files: Iterable[tuple[str, int]], labels: dict | None = None
    ):
        """Takes `files` as (name, number in `whole`); without `labels`, folders become labels."""
        files = sorted(files)
        self.path, self.parallel, self.notes = whole.path, whole.parallel, whole.notes
        self.whole = whole
        self.numbers = [number for _, number in files]  # of its files in `whole`
        self._given = labels
        versions = [whole.fingerprint] * len(files)
        super().__init__(whole.name, [name for name, _ in files], versions)

    def open(self, index: int) -> BinaryIO:
        return self.whole.open(self.numbers[index])

    def is_picture(self, index: int) -> bool:
        return self.whole.is_picture(self.numbers[index])

    def summary(self) -> Summary:
        """Summarizes its own pictures; what is white follows from those of all parts together."""
        summary = super().summary()
        if summary.white_level == DEEP_WHITE:
            return summary
        return replace(summary, white_level=self.whole.summary().white_level)

    def find_labels(self) -> dict[str, Labels]:
        return super().find_labels() if self._given is None else self._given


def choose(whole: PictureFiles, splits: Sequence[str]) -> PictureFiles | None:
    """Returns the files of the parts from `wanted_parts`; None if no folders are parts."""
    paths = [name.split("/") if is_safe(name) else [name] for name in whole.names]
    layout = find(paths, whole.is_picture)
    if layout is None:
        return None
    wanted = wanted_parts(whole.name, splits, layout.files)
    used = {number for files in layout.files.values() for number in files}
    short = {n: paths[n][: layout.level] + paths[n][layout.level + 1 :] for n in used}
    chosen = sorted(("/".join(short[n]), n) for part in wanted for n in layout.files[part])
    classes = _classes(layout, short, whole.is_picture)
    source = Part(whole, chosen, _labels([n for _, n in chosen], wanted, classes))
    source.beside = [number for number in range(len(whole)) if number not in used]
    source.parts = {part: len(files) for part, files in layout.files.items()}
    source.notes += (_sentence(layout, wanted),)
    return source


def _classes(
    layout: PartFolders, paths: dict[int, list[str]], is_picture: Callable[[int], bool]
) -> dict[str, dict[int, str]]:
    """Returns the class of each file by part; empty for a part without classes."""
    found = {}
    for part, files in layout.files.items():
        level, folders, loose = find_dividing_folders(((n, paths[n]) for n in files), is_picture)
        several = {} if loose or len(folders) < 2 else folders
        found[part] = {n: folder for folder, members in several.items() for n in members}
    return found


def _labels(
    numbers: Sequence[int], wanted: Sequence[str], classes: dict[str, dict[int, str]]
) -> dict[str, Labels]:
    """Makes the labels of some files; a class has the same number in every part."""
    if not all(classes[part] for part in wanted):
        return {}
    names: list[str] = []
    for of_part in classes.values():  # classes of train come first, whatever others test has
        names += sorted(set(of_part.values()) - set(names))
    numbered = {folder: i for i, folder in enumerate(names)}
    known = {n: numbered[folder] for part in wanted for n, folder in classes[part].items()}
    used = max(known.values()) + 1
    values = np.array([known.get(n, 0) for n in numbers], np.int32)
    first = next(of_part for of_part in classes.values() if of_part)
    return {"label": Labels(values, tuple(names[: max(used, len(set(first.values())))]))}


def _sentence(layout: PartFolders, wanted: Sequence[str]) -> str:
    """Tells the user which parts there are, and which are used."""
    counts = ", ".join(f"{part} ({len(files):,} files)" for part, files in layout.files.items())
    used = " and ".join(part for part in layout.files if part in wanted)
    sentence = f"The folders are splits of the data set, {counts}: using {used}"
    if len(wanted) < len(layout.files):
        sentence += f"; --splits {','.join(layout.files)} takes them all"
    if layout.others:
        beside = list_some(layout.others, _FOLDERS_NAMED)
        sentence += f". Anything beside them is left out: {beside}"
    return sentence + "."
