"""How a data set that `pack` has made is told from others and read.

Beside the pictures it holds a manifest of JSON lines: the first is about the whole, each further
one about a picture that was packed, with its labels, or left out. Only the first is read where no
labels are asked for: a manifest of 200,000 pictures has tens of megabytes. Where the pictures were
split, those for training are read unless `splits` says otherwise; "train" and "test" are then
parts, and labels where pack split nothing. Without a manifest of ours the names of folders decide,
see `parts`.
"""

import contextlib
import functools
import json
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from dcgan import UserError
from dcgan.datasets import parts
from dcgan.datasets.parts import Part
from dcgan.datasets.picture_files import PictureFiles
from dcgan.datasets.picture_formats import BAD_ZIP
from dcgan.datasets.source import Labels

MANIFEST = "manifest.jsonl"
FORMAT = "dcgan pack 1"
SPLITS = ("train", "test")
MAX_HEADER = 1 << 24  # bytes; the first line of a manifest has a few hundred, and all class names
UNFINISHED = "pack-unfinished"  # lies beside TFRecord shards until the last of them is whole

_SHARD = re.compile(r"\.tfrecords?(-\d+-of-\d+)?$")
# What is raised for a manifest that is damaged, or none.
_BAD = (*BAD_ZIP, KeyError)


def is_shard(name: str) -> bool:
    """Whether a file is one of TFRecords, by its name."""
    return bool(_SHARD.search(name))


def is_address(place: str | Path) -> bool:
    """Whether a place is an address for tf.io.gfile, such as gs://bucket/anime, and no path."""
    return "://" in str(place)


def refuse_bytes(place: str) -> None:
    """Refuses a place for TFRecord shards whose name tf.io.gfile cannot take: it is not UTF-8."""
    try:
        place.encode()
    except UnicodeEncodeError as error:
        raise UserError(
            f"{place} is not UTF-8, and TFRecord shards are read and written by TensorFlow, which "
            "takes no other name: rename the folder, or choose another place or a .zip file."
        ) from error


def has_shards(place: str | Path) -> bool:
    """Whether TFRecord shards are expected at a path or address; tells it without TensorFlow."""
    if is_address(place):
        return True
    path = Path(place)
    if path.is_dir():
        return any(is_shard(file.name) or file.name == UNFINISHED for file in path.iterdir())
    return path.is_file() and is_shard(path.name)


def choose(source: PictureFiles, splits: Sequence[str]) -> PictureFiles:
    """The wanted part of a folder or zip, a source with a `path`; a UserError if it has none."""
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
    """Refuses splits of what has none."""
    if [parts.part_of(word) for word in splits] != ["train"]:
        raise UserError(
            f"--splits {','.join(splits)} is for data with splits: folders train and test, "
            f"what pack has split, mnist and others; {name!r} has no splits: leave the flag out."
        )


class PackedPictures(Part):
    """The pictures of a folder or zip with a manifest of ours."""

    def packed_labels(self) -> dict[str, Labels]:
        """See `labels`."""
        with _manifest(Path(self.path)) as lines:
            return labels(self.path, lines, self.names)


def labels(place: str, lines: Iterable[bytes], names: Sequence[str]) -> dict[str, Labels]:
    """The labels of pictures from the lines of a manifest; empty where it has none of them.

    A class has the same number in every part, and one that no picture has is left out. The `names`
    of the pictures are as their source has them; `place` is for the UserError where it is damaged.
    """
    rows = {name: row for row, name in enumerate(names)}
    try:
        lines = iter(lines)
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
    """What a source calls the picture of a line."""
    if "shards" in about:
        return record_name(line["file"], line["record"])
    return line["file"].partition("/")[2] if about["split"] else line["file"]


def record_name(shard: str, number: int) -> str:
    """What a record of a shard is called."""
    return f"{re.sub(r'[.]tfrecords?', '', shard)}-{number:06d}"


def header(path: Path) -> dict | None:
    """What the manifest of a local folder or zip says of the whole; None when it has none."""
    try:
        with _manifest(path) as lines:
            return parse_header(next(lines, b""))
    except _BAD:  # or somebody else's
        return None


@contextlib.contextmanager
def _manifest(path: Path) -> Iterator[Iterator[bytes]]:
    """The lines of the manifest of a local folder or zip."""
    with contextlib.ExitStack() as opened:
        if path.is_dir():
            file = opened.enter_context(open(path / MANIFEST, "rb"))
        else:
            archive = opened.enter_context(zipfile.ZipFile(path))
            file = opened.enter_context(archive.open(MANIFEST))
        yield iter(functools.partial(file.readline, MAX_HEADER), b"")


def parse_header(start: bytes) -> dict | None:
    """The first line of a manifest, from the file's first bytes; None when it is none of ours."""
    try:
        about = json.loads(start.partition(b"\n")[0])
    except (ValueError, RecursionError):
        return None
    if not isinstance(about, dict) or about.get("format") != FORMAT or "split" not in about:
        return None
    shards = about.get("shards", {})
    ours = isinstance(shards, dict) and all(isinstance(names, list) for names in shards.values())
    return about if ours else None
