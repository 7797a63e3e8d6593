"""The suffixes of files that are data sets, and a data set's name without them."""

import re

TARS = (".tar", ".tgz", ".tbz", ".tbz2", ".txz", ".tar.gz", ".tar.bz2", ".tar.xz")
ARCHIVES = (".zip", *TARS)
SUFFIXES = (*ARCHIVES, ".npz", ".npy", ".parquet")

_END = re.compile(f"({'|'.join(map(re.escape, SUFFIXES))})$", re.IGNORECASE)


def stem(name: str) -> str:
    """Returns a name without such a suffix: Faces for Faces.tar.gz."""
    return _END.sub("", name)
