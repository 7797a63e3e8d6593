"""Reads TFRecord shards of pictures as a `Source`: local files or an address of tf.io.gfile.

A record is a tf.train.Example with the usual features: "image/encoded" holds a picture file and, if
there are labels, "image/class/label" an integer and "image/class/text" its meaning. A record with a
wrong checksum is skipped like a damaged file. This module loads TensorFlow, also in every worker
that decodes such a source; no other source needs it.
"""

import functools
import hashlib
import io
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from google.protobuf.message import DecodeError

from dcgan import UserError
from dcgan.datasets import packed
from dcgan.datasets.parts import wanted_parts
from dcgan.datasets.picture_files import PictureFiles, match_files
from dcgan.datasets.picture_formats import UnusableFile
from dcgan.datasets.source import Labels
from dcgan.terminal.quiet import quiet_start

with quiet_start():  # else every worker would print TensorFlow's start messages
    import tensorflow as tf

    # TensorFlow exports nothing that reads and checks a record at a given offset. This class of its
    # debugger does, and saves another library for CRC-32C.
    from tensorflow.python.lib.io.tf_record import tf_record_random_reader

gfile = tf.io.gfile

# A record: length (8 bytes), checksum of the length (4), data, checksum of the data (4):
# tensorflow.org/tutorials/load_data/tfrecord, "TFRecords format details".
HEAD, TAIL = 12, 4
CHECKS = 1  # increase it when other records count as damaged, which makes caches stale
MOST_TEXT = 1000  # bytes kept of a label's meaning, which every record repeats


class TFRecordSource(PictureFiles):
    """The pictures of TFRecord shards; a record is found by its offset in its shard.

    At first only sizes and times of the shards and one record are read, so a start from the cache
    is fast even over a network. For that reason `PictureFiles.__init__` is not called.
    """

    labels_at_hand = False  # labels require reading every record

    def __init__(self, place: str | Path, pattern: str = "*", splits: Sequence[str] = ("train",)):
        """See `FolderSource`; also raises UserError if shards are cut short or hold no pictures."""
        place = str(place).rstrip("/")
        packed.refuse_bytes(place)
        self.path, self.name = place, place.rpartition("/")[2]
        # The number, file and reader of the shard that was read last.
        self._opened: tuple[int, Any, Any] | None = None
        try:
            self._folder, names = _shards(place, splits)
            shards = match_files([(name,) for name in names], pattern, where=place)
            self._shards = [name for (name,) in shards]
            facts = [gfile.stat(self._path(shard)) for shard in self._shards]
            self._sizes = [fact.length for fact in facts]
            self._check_first()
        except tf.errors.OpError as error:
            raise UserError(
                f"{place} cannot be read ({error.message}): expected TFRecord shards."
            ) from error
        versions = zip(self._shards, self._sizes, [fact.mtime_nsec for fact in facts], strict=True)
        facts = (CHECKS, list(versions))
        self.fingerprint = hashlib.sha256(repr(facts).encode()).hexdigest()

    @functools.cached_property
    def names(self) -> list[str]:
        """The names of the records: that of their shard and a number."""
        counts = np.bincount(self._records[:, 0], minlength=len(self._shards))
        shards = zip(self._shards, counts, strict=True)
        return [packed.record_name(shard, i) for shard, count in shards for i in range(count)]

    @functools.cached_property
    def labels(self) -> dict[str, Labels]:
        """The labelling "label"; empty unless every record has one. Reads all records."""
        found = [self._label(i) for i in range(len(self))]
        known = {label: text for label, text in found if label is not None}
        if not known or (None, "") in found:
            return {}
        numbers = {label: i for i, label in enumerate(sorted(known))}
        # A damaged record gets the first label, but is never used.
        values = [numbers.get(label, 0) for label, _ in found]
        names = tuple(known[label] or str(label) for label in sorted(known))
        return {"label": Labels(np.array(values, np.int32), names)}

    def packed_labels(self) -> dict[str, Labels]:
        try:
            if not gfile.exists(path := self._path(packed.MANIFEST)):
                return {}
            with gfile.GFile(path, "rb") as file:
                return packed.labels(self.path, file, self.names)
        except tf.errors.OpError as error:
            raise UserError(f"{path} cannot be read ({error.message}).") from error

    def open(self, index: int) -> BinaryIO:
        encoded = self._features(index)["image/encoded"].bytes_list.value
        if not encoded:
            raise UnusableFile("a record without image/encoded")
        return io.BytesIO(encoded[0])

    @functools.cached_property
    def _records(self) -> np.ndarray:
        """int64 [N, 2]: the shard of each record, and the offset at which it begins there."""
        rows: list[tuple[int, int]] = []
        for shard, size in enumerate(self._sizes):
            start = 0
            while start < size:
                rows.append((shard, start))
                start = self._end_of_record(shard, start)
        return np.array(rows, np.int64).reshape(-1, 2)

    def _end_of_record(self, shard: int, offset: int) -> int:
        """Returns where the record at an offset ends; raises UserError if its shard ends before."""
        file, _ = self._files(shard)
        file.seek(offset)
        head = file.read(HEAD)
        length = struct.unpack("<Q", head[:8])[0] if len(head) == HEAD else 0
        end = offset + HEAD + length + TAIL
        if end > self._sizes[shard]:
            raise UserError(
                f"{self._path(self._shards[shard])} holds no complete record at byte {offset:,}: "
                "expected TFRecords that are neither cut short nor compressed; copy it again, or "
                "leave it out with --input_fname_pattern."
            )
        return end

    def _files(self, shard: int) -> tuple[Any, Any]:
        """Opens a shard as a file and as a reader of records."""
        if self._opened is None or self._opened[0] != shard:
            path = self._path(self._shards[shard])
            self._opened = shard, gfile.GFile(path, "rb"), tf_record_random_reader(path)
        return self._opened[1:]

    def _path(self, shard: str) -> str:
        return f"{self._folder}/{shard}" if self._folder else shard

    def _features(self, index: int):
        try:
            record = self._record(*self._records[index].tolist())
            return tf.train.Example.FromString(record).features.feature
        except DecodeError as error:
            raise UnusableFile("a damaged record") from error
        except tf.errors.OpError as error:
            raise UnusableFile(f"cannot be read ({error.message})") from error

    def _record(self, shard: int, offset: int) -> bytes:
        """Reads the data of a record; raises UnusableFile if a checksum does not match."""
        try:
            return self._files(shard)[1].read(offset)[0]
        except (tf.errors.DataLossError, IndexError) as error:
            raise UnusableFile("a damaged record") from error

    def _label(self, index: int) -> tuple[int | None, str]:
        """Reads (label, meaning); (None, "") without a label, (None, "damaged") if damaged."""
        try:
            features = self._features(index)
        except UnusableFile:
            return None, "damaged"
        label = features["image/class/label"].int64_list.value
        text = features["image/class/text"].bytes_list.value
        if not label:
            return None, ""
        return label[0], text[0][:MOST_TEXT].decode("utf-8", "replace") if text else ""

    def _check_first(self) -> None:
        """Raises UserError if the first record holds no picture, before anything expensive."""
        shard = next((i for i, size in enumerate(self._sizes) if size), None)
        if shard is None:
            raise UserError(f"The shards of {self.name} are empty: expected records of pictures.")
        self._end_of_record(shard, 0)
        try:
            features = tf.train.Example.FromString(self._record(shard, 0)).features
        except UnusableFile:
            return  # one damaged record does not make the others unusable
        except DecodeError as error:
            raise _no_pictures_error(self._shards[shard], "something else") from error
        if "image/encoded" not in features.feature:
            received = ", ".join(sorted(features.feature)) or "none"
            raise _no_pictures_error(self._shards[shard], f"the features {received}")


def _no_pictures_error(shard: str, received: str) -> UserError:
    return UserError(
        f"{shard} holds no pictures: expected records of the kind tf.train.Example with the "
        f"feature image/encoded (a PNG or JPEG file), received {received}."
    )


def _shards(place: str, splits: Sequence[str]) -> tuple[str, list[str]]:
    """Returns the folder of the shards and their names; raises UserError if any is missing."""
    if not gfile.exists(place):
        raise UserError(f"{place} does not exist: expected TFRecord shards.")
    if not gfile.isdir(place):
        packed.refuse_splits(place, splits)
        folder, _, name = place.rpartition("/")
        return folder, [name]
    files = sorted(gfile.listdir(place))
    if packed.UNFINISHED in files:
        raise UserError(
            f"{place} is incomplete: its packing was cut short or is still going on; run the same "
            "pack command again."
        )
    about = None
    if packed.MANIFEST in files:
        with gfile.GFile(f"{place}/{packed.MANIFEST}", "rb") as file:
            about = packed.parse_header(file.read(packed.MAX_HEADER))
    if about is None or "shards" not in about:  # the manifest of an unpacked zip
        packed.refuse_splits(place, splits)
        return place, [name for name in files if packed.is_shard(name)]
    splits = wanted_parts(place, splits, packed.SPLITS)
    names = [name for split in splits for name in about["shards"].get(split, ())]
    if absent := [name for name in names if name not in files]:  # also refuses paths to elsewhere
        raise UserError(
            f"{place} is incomplete: its {packed.MANIFEST} names the shard {absent[0]!r}, which is "
            "not there; copy the folder again, or run the same pack command again."
        )
    return place, names
