"""Levels of fewer bits than a file has, and an opacity that means nothing: seen, mended, said."""

import itertools
import struct
import zlib

import numpy as np
import pytest
from pictures import decoded, encoded, fill, raw_png
from PIL import Image
from running import LIGHT, run

from dcgan.datasets import catalog
from dcgan.datasets.folder import find
from dcgan.datasets.prepare import prepare, summarize
from dcgan.datasets.source import ImageSpec
from dcgan.images import COLOURS_ALONE, white_level

GREY, COLOUR = ImageSpec(8, 8, 1), ImageSpec(8, 8, 3)
RAMP = np.arange(64).reshape(8, 8)


def colour_png(levels: np.ndarray) -> bytes:
    """A 16-bit PNG of levels [8, 8, 3 or 4]."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels)
    return raw_png(8, 8, 16, 2 if levels.shape[-1] == 3 else 6, zlib.compress(rows))


def colour_tiff(levels: np.ndarray, order: str = "<", *, packed: bool = False) -> bytes:
    """A 16-bit TIFF of levels [8, 8, 3 or 4] with the byte order "<" or ">"."""
    channels = levels.shape[-1]
    pixels = levels.astype(f"{order}u2").tobytes()
    pixels = zlib.compress(pixels) if packed else pixels
    entries = ((256, 8), (257, 8), (259, 8 if packed else 1), (262, 2), (273, 200))
    entries = (*entries, (277, channels), (278, 8), (279, len(pixels)), (284, 1), (338, 2))
    entries = [struct.pack(f"{order}HHIHH", tag, 3, 1, value, 0) for tag, value in entries]
    entries.insert(2, struct.pack(f"{order}HHII", 258, 3, channels, 180))  # bits of each channel
    count = len(entries) - (channels == 3)  # only a fourth channel has to be explained
    start = b"II*\0" if order == "<" else b"MM\0*"
    head = start + struct.pack(f"{order}IH", 8, count) + b"".join(entries[:count])
    return head.ljust(180, b"\0") + struct.pack(f"{order}4H", *[16] * 4).ljust(20, b"\0") + pixels


def grey(levels, form: str = "PNG") -> bytes:
    return encoded(Image.fromarray(np.asarray(levels, np.uint16)), form)


def levels(path, spec=GREY, cache=None) -> np.ndarray:
    return prepare(find(path), spec, cache_dir=cache).images.astype(int)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_grey_levels_of_fewer_bits(tmp_path, bits, form):
    """The whole data set decides: its second picture is dark, and stays dark."""
    white = 2**bits - 1
    bright = np.rint(RAMP * (white / 63))
    path = fill(tmp_path / "a", {"a": grey(bright, form), "b": grey(bright // 8, form)})
    found = levels(path)[..., 0]
    assert abs(found[0] - RAMP * 255 / 63).max() <= 1
    assert abs(found[1] - RAMP * 255 / 63 / 8).max() <= 1
    summary = find(path).summary()
    assert (summary.white_level, summary.deep) == (white, 2)
    notes = prepare(find(path), GREY, cache_dir=None).report.notes
    said = f"2 pictures have 16-bit levels, none of them above {white:,}: they are taken for {bits}"
    assert (len(notes) == 1 and notes[0].startswith(said)) if bits < 16 else notes == ()


def test_all_parts_have_the_same_white(tmp_path):
    """The test part happens to use fewer bits: its pictures are as dark as those of train."""
    files = {"train/a.png": grey(RAMP * 1000), "train/b.png": grey(RAMP), "test/a.png": grey(RAMP)}
    path = str(fill(tmp_path / "a", files))
    train, test = (catalog.find(path, "none", splits=[part]) for part in ("train", "test"))
    found = [prepare(part, GREY, cache_dir=None) for part in (train, test)]
    assert (found[0].images[1] == found[1].images[0]).all()
    assert "white" not in "".join(found[1].report.notes)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_colours_of_fewer_bits(tmp_path, bits):
    """Pillow itself keeps the upper eight of sixteen bits."""
    white = 2**bits - 1
    wanted = np.stack([RAMP * 4, 255 - RAMP * 4, RAMP * 2], -1)
    data = np.rint(wanted * (white / 255)).astype(np.uint16)
    opaque = np.concatenate([data, np.full((8, 8, 1), 65535, np.uint16)], -1)
    files = {"a.png": colour_png(data), "b.png": colour_png(opaque)}
    for order, packed in itertools.product("<>", (False, True)):
        files |= {
            f"{order}{packed}{i}.tiff": colour_tiff(form, order, packed=packed)
            for i, form in enumerate((data, opaque))
        }
    path = fill(tmp_path, files)
    found = levels(path, COLOUR)
    assert len(found) == len(files) and abs(found - wanted).max() <= 1
    assert find(path).summary().white_level == white


def test_opacity_has_all_bits_where_colours_have_few(tmp_path):
    half = np.full((8, 8, 4), 32896, np.uint16)  # of 65535
    half[..., :3] = 0
    path = fill(tmp_path, {"a.png": colour_png(half), "b.png": grey(np.full((8, 8), 4095))})
    assert abs(levels(path, COLOUR)[0] - 127).max() <= 1


def test_no_other_picture_is_touched(tmp_path):
    dark = Image.fromarray((RAMP // 16).astype(np.uint8))
    path = fill(tmp_path, {"a.png": encoded(dark), "b.png": grey(RAMP * 64)})
    found = levels(path)[..., 0]
    assert (found[0] == RAMP // 16).all() and find(path).summary().deep == 1


def test_it_is_remembered_in_the_cache(tmp_path):
    path = fill(tmp_path / "a", {"a.png": grey(RAMP * 65)})
    first = levels(path, cache=tmp_path / "cache")
    for spec in (GREY, ImageSpec(4, 4, 1)):
        prepared = prepare(find(path), spec, cache_dir=tmp_path / "cache")
        assert prepared.images.max() > 200 and "12-bit" in prepared.report.notes[0]
    assert (levels(path, cache=tmp_path / "cache") == first).all()
    for summary in (find(path).summary(), summarize(find(path), cache_dir=tmp_path / "cache")):
        assert (summary.white_level, summary.deep) == (4095, 1)


def test_white_levels():
    highest = (0, 255, 256, 1023, 1024, 4095, 4096, 16383, 16384, 65535)
    expected = [255, 255, 1023, 1023, 4095, 4095, 16383, 16383, 65535, 65535]
    assert [white_level(level) for level in highest] == expected


# ---- opacity ----


def bitmap(colours: np.ndarray, opacity: int) -> bytes:
    """A BMP of 32 bits a pixel that says that its fourth byte is opacity."""
    pixels = np.full((8, 8, 4), opacity, np.uint8)
    pixels[..., :3] = colours[::-1, :, ::-1]
    masks = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    info = struct.pack("<IiiHHIIiiII", 108, 8, 8, 1, 32, 3, 256, 0, 0, 0, 0) + masks
    info = info.ljust(108, b"\0")
    return b"BM" + struct.pack("<IHHI", 14 + 108 + 256, 0, 0, 14 + 108) + info + pixels.tobytes()


COLOURS = np.stack([RAMP * 4, 255 - RAMP * 4, RAMP], -1).astype(np.uint8)


def clear(form: str) -> bytes:
    pixels = np.concatenate([COLOURS, np.zeros((8, 8, 1), np.uint8)], -1)
    options = {"lossless": True, "exact": True} if form == "WEBP" else {}
    return encoded(Image.fromarray(pixels), form, **options)


@pytest.mark.parametrize("name", ["a.bmp", "a.png", "a.tga", "a.webp", "a.tiff"])
def test_an_opacity_of_0_everywhere_means_nothing(tmp_path, name):
    data = bitmap(COLOURS, 0) if name == "a.bmp" else clear(name[2:].upper())
    prepared = prepare(find(fill(tmp_path, {name: data})), COLOUR, cache_dir=None)
    np.testing.assert_array_equal(prepared.images[0], COLOURS)
    assert prepared.report.notes == (f"1 picture is {COLOURS_ALONE}.",)


def test_a_picture_that_is_really_clear_is_white(tmp_path):
    half = np.full((8, 8, 4), 255, np.uint8)
    half[..., :3], half[:4, :, 3] = COLOURS, 0
    files = {
        "blank.png": encoded(Image.new("RGBA", (8, 8), (0, 0, 0, 0))),
        "half.png": encoded(Image.fromarray(half)),
        "opaque.bmp": bitmap(COLOURS, 255),
    }
    got = decoded(find(fill(tmp_path, files)), COLOUR)
    assert (got.images[0] == 255).all() and (got.images[1][:4] == 255).all()
    assert (got.images[1][4:] == COLOURS[4:]).all() and (got.images[2] == COLOURS).all()
    assert not got.remarks


def test_inspect_and_pack_see_the_same(tmp_path):
    files = {f"{i}.png": grey(np.roll(RAMP, i) * 65) for i in range(3)}
    fill(tmp_path / "a", files | {"clear.png": clear("PNG"), "clear.bmp": bitmap(COLOURS, 0)})
    assert {"inspect", "pack"} <= set(LIGHT)
    clears = f"2 pictures are {COLOURS_ALONE}."
    said = run("inspect", "--dataset", tmp_path / "a", "--to", tmp_path / "sheet.png")
    both = said.stdout + said.stderr
    assert "taken for 12-bit" in both and "Nearly blank: none" in both
    assert said.stdout.count(clears) == 1
    for size in ((), ("--size", 8)):
        said = run("pack", "--from", tmp_path / "a", "--to", tmp_path / f"{len(size)}.zip", *size)
        assert said.stdout.count(clears) == 1 and "taken for 12-bit" in said.stdout
        assert levels(tmp_path / f"{len(size)}.zip").max() == 255
