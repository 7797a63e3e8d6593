"""Pictures, folders and zip files for the tests, made with Pillow."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from dcgan import UserError
from dcgan.datasets.picture_files import PictureFiles
from dcgan.datasets.source import ImageSpec

RED, WHITE = (255, 0, 0), (255, 255, 255)
SMALL = ImageSpec(8, 8, 3)


def encoded(picture: Image.Image, form: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def red(form: str = "PNG", mode: str = "RGB", **options) -> bytes:
    return encoded(Image.new("RGB", (8, 8), RED).convert(mode), form, **options)


def noise(form: str, side: int = 64) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    return encoded(Image.fromarray(pixels), form)


def bomb(width: int = 30_000, height: int = 30_000) -> bytes:
    """A whole PNG of black pixels, packed row by row so that making it costs no memory either."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    packer = zlib.compressobj(1)
    row = bytes(1 + width // 8)  # filter byte, one bit a pixel
    data = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def fill(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def pack(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def decoded(source, spec: ImageSpec = SMALL):
    return source.decode(range(len(source)), spec)


def read_or_refused(find: Callable[[], PictureFiles]) -> None:
    """What was damaged is refused in a sentence, or each of its pictures is decoded or skipped."""
    try:
        source = find()
    except UserError:
        return
    got = decoded(source)
    assert len(got.indices) + len(got.skipped) == len(source)


def reasons(source) -> dict[str, str]:
    return {item.name: item.reason for item in decoded(source).skipped}
