"""What a file system may lack, and what is done without it: locks, flushing, swaps of two names.

NFS, Lustre, SMB and FUSE lack one or another, by one number of an error or another. Each lack is
named once, with what follows from it; nothing ends for it. Other errors, such as that of a full
disk, are raised as ever.
"""

import contextlib
import ctypes
import errno
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TextIO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt

# How a system says that it cannot do a thing at all.
NEVER = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOTTY, errno.ENODEV}
# NFS locks nothing that is not open for writing, as no folder ever is.
NO_LOCKS = NEVER | {errno.ENOLCK, errno.EBADF, errno.EISDIR}
# Of a folder, which some systems do not even open, or open for no such purpose.
NO_FLUSHING = NEVER | {errno.EBADF, errno.EACCES, errno.EPERM, errno.EISDIR}

logger = logging.getLogger("dcgan")
_named: set[str] = set()


def lacks(what: str, follows: str, *values: object) -> None:
    """Warns of something that a file system lacks, once in a process.

    Args:
        what: is lacking.
        follows: a sentence for the log, with %s for `values`.
    """
    if what not in _named:
        _named.add(what)
        logger.warning(follows, *values)


def failure(error: BaseException | None) -> OSError | None:
    """The error of the disk or the system that is behind another; libraries hide some.

    None where what was read is wrong: gzip and zipfile raise errors without a number for that, and
    a place that no file has (EINVAL, EOVERFLOW) is named by what was read.
    """
    while error is not None:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL, errno.EOVERFLOW):
            return error
        error = error.__context__
    return None


def lock(file: TextIO | BinaryIO | int, name: Path, *, wait: bool = False) -> None:
    """Holds a file or folder for this process; the system lets go of it however the process ends.

    Where nothing can be locked it says so, and nothing is held.

    Args:
        file: opened; or the descriptor of one, or of a folder.
        name: of it, for people.
        wait: whether to wait for another process that holds it.

    Raises:
        BlockingIOError, PermissionError: another process holds it.
    """
    try:
        if fcntl:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        else:
            file.seek(1 << 20)  # a byte far behind the text, which others can then still read
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        lacks(
            "locks",
            "%s cannot be locked (%s): nothing keeps a second process from writing there, so start "
            "one at a time.",
            name,
            error.strerror,
        )


def flush(descriptor: int, name: Path) -> None:
    """Puts an open file on the disk, where that can be asked for.

    Args:
        name: of it, for people.

    Raises:
        OSError: the disk is full, or broken.
    """
    with _unflushed(name, NEVER):
        os.fsync(descriptor)


def flush_folder(folder: Path) -> None:
    """Puts a rename on the disk, where the system can (Windows opens no folders)."""
    if not fcntl:
        return
    with _unflushed(folder, NO_FLUSHING):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def _unflushed(name: Path, lacking: set[int]) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in lacking:
            raise
        lacks(
            "flushing",
            "Files in %s cannot be flushed to the disk (%s): a power cut may cost what was written "
            "last.",
            name if name.is_dir() else name.parent,
            error.strerror,
        )


def cannot_map(name: Path, error: OSError) -> None:
    """Says that a file is read in place of being mapped into memory."""
    lacks(
        "mapping",
        "%s cannot be mapped into memory (%s): it is read, and takes memory of its own.",
        name,
        error.strerror,
    )


def swap(one: Path, other: Path) -> bool:
    """renameat2(2) with RENAME_EXCHANGE; whether the system and the disk can."""
    libc = ctypes.CDLL(None) if fcntl else None
    if not hasattr(libc, "renameat2"):
        return False
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return libc.renameat2(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0
