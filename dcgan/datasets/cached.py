"""Reads what an earlier run has left in the cache folder, and believes none of it.

Files there may be damaged, of another project, or put there by somebody else: what is not as we
write it is a ValueError, and its reader makes it again.
"""

import json
import stat
import tokenize
from pathlib import Path

import numpy as np

from dcgan import UserError, disk
from dcgan.datasets.image_store import free_memory
from dcgan.images import white_level

# What NumPy raises besides ValueError: it reads a header as Python's tokens and then as a literal.
BAD_HEADER = (
    EOFError,
    MemoryError,
    OverflowError,
    RecursionError,
    SyntaxError,
    TypeError,
    tokenize.TokenError,
)
WHITE_LEVELS = {white_level(2**bits - 1) for bits in range(1, 17)}
MOST_BYTES = 1 << 28  # of an entry, which has a line a skipped picture


def read_entry(path: Path) -> dict | None:
    """The JSON object in a file; None where there is no file.

    Raises ValueError if it is another file than we write, OSError if it cannot be read.
    """
    try:
        about = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not stat.S_ISREG(about.st_mode) or about.st_size > MOST_BYTES:
        raise ValueError("it is not a regular file, or far too large")
    try:
        entry = json.loads(path.read_bytes())
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(entry, dict):
        raise ValueError("it is not a JSON object")
    return entry


def map_array(path: Path) -> np.ndarray:
    """The array in a .npy file, mapped: it takes no memory, whatever the file claims.

    Where the file system maps no files it is read; raises UserError if it is larger than the
    memory, ValueError if it is another file than we write, OSError if it cannot be read.
    """
    if path.exists() and not path.is_file():
        raise ValueError("it is not a regular file")
    try:
        return np.lib.format.open_memmap(path, mode="r")
    except BAD_HEADER as error:
        raise ValueError(f"its header is damaged: {error}") from error
    except OSError as error:
        if error.errno not in disk.NEVER:
            raise
        disk.cannot_map(path, error)
    size, free = path.stat().st_size, free_memory()
    if size > free:
        raise UserError(
            f"{path} has {size:,} bytes, {free:,} bytes of memory are free, and its file system "
            "maps no files: name a folder on another disk with --cache_dir."
        )
    with open(path, "rb") as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def is_count(value: object) -> bool:
    """Whether a value of JSON is a whole number, not below 0, that an index can be."""
    return type(value) is int and 0 <= value < 1 << 62


def is_pairs(value: object, first, second) -> bool:
    """Whether a value of JSON is a list of pairs that two functions say yes to."""
    return isinstance(value, list) and all(
        isinstance(pair, list) and len(pair) == 2 and first(pair[0]) and second(pair[1])
        for pair in value
    )


def is_summary(entry: dict) -> bool:
    """Whether an entry of the cache says what a `Summary` says."""

    def is_size(value) -> bool:
        return isinstance(value, list) and len(value) == 2 and all(map(is_count, value))

    def is_text(value) -> bool:
        return isinstance(value, str)

    return (
        is_count(entry.get("found"))
        and entry.get("channels") in (1, 3)
        and is_pairs(entry.get("skipped"), is_text, is_text)
        and is_pairs(entry.get("sizes"), is_size, is_count)
    )


def is_depth(entry: dict) -> bool:
    """Whether an entry of the cache says of 16-bit pictures what a `Summary` says."""
    return is_count(entry.get("deep")) and entry.get("white_level") in WHITE_LEVELS


def is_said(entry: dict) -> bool:
    """Whether an entry has sentences for a person, and the number of different images."""
    notes = entry.get("notes")
    texts = isinstance(notes, list) and all(isinstance(note, str) for note in notes)
    return texts and is_count(entry.get("different"))


def counts(entry: dict, images: int) -> bool:
    """Whether an entry says of so many images which pictures they are."""
    seen, unused = entry.get("seen"), entry.get("unused")
    if not is_count(seen) or not isinstance(unused, list) or not all(map(is_count, unused)):
        return False
    inside = len(set(unused)) == len(unused) and all(number < seen for number in unused)
    return inside and seen - len(unused) == images > 0
