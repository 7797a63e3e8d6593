"""Reads arrays of numbers from MATLAB 5 files, after MathWorks' "MAT-File Format", chapter 1.

Nothing that a file states about itself is trusted: memory is allocated piece by piece for bytes
that exist, and only after class, shape and number of bytes of an array agree. Refused are cells,
structures, objects, text, and files of MATLAB 4 and 7.3.
"""

import math
import os
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import BinaryIO

import numpy as np

HEADER = 128  # bytes before the first element
PIECE = 1 << 20  # bytes read or inflated at once
MOST_SIDES = 32
MOST_NAME = 63  # letters, as MATLAB allows
# An array may be so many times as large as its file. SVHN's pixels are 1.3 times as large; deflate
# can shrink zeros to a thousandth.
MOST_INFLATED = 100

INT8, INT32, UINT32, MATRIX, COMPRESSED = 1, 5, 6, 14, 15  # types of elements
STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8"}
STORED |= {12: "i8", 13: "u8"}
CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4"}
CLASSES |= {14: "i8", 15: "u8"}
OTHERS = {1: "a cell", 2: "a structure", 3: "an object", 4: "text", 5: "a sparse matrix"}
COMPLEX = 0x0800  # in an array's flags


def read(path: Path, names: Collection[str]) -> dict[str, np.ndarray]:
    """Reads those of the named variables that a file has, as arrays in Fortran order.

    Other variables are ignored. Raises ValueError with the reason if the file is damaged, has
    another format, or a named variable is no array of real numbers; OSError if it cannot be read.
    """
    found: dict[str, np.ndarray] = {}
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        order = _byte_order(file.read(HEADER))
        while file.tell() < size:
            kind, length = np.frombuffer(_exactly(file.read(8), 8), f"{order}u4").tolist()
            end = file.tell() + length
            if end > size or kind not in (MATRIX, COMPRESSED):
                raise ValueError("an element is cut short or of an unknown kind")
            stream = _Stream(file, length, packed=kind == COMPRESSED)
            array = _Array(stream, order, kind, length)
            if array.name in found:
                raise ValueError(f"{array.name} is there twice")
            if array.name in names:
                found[array.name] = array.values(MOST_INFLATED * size)
            file.seek(end)
    return found


def _byte_order(header: bytes) -> str:
    version, mark = header[124:126], header[126:]
    if (version, mark) == (b"\x00\x01", b"IM"):
        return "<"
    if (version, mark) == (b"\x01\x00", b"MI"):
        return ">"
    raise ValueError("it does not begin as a MATLAB 5 file does")


def _exactly(found: bytes, count: int) -> bytes:
    if len(found) < count:
        raise ValueError("it ends too soon")
    return found


class _Stream:
    """A part of a file, inflated if it is packed, but never further than is asked for."""

    def __init__(self, file: BinaryIO, length: int, *, packed: bool):
        self._file, self._left = file, length
        self._inflater = zlib.decompressobj() if packed else None

    def read(self, count: int) -> bytearray:
        """Reads exactly `count` bytes; raises ValueError if there are fewer."""
        found = bytearray()  # grows, so memory is used for bytes that exist, not those claimed
        while len(found) < count and (piece := self._piece(min(count - len(found), PIECE))):
            found += piece
        return _exactly(found, count)

    def require_end(self) -> None:
        """Raises ValueError unless all was read; this also verifies the checksum of packed data."""
        if self._piece(1) or (self._inflater and not self._inflater.eof):
            raise ValueError("an element is longer than it says, or damaged")

    def _piece(self, most: int) -> bytes:
        if self._inflater is None:
            return self._read_packed(most)
        while not self._inflater.eof:
            packed = self._inflater.unconsumed_tail or self._read_packed(PIECE)
            try:
                piece = self._inflater.decompress(packed, most)
            except zlib.error as error:
                raise ValueError(f"it cannot be inflated: {error}") from error
            if piece or not packed:
                return piece
        return b""

    def _read_packed(self, most: int) -> bytes:
        piece = self._file.read(min(most, self._left))
        self._left -= len(piece)
        return piece


class _Array:
    """An array element: its header is read at once, its numbers when `values` is called."""

    def __init__(self, stream: _Stream, order: str, kind: int, length: int):
        self._stream, self._order = stream, order
        if kind == COMPRESSED:
            kind, length = self._numbers(8, "u4")
            if kind != MATRIX:
                raise ValueError("a packed element holds no array")
        self._flags = self._part(UINT32, "u4", most=8)[0]
        sides = self._part(INT32, "i4", most=4 * MOST_SIDES)
        self.name = bytes(self._part(INT8, "u1", most=MOST_NAME)).decode("ascii", "replace")
        self._sides = tuple(sides)

    def values(self, most: int) -> np.ndarray:
        """Reads the numbers; raises ValueError if they take more than `most` bytes."""
        code = self._flags & 0xFF
        if code not in CLASSES or self._flags & COMPLEX:
            is_what = OTHERS.get(code, "no array of real numbers")
            raise ValueError(f"{self.name} is {is_what}, expected numbers")
        wanted = np.dtype(CLASSES[code])
        kind, length, small = self._tag()
        stored = np.dtype(STORED.get(kind, "V")).newbyteorder(self._order)
        count = math.prod(self._sides)
        if stored.kind == "V" or count * stored.itemsize != length:
            raise ValueError(f"{self.name} {list(self._sides)} is not of {length:,} bytes")
        if count * max(wanted.itemsize, stored.itemsize) > most:
            raise ValueError(f"{self.name} {list(self._sides)} is of more than {most:,} bytes")
        content = np.frombuffer(self._stream.read(length), stored)
        self._skip_padding(length, small)
        self._stream.require_end()
        return content.astype(wanted, copy=False).reshape(self._sides, order="F")

    def _part(self, wanted: int, dtype: str, *, most: int) -> list[int]:
        kind, length, small = self._tag()
        if kind != wanted or not 0 < length <= most or length % np.dtype(dtype).itemsize:
            raise ValueError("an array does not begin as arrays do")
        found = self._numbers(length, dtype)
        self._skip_padding(length, small)
        return found

    def _tag(self) -> tuple[int, int, bool]:
        """Reads the type and size of a part, and whether its data are inside the tag itself."""
        [kind] = self._numbers(4, "u4")
        if small := kind >> 16:
            if small > 4:
                raise ValueError("a small part is too long")
            return kind & 0xFFFF, small, True
        return kind, self._numbers(4, "u4")[0], False

    def _skip_padding(self, length: int, small: bool) -> None:
        self._stream.read(-length % (4 if small else 8))

    def _numbers(self, length: int, dtype: str) -> list[int]:
        return np.frombuffer(self._stream.read(length), f"{self._order}{dtype}").tolist()
