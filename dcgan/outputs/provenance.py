"""Pictures and their notes that may be replaced by later ones: files that say who made them.

Writing over anything else is refused.
"""

import os
from pathlib import Path

from dcgan import UserError
from dcgan.files import remove_stale, write_bytes

MARK = "made by dcgan"  # in a PNG's or GIF's comment, an MP4's metadata, a JSON file's text


def mark(what: str) -> str:
    """The comment that goes into a file; characters that are not ASCII become question marks."""
    return f"{MARK}: {what}".encode("ascii", "replace").decode("ascii")


def refuse_foreign(path: Path, *suffixes: str) -> None:
    """Refuses a name under which nothing of ours can be written.

    Raises:
        UserError: it ends otherwise, it is no file of ours, or its folder cannot be written.
    """
    if path.suffix.lower() not in suffixes:
        raise UserError(
            f"--to must end in {' or '.join(suffixes)}; received {path}: give it such a name."
        )
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise UserError(
            f"{path} cannot be written ({folder} is no folder that may be written): choose another "
            "--to."
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
