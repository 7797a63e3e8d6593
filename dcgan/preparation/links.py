"""Refuses links in place of files that a command writes or removes.

A folder from somebody else may contain such links, and writing to them would change the files that
they lead to.
"""

from collections.abc import Iterable
from pathlib import Path

from dcgan import UserError


def refuse(state: Path, files: Iterable[Path], command: str) -> None:
    """Raises UserError if a command's folder `state`, a file in it, or one of `files` is a link."""
    for path in (state, *state.glob("*"), *files):
        if path.is_symlink():
            raise UserError(
                f"{path} is a link, which {command} never makes and does not write to: remove it, "
                "or choose another --to."
            )
