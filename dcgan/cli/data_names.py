"""The suffixes of files that are data sets, and a data set's name without them.

Runs are named with `stem`, so other suffixes would give runs other names. This file is in `cli`
because `cli.recorded` needs it and may not import from `datasets`, which lies above it.
"""

import re

TAR_SUFFIXES = (".tar", ".tgz", ".tbz", ".tbz2", ".txz", ".tar.gz", ".tar.bz2", ".tar.xz")
ARCHIVE_SUFFIXES = (".zip", *TAR_SUFFIXES)
SUFFIXES = (*ARCHIVE_SUFFIXES, ".npz", ".npy", ".parquet")

_SUFFIX_AT_END = re.compile(f"({'|'.join(map(re.escape, SUFFIXES))})$", re.IGNORECASE)


def stem(name: str) -> str:
    """Returns a file name without its data-set suffix, for example `Faces` for `Faces.tar.gz`."""
    return _SUFFIX_AT_END.sub("", name)
