"""Opens gallery-dl's database of posts that it need not fetch, without SQLite's locks.

The folder around it is locked, and each start makes the database anew. So it needs neither locks
nor flushing, which not every file system supports.
"""

import os
import sqlite3
from pathlib import Path


def connect(path: str | os.PathLike, **options) -> sqlite3.Connection:
    database = sqlite3.connect(f"{Path(path).absolute().as_uri()}?nolock=1", uri=True, **options)
    database.execute("PRAGMA synchronous=OFF")
    return database
