"""Refuses links in the place of files that a command writes or removes.

A folder may come from somebody else, with such links in it: writing to them would change whatever
files they lead to.
"""

from collections.abc import Iterable
from pathlib import Path

from dcgan import UserError


def refuse(state: Path, files: Iterable[Path], command: str) -> None:
    """Raises UserError for a link as a command's own folder, in it, or as one of its files."""
    for path in (state, *state.glob("*"), *files):
        if path.is_symlink():
            raise UserError(
                f"{path} is a link, which {command} never makes and does not write to: remove it, "
                "or choose another --to."
            )
