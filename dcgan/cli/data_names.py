"""What files that are data sets end in, and a data set's name without that."""

import re

TARS = (".tar", ".tgz", ".tbz", ".tbz2", ".txz", ".tar.gz", ".tar.bz2", ".tar.xz")
ARCHIVES = (".zip", *TARS)
SUFFIXES = (*ARCHIVES, ".npz", ".npy", ".parquet")

_END = re.compile(f"({'|'.join(map(re.escape, SUFFIXES))})$", re.IGNORECASE)


def stem(name: str) -> str:
    """A name without what says that it is a data set: Faces of Faces.tar.gz."""
    return _END.sub("", name)
