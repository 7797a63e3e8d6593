"""Downloads published data sets: tries several mirrors, resumes, and checks what it receives.

A file has its own name only when it is complete; until then it is `name.part`, which the next
attempt continues. A file that exists already, perhaps put there by hand, is never changed: its data
set checks whether it can be used. Refused are web pages instead of files, files of another length
and files with another checksum.
"""

import contextlib
import gzip
import hashlib
import logging
import os
import re
import tarfile
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import requests
import urllib3

from dcgan import UserError, disk
from dcgan.terminal.progress import Bar

logger = logging.getLogger("dcgan")

CHUNK_BYTES = 1 << 16
TRIES = 4  # failures in a row, without new bytes, after which a mirror is given up
# The first wait, which doubles with each try or is as long as a server asks; and the longest wait.
WAIT_SECONDS, LONGEST_WAIT_SECONDS = 1.0, 60.0
TIMEOUT_SECONDS = 30.0  # a connection that is silent for so long counts as dropped
GZIP_MAGIC = b"\x1f\x8b"
# Verdicts on a file; any other verdict is a reason to delete it.
WHOLE, SHORT = "whole", "the file ended early"


@dataclass(frozen=True)
class RemoteFile:
    """A published file."""

    name: str  # the name under which it is kept
    urls: tuple[str, ...]  # its mirrors, tried in this order
    sha256: str  # hexadecimal, of the file; if `gzipped`, of its content without gzip
    size: int  # in bytes, of what `sha256` is of
    gzipped: bool = False  # whether mirrors may have compressed the same content differently


class _Temporary(Exception):
    """A failure after which another try at the same mirror may succeed."""

    def __init__(self, reason: str, wait_seconds: float = 0.0):
        super().__init__(reason)
        self.wait_seconds = wait_seconds


class _Refused(Exception):
    """Raised to give up a mirror and go on with the next."""


class MissingFile(UserError):
    """Raised for a published file that is missing and must not be downloaded."""


def fetch(file: RemoteFile, folder: Path, *, download: bool = True) -> Path:
    """Returns the path of a file in `folder`, after downloading it if no file has its name.

    Raises MissingFile instead of downloading if `download` is false; UserError if no mirror has the
    file, or the folder cannot be written to.
    """
    target = folder / file.name
    if target.exists():
        return target
    if not download:
        raise MissingFile(
            f"{file.name} is not in {folder}: download it from {file.urls[0]} and put it there, or"
            " leave out --dry_run, which downloads nothing."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _lock_downloads(folder):
            if not target.exists():  # another process may have downloaded it meanwhile
                _from_mirrors(file, folder)
    except OSError as error:
        raise UserError(
            f"{file.name} cannot be written into {folder} ({error.strerror or error}): make room"
            " there, make it writable, or choose another --data_dir."
        ) from error
    return target


def _from_mirrors(file: RemoteFile, folder: Path) -> None:
    """Tries one mirror after another; raises UserError if all fail."""
    part = folder / f"{file.name}.part"
    reasons = []
    for url in file.urls:
        try:
            _from_mirror(file, url, part=part)
        except _Refused as error:
            reasons.append(f"{url} {error}")
            logger.warning("No %s from %s: it %s.", file.name, url, error)
        else:
            os.replace(part, folder / file.name)
            return
    raise UserError(
        f"{file.name} could not be downloaded ({'; '.join(reasons)}): try again later, or put the"
        f" file into {folder} by hand."
    )


@contextlib.contextmanager
def _lock_downloads(folder: Path) -> Iterator[None]:
    """Locks a folder, so that a second process does not write the same `.part` file, but waits."""
    if os.name == "nt":  # Windows cannot open folders: two processes must not download at once
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            disk.lock(handle, folder)
        except BlockingIOError:
            logger.info("Another process is downloading into %s: waiting for it.", folder)
            disk.lock(handle, folder, wait=True)
        yield
    finally:
        os.close(handle)


def _from_mirror(file: RemoteFile, url: str, *, part: Path) -> None:
    """Tries one mirror until `part` is complete; raises _Refused to give the mirror up."""
    failures, furthest = 0, _size(part)
    while True:
        try:
            return _attempt(file, url, part=part)
        except _Temporary as error:
            gained, furthest = _size(part) > furthest, max(furthest, _size(part))
            failures = 1 if gained else failures + 1
            if failures >= TRIES:
                raise _Refused(str(error)) from error
            wait = max(error.wait_seconds, WAIT_SECONDS * 2 ** (failures - 1))
            logger.info("%s %s; trying again.", url, error)
            time.sleep(min(wait, LONGEST_WAIT_SECONDS))


def _attempt(file: RemoteFile, url: str, *, part: Path) -> None:
    """Makes one request, for all bytes that `part` still lacks."""
    verdict = _verdict(file, part)
    if verdict == WHOLE:  # an earlier process ended between the last byte and the renaming
        return
    if verdict != SHORT:
        part.unlink()
    with _request(url, _size(part)) as response:
        offset, total = _check_answer(file, response, part=part)
        _receive(file, response, part=part, total=total)
    verdict = _verdict(file, part)
    if verdict == SHORT:
        raise _Temporary(f"dropped the connection after {_size(part):,} bytes")
    if verdict != WHOLE:
        part.unlink()
        # The first bytes may come from another mirror, which compressed the file differently.
        raise _Temporary(verdict) if offset else _Refused(verdict)


def _request(url: str, offset: int) -> requests.Response:
    """Requests the file from byte `offset` on."""
    # "identity", and reading the raw stream later, as bytes are counted as the server stores them.
    headers = {"Accept-Encoding": "identity", "User-Agent": "dcgan-datasets"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
    timeout = (min(10.0, TIMEOUT_SECONDS), TIMEOUT_SECONDS)
    try:
        return requests.get(url, headers=headers, stream=True, timeout=timeout)
    except requests.exceptions.ReadTimeout as error:
        raise _Temporary(f"did not answer within {TIMEOUT_SECONDS:g} seconds") from error
    except requests.exceptions.RequestException as error:
        cause = error.args[0] if error.args else error
        # No such host, or no network: failing at once is better than waiting.
        if isinstance(cause, urllib3.exceptions.MaxRetryError):
            raise _Refused(f"cannot be reached ({_short(cause.reason)})") from error
        if isinstance(error, requests.exceptions.ConnectionError):
            raise _Temporary("dropped the connection without an answer") from error
        raise _Refused(f"cannot be asked ({_short(error)})") from error


def _short(error: object) -> str:
    """Returns the end of an exception's text; urllib3 begins it with the connection object."""
    return str(error).rsplit(": ", 1)[-1][:200]


def _check_answer(
    file: RemoteFile, response: requests.Response, *, part: Path
) -> tuple[int, int | None]:
    """Returns the byte at which the answer begins, and the length of the whole file if known.

    Refuses an answer that does not continue `part`, or comes from a file of another length. Deletes
    `part` if the answer begins at byte 0.
    """
    status, offset = response.status_code, _size(part)
    answer = f"answered {status} {response.reason}".strip()
    if status == 429 or status >= 500:
        wait = response.headers.get("Retry-After", "")
        raise _Temporary(answer, float(wait) if wait.isdecimal() else 0.0)
    if status == 416 and offset:
        part.unlink()
        raise _Temporary(f"has a file that ends after {offset:,} bytes")
    if status not in (200, 206):
        raise _Refused(answer)
    if response.headers.get("Content-Type", "").lower().startswith("text/html"):
        raise _Refused("answered with a web page instead of the file")
    if status == 200:  # the whole file, whether asked for or not
        part.unlink(missing_ok=True)
        offset, total = 0, _number(response.headers.get("Content-Length", ""))
    else:
        content_range = response.headers.get("Content-Range", "")
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", content_range)
        if match is None or _number(match[1]) != offset:
            part.unlink(missing_ok=True)
            raise _Temporary(f"answered with another part of the file ({content_range})")
        total = _number(match[2])
    if total is not None and not file.gzipped and total != file.size:
        raise _Refused(f"has a file of {total:,} bytes instead of {file.size:,}")
    return offset, total


def _receive(
    file: RemoteFile, response: requests.Response, *, part: Path, total: int | None
) -> None:
    """Appends the answer to `part`, with a progress bar; a failure leaves the received bytes."""
    offset = _size(part)
    bar = Bar(f"downloading {file.name}", total, "B", initial=offset)
    with part.open("ab") as out, bar:
        try:
            for chunk in response.raw.stream(CHUNK_BYTES, decode_content=False):
                if offset == 0 and chunk.lstrip().startswith(b"<"):
                    raise _Refused("answered with a web page instead of the file")
                offset += len(chunk)
                if offset > file.size:  # also of gzipped files, as gzip makes ours smaller
                    raise _Refused(f"sends more than the expected {file.size:,} bytes")
                out.write(chunk)
                bar.update(len(chunk))
        except urllib3.exceptions.HTTPError as error:
            raise _Temporary(f"dropped the connection after {offset:,} bytes") from error
        finally:
            out.flush()
            disk.flush(out.fileno(), part)


def _verdict(file: RemoteFile, path: Path) -> str:
    """Returns WHOLE, SHORT (the file may be right so far, and is continued), or what is wrong."""
    size = _size(path)
    if size == 0 or (not file.gzipped and size < file.size):
        return SHORT
    digest, count = hashlib.sha256(), 0
    try:
        with open_content(path) if file.gzipped else path.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
                count += len(chunk)
                if count > file.size:
                    return f"has more than the expected {file.size:,} bytes"
    except EOFError:
        return SHORT
    except (gzip.BadGzipFile, zlib.error):
        return "has a damaged gzip file"
    if count < file.size:
        return SHORT
    same = digest.hexdigest() == file.sha256
    return WHOLE if same else f"has a file with another checksum (SHA-256 {digest.hexdigest()})"


def open_content(path: Path) -> BinaryIO:
    """Opens a file for reading, through gzip if its content is gzip, whatever its name.

    Reading raises EOFError, gzip.BadGzipFile or zlib.error if gzip data are cut short or damaged.
    """
    with path.open("rb") as stream:
        magic = stream.read(len(GZIP_MAGIC))
    return gzip.open(path, "rb") if magic == GZIP_MAGIC else path.open("rb")


@contextlib.contextmanager
def open_tar(path: Path, most_bytes: int) -> Iterator[tarfile.TarFile]:
    """Opens a tar file, gzipped or not, that refuses to read more than `most_bytes` at once.

    tarfile itself trusts headers, which can state names of gigabytes in a few kilobytes. Raises
    tarfile.TarError, OSError, EOFError or zlib.error.
    """
    with open_content(path) as stream:
        with tarfile.open(fileobj=BoundedReader(stream, most_bytes), mode="r:") as archive:
            yield archive


class BoundedReader:
    """A file whose `read` raises tarfile.ReadError for more than `most_bytes` at once."""

    def __init__(self, stream: BinaryIO, most_bytes: int):
        self._stream, self._most_bytes = stream, most_bytes
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, size: int) -> bytes:
        if not 0 <= size <= self._most_bytes:
            raise tarfile.ReadError(f"a header states {size:,} bytes")
        return self._stream.read(size)


def _number(text: str) -> int | None:
    """Parses a length in a header; returns None unless it has 1 to 18 digits."""
    return int(text) if re.fullmatch("[0-9]{1,18}", text) else None


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
