"""Reads what earlier runs have written to the cache folder, and trusts none of it.

Files there may be damaged or come from somewhere else. A file that is not as we write it raises
ValueError, and the caller makes it again.
"""

import json
import stat
import tokenize
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dcgan import UserError, disk
from dcgan.datasets.image_store import free_memory
from dcgan.images import white_level

# What NumPy raises besides ValueError: it parses a header by Python's tokenizer and as a literal.
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
MOST_BYTES = 1 << 28  # the largest entry; it lists every skipped picture


def read_entry(path: Path) -> dict | None:
    """Reads the JSON object in a file; returns None if the file does not exist.

    Raises ValueError if we cannot have written the file, OSError if it cannot be read.
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
    """Maps the array in a .npy file: it takes no memory, whatever size the header claims.

    On a file system that cannot map files the array is read. Raises UserError if it is then larger
    than the free memory, ValueError if the file is damaged, OSError if it cannot be read.
    """
    if path.exists() and not path.is_file():
        raise ValueError("it is not a regular file")
    try:
        return np.lib.format.open_memmap(path, mode="r")
    except BAD_HEADER as error:
        raise ValueError(f"its header is damaged: {error}") from error
    except OSError as error:
        if error.errno not in disk.UNSUPPORTED:
            raise
        disk.warn_unmapped(path, error)
    size, free = path.stat().st_size, free_memory()
    if size > free:
        raise UserError(
            f"{path} has {size:,} bytes, {free:,} bytes of memory are free, and its file system "
            "maps no files: name a folder on another disk with --cache_dir."
        )
    with open(path, "rb") as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def is_count(value: object) -> bool:
    """Tells whether a JSON value is an integer from 0 to 2**62 - 1."""
    return type(value) is int and 0 <= value < 1 << 62


def is_text(value: object) -> bool:
    """Tells whether a JSON value is a text."""
    return isinstance(value, str)


def is_pairs(value: object, first: Callable, second: Callable) -> bool:
    """Tells whether a JSON value is a list of pairs whose items pass `first` and `second`."""
    return isinstance(value, list) and all(
        isinstance(pair, list) and len(pair) == 2 and first(pair[0]) and second(pair[1])
        for pair in value
    )


def is_summary(entry: dict) -> bool:
    """Tells whether a cache entry has the fields of a `Summary`, except those of `is_depth`."""
    return (
        is_count(entry.get("found"))
        and entry.get("channels") in (1, 3)
        and is_pairs(entry.get("skipped"), is_text, is_text)
        and is_pairs(entry.get("sizes"), lambda one: is_pairs([one], is_count, is_count), is_count)
    )


def is_depth(entry: dict) -> bool:
    """Tells whether a cache entry has the fields of a `Summary` about 16-bit pictures."""
    return is_count(entry.get("deep")) and entry.get("white_level") in WHITE_LEVELS


def is_said(entry: dict) -> bool:
    """Tells whether a cache entry has notes for the user, and what was found about the images."""
    notes = entry.get("notes")
    texts = isinstance(notes, list) and all(map(is_text, [*notes, entry.get("content")]))
    return texts and is_count(entry.get("different"))


def counts(entry: dict, images: int) -> bool:
    """Tells whether a cache entry says which pictures were used, as many as `images`."""
    seen, unused = entry.get("seen"), entry.get("unused")
    if not is_count(seen) or not isinstance(unused, list) or not all(map(is_count, unused)):
        return False
    inside = len(set(unused)) == len(unused) and all(number < seen for number in unused)
    return inside and seen - len(unused) == images > 0
