"""The file format of checkpoints and of `evaluation.cache`: named arrays, and the meta as JSON.

It is an uncompressed .npz file with a CRC-32 of each array. Users keep such files, so neither the
format nor `_META` may change. A file is not trusted: reading it takes no more memory than its size,
and creates nothing but numbers.
"""

import contextlib
import errno
import json
import math
import os
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from dcgan import disk
from dcgan.files import name_errors, replace_atomically

_META = "meta.json"


class DamagedCheckpoint(Exception):
    """The file could be read, but is not whole."""


def write(
    path: Path, arrays: Iterable[tuple[str, np.ndarray]], meta: dict, *, shared: bool = False
) -> None:
    """Writes a file in the format of `numpy.savez`, whole or not at all; `meta` as a JSON object.

    Only one array is in memory at a time. For `shared` see `replace_atomically`.
    """
    meta_bytes = np.frombuffer(json.dumps(meta).encode(), np.uint8)
    with (
        replace_atomically(path, shared=shared) as temporary,
        zipfile.ZipFile(temporary, "w") as file,
    ):
        for name, array in arrays:
            _add(file, name, array)
        _add(file, _META, meta_bytes)


def _add(file: zipfile.ZipFile, name: str, array: np.ndarray) -> None:
    with file.open(f"{name}.npy", "w", force_zip64=True) as entry:
        np.lib.format.write_array(entry, np.asarray(array), allow_pickle=False)


def read(path: Path) -> tuple[dict[str, np.ndarray], dict]:
    """Reads the arrays of a file by name, and its meta.

    Raises:
        DamagedCheckpoint: the file is not whole.
        OSError: it cannot be read, or does not fit into memory.
    """
    with _open(path) as file:
        arrays = {
            info.filename.removesuffix(".npy"): _read_array(file, info) for info in file.filelist
        }
        return arrays, _parse_meta(arrays.pop(_META))


def read_meta(path: Path) -> dict:
    """Reads the meta of a file without its arrays; for errors see `read`."""
    with _open(path) as file:
        return _parse_meta(_read_array(file, file.getinfo(f"{_META}.npy")))


@contextlib.contextmanager
def _open(path: Path) -> Iterator[zipfile.ZipFile]:
    """Context manager that opens a file and checks its entries.

    Errors in the caller's block, too, become those of `read`.
    """
    try:
        with name_errors(path), open(path, "rb") as raw:
            file_size = raw.seek(0, os.SEEK_END)
            with zipfile.ZipFile(raw) as file:
                _check_entries(file, file_size)
                yield file
    except MemoryError as error:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM), str(path)) from error
    except (
        zipfile.BadZipFile,
        RuntimeError,  # for a password, an unknown compression, or a meta that is nested too deeply
        ValueError,
        EOFError,
        KeyError,
        OSError,
    ) as error:
        if failure := disk.find_disk_error(error):
            failure.filename = failure.filename or str(path)
            raise failure from None
        raise DamagedCheckpoint(str(error) or type(error).__name__) from error


def _check_entries(file: zipfile.ZipFile, file_size: int) -> None:
    compressed = any(entry.compress_type != zipfile.ZIP_STORED for entry in file.filelist)
    size = sum(entry.file_size for entry in file.filelist)
    if compressed or size > file_size or len(file.filelist) > len(file.NameToInfo):
        raise ValueError("its entries are compressed, overlap or share a name")


def _read_array(file: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    """Reads an entry, which must hold exactly the numbers that its header announces."""
    with file.open(info) as entry:
        if np.lib.format.read_magic(entry) != (1, 0):
            raise ValueError(f"{info.filename} is not of version 1.0 of the .npy format")
        try:
            shape, _, dtype = np.lib.format.read_array_header_1_0(entry)
        except MemoryError as error:  # which Python's parser raises for deep nesting
            raise ValueError("a header does not describe an array") from error
        if dtype.kind not in "biuf" or math.prod(shape) * dtype.itemsize != (
            info.file_size - entry.tell()
        ):
            raise ValueError(f"{info.filename} does not hold the numbers that it announces")
    with file.open(info) as entry:  # opened again: after a seek the CRC would not be checked
        return np.lib.format.read_array(entry, allow_pickle=False)


def _parse_meta(meta_bytes: np.ndarray) -> dict:
    meta = json.loads(meta_bytes.tobytes())
    if not isinstance(meta, dict):
        raise ValueError(f"{_META} is not a JSON object")
    return meta
