"""Plain paths to any file or folder, for libraries that some characters in a path confuse.

TensorFlow looks for the weights of a SavedModel with a glob pattern, in which [ ] * and ? are
special; it and others refuse paths that are not UTF-8.
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
    """Context manager that gives an absolute path to `path` in plain characters (`PLAIN`).

    That is `path` itself if it is plain, else a path through a temporary link. If no link can be
    made, as on Windows, it is `path` as well. `path` must exist, unless its last part is plain.
    """
    whole = os.path.abspath(path)
    if os.name == "nt" or PLAIN.fullmatch(whole):
        yield whole
        return
    parent, name = os.path.split(whole)
    suffix = os.path.splitext(name)[1]
    if PLAIN.fullmatch(name):
        target, below = parent, name
    else:  # a link to the file itself keeps the suffix, which may tell the file's type
        target, below = whole, ""
    with contextlib.ExitStack() as stack:
        try:
            where = None if PLAIN.fullmatch(tempfile.gettempdir()) else "/tmp"
            folder = stack.enter_context(tempfile.TemporaryDirectory(dir=where))
            link = os.path.join(folder, "link" + suffix * bool(not below and PLAIN.match(suffix)))
            os.symlink(target, link)
        except OSError:
            yield whole
            return
        yield os.path.join(link, below) if below else link
