"""Reads a tar file of pictures, compressed or not, as a `Source`; never extracts files to disk.

A compressed archive can only be read from beginning to end, so its pictures keep their order and a
single process reads them. Links, devices and sparse files are skipped. Refused are archives that
are cut short, or unpack to far more than pictures would.
"""

import bz2
import contextlib
import gzip
import io
import lzma
import math
import os
import re
import tarfile
import zlib
from dataclasses import dataclass
from typing import BinaryIO

from dcgan import UserError
from dcgan.datasets import picture_formats
from dcgan.datasets.download import BoundedReader
from dcgan.datasets.picture import archive_refusal, damage_within
from dcgan.datasets.picture_files import (
    MAX_BUFFERED_BYTES,
    MAX_FILE_BYTES,
    PictureFiles,
    is_safe,
    is_visible,
    match_files,
)
from dcgan.datasets.picture_formats import UnusableFile

# Bytes of an entry's headers; tarfile itself trusts headers that claim gigabytes.
MAX_HEADER = 1 << 20
MAX_FILES = 5_000_000
# Pictures never shrink to a two-hundredth; archives that unpack to less than 1 GiB are harmless.
MAX_RATIO, ALWAYS_ALLOWED = 200, 1 << 30
PIECE = 1 << 20  # bytes unpacked at once

_OPENERS = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\0", lzma.open))
_BAD_ARCHIVE = (
    *(tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, ValueError, OverflowError),
    *(IndexError, RecursionError),  # for headers that are cut short, or describe one another
)


@dataclass(frozen=True)
class _Entry:
    """A file in the archive: place and number of its bytes, or the reason why it is unusable."""

    start: int
    size: int
    version: tuple
    reason: str
    is_picture: bool


class _HeaderReader(BoundedReader):
    """Reads the headers of an entry; raises tarfile.ReadError if they exceed `MAX_HEADER`."""

    _given = 0

    def renew(self) -> None:
        """Starts the count of bytes again, for the next entry."""
        self._given = 0

    def read(self, size: int) -> bytes:
        self._given += max(size, 0)
        if self._given > MAX_HEADER:
            raise tarfile.ReadError(f"headers of an entry state {self._given:,} bytes")
        return super().read(size)


def is_tar(path: str | os.PathLike) -> bool:
    """Tells whether a file is a tar file, compressed or not, by its first block."""
    try:
        with _open(path)[0] as stream:
            head = stream.read(tarfile.BLOCKSIZE)
        tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
        return True
    except (*_BAD_ARCHIVE, OSError):
        return False


class TarSource(PictureFiles):
    """The pictures of a tar file. Picklable: a worker process opens the file again."""

    def __init__(self, path: str | os.PathLike, pattern: str = "*"):
        """See `FolderSource`; also raises UserError if the file unpacks to too much."""
        self.path = os.path.abspath(path)
        self._opened: BinaryIO | None = None
        try:
            found, packed = _entries(self.path)
        except (*_BAD_ARCHIVE, OSError) as error:
            advice = "expected pictures in a .tar, .tar.gz, .tar.bz2 or .tar.xz; "
            raise archive_refusal(path, "tar file", error, advice) from error
        if not packed:
            found = sorted(found, key=lambda item: item[0])
        self.parallel = not packed  # each process would have to unpack everything
        found = match_files(found, pattern, where=f"the tar file {path}")
        self._entries = [entry for _, entry in found]
        about = os.stat(self.path)
        whole = about.st_size, about.st_mtime_ns
        versions = [(*whole, *entry.version) for entry in self._entries]
        super().__init__(os.path.basename(self.path), [name for name, _ in found], versions)

    def open(self, index: int) -> BinaryIO:
        entry = self._entries[index]
        if entry.reason:
            raise UnusableFile(entry.reason)
        if entry.size > MAX_BUFFERED_BYTES and not entry.is_picture:
            raise UnusableFile("not an image")
        try:
            if self._opened is None:
                self._opened = _open(self.path)[0]
            self._opened.seek(entry.start)
            data = self._opened.read(entry.size)
        except (*_BAD_ARCHIVE, OSError) as error:
            raise damage_within("tar file", error) from error
        if len(data) < entry.size:
            raise UnusableFile("damaged in the tar file")
        return io.BytesIO(data)

    def is_picture(self, index: int) -> bool:
        """Tells if the file begins like a picture; reading more would mean unpacking again."""
        return self._entries[index].is_picture


def _open(path: str | os.PathLike) -> tuple[BinaryIO, bool]:
    """Opens the unpacked bytes of a file; also returns whether its content is compressed."""
    with open(path, "rb") as file:
        head = file.read(8)
    for mark, opener in _OPENERS:
        if head.startswith(mark):
            return opener(path, "rb"), True
    return open(path, "rb"), False


def _entries(path: str) -> tuple[list[tuple[str, _Entry]], bool]:
    """Lists (name, entry) of the visible files in order; also returns whether it is compressed."""
    stream, packed = _open(path)
    most = max(ALWAYS_ALLOWED, MAX_RATIO * os.path.getsize(path)) if packed else math.inf
    found: list[tuple[str, _Entry]] = []
    options = {"mode": "r:", "encoding": "utf-8", "errors": "surrogateescape"}
    headers = _HeaderReader(stream, MAX_HEADER)
    with stream, tarfile.open(fileobj=headers, **options) as archive:
        while (member := archive.next()) is not None:
            headers.renew()
            archive.members.clear()  # tarfile would keep all of them in memory
            end = member.offset_data + member.size
            if member.size < 0:  # else the same headers could be read again and again
                raise tarfile.ReadError("a header states a negative size")
            if end > most or len(found) >= MAX_FILES:
                raise _too_much_error(path)
            name = re.sub(r"^(\./+)+", "", member.name)
            if not member.isdir() and is_visible(name):
                found.append((name, _entry(stream, member, name)))
        while packed and stream.read(PIECE):  # to the end, to check the checksum
            if stream.tell() > most:
                raise _too_much_error(path)
    return found, packed


def _too_much_error(path: str) -> UserError:
    return UserError(
        f"{path} unpacks to more than {MAX_RATIO} times its size, or to more than {MAX_FILES:,} "
        "files: expected pictures, which do not; unpack it yourself where you trust it, and name "
        "the folder."
    )


def _entry(stream: BinaryIO, member: tarfile.TarInfo, name: str) -> _Entry:
    reason, is_picture = "", False
    if not is_safe(member.name):
        reason = "unsafe name"
    elif member.islnk() or member.issym():
        reason = "a link in the archive"
    elif not member.isreg() or member.issparse():
        reason = "no plain file"
    elif member.size > MAX_FILE_BYTES:
        reason = f"{member.size:,} bytes, too large for a picture"
    else:
        stream.seek(member.offset_data)
        head = stream.read(min(picture_formats.HEAD_BYTES, member.size))
        with contextlib.suppress(UnusableFile):
            is_picture = picture_formats.recognize(head, name)[1]
    version = member.size, member.mtime, member.chksum
    return _Entry(member.offset_data, member.size, version, reason, is_picture)
