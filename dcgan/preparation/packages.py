"""The packages that `pack` writes: one zip file, or a folder of TFRecord shards.

Both refuse a place that `pack` has not written. A zip is written under a temporary name; when it is
complete, it replaces that of an earlier pack. Shards may be on storage that cannot rename files, so
they are written in place, where those of an earlier pack are removed first; they are not read while
a file named `packed.UNFINISHED` is beside them. Other files in the folder are left alone. The same
source and options give the same bytes.
"""

import contextlib
import json
import re
import shutil
import types
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from dcgan import UserError
from dcgan.datasets import packed
from dcgan.files import remove_temporaries, replace_atomically

EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can store
# The names that `ShardPackage` gives; of shards, only files with such names are removed.
OUR_SHARD = re.compile(rf"({'|'.join(packed.SPLITS)})-\d{{5,}}\.tfrecord")


@dataclass(frozen=True)
class PackedPicture:
    name: str  # made by `names.PictureNames`
    split: str  # one of `SPLITS`; "" in a package that is not split
    png: bytes  # the content of the PNG file
    shape: tuple[int, int, int]  # height, width, channels
    sha256: str  # of `png`, hexadecimal
    label: tuple[int, str] | None  # (number, class name), if it has a label


class ZipPackage:
    """A zip of PNG files, stored uncompressed, as PNG is compressed already."""

    def __init__(self, archive: zipfile.ZipFile):
        self._archive = archive

    def add(self, picture: PackedPicture) -> dict:
        """Returns the picture's place for the manifest."""
        name = f"{picture.split}/{picture.name}" if picture.split else picture.name
        self._archive.writestr(_entry(name), picture.png)
        return {"file": name}

    def finish(self, header: dict, lines: BinaryIO) -> None:
        """Writes the manifest: the header, then the lines from the current position of a file."""
        with self._archive.open(_entry(packed.MANIFEST), "w", force_zip64=True) as file:
            _write_manifest(file, header, lines)


def _write_manifest(file: BinaryIO, header: dict, lines: BinaryIO) -> None:
    file.write((json.dumps(header) + "\n").encode())
    shutil.copyfileobj(lines, file)


def _entry(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, EPOCH)
    info.create_system = 3  # Unix, on every system, so that the bytes are the same
    info.external_attr = 0o644 << 16
    return info


@contextlib.contextmanager
def zip_package(path: Path) -> Iterator[ZipPackage]:
    """Opens a zip file that replaces the one at `path` if the block ends without error.

    Raises UserError if `path` holds something that `pack` did not write, or cannot be written.
    """
    if path.exists() and (path.is_dir() or packed.header(path) is None):
        raise _foreign_file_error(str(path))
    try:
        remove_temporaries(path.parent, path.name)
        with replace_atomically(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
            yield ZipPackage(archive)
    except OSError as error:
        raise UserError(
            f"{path} could not be written ({error.strerror or error}): expected a place with room, "
            "and no other pack writing there; fix that, or choose another --to."
        ) from error


def _tensorflow() -> types.ModuleType:
    """Loads TensorFlow, which takes seconds, so it is done only to write shards."""
    from dcgan.datasets.tfrecord import tf

    return tf


class ShardPackage:
    """TFRecord files with the features of `_example`; a new one is begun when the last is full."""

    def __init__(self, place: str, shard_bytes: int):
        self._place = place
        self._limit = shard_bytes
        self._shards: dict[str, list[str]] = {split: [] for split in packed.SPLITS}
        self._open: dict[str, tuple] = {}  # by split: (writer, bytes written, records written)

    def add(self, picture: PackedPicture) -> dict:
        tf = _tensorflow()
        split = picture.split or packed.SPLITS[0]
        record = _example(picture)
        writer, size, count = self._open.get(split, (None, 0, 0))
        if writer is None or size + len(record) > self._limit:
            if writer:
                writer.close()
            name = f"{split}-{len(self._shards[split]):05d}.tfrecord"
            self._shards[split].append(name)
            writer, size, count = tf.io.TFRecordWriter(f"{self._place}/{name}"), 0, 0
        writer.write(record)
        self._open[split] = writer, size + len(record), count + 1
        return {"file": self._shards[split][-1], "record": count, "name": picture.name}

    def finish(self, header: dict, lines: BinaryIO) -> None:
        """See `ZipPackage`; the header also names the shards of each split."""
        self.close()
        shards = {split: names for split, names in self._shards.items() if names}
        with _tensorflow().io.gfile.GFile(f"{self._place}/{packed.MANIFEST}", "wb") as file:
            _write_manifest(file, header | {"shards": shards}, lines)

    def close(self) -> None:
        """Closes the shards, which writes out everything."""
        for writer, _, _ in self._open.values():
            writer.close()
        self._open = {}


Package = ZipPackage | ShardPackage


def _example(picture: PackedPicture) -> bytes:
    """Makes a tf.train.Example with the feature names of TensorFlow's own image data sets.

    `datasets.tfrecord` and other programs read them by these names.
    """
    tf = _tensorflow()

    def text(value: str):
        value = value.encode("utf-8", "replace")  # a folder's name need not be UTF-8
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    def number(value: int):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))

    height, width, channels = picture.shape
    feature = {
        "image/encoded": tf.train.Feature(bytes_list=tf.train.BytesList(value=[picture.png])),
        "image/format": text("png"),
        "image/filename": text(picture.name),
        "image/key/sha256": text(picture.sha256),
        "image/height": number(height),
        "image/width": number(width),
        "image/channels": number(channels),
        "image/colorspace": text("Grayscale" if channels == 1 else "RGB"),
    }
    if picture.label:
        feature["image/class/label"] = number(picture.label[0])
        feature["image/class/text"] = text(picture.label[1])
    example = tf.train.Example(features=tf.train.Features(feature=feature))
    return example.SerializeToString(deterministic=True)


@contextlib.contextmanager
def shard_package(place: str, shard_bytes: int) -> Iterator[ShardPackage]:
    """Opens a folder of shards, a path or an address of tf.io.gfile; the block ends with `finish`.

    If the block raises an error, the new shards are removed, and the folder if it is then empty.
    Raises UserError if it holds something that `pack` did not write, or cannot be written.
    """
    tf = _tensorflow()
    gfile, place = tf.io.gfile, place.rstrip("/")
    try:
        _refuse_foreign_folder(place)
        gfile.makedirs(place)
        with gfile.GFile(f"{place}/{packed.UNFINISHED}", "w") as file:
            file.write("Incomplete: run the same pack command again.\n")
        _remove_shards(place)
        package = ShardPackage(place, shard_bytes)
        try:
            yield package
        except BaseException:
            with contextlib.suppress(tf.errors.OpError):  # the disk may be full, and is freed below
                package.close()
            _remove_shards(place)
            _remove_mark(place)
            raise
        _remove_mark(place)
    except tf.errors.OpError as error:
        raise UserError(
            f"{place} could not be written ({error.message}): expected a folder or an address of "
            "tf.io.gfile with room in it; fix that, or choose another --to."
        ) from error


def _remove_mark(place: str) -> None:
    """Removes the mark that forbids reading a folder, and the folder itself if it is empty."""
    gfile = _tensorflow().io.gfile
    gfile.remove(f"{place}/{packed.UNFINISHED}")
    if not gfile.listdir(place):
        gfile.rmtree(place)


def _refuse_foreign_folder(place: str) -> None:
    gfile = _tensorflow().io.gfile
    if not gfile.exists(place):
        return
    files = gfile.listdir(place) if gfile.isdir(place) else None
    is_ours = files is not None and (not files or packed.UNFINISHED in files)
    if not is_ours and packed.MANIFEST in (files or ()):
        with gfile.GFile(f"{place}/{packed.MANIFEST}", "rb") as file:
            is_ours = packed.parse_header(file.read(packed.MAX_HEADER)) is not None
    if not is_ours:
        raise _foreign_file_error(place)


def _remove_shards(place: str) -> None:
    """Removes manifest and shards; the mark `UNFINISHED` shows meanwhile that they are ours."""
    gfile = _tensorflow().io.gfile
    for name in gfile.listdir(place):
        if name == packed.MANIFEST or OUR_SHARD.fullmatch(name):
            gfile.remove(f"{place}/{name}")


def _foreign_file_error(place: str) -> UserError:
    return UserError(
        f"{place} exists and was not written by pack: nothing is overwritten; choose another --to, "
        "or move it away."
    )


def package(to: str, shard_bytes: int) -> contextlib.AbstractContextManager:
    """Opens a zip if `to` ends in .zip, else a folder of shards.

    Raises UserError for the address of a zip, and for a name that is not UTF-8.
    """
    if not to.lower().endswith(".zip"):
        packed.refuse_bytes(to)
        return shard_package(to, shard_bytes)
    if packed.is_address(to):
        raise UserError(
            f"A zip file can only be written to a path, received {to}: name a folder there, for "
            "TFRecord shards, or a path."
        )
    return zip_package(Path(to))
