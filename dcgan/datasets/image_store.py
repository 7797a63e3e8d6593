"""Where decoded images go, chunk after chunk: a .npy file that appears when whole, or memory.

Features, which are rows of numbers, go to such a file too.
"""

import os
import shutil
from pathlib import Path

import numpy as np

from dcgan import UserError, disk
from dcgan.files import remove_stale, temporary_name

_HEADER_BYTES = 128  # of a .npy file: NumPy leaves room in it for the number of images to grow
_GIB = 2**30


class FileStore:
    """Images in a file under a temporary name, which `finish` renames.

    The name holds machine and process, so that what a killed process left behind can be told from
    what another is writing, and is removed.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], capacity: int, dtype: str = "|u1"):
        """Makes the file for at most `capacity` images of a shape and of a `dtype` of NumPy's.

        Raises OSError where the folder cannot be written, or has no room for that many images.
        """
        self.path, self.shape, self._dtype = path, shape, np.dtype(dtype)
        self._count = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_stale(path.parent)
        needed = capacity * int(np.prod(shape)) * self._dtype.itemsize
        usage = shutil.disk_usage(path.parent)
        free = usage.free
        if usage.total and needed > free:  # some file systems do not say how large they are
            raise OSError(f"{needed / _GIB:.1f} GiB are needed, {free / _GIB:.1f} GiB are free")
        self._temporary = temporary_name(path)
        # Unbuffered: what `append` has returned from is in the file, or it has raised.
        self._file = open(self._temporary, "xb", buffering=0)
        self._write_header()

    def append(self, images: np.ndarray) -> None:
        """Adds images [n, *shape]. Raises OSError, e.g. when the disk is full."""
        self._write(np.ascontiguousarray(images, self._dtype).reshape(-1).view(np.uint8).data)
        self._count += len(images)

    def finish(self) -> None:
        """Gives the file its name. Raises OSError."""
        self._file.seek(0)
        self._write_header()
        disk.flush(self._file.fileno(), self.path)
        self._file.close()
        os.replace(self._temporary, self.path)

    def close(self) -> None:
        """Removes the unfinished file, if there is one."""
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


class MemoryStore:
    """The same, in memory."""

    def __init__(self, shape: tuple[int, ...], capacity: int):
        """Takes room for `capacity` images of a shape; raises UserError where that is too much."""
        self._count = 0
        needed, free = capacity * int(np.prod(shape)), free_memory()
        if needed > free:
            raise UserError(
                f"{capacity:,} images take {needed / _GIB:.1f} GiB, but {free / _GIB:.1f} GiB of "
                "memory are free and no disk is available: free some disk space for the cache, use "
                "fewer images (--train_size) or smaller ones (--output_size)."
            )
        self._images = np.empty((capacity, *shape), np.uint8)

    def append(self, images: np.ndarray) -> None:
        """Adds uint8 [n, *shape]."""
        self._images[self._count : self._count + len(images)] = images
        self._count += len(images)

    def array(self) -> np.ndarray:
        """The images so far."""
        return self._images[: self._count]


def free_memory() -> int:
    """Bytes that programs may still take without swapping."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except FileNotFoundError:
        pass  # not Linux
    if hasattr(os, "sysconf"):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return 4 * _GIB
