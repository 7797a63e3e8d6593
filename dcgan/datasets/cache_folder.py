"""The folder where all runs of a user keep decoded images and downloads."""

import atexit
import functools
import logging
import shutil
import tempfile
from pathlib import Path

from dcgan import UserError

logger = logging.getLogger("dcgan")


def known_folder(given: str | None = None) -> Path | None:
    """Returns the folder of `cache_folder` if it exists, else None; makes and logs nothing."""
    try:
        folder = Path(given) if given else _in_home()
    except RuntimeError:  # the home folder is unknown
        return None
    return folder if folder.is_dir() else None


def cache_folder(given: str | None = None) -> Path:
    """Returns the given folder, else the user's own, else one that is removed with this process.

    The last is for users without a home folder that they can write. Raises UserError if not even a
    temporary folder can be made.
    """
    return Path(given) if given else _own_folder()


@functools.cache
def _own_folder() -> Path:
    try:
        folder = _in_home()
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()  # permissions do not show a read-only disk
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
    return Path.home() / ".cache" / "dcgan"  # where users have their caches and downloads
