"""A system whose file system lacks locks, hard links, flushing, swaps of names, and mapping.

Run as `sitecustomize` it makes the calls of a process and of all that it starts fail as on such a
system, with the error that the variable POOR_DISK names.
"""

import ctypes
import errno
import fcntl
import functools
import mmap
import os
import runpy
import shutil
from pathlib import Path


def impoverish() -> None:
    """Takes from this process what such a file system lacks."""
    number = getattr(errno, os.environ["POOR_DISK"])

    def fail(number: int, *_, **__):
        raise OSError(number, os.strerror(number))

    fcntl.flock = fcntl.lockf = functools.partial(fail, number)
    os.fsync = os.fdatasync = functools.partial(fail, errno.EINVAL)
    os.link = functools.partial(fail, errno.EPERM)

    class Map(mmap.mmap):
        def __new__(cls, descriptor, *words, **named):
            if descriptor != -1:
                fail(errno.ENODEV)
            return super().__new__(cls, descriptor, *words, **named)

    class Library(ctypes.CDLL):
        def __init__(self, *words, **named):
            super().__init__(*words, **named)
            self.renameat2 = lambda *_: -1

    mmap.mmap, ctypes.CDLL = Map, Library


def on_a_poor_disk(folder: Path, number: str, *, warm: bool) -> dict:
    """What to give `running.run` for a process on such a system.

    Args:
        folder: for the file that Python runs at its start.
        number: of the error that locks end in, such as ENOLCK.
        warm: whether the process is forked, so that its own Python has started already.
    """
    folder.mkdir(exist_ok=True)
    shutil.copyfile(__file__, folder / "sitecustomize.py")
    given = {"env": {"PYTHONPATH": str(folder), "POOR_DISK": number}}
    run = functools.partial(_start, str(folder / "sitecustomize.py"), number)
    return given | ({"preexec_fn": run} if warm else {})


def _start(path: str, number: str) -> None:
    os.environ["POOR_DISK"] = number
    runpy.run_path(path, run_name="sitecustomize")


if __name__ == "sitecustomize":
    impoverish()
