"""Pixels: the range, any picture to uint8, crop and resize, grids, PNG; GIF: see test_outputs."""

import io

import numpy as np
import pytest
from arrays import places
from PIL import Image

from dcgan import images

LEVELS = np.arange(256, dtype=np.uint8)


def reopened(picture: Image.Image, form: str, **options) -> Image.Image:
    """The picture after a file: Pillow keeps what it read in `info`, as with a user's file."""
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return Image.open(io.BytesIO(buffer.getvalue()))


def test_all_levels_survive_the_round_trip():
    floats = images.to_float(LEVELS.astype(np.float32))
    assert floats.min() == -1.0 and floats.max() == 1.0
    np.testing.assert_array_equal(images.to_uint8(floats), LEVELS)


def test_values_outside_are_clipped_and_inside_rounded_to_the_nearest():
    # 0.0 is level 127.5, which NumPy rounds to the even 128; 0.1 is 140.25.
    got = images.to_uint8(np.array([-9.0, -1.0, 0.0, 0.1, 1.0, 9.0]))
    np.testing.assert_array_equal(got, [0, 0, 128, 140, 255, 255])


@pytest.mark.parametrize("channels, mode", [(1, "L"), (3, "RGB")])
@pytest.mark.parametrize("source", "1 L LA P RGB RGBA CMYK YCbCr HSV I".split())
def test_plain_takes_every_mode(source, channels, mode):
    assert images.plain(Image.new(source, (3, 2)), channels).mode == mode


def test_sixteen_bits_are_scaled_and_not_clipped():
    # 257 * k are the 16-bit levels that stand for the 8-bit levels k.
    picture = reopened(Image.fromarray((LEVELS.astype(np.uint16) * 257).reshape(16, 16)), "PNG")
    assert picture.mode == "I;16"
    np.testing.assert_array_equal(np.asarray(images.plain(picture, 1)).ravel(), LEVELS)


def test_float_levels_are_from_zero_to_one():
    picture = Image.fromarray(np.array([[0.0, 0.5, 1.0, np.nan]], np.float32))
    np.testing.assert_array_equal(np.asarray(images.plain(picture, 1)), [[0, 128, 255, 0]])


def test_transparency_is_laid_on_white():
    rgba = Image.fromarray(np.array([[[255, 0, 0, 255], [255, 0, 0, 0]]], np.uint8))
    got = np.asarray(images.plain(rgba, 3))
    np.testing.assert_array_equal(got, [[[255, 0, 0], [255, 255, 255]]])


@pytest.mark.parametrize("mode, clear", [("L", 0), ("RGB", (0, 0, 0)), ("1", 0)])
def test_a_transparent_colour_of_a_png_is_laid_on_white(mode, clear):
    picture = reopened(Image.new(mode, (2, 2)), "PNG", transparency=clear)
    assert np.asarray(images.plain(picture, 3)).min() == 255


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_every_camera_rotation_is_undone(form, turn):
    """The EXIF standard: the file's 0th row and 0th column are these sides of the scene."""
    scene = np.zeros((16, 32), np.uint8)
    scene[:8, :8], scene[:8, 24:], scene[8:, :8] = 255, 170, 85  # every corner another level
    stored = {
        1: scene,  # top, left
        2: scene[:, ::-1],  # top, right
        3: scene[::-1, ::-1],  # bottom, right
        4: scene[::-1],  # bottom, left
        5: scene.T,  # left, top
        6: scene[:, ::-1].T,  # right, top
        7: scene[::-1, ::-1].T,  # right, bottom
        8: scene[::-1].T,  # left, bottom
    }
    exif = Image.Exif()
    exif[0x0112] = turn
    options = {"JPEG": {"quality": 100}, "WEBP": {"lossless": True}}.get(form, {})
    picture = reopened(Image.fromarray(stored[turn]), form, exif=exif, **options)
    got = np.asarray(images.plain(picture, 1)).astype(int)
    assert got.shape == scene.shape
    assert abs(got - scene).max() <= 3


def test_damaged_exif_is_no_reason_to_lose_the_picture():
    picture = reopened(Image.new("RGB", (4, 2)), "JPEG", exif=b"Exif\0\0 this is not EXIF")
    assert images.plain(picture, 3).size == (4, 2)


def test_fit_cuts_the_exact_box_out_of_the_centre():
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    got = images.crop_and_resize(Image.fromarray(pixels), 8, 10, crop_height=8, crop_width=10)
    np.testing.assert_array_equal(got, pixels[6:14, 10:20])  # (20 - 8) / 2, (30 - 10) / 2


@pytest.mark.parametrize("side", ["crop_height", "crop_width"])
def test_one_side_of_the_box_alone_means_a_square(side):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30), np.uint8)
    got = images.crop_and_resize(Image.fromarray(pixels), 8, 8, **{side: 8})
    np.testing.assert_array_equal(got[..., 0], pixels[6:14, 11:19])


@pytest.mark.parametrize("size", [(40, 20), (20, 40), (31, 17), (7, 90), (2, 2), (1, 1)])
def test_fit_keeps_the_aspect_ratio_by_cropping(size):
    """The wanted box in the centre is white, all else black: a black edge would show."""
    width, height = size
    pixels = np.zeros((height, width), np.uint8)
    side = min(size)
    top, left = (height - side) / 2, (width - side) / 2
    pixels[int(top) : int(np.ceil(top + side)), int(left) : int(np.ceil(left + side))] = 255
    assert (
        images.crop_and_resize(Image.fromarray(pixels), 8, 8).min() >= 220
    )  # a black column would take off a third


def test_fit_without_crop_squeezes_the_whole_picture():
    pixels = np.repeat(np.uint8([[0, 255]]), 8, axis=1).repeat(4, axis=0)  # left half, right half
    got = images.crop_and_resize(Image.fromarray(pixels), 4, 4, crop=False)[..., 0]
    assert (got[:, 0] <= 5).all() and (got[:, -1] >= 250).all()


def test_a_box_larger_than_the_picture_is_the_largest_of_its_shape():
    pixels = np.random.default_rng(0).integers(0, 256, (10, 20), np.uint8)
    small = images.crop_and_resize(Image.fromarray(pixels), 10, 10, crop_height=100, crop_width=100)
    np.testing.assert_array_equal(small[..., 0], pixels[:, 5:15])


def test_shrinking_is_antialiased():
    """A chessboard of single pixels is grey from afar; without antialiasing it is not."""
    board = (np.indices((96, 96)).sum(0) % 2 * 255).astype(np.uint8)
    for side in (48, 32, 24, 13):
        got = images.crop_and_resize(Image.fromarray(board), side, side).astype(int)
        assert abs(got - 127.5).max() < 16, side


@pytest.mark.parametrize("height, width", [(8, 8), (13, 7), (96, 64), (256, 256)])
def test_fit_has_the_wanted_shape_and_keeps_a_plain_colour(height, width):
    got = images.crop_and_resize(Image.new("RGB", (50, 31), (10, 200, 77)), height, width)
    assert got.shape == (height, width, 3)
    assert (got == (10, 200, 77)).all()


def test_grid_places_images_row_by_row_on_white():
    tiles = np.stack([np.full((2, 3, 1), 10 * i, np.uint8) for i in range(5)])
    got = images.grid(tiles, columns=3, margin=1)
    assert got.shape == (2 * 2 + 1, 3 * 3 + 2, 1)
    expected = np.full((5, 11), 255)
    expected[0:2, 0:3], expected[0:2, 4:7], expected[0:2, 8:11] = 0, 10, 20
    expected[3:5, 0:3], expected[3:5, 4:7] = 30, 40
    np.testing.assert_array_equal(got[..., 0], expected)


@pytest.mark.parametrize("count, rows, columns", [(1, 1, 1), (2, 1, 2), (64, 8, 8), (10, 3, 4)])
def test_grid_is_near_a_square(count, rows, columns):
    got = images.grid(np.zeros((count, 4, 4, 3), np.uint8), margin=0)
    assert got.shape == (rows * 4, columns * 4, 3)


def test_a_labelled_grid_has_room_for_every_picture_and_caption():
    """Side by side, cells look as they do alone: none reaches into another."""
    random = np.random.default_rng(0)
    shapes = ((8, 8, 3), (8, 200, 3), (30, 5, 1))
    pictures = [random.integers(0, 256, shape, np.uint8) for shape in shapes]
    words = ("9223372036854775807", "2", "seed 9223372036854775806")
    cells = [images.Cell(*one) for one in zip(pictures, words, strict=True)]
    gap = 4
    both = images.labelled_grid([cells, cells[:1]], gap=gap)
    height, left = 30 + images.LINE + 2 * gap, 0
    for cell in cells:
        width = images.labelled_grid([[cell]], gap=gap).shape[1] - gap
        tallest = images.Cell(pictures[2], "1")  # so that both rows are of one height
        row = images.labelled_grid([[cell, tallest]], gap=gap)[:, :width]
        np.testing.assert_array_equal(both[:height, left : left + width], row)
        left += width
    assert both.shape == (height + 8 + images.LINE + gap, left + gap, 3)
    # The first picture is in the middle of its place, which is 30 high.
    (first, second) = places(both, pictures[0])
    assert first[0] == gap + 11 and second[0] == height and first[1] == second[1]


def test_what_is_no_picture_of_a_labelled_grid_is_a_heading_or_white():
    grey = np.full((4, 4, 1), 100, np.uint8)
    empty = images.labelled_grid([[images.Cell(), images.Cell(grey)], [images.Cell(grey)]], gap=2)
    assert empty.shape == (2 + 4 + 2 + 4 + 2, 2 + 4 + 2 + 4 + 2, 3)
    assert (empty[2:6, 2:6] == 255).all() and (empty[8:12, 8:12] == 255).all()
    assert (empty[2:6, 8:12] == 100).all() and (empty[8:12, 2:6] == 100).all()
    darkest = [
        images.labelled_grid([[images.Cell(picture, "HEADING")]])[-20:].min()
        for picture in (None, grey)
    ]
    assert darkest == [min(images.INK), min(images.GREY)]


@pytest.mark.parametrize("channels", [1, 3])
def test_png_round_trip(tmp_path, channels):
    image = np.random.default_rng(0).integers(0, 256, (6, 9, channels), np.uint8)
    path = tmp_path / "a.png"
    path.write_bytes(images.png_bytes(image))
    np.testing.assert_array_equal(images.read_png(path), image)
