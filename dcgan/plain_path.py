"""A plain name for any file or folder, for libraries that read more than a name in a path.

TensorFlow finds the weights of a SavedModel by a pattern, in which [ ] * and ? are signs; it and
others take no name that is not UTF-8.
"""

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

PLAIN = re.compile(r"[\w./+,=@ -]+", re.ASCII)


@contextlib.contextmanager
def plain(path: Path) -> Iterator[str]:
    """An absolute path of letters and digits that leads to `path` while the block runs.

    It is the path itself where that is plain, else one over a temporary link. Where no link can be
    made, as on Windows, it is the path too.

    Args:
        path: there must be something, unless its last part is plain.
    """
    whole = os.path.abspath(path)
    if os.name == "nt" or PLAIN.fullmatch(whole):
        yield whole
        return
    parent, name = os.path.split(whole)
    suffix = os.path.splitext(name)[1]
    if PLAIN.fullmatch(name):
        target, below = parent, name
    else:  # the name itself is the link's: what it ends in may say what it is
        target, below = whole, ""
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(tempfile.TemporaryDirectory(dir=_plain_folder()))
            link = os.path.join(folder, "link" + suffix * bool(not below and PLAIN.match(suffix)))
            os.symlink(target, link)
        except OSError:
            yield whole
            return
        yield os.path.join(link, below) if below else link


def _plain_folder() -> str | None:
    """For temporary files; None for the user's own."""
    return None if PLAIN.fullmatch(tempfile.gettempdir()) else "/tmp"
