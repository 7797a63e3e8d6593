"""Reads arrays of numbers from MATLAB 5 files, after MathWorks' "MAT-File Format", chapter 1.

Nothing that a file states about itself is trusted: memory is taken for bytes that exist, and only
after class, shape and number of bytes of an array agree. (scipy's reader believes the type of the
numbers, and a wrong one crashes the process.) Refused are cells, structures, objects, text, and
files of MATLAB 4 and 7.3.
"""

import math
import os
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import BinaryIO

import numpy as np

HEADER = 128  # bytes before the first element
HEAD = 256  # bytes of an element that hold its flags, sides, name and the tag of its numbers
PIECE = 1 << 20  # bytes read or inflated at once
# The parts of an array before its numbers: type, numbers in it, most bytes.
FLAGS, SIDES, NAME = (6, "u4", 8), (5, "i4", 32 * 4), (1, "u1", 63)
# An array may be so many times as large as its file. SVHN's pixels are 1.3 times as large; deflate
# can shrink zeros to a thousandth.
MOST_INFLATED = 100

MATRIX, COMPRESSED = 14, 15  # types of elements
STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8"}
STORED |= {12: "i8", 13: "u8"}
CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4"}
CLASSES |= {14: "i8", 15: "u8"}
OTHERS = {1: "a cell", 2: "a structure", 3: "an object", 4: "text", 5: "a sparse matrix"}
COMPLEX = 0x0800  # in an array's flags


def read(path: Path, names: Collection[str]) -> dict[str, np.ndarray]:
    """Reads those of the named variables that a file has, as arrays in Fortran order.

    Other variables are ignored. Raises ValueError or zlib.error if the file is damaged, has another
    format, or a named variable is not an array of real numbers; OSError if it cannot be read.
    """
    found: dict[str, np.ndarray] = {}
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        order = {b"\x00\x01IM": "<", b"\x01\x00MI": ">"}.get(file.read(HEADER)[124:])
        if order is None:
            raise ValueError("it does not begin as a MATLAB 5 file does")
        while file.tell() < size:
            kind, length = _numbers(file.read(8), 0, 8, f"{order}u4")
            start = file.tell()
            if start + length > size or kind not in (MATRIX, COMPRESSED):
                raise ValueError("an element is cut short or of an unknown kind")
            packed = kind == COMPRESSED
            array = _Array(_content(file, length, packed=packed, most=HEAD), order, packed=packed)
            if array.name in found:
                raise ValueError(f"{array.name} is there twice")
            if array.name in names:
                array.check(MOST_INFLATED * size)
                file.seek(start)
                content = _content(file, length, packed=packed, most=array.end + 1)
                found[array.name] = array.values(content)
            file.seek(start + length)
    return found


def _content(file: BinaryIO, length: int, *, packed: bool, most: int) -> bytes | bytearray:
    """Reads the first bytes, up to `most`, of an element, inflated if it is packed."""
    if not packed:
        return file.read(min(length, most))
    inflater, found, end = zlib.decompressobj(), bytearray(), file.tell() + length
    while len(found) < most and not inflater.eof:  # eof: the checksum is right too
        piece = inflater.unconsumed_tail or file.read(min(PIECE, end - file.tell()))
        inflated = inflater.decompress(piece, min(PIECE, most - len(found)))
        if not (piece or inflated):
            raise ValueError("an element is longer than it says, or damaged")
        found += inflated
    return found


def _numbers(content: bytes, start: int, end: int, dtype: str) -> list[int]:
    if len(content) < end:
        raise ValueError("it ends too soon")
    return np.frombuffer(content[start:end], dtype).tolist()


class _Array:
    """An array, by the first bytes of its element."""

    def __init__(self, head: bytes, order: str, *, packed: bool):
        self._head, self._order, self._place = head, order, 0
        if packed:
            if self._tag()[0] != MATRIX:
                raise ValueError("a packed element holds no array")
            self._place = 8
        self._flags, self._sides, letters = map(self._part, (FLAGS, SIDES, NAME))
        self.name = bytes(letters).decode("ascii", "replace")

    def _tag(self) -> tuple[int, int, int]:
        """Reads the next tag: type of a part, and where its data begin and end."""
        start = self._place + 8
        kind, length = _numbers(self._head, self._place, start, f"{self._order}u4")
        if small := kind >> 16:  # the data are inside the tag itself
            kind, length, start = kind & 0xFFFF, small, start - 4
            if small > 4:
                raise ValueError("a small part is too long")
        self._place = -(-(start + length) // 8) * 8
        return kind, start, start + length

    def _part(self, wanted: tuple[int, str, int]) -> list[int]:
        kind, start, end = self._tag()
        if kind != wanted[0] or not 0 < end - start <= wanted[2]:
            raise ValueError("an array does not begin as arrays do")
        return _numbers(self._head, start, end, self._order + wanted[1])

    def check(self, most: int) -> None:
        """Raises ValueError unless it is of real numbers that take up to `most` bytes."""
        code = self._flags[0] & 0xFF
        if code not in CLASSES or self._flags[0] & COMPLEX:
            is_what = OTHERS.get(code, "not an array of real numbers")
            raise ValueError(f"{self.name} is {is_what}, expected numbers")
        kind, self._start, end = self._tag()
        self.end, held = self._place, end - self._start
        self._wanted = np.dtype(CLASSES[code])
        self._stored = np.dtype(STORED.get(kind, "V")).newbyteorder(self._order)
        self._count = math.prod(self._sides)
        if self._stored.kind == "V" or self._count * self._stored.itemsize != held:
            raise ValueError(f"{self.name} {self._sides} is not of {held:,} bytes")
        if self._count * max(self._wanted.itemsize, self._stored.itemsize) > most:
            raise ValueError(f"{self.name} {self._sides} is of more than {most:,} bytes")

    def values(self, content: bytes) -> np.ndarray:
        """Returns the numbers after `check`; ValueError if `content` is not a whole element."""
        if len(content) != self.end:
            raise ValueError("an element is longer than it says, or damaged")
        found = np.frombuffer(content, self._stored, self._count, self._start)
        return found.astype(self._wanted, copy=False).reshape(self._sides, order="F")
