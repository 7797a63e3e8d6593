"""Data sets that come as arrays in a few files: MNIST, SVHN, CIFAR-10, NumPy files.

Their modules say where the files are and how to read them; this one makes a `Source` of them.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from dcgan import UserError, images
from dcgan.datasets.picture import reading_failed
from dcgan.datasets.source import Decoded, ImageSpec, Labels, Summary


class ArraySource:
    """A data set whose images all have one shape.

    The files are read when an image, a label or the count is first asked for, also in each worker
    process. The fingerprint is a hash of the splits and of the files' names, sizes and times.

    Args:
        files: all the files that `read` reads.
        read: returns for each part uint8 images [N, height, width, channels] and integer labels [N]
            or None. It is picklable, and raises UserError for a file that cannot be used.
        label_names: what each label means; labels are 0 to len(label_names) - 1.
        splits: the parts of the data set that `read` reads, e.g. ("train",).
    """

    fallible = False
    parallel = False  # decoding is a copy, and every process would read all the files
    notes: tuple[str, ...] = ()
    # Unknown, as parts may not be downloaded yet; `numpy_file` sets them.
    parts: Mapping[str, int] = {}

    def __init__(
        self,
        name: str,
        files: Sequence[Path],
        *,
        read: Callable[[], Iterable[tuple[np.ndarray, np.ndarray | None]]],
        label_names: Sequence[str],
        splits: Sequence[str],
    ):
        self.name = name
        # In cache keys and checkpoints: made of other facts, all images would be decoded again.
        facts = [(f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in files]
        self.fingerprint = hashlib.sha256(repr((facts, tuple(splits))).encode()).hexdigest()[:32]
        self._files, self._read = tuple(files), read
        self._label_names = tuple(label_names)
        self._arrays: tuple[np.ndarray, np.ndarray | None] | None = None

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_arrays": None}

    def __len__(self) -> int:
        return len(self._load()[0])

    @property
    def labels(self) -> dict[str, Labels]:
        """The only labelling, "label"; empty if the files have no labels."""
        if self._load()[1] is None:
            return {}
        return {"label": Labels(self._load()[1], self._label_names)}

    def summary(self) -> Summary:
        """Summarizes the arrays: every image is usable, and all have one size."""
        count, height, width, channels = self._load()[0].shape
        return Summary(count, (), (((height, width), count),), channels)

    def decode(self, indices: Sequence[int], spec: ImageSpec) -> Decoded:
        chosen = np.asarray(indices, np.int64)
        # SVHN's memory order is not C's, hence the explicit order.
        arrays = np.ascontiguousarray(self._load()[0][chosen])
        cuts = spec.crop and (spec.crop_height or spec.crop_width)
        if cuts or arrays.shape[1:] != (spec.height, spec.width, spec.channels):
            plain = (images.plain(images.to_pillow(one), spec.channels) for one in arrays)
            fitted = np.array([spec.crop_and_resize(one) for one in plain], np.uint8)
            arrays = fitted.reshape(-1, spec.height, spec.width, spec.channels)
        return Decoded(arrays, chosen.tolist())

    def _load(self) -> tuple[np.ndarray, np.ndarray | None]:
        if self._arrays is None:
            try:
                pixels, values = zip(*self._read(), strict=True)
            except OSError as error:
                raise unreadable(error, *self._files) from error
            # A single part may be a mapped file, and is not copied.
            joined = pixels[0] if len(pixels) == 1 else np.concatenate(pixels)
            unlabelled = values[0] is None
            self._arrays = joined, None if unlabelled else np.concatenate(values).astype(np.int32)
        return self._arrays


def check_labels(path: Path, values: np.ndarray, *, count: int, classes: int) -> None:
    """Raises UserError unless the labels are `count` numbers from 0 to `classes` - 1."""
    if len(values) != count:
        raise unusable(path, f"{count} labels, one for each image", f"{len(values)}")
    if count and not 0 <= values.min() <= values.max() < classes:
        received = f"labels from {values.min()} to {values.max()}"
        raise unusable(path, f"labels from 0 to {classes - 1}", received)


def unreadable(error: OSError, *paths: Path) -> UserError:
    """Makes the error for an unreadable file, named by `error` or else by `paths`."""
    where = error.filename or " or ".join(map(str, paths))
    return UserError(
        f"{where} {reading_failed(error)}: expected a file that you may read, on a disk that works;"
        " fix that, or copy it elsewhere and name that place."
    )


def unusable(path: Path, expected: str, received: str) -> UserError:
    """Makes the error for a file that is cut short, damaged or something else."""
    received = " ".join(received.split())  # some libraries give reasons of several lines
    return UserError(
        f"{path} cannot be used: expected {expected}, received {received}; put a complete copy in "
        "its place, or delete it and start again to have it downloaded."
    )
