"""Operations that a file system may lack, with substitutes: locks, flushing, exchanging two names.

NFS, Lustre, SMB and FUSE lack some of them, and say so by different error numbers. The program then
warns once of the consequences, and continues. Other errors, such as a full disk, are raised.
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

# Errors by which a system says that it cannot do something at all.
UNSUPPORTED = {
    errno.EINVAL,
    errno.ENOSYS,
    errno.ENOTSUP,
    errno.EOPNOTSUPP,
    errno.ENOTTY,
    errno.ENODEV,
}
# NFS locks only files that are open for writing, which a folder never is.
UNSUPPORTED_LOCK = UNSUPPORTED | {errno.ENOLCK, errno.EBADF, errno.EISDIR}
# For folders, which some systems cannot open, or cannot flush.
UNSUPPORTED_FLUSH = UNSUPPORTED | {errno.EBADF, errno.EACCES, errno.EPERM, errno.EISDIR}

logger = logging.getLogger("dcgan")
_warned: set[str] = set()


def warn_missing(what: str, consequence: str, *values: object) -> None:
    """Warns of `what` a file system lacks, once in a process; the warning has %s for `values`."""
    if what not in _warned:
        _warned.add(what)
        logger.warning(consequence, *values)


def find_disk_error(error: BaseException | None) -> OSError | None:
    """Returns the error of the disk or system that caused another error; libraries hide some.

    Returns None if the content of a file is wrong: gzip and zipfile then raise OSError without a
    number, and impossible offsets in the content lead to EINVAL or EOVERFLOW.
    """
    while error is not None:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL, errno.EOVERFLOW):
            return error
        error = error.__context__
    return None


def lock(file: TextIO | BinaryIO | int, name: Path, *, wait: bool = False) -> None:
    """Locks a file or folder for this process; the system unlocks it however the process ends.

    If the file system has no locks, this warns and locks nothing. If another process holds the
    lock, it raises BlockingIOError or PermissionError, or waits (but not on Windows).

    Args:
        file: an open file, or the descriptor of a file or folder.
        name: its path, for the warning.
        wait: whether to wait.
    """
    try:
        if fcntl:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        else:
            file.seek(1 << 20)  # a byte far behind the text, which others can then still read
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    except OSError as error:
        if error.errno not in UNSUPPORTED_LOCK:
            raise
        warn_missing(
            "locks",
            "%s cannot be locked (%s): nothing keeps a second process from writing there, so start "
            "one at a time.",
            name,
            error.strerror,
        )


def flush(descriptor: int, name: Path) -> None:
    """Flushes an open file to the disk, if the file system can do that; `name` is its path.

    Raises OSError if the disk is full or broken.
    """
    with _warn_unflushed(name, UNSUPPORTED):
        os.fsync(descriptor)


def flush_folder(folder: Path) -> None:
    """Flushes renames in a folder to the disk, if the system can (Windows cannot)."""
    if not fcntl:
        return
    with _warn_unflushed(folder, UNSUPPORTED_FLUSH):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def _warn_unflushed(name: Path, errors: set[int]) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in errors:
            raise
        warn_missing(
            "flushing",
            "Files in %s cannot be flushed to the disk (%s): a power cut may cost what was written "
            "last.",
            name if name.is_dir() else name.parent,
            error.strerror,
        )


def warn_unmapped(name: Path, error: OSError) -> None:
    """Warns that a file is read because it cannot be mapped into memory."""
    warn_missing(
        "mapping",
        "%s cannot be mapped into memory (%s): it is read, and takes memory of its own.",
        name,
        error.strerror,
    )


def swap(one: Path, other: Path) -> bool:
    """Exchanges two names by renameat2(2); returns False if the system or the disk cannot."""
    libc = ctypes.CDLL(None) if fcntl else None
    if not hasattr(libc, "renameat2"):
        return False
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return libc.renameat2(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0
