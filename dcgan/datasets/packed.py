"""Recognizes and reads data sets that `pack` has made.

Beside the pictures they have a manifest of JSON lines. The first line describes the whole, each
other line a picture that was packed, with its labels, or left out. If pack has split the pictures,
the folders "train" and "test" are parts, and `splits` chooses between them; if not, such folders
are labels. In data sets without such a manifest the names of folders decide, see `parts`.
"""

import contextlib
import functools
import json
import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from dcgan import UserError
from dcgan.datasets import parts
from dcgan.datasets.parts import Part
from dcgan.datasets.picture_files import PictureFiles
from dcgan.datasets.picture_formats import BAD_ZIP
from dcgan.datasets.source import Labels

# All packages hold these: with other names or another format, they would not be known as ours.
MANIFEST = "manifest.jsonl"
FORMAT = "dcgan pack 1"
SPLITS = ("train", "test")
MAX_HEADER = 1 << 24  # bytes; a manifest's first line has a few hundred and all class names
UNFINISHED = "pack-unfinished"  # a file beside TFRecord shards until all are complete

_SHARD = re.compile(r"\.tfrecords?(-\d+-of-\d+)?$")
# What is raised for a manifest that is damaged or missing.
_BAD = (*BAD_ZIP, KeyError)


def is_shard(name: str) -> bool:
    """Tells whether a file is a TFRecord shard, by its name."""
    return bool(_SHARD.search(name))


def is_address(place: str | Path) -> bool:
    """Tells if a place is an address for tf.io.gfile, such as gs://bucket/anime, not a path."""
    return "://" in str(place)


def refuse_bytes(place: str) -> None:
    """Raises UserError if a place is not UTF-8, since tf.io.gfile cannot take other names."""
    try:
        place.encode()
    except UnicodeEncodeError as error:
        raise UserError(
            f"{place} is not UTF-8, and TFRecord shards are read and written by TensorFlow, which "
            "takes no other name: rename the folder, or choose another place or a .zip file."
        ) from error


def has_shards(place: str | Path) -> bool:
    """Tells if TFRecord shards are expected at a path or address; does not load TensorFlow."""
    if is_address(place):
        return True
    path = Path(place)
    if path.is_dir():
        return any(is_shard(file.name) or file.name == UNFINISHED for file in path.iterdir())
    return path.is_file() and is_shard(path.name)


def choose(source: PictureFiles, splits: Sequence[str]) -> PictureFiles:
    """Returns the wanted parts of a folder or archive; raises UserError if one is missing."""
    about = header(Path(source.path))
    if about is None:
        found = parts.choose(source, splits)
        if found is None:
            refuse_splits(source.name, splits)
        return found or source
    files = [(name, i) for i, name in enumerate(source.names) if name != MANIFEST]
    if not about["split"]:
        refuse_splits(source.name, splits)
        return PackedPictures(source, files)
    wanted = parts.wanted_parts(source.name, splits, SPLITS)
    by_part = {part: [] for part in SPLITS}
    for name, i in files:
        part, _, rest = name.partition("/")
        by_part.get(part, []).append((rest, i))
    chosen = [file for part in wanted for file in by_part[part]]
    if not chosen:
        raise UserError(
            f"{source.name} holds no picture for --splits {','.join(splits)}: choose from "
            f"{', '.join(SPLITS)}, or pack it with another --test_share."
        )
    found = PackedPictures(source, chosen)
    found.parts = {part: len(of_part) for part, of_part in by_part.items() if of_part}
    return found


def refuse_splits(name: str, splits: Sequence[str]) -> None:
    """Raises UserError if `splits` asks for parts of a data set that has none."""
    if [parts.part_of(word) for word in splits] != ["train"]:
        raise UserError(
            f"--splits {','.join(splits)} is for data with splits: folders train and test, arrays "
            "x_train and x_test, what pack has split, mnist and others; "
            f"{name!r} has no splits: leave the flag out."
        )


class PackedPictures(Part):
    """The pictures of a folder or zip with a manifest of `pack`."""

    def packed_labels(self) -> dict[str, Labels]:
        with _manifest(Path(self.path)) as lines:
            return labels(self.path, lines, self.names)


def labels(place: str, lines: Iterator[bytes], names: Sequence[str]) -> dict[str, Labels]:
    """Reads the labels of pictures from the lines of a manifest; empty if none has a label.

    A class has the same number in every part; classes without pictures are left out. `names` are
    those of the source's pictures. Raises UserError if the manifest is damaged.
    """
    rows = {name: row for row, name in enumerate(names)}
    try:
        about = parse_header(next(lines, b"")) or {}
        classes = about.get("labels", {})
        said: dict[str, dict[int, str]] = {column: {} for column in classes}
        used: dict[str, dict[str, None]] = {column: {} for column in classes}
        for line in map(json.loads, lines if classes else ()):
            row = rows.get(_name(line, about)) if "file" in line else None  # else it was left out
            for column, text in line.get("labels", {}).items():
                used[column][text] = None
                if row is not None:
                    said[column][row] = text
        if not any(said.values()):
            return {}
        found = {}
        for column, listed in classes.items():  # `pack` lists no classes where they are too many
            known = [one for one in listed or used[column] if one in used[column]]
            found[column] = Labels.of(said[column], known, count=len(names))
        return found
    except (*_BAD, TypeError, AttributeError) as error:
        raise UserError(
            f"The {MANIFEST} of {place}, which has the labels of the pictures, is damaged: pack or "
            "copy them again."
        ) from error


def _name(line: dict, about: dict) -> str:
    if "shards" in about:
        return record_name(line["file"], line["record"])
    return line["file"].partition("/")[2] if about["split"] else line["file"]


def record_name(shard: str, number: int) -> str:
    """Returns the name of a record in a shard."""
    return f"{re.sub(r'[.]tfrecords?', '', shard)}-{number:06d}"


def header(path: Path) -> dict | None:
    """Reads the first line of the manifest in a local folder or zip; None without one of ours."""
    with contextlib.suppress(*_BAD), _manifest(path) as lines:  # also for another program's files
        return parse_header(next(lines, b""))
    return None


@contextlib.contextmanager
def _manifest(path: Path) -> Iterator[Iterator[bytes]]:
    """Opens the manifest in a local folder or zip as an iterator over its lines."""
    with contextlib.ExitStack() as opened:
        if path.is_dir():
            file = opened.enter_context(open(path / MANIFEST, "rb"))
        else:
            archive = opened.enter_context(zipfile.ZipFile(path))
            file = opened.enter_context(archive.open(MANIFEST))
        yield iter(functools.partial(file.readline, MAX_HEADER), b"")


def parse_header(start: bytes) -> dict | None:
    """Parses the first line of a manifest from the file's first bytes; None if it is not ours."""
    try:
        about = json.loads(start.partition(b"\n")[0])
    except (ValueError, RecursionError):
        return None
    if not isinstance(about, dict) or about.get("format") != FORMAT or "split" not in about:
        return None
    shards = about.get("shards", {})
    ours = isinstance(shards, dict) and all(isinstance(names, list) for names in shards.values())
    return about if ours else None
