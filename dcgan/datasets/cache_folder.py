"""The folder that keeps what took long to make or to fetch, for all runs of a user."""

import atexit
import functools
import logging
import shutil
import tempfile
from pathlib import Path

from dcgan import UserError

logger = logging.getLogger("dcgan")


def known_folder(given: str | None = None) -> Path | None:
    """`cache_folder` where there is one already; nothing is made, and nothing is said."""
    try:
        folder = Path(given) if given else _in_home()
    except RuntimeError:  # nobody says where the home is
        return None
    return folder if folder.is_dir() else None


def cache_folder(given: str | None = None) -> Path:
    """Where what took long to make or to fetch is kept: the given folder, else the user's own.

    Where there is no home, or none that can be written, a temporary folder serves until this
    process ends; a UserError where there is no place for that either.
    """
    return Path(given) if given else _own_folder()


@functools.cache
def _own_folder() -> Path:
    try:
        folder = _in_home()
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()  # the superuser's rights say nothing of a disk
        return folder
    except (OSError, RuntimeError) as error:
        reason = error.strerror or error if isinstance(error, OSError) else "HOME is not set"
    try:
        folder = Path(tempfile.mkdtemp(prefix="dcgan-"))
    except OSError as error:
        raise UserError(
            f"Neither a home folder ({reason}) nor a temporary folder ({error.strerror}) can be "
            "written; set HOME or TMPDIR to a folder that can, or use --cache_dir."
        ) from error
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    logger.warning(
        "There is no home folder to write to (%s): decoded images and downloads are kept in "
        "%s until this command ends; with HOME or --cache_dir they stay.",
        reason,
        folder,
    )
    return folder


def _in_home() -> Path:
    return Path.home() / ".cache" / "dcgan"
