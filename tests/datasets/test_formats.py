"""Formats beyond the usual ones: read, or called by their names with what they need."""

import contextlib
import io
import resource
import struct
import sys
import warnings

import numpy as np
import pytest
from pictures import RED, bomb, damaged, decoded, encoded, fill, pack, png, reasons, red
from PIL import Image, features

from dcgan import UserError
from dcgan.datasets import picture, picture_formats
from dcgan.datasets.folder import FolderSource, find
from dcgan.datasets.picture_formats import TOO_LARGE, UnusableFile
from dcgan.datasets.source import ImageSpec

# The first bytes of a telephone's photograph.
HEIC = b"\0\0\0\x1cftypheic\0\0\0\0mif1heicmiaf" + bytes(100)


def portable(kind: bytes, values: bytes, most: int = 255) -> bytes:
    """A PPM or PGM file of 8x8."""
    return kind + b"\n# by hand\n8 8\n%d\n" % most + values


REDS = {  # every file shows a red square; suffixes lie, but that of TGA
    "portable.jpg": portable(b"P6", bytes(RED) * 64),
    "words": portable(b"P3", b"255 0 0 " * 64),
    "sixteen": portable(b"P6", struct.pack(">3H", 65535, 0, 0) * 64, 65535),
    "targa.TGA": red("TGA"),
    "packed.tga": red("TGA", compression="tga_rle"),
    "icon.png": red("ICO", sizes=[(8, 8)]),
    "bitmap.ico": red("ICO", "RGBA", sizes=[(8, 8)], bitmap_format="bmp"),
    "jpeg2000.jpg": red("JPEG2000"),
    "codestream": red("JPEG2000", no_jp2=True),
    "clear.jp2": red("JPEG2000", "RGBA"),
}


def assert_red(source) -> None:
    got = decoded(source)
    assert not got.skipped and abs(got.images.astype(int) - RED).max() <= 3
    assert source.summary().channels == 3


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_more_formats(tmp_path, kind):
    assert_red(find(fill(tmp_path, REDS) if kind == "folder" else pack(tmp_path / "a.zip", REDS)))


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
def test_avif(tmp_path):
    assert_red(find(fill(tmp_path, {"a.jpg": red("AVIF", quality=100)})))


def test_heic(tmp_path):
    pytest.importorskip("pillow_heif").register_heif_opener()
    data = encoded(Image.new("RGB", (64, 64), RED), "HEIF", quality=100)
    assert data[8:12] == b"heic"
    assert_red(find(fill(tmp_path, {"a.jpg": data})))


def test_grey_levels_of_any_depth(tmp_path):
    files = {
        "8.pgm": portable(b"P5", bytes(range(64))),
        "12.pgm": portable(b"P5", struct.pack(">64H", *(i * 4095 // 255 for i in range(64))), 4095),
        "16.pgm": portable(b"P5", struct.pack(">64H", *(i * 257 for i in range(64))), 65535),
    }
    source = find(fill(tmp_path, files))
    got = decoded(source, ImageSpec(8, 8, 1)).images.reshape(3, 64).astype(int)
    assert abs(got - np.arange(64)).max() <= 1 and source.summary().channels == 1


def test_tga_is_told_by_its_suffix_alone(tmp_path):
    files = {"a.png": red("TGA"), "b.tga": red(), "c.tga": b"these are words", "d.tga": red("TGA")}
    source = FolderSource(fill(tmp_path, files))
    assert reasons(source) == {"a.png": "not an image", "c.tga": "damaged"}


@pytest.mark.parametrize(
    ("library", "data", "words"),
    [
        ("pillow_heif", HEIC, "HEIC, which needs: pip install"),
        ("pillow_heif", HEIC.replace(b"heic", b"mif1", 1), "HEIC, which needs"),
        ("pillow_avif", HEIC.replace(b"heic", b"avif"), "AVIF, which needs: pip install pillow-av"),
        ("pillow_avif", HEIC.replace(b"ftypheic", b"ftypmif1").replace(b"heic", b"avif"), "AVIF"),
    ],
)
def test_what_a_missing_library_would_read(tmp_path, monkeypatch, library, data, words):
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.setattr(features, "check", lambda name: False)
    picture_formats.load.cache_clear()
    try:
        fill(tmp_path, {"a.jpg": data})
        with pytest.raises(UserError) as error:
            find(tmp_path)
        assert words in str(error.value) and "1 file" in str(error.value)
    finally:
        picture_formats.load.cache_clear()


UNREAD = {
    "a Photoshop file": b"8BPS\0\1",
    "JPEG XL": b"\0\0\0\x0cJXL \r\n\x87\n",
    "a document": b"%PDF-1.7\n",
    "an SVG drawing": b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg">',
    "a picture of high dynamic range": b"\x76\x2f\x31\x01\x02\0\0\0",
    "a video": b"\0\0\0\x18ftypisom\0\0\2\0",
}


def test_what_is_known_and_not_read(tmp_path):
    files = {f"{i}.x": data for i, data in enumerate(UNREAD.values())}
    source = FolderSource(fill(tmp_path, files))
    assert list(reasons(source).values()) == [f"{words}, which is not read" for words in UNREAD]


# ---- hostile files ----


def icon(picture_file: bytes) -> bytes:
    """An icon whose directory claims 256x256."""
    entry = struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, 32, len(picture_file), 22)
    return struct.pack("<HHH", 0, 1, 1) + entry + picture_file


def jpeg_2000(width: int, height: int, *, tile: int = 1 << 20, decoy: bool = False) -> bytes:
    """A JP2 file whose header claims 8x8 and whose codestream claims more."""
    data = bytearray(red("JPEG2000"))
    stream = data.index(b"\xff\x4f\xff\x51")
    right_start = bytes(data[stream : stream + 60])
    struct.pack_into(">6I", data, stream + 8, width, height, 0, 0, tile, tile)
    box = struct.pack(">I4s", 8 + len(right_start), b"uuid") + right_start
    header = data.index(b"jp2h") - 4
    return bytes(data[:header] + box * decoy + data[header:])


bitmap = struct.pack("<IiiHHIIiiII", 40, 20_000, 40_000, 1, 32, 0, 0, 0, 0, 0, 0)
targa = struct.pack("<BBBHHBHHHHBB", 0, 0, 10, 0, 0, 0, 0, 0, 60_000, 60_000, 24, 0)
HOSTILE = {
    "icon.ico": (icon(bomb(12_000, 12_000)), TOO_LARGE),
    "bitmap.ico": (icon(bitmap), TOO_LARGE),
    "stream.jp2": (jpeg_2000(60_000, 60_000), TOO_LARGE),
    "decoy.jp2": (jpeg_2000(60_000, 60_000, decoy=True), TOO_LARGE),
    "stream.j2k": (jpeg_2000(60_000, 60_000)[-200:].partition(b"jp2c")[2], TOO_LARGE),
    "portable.ppm": (b"P6 60000 60000 255\n", TOO_LARGE),
    "targa.tga": (targa, TOO_LARGE),
    "tiles.jp2": (jpeg_2000(9000, 9000, tile=36), "more than 8,192 tiles"),
    # Pillow asserts that there is a header.
    "headless.jp2": (red("JPEG2000").replace(b"jp2h", b"free"), "damaged"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_claimed_sizes_cost_no_memory(tmp_path, name):
    data, reason = HOSTILE[name]
    source = FolderSource(fill(tmp_path, {name: data}))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert reasons(source) == {name: reason}
    assert source.summary().skipped[0].reason == reason
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # kilobytes


def test_a_codestream_of_another_size_than_its_header(tmp_path):
    source = FolderSource(fill(tmp_path, {"a.jp2": jpeg_2000(9000, 9000)}))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert list(reasons(source)) == ["a.jp2"]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400_000


USUAL = ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"]


@pytest.mark.parametrize("form", [*USUAL, "PPM", "TGA", "ICO", "JPEG2000", "AVIF"])
def test_no_damage_whatsoever_raises(form):
    """Bytes are changed at random, or the file is cut: it is used or skipped."""
    if form == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    sizes = {"sizes": [(16, 16)]} if form == "ICO" else {}
    whole = png(0, form, width=16, height=16, **sizes)
    used, times = 0, 60 if form in USUAL else 150
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # what Pillow says would be on the user's screen
        warnings.filterwarnings("ignore", module=r"PIL\.")
        for data in damaged(whole, times, slice(60)):
            with contextlib.suppress(UnusableFile):
                name = "a.tga" if form == "TGA" else ""
                picture.pixels(io.BytesIO(data), ImageSpec(8, 8, 3), name=name)
                used += 1
    assert used < times
