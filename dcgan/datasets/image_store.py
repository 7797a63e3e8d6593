"""Stores decoded images or features, chunk by chunk, in a .npy file that appears when complete."""

import os
import shutil
from pathlib import Path

import numpy as np

from dcgan import UserError, disk
from dcgan.files import remove_stale, temporary_name

_HEADER_BYTES = 128  # of a .npy file; NumPy leaves room in it for a larger number of images
_GIB = 2**30


class FileStore:
    """Stores images in a file under a temporary name, which `finish` renames."""

    def __init__(self, path: Path, shape: tuple[int, ...], capacity: int, dtype: str = "|u1"):
        """Makes the file for at most `capacity` images of a shape, stored as a NumPy `dtype`.

        Raises OSError if the folder cannot be written or has no room for that many images.
        """
        self.path, self.shape, self._dtype = path, shape, np.dtype(dtype)
        self._count = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_stale(path.parent)
        needed = capacity * int(np.prod(shape)) * self._dtype.itemsize
        usage = shutil.disk_usage(path.parent)
        free = usage.free
        if usage.total and needed > free:  # some file systems do not tell their size
            raise OSError(f"{needed / _GIB:.1f} GiB are needed, {free / _GIB:.1f} GiB are free")
        self._temporary = temporary_name(path)
        # Unbuffered: when `append` returns, its images are in the file; else it raises.
        self._file = open(self._temporary, "xb", buffering=0)
        self._write_header()

    def append(self, images: np.ndarray) -> None:
        """Adds images [n, *shape]. Raises OSError if the disk fails."""
        self._write(np.ascontiguousarray(images, self._dtype).reshape(-1).view(np.uint8).data)
        self._count += len(images)

    def finish(self) -> None:
        """Completes the file and renames it to `path`. Raises OSError if the disk fails."""
        self._file.seek(0)
        self._write_header()
        disk.flush(self._file.fileno(), self.path)
        self._file.close()
        os.replace(self._temporary, self.path)

    def close(self) -> None:
        """Closes the file, and removes it if it is unfinished."""
        self._file.close()
        self._temporary.unlink(missing_ok=True)

    def _write_header(self) -> None:
        shape = (self._count, *self.shape)
        header = {"descr": self._dtype.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, header)
        if self._file.tell() != _HEADER_BYTES:
            raise RuntimeError(f"NumPy wrote a header of {self._file.tell()} bytes")

    def _write(self, data: memoryview) -> None:
        while len(data):
            data = data[self._file.write(data) :]


def allocate(capacity: int, shape: tuple[int, ...]) -> np.ndarray:
    """Makes uint8 [capacity, *shape] in memory; raises UserError if that is too small."""
    needed, free = capacity * int(np.prod(shape)), free_memory()
    if needed > free:
        raise UserError(
            f"{capacity:,} images take {needed / _GIB:.1f} GiB, but {free / _GIB:.1f} GiB of "
            "memory are free and no disk is available: free some disk space for the cache, use "
            "fewer images (--train_size) or smaller ones (--output_size)."
        )
    return np.empty((capacity, *shape), np.uint8)


def free_memory() -> int:
    """Returns the bytes of memory that programs can still allocate without swapping (estimated)."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except FileNotFoundError:
        pass  # not Linux
    if hasattr(os, "sysconf"):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return 4 * _GIB
