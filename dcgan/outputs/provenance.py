"""Marks the files that this program makes, so that it may replace them later.

Overwriting any other file is refused.
"""

import os
from pathlib import Path

from dcgan import UserError
from dcgan.files import remove_stale, write_bytes

# In a PNG's or GIF's comment, an MP4's metadata, a JSON file's text. Files with another mark would
# not be replaced.
MARK = "made by dcgan"


def mark(what: str) -> str:
    """Makes the comment for a file; characters that are not ASCII become question marks."""
    return f"{MARK}: {what}".encode("ascii", "replace").decode("ascii")


def refuse_foreign(path: Path, *suffixes: str) -> None:
    """Refuses a path to which this program cannot or must not write.

    Raises:
        UserError: the path has none of the suffixes, it is a file without our mark, or its folder
            cannot be written.
    """
    if path.suffix.lower() not in suffixes:
        raise UserError(f"--to must end in {' or '.join(suffixes)}; received {path}.")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise UserError(
            f"{path} cannot be written ({folder} is not a folder that may be written): choose "
            "another --to."
        )
    if path.exists() and not (path.is_file() and MARK.encode() in path.read_bytes()):
        raise UserError(
            f"{path} exists and was not made by this command: nothing is overwritten; choose "
            "another --to, or move it away."
        )


def write(path: Path, data: bytes) -> None:
    """Writes a file whose bytes hold a `mark`, whole or not at all."""
    remove_stale(path.parent)
    write_bytes(path, data, shared=True)
