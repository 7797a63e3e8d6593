"""Reads labels from a .csv beside the pictures: one column names files, the others are labels.

The column of file names is found by its values, so its heading does not matter. Pictures that it
does not name, or whose cell is empty, have no label. A sheet that names no picture is ignored. Data
sets that `pack` has written need no sheet: their manifest has the labels.
"""

import csv
import io
import os
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from dcgan import UserError
from dcgan.datasets.packed import MANIFEST
from dcgan.datasets.parts import Part
from dcgan.datasets.picture import reading_failed
from dcgan.datasets.picture_files import PictureFiles
from dcgan.datasets.picture_formats import UnusableFile
from dcgan.datasets.source import Labels, Source

SUFFIXES = (".csv", ".tsv")
MOST_BYTES = 1 << 28  # of the largest sheet that is read
SEPARATORS = ",;\t"


def attach(source: Source) -> None:
    """Replaces the labels of picture files by those of their manifest or sheet, if there is one.

    Raises UserError if these cannot be read, or a sheet has two different rows for one picture.
    """
    if not isinstance(source, PictureFiles):
        return
    if labels := source.packed_labels():
        _attach(source, labels, MANIFEST)
        return
    sheets = list(_sheets(source))
    keys = _keys(source) if sheets else {}  # which takes a second for 200,000 pictures
    best, most = None, 0
    for name, open_sheet in sheets:
        heads, rows = _read(name, open_sheet)
        column, found = _naming(rows, keys, len(heads))
        if found > most and len(heads) > 1:
            best, most = (name, heads, rows, column), found
    if best is None:
        return
    name, heads, rows, column = best
    labels = _labels(name, heads, rows, column=column, keys=keys, count=len(source))
    _attach(source, labels, name)


def attach_usable(source: Source) -> None:
    """Calls `attach` where labels are optional: a note replaces the error for an unusable sheet."""
    try:
        attach(source)
    except UserError as error:
        source.notes += (f"No labels are read from a sheet: {error}",)


def _attach(source: PictureFiles, labels: dict[str, Labels], name: str) -> None:
    source.labels = labels
    source.notes += (f"Labels are read from {name}: {', '.join(labels)}.",)


def _sheets(source: PictureFiles) -> Iterator[tuple[str, Callable[[], BinaryIO]]]:
    """Yields (name, function that opens it) of sheets among the pictures or beside the archive."""
    seen = set()
    files = [(name, source, i) for i, name in enumerate(source.names)]
    if isinstance(source, Part):
        files += [(source.whole.names[i], source.whole, i) for i in source.beside]
    for name, place, i in files:
        if name.lower().endswith(SUFFIXES):
            seen.add(os.path.basename(name))
            yield name, lambda place=place, i=i: place.open(i)
    path = Path(getattr(source, "path", ""))
    folder = path if path.is_dir() else path.parent
    for file in sorted(folder.iterdir()) if folder.is_dir() else ():
        if file.name.lower().endswith(SUFFIXES) and file.name not in seen and file.is_file():
            yield file.name, lambda file=file: open(file, "rb")


def _read(name: str, open_sheet: Callable[[], BinaryIO]) -> tuple[list[str], list[list[str]]]:
    try:
        with open_sheet() as file:
            data = file.read(MOST_BYTES + 1)
    except (OSError, UnusableFile) as error:
        reason = reading_failed(error) if isinstance(error, OSError) else f"is unusable: {error}"
        raise UserError(f"The file {name} {reason}: expected labels that you may read.") from error
    if len(data) > MOST_BYTES:
        raise UserError(f"The labels {name} have more than {MOST_BYTES >> 20} MB: expected a .csv.")
    try:
        text = data.decode("utf-8-sig")
        first = text.partition("\n")[0]
        separator = max(SEPARATORS, key=first.count)
        rows = [row for row in csv.reader(io.StringIO(text), delimiter=separator) if any(row)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(
            f"The labels {name} are not a .csv in UTF-8 ({error}): save the sheet as such."
        ) from error
    heads = [head.strip() for head in rows[0]] if rows else []
    return heads, rows[1:]


def _keys(source: PictureFiles) -> dict[str, int]:
    """Returns the numbers of pictures by name, and by the ends of names that are unique."""
    whole = source.names
    if isinstance(source, Part):  # its own names lack the folder of the part
        whole = [source.whole.names[i] for i in source.numbers]
    ends = [whole]  # with all folders, without the first, ..., "" where none is left
    while any(ends[-1]):
        ends.append([name.partition("/")[2] for name in ends[-1]])
    bare = [[os.path.splitext(name)[0] for name in names] for names in ends]
    found: dict[str, int] = {}
    for spellings in ([whole], [source.names], ends, bare):  # the more exact ones go before others
        count = Counter(chain.from_iterable(spellings))
        found = {
            name: i for names in spellings for i, name in enumerate(names) if count[name] == 1
        } | found
    found.pop("", None)
    return found


def _key(cell: str) -> str:
    return cell.strip().replace("\\", "/").removeprefix("./")


def _naming(rows: list[list[str]], keys: dict[str, int], columns: int) -> tuple[int, int]:
    """Returns the column that names most pictures, and how many it names.

    Numbers of rows or classes may be names without suffix too, so names with one come first.
    """
    named = []
    for i in range(columns):
        cells = {row[i] for row in rows if i < len(row)}
        cells = {_key(cell) for cell in cells} & keys.keys()
        named.append((sum("." in cell for cell in cells), len(cells)))
    best = max(range(columns), key=named.__getitem__, default=0)
    return best, named[best][1] if named else 0


def _labels(
    name: str,
    heads: list[str],
    rows: list[list[str]],
    *,
    column: int,
    keys: dict[str, int],
    count: int,
) -> dict[str, Labels]:
    """Makes labels of every other column with a heading; each distinct text is a class."""
    said: dict[int, list[str]] = {}
    for row in rows:
        cells = [cell.strip() for cell in row] + [""] * (len(heads) - len(row))
        number = keys.get(_key(cells[column]))
        if number is None:
            continue
        if said.setdefault(number, cells) != cells:
            raise UserError(
                f"The labels {name} have two rows for {cells[column]} that differ: leave one."
            )
    labels = {}
    for i, head in enumerate(heads):
        if i == column or not head:
            continue
        texts = {picture: cells[i] for picture, cells in said.items() if cells[i]}
        labels[head] = Labels.of(texts, sorted({*texts.values()}, key=_order), count=count)
    return labels


def _order(word: str) -> tuple[int, int, str]:
    """Returns a sorting key: integers by value come first, then other words alphabetically.

    The order gives classes their numbers: in another order, a run could not be continued.
    """
    digits = word.removeprefix("-")
    return (0, int(word), word) if digits.isdecimal() and digits.isascii() else (1, 0, word)
