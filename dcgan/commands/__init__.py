"""Runs a command, dcgan/commands/<name>.py, and turns system errors into messages for the user.

Each command has `run(options)`, which takes its dataclass of `dcgan.cli` and returns the exit code
or None for 0. Only commands that need TensorFlow import it, as that takes seconds.
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

# System errors that the user can mend; others are faults of this program.
USER_ERRNOS = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM),
    *(errno.EIO, errno.ESTALE, errno.ENOMEM, errno.ENAMETOOLONG),
)


def run(command: str, options: Any) -> int:
    """Runs a command and returns its exit code; raises UserError for `USER_ERRNOS` errors."""
    module = _load(command)
    try:
        with _log_to_console():
            return module.run(options) or 0
    except OSError as error:
        if error.errno not in USER_ERRNOS:
            raise
        where = f" ({error.filename})" if error.filename else ""
        raise UserError(
            f"A file could not be read or written: {error.strerror}{where}; free space or fix the "
            "folder, then run the same command: it continues from what is saved."
        ) from error


def _load(command: str) -> types.ModuleType:
    """Imports the module of a command; TensorFlow, if the module imports it, starts quietly."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    with quiet.quiet_start():
        module = importlib.import_module(f"dcgan.commands.{command.replace('-', '_')}")
        if "tensorflow" in sys.modules:
            from dcgan.distributed import devices

            devices.grow_gpu_memory()
    return module


@contextlib.contextmanager
def _log_to_console() -> Iterator[None]:
    """Context manager that prints log messages, above the progress bars."""
    from dcgan.terminal import progress  # late: tqdm reads the environment when it is imported

    handler = progress.BarHandler()
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
