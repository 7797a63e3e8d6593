"""Reads pictures in Parquet files, in which Hugging Face publishes data sets, as a `Source`.

One column holds encoded pictures, as a struct with the field bytes or as bytes alone. Another may
hold labels, whose names are in the file's metadata. A folder of shards is one data set; the name of
a shard tells its part: train-00000-of-00002.parquet, or test/0000.parquet. The optional requirement
pyarrow reads them.
"""

import contextlib
import io
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from dcgan import UserError, extras
from dcgan.datasets import packed, parts
from dcgan.datasets.folder import holds_pictures, visible_files
from dcgan.datasets.image_store import free_memory
from dcgan.datasets.picture import archive_refusal, damage_within
from dcgan.datasets.picture_files import MAX_FILE_BYTES, PictureFiles, match_files
from dcgan.datasets.picture_formats import UnusableFile
from dcgan.datasets.source import Labels

MAGIC, SUFFIX = b"PAR1", ".parquet"
IMAGE_COLUMNS = ("image", "img", "jpg", "jpeg", "png", "webp")
LABEL_COLUMNS = ("label", "labels", "fine_label", "class")
MOST_ROWS = 5_000_000  # a file with more rows than that needs at least a byte for each
MOST_NOTES = 1 << 24  # bytes of a file's metadata that are read


def is_parquet(place: Path) -> bool:
    """Tells if a path is a Parquet file, by content, or a folder with such files, not pictures."""
    try:
        if place.is_file():
            with open(place, "rb") as file:
                return file.read(len(MAGIC)) == MAGIC
        if not place.is_dir():
            return False
        folders = [place, *(one for one in place.iterdir() if one.is_dir())]
        folders += [below for one in folders[1:] for below in one.glob("*/") if below.is_dir()]
        some = any(file.name.endswith(SUFFIX) for one in folders for file in one.iterdir())
        return some and not holds_pictures(place)
    except OSError:
        return False


class ParquetSource(PictureFiles):
    """The pictures of Parquet files, one per row. Picklable."""

    def __init__(self, place: Path, pattern: str = "*", splits: Sequence[str] = ("train",)):
        """See `FolderSource`; also raises UserError if pyarrow, a part or all rows are missing."""
        extras.require("The Parquet file", "data", "pyarrow")
        self.path = str(place.absolute())
        files = _shards(place, pattern)
        shards, self.notes = _choose(place.name, files, splits)
        groups = {shard: _group_sizes(shard) for shard in files}
        most = max(MOST_ROWS, sum(shard.stat().st_size for shard in files))
        if (count := sum(map(sum, groups.values()))) > most:
            raise UserError(
                f"{place} states {count:,} rows, more than pictures have room in it: expected up "
                f"to {most:,}; if it was downloaded, download it again."
            )
        self.parts = {
            part: sum(sum(groups[shard]) for shard in files if files[shard] == part)
            for part in parts.PARTS
            if part in files.values()
        }
        self._shards = shards
        # For each row group, (shard, its number there), and the number of its first row.
        self._groups = [(shard, g) for shard in shards for g in range(len(groups[shard]))]
        self._starts = np.cumsum([0, *(count for shard in shards for count in groups[shard])])
        self._opened: tuple[int, list] | None = None  # the row group that was read last
        self._image, self._label, self._classes = _columns(shards[0])
        names, versions = [], []
        for shard in shards:
            count, about = sum(groups[shard]), shard.stat()
            names += [f"{shard.name.removesuffix(SUFFIX)}-{row:06d}" for row in range(count)]
            versions += [(about.st_size, about.st_mtime_ns)] * count
        if not names:
            raise UserError(f"{place} holds no rows: expected pictures.")
        super().__init__(place.name, names, versions)

    def open(self, index: int) -> BinaryIO:
        number = int(np.searchsorted(self._starts, index, "right")) - 1
        if self._opened is None or self._opened[0] != number:
            self._opened = None  # frees it first: two would take twice the memory
            self._opened = number, self._read(*self._groups[number])
        data = self._opened[1][index - int(self._starts[number])].as_py()
        if data is None:
            raise UnusableFile("a row without the bytes of a picture")
        if len(data) > MAX_FILE_BYTES:
            raise UnusableFile(f"{len(data):,} bytes, too large for a picture")
        return io.BytesIO(data)

    def find_labels(self) -> dict[str, Labels]:
        """Reads the labelling "label"; empty unless a column labels every picture."""
        if self._label is None:
            return {}
        with _explain_errors(self._shards[0]):
            columns = [
                _open(shard).read(columns=[self._label])[self._label] for shard in self._shards
            ]
        if any(column.null_count for column in columns):
            return {}
        values = np.concatenate([column.to_numpy() for column in columns])
        if not self._classes:
            said = dict(enumerate(map(str, values.tolist())))
            names = map(str, sorted(set(values.tolist())))
            return {"label": Labels.of(said, names, count=len(values))}
        if values.min(initial=0) < 0 or values.max(initial=0) >= len(self._classes):
            return {}  # -1 stands for labels that are not published
        return {"label": Labels(values.astype(np.int32), self._classes)}

    def _read(self, shard: Path, group: int) -> list:
        """Reads the cells of a row group as pyarrow scalars, the bytes of one picture each."""
        cells, room = [], free_memory() // 2
        try:
            file = _open(shard)
            rows = file.metadata.row_group(group).num_rows
            # Row by row: stated sizes are not trusted, and a row may refer to a long one before.
            how = {"row_groups": [group], "columns": [self._image], "use_threads": False}
            for batch in file.iter_batches(batch_size=1, **how):
                column = batch.column(0)
                cell = column.field("bytes") if "." in self._image else column
                room -= cell.nbytes
                if room < 0:
                    raise UnusableFile("not enough memory for its group of rows")
                cells += cell
        except _bad_file() as error:
            raise damage_within("Parquet file", error) from error
        if len(cells) != rows:
            raise UnusableFile("damaged in the Parquet file")
        return cells


def _bad_file() -> tuple[type[BaseException], ...]:
    """Returns the exceptions that pyarrow raises for a damaged file."""
    import pyarrow  # slow; only this source pays for it

    more = (OSError, ValueError, KeyError, MemoryError, OverflowError, NotImplementedError)
    return pyarrow.ArrowException, *more


def _open(shard: Path):
    import pyarrow.parquet

    return pyarrow.parquet.ParquetFile(shard)


@contextlib.contextmanager
def _explain_errors(shard: Path) -> Iterator[None]:
    """Turns what pyarrow raises for a damaged file into UserError."""
    try:
        yield
    except _bad_file() as error:
        raise archive_refusal(shard, "Parquet file", error, "") from error


def _group_sizes(shard: Path) -> list[int]:
    with _explain_errors(shard):
        facts = _open(shard).metadata
        sizes = [facts.row_group(i).num_rows for i in range(facts.num_row_groups)]
        if any(size < 0 for size in sizes):
            raise ValueError("it states a negative number of rows")
        return sizes


def _shards(place: Path, pattern: str) -> dict[Path, str | None]:
    """Returns the files, sorted, each with its part or None."""
    if place.is_file():
        return {place: None}
    files = sorted(file for file in visible_files(str(place)) if file[0].endswith(SUFFIX))
    files = match_files(files, pattern, where=f"the folder {place}")
    return {place / name: _part(name) for name, *_ in files}


def _part(name: str) -> str | None:
    """Returns the part that a shard's name begins with or one of its folders names, else None."""
    *folders, file = name.split("/")
    words = [re.split(r"[-_.]", file)[0], *reversed(folders)]
    return next((p for p in map(parts.part_of, words) if p in parts.PARTS), None)


def _choose(
    name: str, files: dict[Path, str | None], splits: Sequence[str]
) -> tuple[list[Path], tuple[str, ...]]:
    """Returns the files of the wanted parts, and notes about the choice for the user."""
    there = [part for part in parts.PARTS if part in files.values()]
    if not there:
        packed.refuse_splits(name, splits)
        return list(files), ()
    wanted = parts.wanted_parts(name, splits, there)
    note = f"The files of {name} are the splits {', '.join(there)}: using {' and '.join(wanted)}."
    return [file for file, part in files.items() if part in wanted], (note,)


def _columns(shard: Path) -> tuple[str, str | None, tuple[str, ...]]:
    """Returns the path of the picture column, the label column or None, and the class names or ().

    Raises UserError if no column holds encoded pictures.
    """
    with _explain_errors(shard):
        schema = _open(shard).schema_arrow
    features = _features(schema)
    if twice := sorted({name for name in schema.names if schema.names.count(name) > 1}):
        raise UserError(
            f"{shard} has several columns of the same name ({', '.join(twice[:9])}): expected one "
            "of each; rename or drop the others."
        )
    images = [name for name in map(str, schema.names) if _image_field(schema.field(name), name)]
    if not images:
        raise UserError(
            f"{shard} has no column of encoded pictures, such as Hugging Face's image with the "
            f"field bytes: its columns are {', '.join(map(str, schema.names[:9]))}."
        )
    image = next((name for name in IMAGE_COLUMNS if name in images), images[0])
    kinds = {name: one.get("_type") for name, one in features.items() if isinstance(one, dict)}
    classes = [name for name in schema.names if kinds.get(name) == "ClassLabel"]
    likely = [name for name in LABEL_COLUMNS if name in schema.names and _is_label(schema, name)]
    label = next((n for n in LABEL_COLUMNS if n in classes), next(iter([*classes, *likely]), None))
    names = features[label].get("names") if label in classes else None
    known = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if label is not None and not _is_label(schema, label):
        label = None
    return _image_field(schema.field(image), image), label, tuple(names) if known else ()


def _image_field(field, name: str) -> str:
    """Returns the path of the bytes in a column of pictures; "" for another column."""
    import pyarrow.types as types

    def is_bytes(kind) -> bool:
        return types.is_binary(kind) or types.is_large_binary(kind)

    if types.is_struct(field.type):
        inner = [field.type.field(i) for i in range(field.type.num_fields)]
        return f"{name}.bytes" if any(f.name == "bytes" and is_bytes(f.type) for f in inner) else ""
    return name if is_bytes(field.type) and name.lower() in IMAGE_COLUMNS else ""


def _is_label(schema, name: str) -> bool:
    import pyarrow.types as types

    kind = schema.field(name).type
    kind = kind.value_type if types.is_dictionary(kind) else kind  # pandas' categories
    text = types.is_string(kind) or types.is_large_string(kind)  # polars writes the large kind
    return text or types.is_integer(kind) or types.is_boolean(kind)


def _features(schema) -> dict:
    """Returns the columns' features that Hugging Face's library has written; {} without any."""
    notes = (schema.metadata or {}).get(b"huggingface", b"")
    try:
        found = json.loads(notes[:MOST_NOTES])["info"]["features"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
