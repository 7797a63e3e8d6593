"""Starts a command, dcgan/commands/<name>.py, and says what becomes of its errors.

Each has `run(options)`, with its dataclass of `dcgan.cli`; None is the exit code 0. Only those that
need TensorFlow import it: the others start without its seconds.
"""

import contextlib
import errno
import importlib
import logging
import os
import sys
import types
from collections.abc import Iterator
from typing import Any

from dcgan import UserError
from dcgan.terminal import quiet

logger = logging.getLogger("dcgan")

# What the machine lacks, forbids or fails at, which the user can mend; other errors of the system
# are ours.
MENDABLE = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM),
    *(errno.EIO, errno.ESTALE, errno.ENOMEM),
)


def run(command: str, options: Any) -> int:
    """Runs a command and returns its exit code; raises UserError for what the user can mend."""
    module = _load(command)
    try:
        with _log_to_console():
            return module.run(options) or 0
    except OSError as error:
        if error.errno not in MENDABLE:
            raise
        where = f" ({error.filename})" if error.filename else ""
        raise UserError(
            f"A file could not be read or written: {error.strerror}{where}; free space or fix the "
            "folder, then run the same command: it continues from what is saved."
        ) from error


def _load(command: str) -> types.ModuleType:
    """The command's module, and TensorFlow without its chatter where the module imports it."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    with quiet.quiet_start():
        module = importlib.import_module(f"dcgan.commands.{command.replace('-', '_')}")
        if "tensorflow" in sys.modules:
            from dcgan.distributed import devices

            devices.grow_gpu_memory()
    return module


@contextlib.contextmanager
def _log_to_console() -> Iterator[None]:
    """While it is entered, what is logged is printed, above the progress bars."""
    from dcgan.terminal import progress  # tqdm believes the environment that it is imported in

    handler = progress.Handler()
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]
