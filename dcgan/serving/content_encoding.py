"""Content codings of request bodies: gzip and deflate, within a limit.

A megabyte of gzip may hold a gigabyte, so decoding stops at the limit. The module imports little,
since the processes of `worker_pool` import it too.
"""

import zlib

from dcgan.serving.errors import RequestError

ACCEPTED = "gzip, deflate"
MAX_ENCODINGS = 2  # nested in one another; more make no sense, and would take time
# Bytes decoded at a time. Python copies all that follows a gzip member: given a whole body, 8 MB of
# empty members would be copied 400,000 times.
PIECE_BYTES = 8 << 10

_GZIP, _ZLIB, _RAW = zlib.MAX_WBITS | 16, zlib.MAX_WBITS, -zlib.MAX_WBITS
_ALIASES = {"x-gzip": "gzip"}  # RFC 9110, 8.4.1.3


def read_encodings(headers: list[str]) -> list[str]:
    """Returns the codings of a body in the order in which they were applied; empty if it is plain.

    `headers` are the values of Content-Encoding. Unknown codings, and more than `MAX_ENCODINGS`,
    are refused with 415.
    """
    words = [word.strip().lower() for header in headers for word in header.split(",")]
    found = [_ALIASES.get(word, word) for word in words if word not in ("", "identity")]
    if not {"gzip", "deflate"}.issuperset(found) or len(found) > MAX_ENCODINGS:
        received = ", ".join(found)[:100]
        raise RequestError(
            f"Content-Encoding {received!r} is not read here; expected gzip, deflate or none, and "
            f"at most {MAX_ENCODINGS} of them.",
            415,
            **{"Accept-Encoding": ACCEPTED},
        )
    return found


def too_large_error(limit: int) -> RequestError:
    """Makes the refusal of a body over the limit, before or after decoding."""
    return RequestError(f"The body is larger than the limit of {limit:,} bytes.", 413)


def decode(body: bytes, applied: list[str], limit: int) -> bytes:
    """Decodes a body whose codings `read_encodings` has returned, each up to a limit in bytes.

    Raises:
        RequestError: 413, the decoded body is larger; 400, it is damaged or cut short.
    """
    for name in reversed(applied):
        try:
            body = _decode_gzip(body, limit) if name == "gzip" else _decode_deflate(body, limit)
        except zlib.error as error:
            raise RequestError(f"The body is not a complete {name}: {error}.") from error
    return body


def _decode_gzip(body: bytes, limit: int) -> bytes:
    """Decodes all members of a gzip file; zeros may follow them, as gzip itself allows."""
    read, place = bytearray(), 0
    end = len(body.rstrip(b"\0"))
    while True:
        place = _inflate(body, place, read, limit, _GZIP)
        if place >= end:
            return bytes(read)


def _decode_deflate(body: bytes, limit: int) -> bytes:
    """Decodes a deflate body: in zlib's format, or raw, as some clients send it."""
    read = bytearray()
    is_zlib = len(body) >= 2 and body[0] & 15 == 8 and (body[0] << 8 | body[1]) % 31 == 0
    if _inflate(body, 0, read, limit, _ZLIB if is_zlib else _RAW) < len(body):
        raise zlib.error("something follows its end")
    return bytes(read)


def _inflate(body: bytes, place: int, read: bytearray, limit: int, window: int) -> int:
    """Decodes the stream at `place` into `read`; returns the place behind it."""
    whole, stream = memoryview(body), zlib.decompressobj(window)
    while not stream.eof:
        if place == len(body):
            raise zlib.error("it is cut short")
        piece = whole[place : place + PIECE_BYTES]
        read += stream.decompress(piece, limit + 1 - len(read))
        if len(read) > limit:
            raise too_large_error(limit)
        place += len(piece) - len(stream.unused_data)
    return place
