"""gallery-dl's database of what it need not fetch, opened as it lies in a folder that is held.

Nobody else has it open, and it is made anew at each start, so it needs neither SQLite's locks nor
its flushing, which not every file system has.
"""

import os
import sqlite3
from pathlib import Path


def connect(path: str | os.PathLike, **options) -> sqlite3.Connection:
    """`sqlite3.connect`, without locks."""
    database = sqlite3.connect(f"{Path(path).absolute().as_uri()}?nolock=1", uri=True, **options)
    database.execute("PRAGMA synchronous=OFF")
    return database
