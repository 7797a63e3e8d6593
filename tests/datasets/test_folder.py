"""Folders and zip files of pictures: every format and mode, every bad file."""

import io
import struct
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from pictures import (
    RED,
    WHITE,
    bomb,
    decoded,
    encoded,
    fill,
    noise,
    orientation,
    pack,
    reasons,
    red,
    spoil,
    takes_less_than,
)
from PIL import Image
from running import python

from dcgan import images
from dcgan.datasets import packed, picture_files
from dcgan.datasets.folder import FolderSource, ZipSource, find
from dcgan.datasets.source import ImageSpec


def gif_of_red_then_green() -> bytes:
    pages = [Image.new("RGB", (8, 8), colour) for colour in (RED, (0, 255, 0))]
    return encoded(pages[0], "GIF", save_all=True, append_images=pages[1:])


def clear_palette() -> bytes:
    """Left half red, right half a palette entry that is transparent."""
    picture = Image.new("P", (8, 8), 0)
    picture.putpalette([255, 0, 0, 0, 0, 0])
    picture.paste(1, (4, 0, 8, 8))
    return encoded(picture, "PNG", transparency=1)


KINDS = {"folder": fill, "zip": pack}
REDS = {  # every file shows a red square of 8x8; the suffixes lie
    "jpeg": red("JPEG", quality=100, subsampling=0),
    "cmyk.png": red("JPEG", "CMYK", quality=100, subsampling=0),
    "progressive.gif": red("JPEG", quality=100, subsampling=0, progressive=True),
    "png.jpg": red("PNG"),
    "rgba.webp": red("PNG", "RGBA"),
    "palette.bmp": red("PNG", "P"),
    "lossless.txt": red("WEBP", lossless=True),
    "bmp.tiff": red("BMP"),
    "animation.png": gif_of_red_then_green(),
    "tiff.gif": red("TIFF"),
    "cmyk_tiff.png": red("TIFF", "CMYK"),
    "deflated": red("TIFF", compression="tiff_deflate"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_by_content(tmp_path, kind):
    source = find(KINDS[kind](tmp_path / kind, REDS))
    got = decoded(source)
    assert source.names == sorted(REDS) and not got.skipped
    assert abs(got.images.astype(int) - RED).max() <= 3


def test_transparent_palette_is_laid_on_white(tmp_path):
    got = decoded(find(fill(tmp_path, {"a.png": clear_palette()}))).images[0]
    assert (got[:, :4] == RED).all() and (got[:, 4:] == WHITE).all()


def test_exif_orientation_six_turns_pixels_and_size(tmp_path):
    """Held upright, the camera stores the scene lying: its top is the file's left side."""
    stored = np.zeros((16, 32, 3), np.uint8)
    stored[:, :16] = RED
    turned = {"quality": 100, "subsampling": 0, "exif": orientation(6)}
    data = encoded(Image.fromarray(stored), "JPEG", **turned)
    source = find(fill(tmp_path, {"a.jpg": data}))
    assert source.summary().sizes == (((32, 16), 1),)
    got = decoded(source, ImageSpec(32, 16, 3)).images[0].astype(int)
    assert abs(got[:15] - RED).max() <= 3 and got[17:].max() <= 3


@pytest.mark.parametrize("crop", [True, False])
@pytest.mark.parametrize("turn", [1, 6])
def test_large_jpegs_decoded_at_reduced_scale_look_the_same(tmp_path, crop, turn):
    y, x = np.mgrid[0:600, 0:900]
    scene = np.stack([x % 256, y % 256, (x + y) // 6], -1).astype(np.uint8)
    data = encoded(Image.fromarray(scene), "JPEG", quality=95, exif=orientation(turn))
    got = decoded(find(fill(tmp_path, {"a.jpg": data})), ImageSpec(64, 48, 3, crop=crop))
    whole = Image.open(io.BytesIO(data))
    expected = images.crop_and_resize(images.plain(whole, 3), 64, 48, crop=crop)
    assert abs(got.images[0].astype(int) - expected).mean() < 2


@pytest.mark.parametrize(
    "options", [{}, {"subsampling": 0}, {"quality": 30}, {"progressive": True}]
)
@pytest.mark.parametrize("size", [(96, 96), (61, 47)])
def test_small_jpegs_are_pillows_to_the_last_bit(tmp_path, options, size):
    """They take a shorter way, which must not show; whole or cut short."""
    y, x = np.mgrid[0 : size[1], 0 : size[0]]
    scene = np.stack([x * 2, y * 2, (x * y) % 256], -1).astype(np.uint8)
    data = encoded(Image.fromarray(scene), "JPEG", **options)
    source = find(fill(tmp_path, {"a.jpg": data, "b.jpg": data[:-40]}))
    got = decoded(source, ImageSpec(48, 40, 3))
    expected = images.crop_and_resize(images.plain(Image.open(io.BytesIO(data)), 3), 48, 40)
    assert (got.images[0] == expected).all()
    assert reasons(source) == {"b.jpg": "truncated"}


def test_channels_are_one_only_without_colour(tmp_path):
    grey = Image.new("L", (8, 8), 99)
    files = {
        "l.png": encoded(grey),
        "la.png": encoded(grey.convert("LA")),
        "p.png": encoded(grey.convert("P")),
        "l.jpg": encoded(grey, "JPEG"),
        "bit.png": encoded(grey.convert("1")),
        "deep.png": encoded(Image.new("I;16", (8, 8), 9)),
        "broken.jpg": b"no picture",
    }
    assert find(fill(tmp_path / "grey", files)).summary().channels == 1
    for name, data in {"c.jpg": red("JPEG"), "p.png": red("PNG", "P")}.items():
        folder = fill(tmp_path / name, files | {"colour_" + name: data})
        assert find(folder).summary().channels == 3, name


BAD = {
    "text.jpg": (b"these are words", "not an image"),
    "page.png": (b"<html>404</html>" * 100, "not an image"),
    "random.png": (np.random.default_rng(0).bytes(5000), "not an image"),
    "empty.jpg": (b"", "empty file"),
    "cut.jpg": (noise("JPEG")[:2000], "truncated"),
    "cut.png": (noise("PNG")[:2000], "truncated"),
    "cut.bmp": (noise("BMP")[:2000], "truncated"),
    "cut.webp": (noise("WEBP")[:1000], "damaged"),
    "cut.tiff": (noise("TIFF")[:2000], None),
    "cut.gif": (noise("GIF")[:2000], "truncated"),
    "head.jpg": (noise("JPEG")[:30], None),
    "head.png": (noise("PNG")[:20], None),
    "middle.png": (noise("PNG").replace(b"IDAT", b"IDOT"), None),
}


@pytest.mark.parametrize("kind", KINDS)
def test_bad_files_are_skipped_with_a_reason(tmp_path, kind):
    files = {name: data for name, (data, _) in BAD.items()} | {"good.png": red()}
    source = find(KINDS[kind](tmp_path / kind, files))
    got = reasons(source)
    assert list(got) == sorted(BAD)
    for name, reason in got.items():
        assert reason == BAD[name][1] or (not BAD[name][1] and reason in ("truncated", "damaged"))
    assert decoded(source).indices == [source.names.index("good.png")]


def test_pillows_own_limit_is_left_alone_while_threads_decode(tmp_path, monkeypatch):
    """The limit is the process's, and a thread that reads it at a bad moment would find another."""
    fill(tmp_path, {"bomb.png": bomb(), "a.png": red(), "large.png": bomb(10_001, 10_000)})
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 123_000_000)
    opened, limits = Image.open, []

    def watched(*args, **options):
        limits.append(Image.MAX_IMAGE_PIXELS)
        return opened(*args, **options)

    monkeypatch.setattr(Image, "open", watched)
    source = FolderSource(tmp_path)
    with ThreadPoolExecutor(4) as pool:
        for result in pool.map(lambda _: decoded(source), range(8)):
            assert result.indices == [0]
            skipped = {item.name: item.reason for item in result.skipped}
            too_large = "more than the limit of 100,000,000 pixels"
            assert skipped == {"bomb.png": too_large, "large.png": too_large}
    assert set(limits) == {123_000_000} and Image.MAX_IMAGE_PIXELS == 123_000_000


def test_an_entry_that_states_less_than_it_holds_takes_no_memory(tmp_path):
    """64 MiB of zeros behind a size of 1,000 bytes."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = b"".join(packer.compress(bytes(1 << 20)) for _ in range(64)) + packer.flush()
    name = b"bomb.png"
    crc = zlib.crc32(bytes(1000))
    facts = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 33, crc, len(data), 1000, len(name), 0)
    central = struct.pack("<IH", 0x02014B50, 20) + facts + struct.pack("<HHHII", 0, 0, 0, 0, 0)
    entry = struct.pack("<I", 0x04034B50) + facts + name + data
    end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 1, 1, len(central + name), len(entry), 0)
    (tmp_path / "bomb.zip").write_bytes(entry + central + name + end)
    with takes_less_than(10_000_000):
        assert reasons(ZipSource(tmp_path / "bomb.zip")) == {"bomb.png": "not an image"}


MEASURE = """
import resource, sys
from dcgan.datasets.folder import FolderSource
from dcgan.datasets.source import ImageSpec
source = FolderSource(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
got = source.decode([0], ImageSpec(8, 8, 3))
assert source.summary().skipped == tuple(got.skipped)
print(source.summary().sizes, got.skipped[0].reason)
assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # kilobytes
"""


def test_a_decompression_bomb_costs_no_memory_and_large_pictures_give_no_warning(tmp_path):
    """Pillow's own limit is lower than ours (89 million pixels) and warns on stderr."""
    fill(tmp_path, {"bomb.png": bomb(), "large.png": bomb(9900, 10000)})
    assert (tmp_path / "bomb.png").stat().st_size < 2_000_000
    run = python("-W", "error", "-c", MEASURE, tmp_path)
    said = "(((10000, 9900), 1),) more than the limit of 100,000,000 pixels\n"
    assert (run.stdout, run.stderr) == (said, "")


def test_zip_bomb_entry_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("dcgan.datasets.picture_files.MAX_FILE_BYTES", 100_000)
    source = ZipSource(pack(tmp_path / "a.zip", {"a.bmp": bytes(200_000), "b.png": red()}))
    assert reasons(source) == {"a.bmp": "200,000 bytes, too large for a picture"}


def test_encrypted_and_corrupt_entries_are_skipped(tmp_path):
    path = pack(tmp_path / "a.zip", {"a.png": red(), "b.png": red(), "c.png": red()})
    data = bytearray(path.read_bytes())
    directory = data.index(b"PK\x01\x02")
    data[directory + 8] |= 1  # the flag "encrypted" of the first entry
    second = data.index(b"b.png")
    data[second + 20 : second + 30] = bytes(10)  # in the packed bytes of the second
    path.write_bytes(data)
    source = find(path)
    assert reasons(source) == {"a.png": "encrypted", "b.png": "damaged in the zip file"}
    assert [source.names[i] for i in decoded(source).indices] == ["c.png"]


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damaged_entries_of_any_compression_are_skipped(tmp_path, monkeypatch, method):
    """Read at once, in pieces and as a manifest: each library has errors of its own."""
    monkeypatch.setattr(picture_files, "MAX_BUFFERED_BYTES", 1000)
    files = {"a.png": red(), "b.png": noise("PNG"), packed.MANIFEST: b"{}" * 50, "c.png": red()}
    path = pack(tmp_path / "a.zip", files, method)
    spoil(path, *list(files)[:3])
    assert set(reasons(find(path))) == {"a.png", "b.png", packed.MANIFEST}


def test_zip_and_folder_give_the_same(tmp_path):
    files = {f"{'ab'[i % 2]}/{i}.png": noise("PNG", 8 + i) for i in range(6)}
    folder = find(fill(tmp_path / "folder", files))
    archive = find(pack(tmp_path / "a.zip", files))
    assert folder.names == archive.names
    np.testing.assert_array_equal(decoded(folder).images, decoded(archive).images)
    np.testing.assert_array_equal(folder.labels["label"].values, archive.labels["label"].values)
    assert folder.summary() == archive.summary()


def test_a_file_that_goes_away_is_skipped(tmp_path):
    source = find(fill(tmp_path, {"a.png": red(), "b.png": red()}))
    (tmp_path / "b.png").unlink()
    assert reasons(source) == {"b.png": "cannot be read (No such file or directory)"}
    assert source.summary().skipped[0].name == "b.png"
