"""Recognizes the picture formats that are read, and loads the plugins that they need.

Only plugins for these formats are ever used. For formats whose first header does not limit the
decoder's memory (ICO, JPEG 2000), the inner sizes are checked here.
"""

import functools
import importlib
import lzma
import re
import struct
import zipfile
import zlib
from typing import BinaryIO

# TIFF and WebP are imported because Pillow would otherwise look for them among all its plugins.
from PIL import TiffImagePlugin, WebPImagePlugin, features  # noqa: F401

from dcgan import extras
from dcgan.images import MAX_PIXELS

READ = "JPEG, PNG, WebP, BMP, GIF, TIFF, PPM, TGA, ICO, JPEG 2000, AVIF or HEIC pictures"
HEAD_BYTES = 64
# What zipfile raises for damage, depending on the compression.
BAD_ZIP = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError),
    *(ValueError, OSError, RuntimeError),
)
TOO_LARGE = f"more than the limit of {MAX_PIXELS:,} pixels"
# OpenJPEG allocates six kilobytes for each tile that a header claims.
MAX_TILES = 1 << 13

_USUAL = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
_MARKS = (b"\xff\xd8\xff", b"\x89PNG", b"RIFF", b"GIF8", b"II*\0", b"MM\0*")
_CODESTREAM = b"\xff\x4f\xff\x51"  # in JPEG 2000: start of codestream, then the sizes
# Formats whose plugins are loaded at the first such file.
_OTHERS = (
    (re.compile(rb"P[1-6][\s#]|Pf\s"), "PPM"),
    (re.compile(rb"\x00\x00\x01\x00[^\x00]"), "ICO"),
    (re.compile(rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51"), "JPEG2000"),
    (re.compile(rb"....ftyp(avif|avis|(mif1|msf1).{4,48}?avi[fs])", re.DOTALL), "AVIF"),
    (re.compile(rb"....ftyp(hei[cmxs]|hev[cmxs]|mif1|msf1)", re.DOTALL), "HEIF"),
)
_PLUGINS = {"PPM": "Ppm", "ICO": "Ico", "JPEG2000": "Jpeg2K", "TGA": "Tga"}
_TGA_SUFFIXES = (".tga", ".vda", ".icb", ".vst")  # the format has no magic number
# Formats that are recognized but not read, and what people call them.
_UNREAD = (
    (re.compile(rb"8BPS"), "a Photoshop file"),
    (re.compile(rb"\xff\x0a|\0\0\0\x0cJXL "), "JPEG XL"),
    (re.compile(rb"%PDF|%!PS"), "a document"),
    (re.compile(rb"\s*(<\?xml[^>]*>\s*)?(<!--.*)?<svg", re.DOTALL), "an SVG drawing"),
    (re.compile(rb"\x76\x2f\x31\x01|#\?RADIANCE"), "a picture of high dynamic range"),
    (re.compile(rb"....ftyp|\x1aE\xdf\xa3|RIFF....AVI ", re.DOTALL), "a video"),
)


class UnusableFile(Exception):
    """Raised for a file that cannot be used; its text is the reason in a few words."""


def recognize(head: bytes, name: str) -> tuple[tuple[str, ...], bool]:
    """Returns Pillow's formats that a file may have, and whether it certainly has one of them.

    Loads the plugins for these. `head` are the file's first `HEAD_BYTES`. Raises UnusableFile if
    its format is not supported, or needs a library that is not installed.
    """
    if head.startswith(_MARKS) and not head.startswith(b"RIFF") or head[8:12] == b"WEBP":
        return _USUAL, True
    for mark, form in _OTHERS:
        if mark.match(head):
            load(form)
            return (form,), True
    for mark, words in _UNREAD:
        if mark.match(head):
            raise UnusableFile(f"{words}, which is not read")
    if name.lower().endswith(_TGA_SUFFIXES):
        load("TGA")
        return ("TGA",), True
    return _USUAL, False


@functools.cache
def load(form: str) -> None:
    """Makes Pillow read a format; UnusableFile, with a command to run, if a library is missing."""
    if form in _PLUGINS:
        importlib.import_module(f"PIL.{_PLUGINS[form]}ImagePlugin")
    elif form == "AVIF":
        try:  # Linux distributions often leave it out of Pillow
            own = features.check("avif")
            importlib.import_module("PIL.AvifImagePlugin" if own else "pillow_avif")
        except ImportError as error:
            raise UnusableFile("AVIF, which needs: pip install pillow-avif-plugin") from error
    else:
        try:
            import pillow_heif
        except ImportError as error:
            raise UnusableFile(f"HEIC, which needs: {extras.install_command('data')}") from error
        pillow_heif.register_heif_opener()


def check_sizes(file: BinaryIO, formats: tuple[str, ...]) -> None:
    """Checks sizes that the first header does not tell; moves the file's position.

    Raises UnusableFile if a picture is too large, struct.error if the file is cut short.
    """
    sizes = {"ICO": _sizes_in_icon, "JPEG2000": _sizes_in_jpeg_2000}.get(formats[0])
    for width, height in sizes(file) if sizes else ():
        if width * height > MAX_PIXELS:
            raise UnusableFile(TOO_LARGE)


def _sizes_in_icon(file: BinaryIO) -> list[tuple[int, int]]:
    """Reads the (width, height) of all PNGs and bitmaps in an icon; its directory ends at 256."""
    sizes = []
    (count,) = struct.unpack("<4xH", file.read(6))
    places = [struct.unpack("<12xI", file.read(16))[0] for _ in range(count)]
    for place in places:
        file.seek(place)
        start = file.read(24)
        if start.startswith(b"\x89PNG"):
            sizes.append(struct.unpack(">16xII", start))
        else:
            width, height = struct.unpack("<4xii12x", start)
            sizes.append((abs(width), abs(height) // 2))
    return sizes


def _sizes_in_jpeg_2000(file: BinaryIO) -> list[tuple[int, int]]:
    """Reads the (width, height) in the codestream, which is decoded whatever its boxes say."""
    if file.read(4) != _CODESTREAM:
        _seek_codestream(file)
    # Length, capabilities; right, bottom, left, top; tile sides, tile origin: ISO 15444-1, A.5.1.
    right, bottom, left, top, *tile = struct.unpack(">4x8I", file.read(36))
    tiles = [
        -(-(end - edge) // max(side, 1))
        for end, side, edge in zip((right, bottom), tile[:2], tile[2:], strict=True)
    ]
    if tiles[0] * tiles[1] > MAX_TILES:
        raise UnusableFile(f"more than {MAX_TILES:,} tiles")
    return [(right - left, bottom - top)]


def _seek_codestream(file: BinaryIO) -> None:
    """Moves the file's position, box by box, to just behind the codestream's first markers."""
    place = 0
    for _ in range(1000):  # boxes
        file.seek(place)
        length, kind = struct.unpack(">I4s", file.read(8))
        start = 8
        if length == 1:
            (length,), start = struct.unpack(">Q", file.read(8)), 16
        if kind == b"jp2c":
            if file.read(4) == _CODESTREAM:
                return
            break
        if length < start:
            break
        place += length
    raise UnusableFile("damaged")
