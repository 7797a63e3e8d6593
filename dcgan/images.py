"""Pixels: their range, crop and resize, grids, and PNG and GIF files.

Two forms exist. On disk and in caches an image is uint8 in [0, 255]; networks see float32 in
[-1, 1], the range of tanh. `plain` and `crop_and_resize` turn any picture of a user into the first;
if their pixels change, increase `datasets.prepare.FORMAT`, the version of the caches.
"""

import io
import math
import os
import struct
from collections import Counter
from collections.abc import Sequence
from itertools import zip_longest
from typing import NamedTuple

import imageio.v3 as iio
import numpy as np
from PIL import Image, ImageDraw, PngImagePlugin

HALF_RANGE = 127.5  # (255 - 0) / (1 - -1)
# A picture of more pixels than this is refused before it is decoded: no photograph is that large,
# and a small compressed file can claim gigabytes ("decompression bomb").
MAX_PIXELS = 100_000_000
DEEP_WHITE = 65535  # the white of 16-bit pictures that use all of their levels
INK, GREY = (40, 44, 52), (120, 126, 136)  # RGB of headings and of captions
TEXT, LINE = 14, 22  # pixels: font size, and height of a line of text
DISPLAY_PIXELS = 96  # about the width of an image in a figure
COLOURS_ALONE = "wholly transparent: the colours are taken as they are"  # a remark of `plain`
# The operation that turns a picture upright, by its EXIF orientation.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_EXIF_KEYS = {"exif", "xmp", "Raw profile type exif", "XML:com.adobe.xmp"}


def to_float(images):
    """Maps levels in [0, 255], a float tensor or array of any shape, to floats in [-1, 1]."""
    return images / HALF_RANGE - 1.0


def to_levels(images):
    """Maps floats in [-1, 1] to float levels in [0, 255]; the inverse of `to_float`."""
    return (images + 1.0) * HALF_RANGE


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Maps floats in [-1, 1] to the nearest uint8 levels; values outside the range are clipped."""
    return np.clip(np.rint(to_levels(np.asarray(images, np.float32))), 0, 255).astype(np.uint8)


def plain(
    picture: Image.Image,
    channels: int,
    *,
    white: int = DEEP_WHITE,
    remarks: Counter | None = None,
) -> Image.Image:
    """Converts any Pillow picture to an upright grey ("L") or "RGB" one.

    The camera's rotation (EXIF) is applied, transparency is laid on white, 16-bit and float levels
    are scaled to 8 bits, palettes and CMYK are converted. Opacity is ignored if it is 0 everywhere:
    some programs write bitmaps whose fourth byte means nothing.

    Args:
        picture: an opened picture; of animations the first frame is taken.
        channels: 1 for grey, 3 for RGB.
        white: the level of a 16-bit picture that is white.
        remarks: counts unusual pictures, by a remark such as `COLOURS_ALONE`.
    """
    picture.load()  # finds EXIF behind the pixels of PNG files, and turns TIFF files upright
    turn = _TURNS.get(orientation(picture))
    if turn is not None:
        picture = picture.transpose(turn)
    mode = "L" if channels == 1 else "RGB"
    if picture.mode == mode and "transparency" not in picture.info:
        return picture
    if picture.mode.startswith(("I", "F")):
        picture = _eight_bits(picture, white)
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        *colours, opacity = picture.getextrema()
        if opacity == (0, 0) and any(low < high for low, high in colours):
            picture.putalpha(255)
            if remarks is not None:
                remarks[COLOURS_ALONE] += 1
        paper = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(paper, picture)
    return picture.convert(mode)


def orientation(picture: Image.Image) -> int:
    """Returns the EXIF orientation: 1 (upright) to 8; with 5 to 8 the picture lies on its side."""
    if picture.format == "TIFF" or not _EXIF_KEYS & picture.info.keys():
        return 1  # reading EXIF takes longer than resizing a small picture
    try:
        value = picture.getexif().get(0x0112, 1)
    except (SyntaxError, ValueError, TypeError, LookupError, OSError, struct.error):
        return 1  # the EXIF data are damaged, not the picture
    return value if value in _TURNS else 1


def white_level(highest: int) -> int:
    """Returns the level that is white in a 16-bit picture whose highest level is `highest`.

    It is the largest number of 8, 10, 12, 14 or 16 bits: not all cameras and scanners use all 16.
    """
    return next((2**bits - 1 for bits in (8, 10, 12, 14) if highest < 2**bits), DEEP_WHITE)


def _eight_bits(picture: Image.Image, white: int) -> Image.Image:
    """Scales 16-bit, 32-bit or float grey levels to 8 bits; Pillow itself would clip them."""
    levels = np.nan_to_num(np.asarray(picture, np.float32))
    if picture.mode.startswith("I"):
        levels = levels * (255.0 / white)  # whole numbers are 16-bit in every format read here
    elif levels.max(initial=0.0) <= 1.0:
        levels = levels * 255.0  # float pictures are in [0, 1] by convention
    return Image.fromarray(np.clip(np.rint(levels), 0, 255).astype(np.uint8))


def crop_and_resize(
    picture: Image.Image,
    height: int,
    width: int,
    *,
    crop: bool = True,
    crop_height: int | None = None,
    crop_width: int | None = None,
) -> np.ndarray:
    """Resizes an "L" or "RGB" picture to uint8 [height, width, channels], antialiased.

    Shrinking uses Pillow's Hamming filter: as sharp as its bicubic, at two thirds of the time.

    Args:
        picture: made by `plain`.
        height, width: of the result.
        crop: whether to keep the aspect ratio by cutting out the centre; else the whole picture is
            squeezed.
        crop_height, crop_width: the box cut out of the centre, in pixels of the picture; a square
            if only one is given. If the picture is smaller, the box shrinks at the same aspect
            ratio; if both are None, it is the largest box of the result's aspect ratio.
    """
    box = (0, 0, *picture.size)
    if crop:
        exact = bool(crop_height or crop_width)
        box_height, box_width = crop_height or crop_width, crop_width or crop_height
        box = _centre_box(picture.size, box_height or height, box_width or width, exact)
    if picture.size != (width, height) or box != (0, 0, width, height):
        shrinks = box[2] - box[0] >= width and box[3] - box[1] >= height
        method = Image.Resampling.HAMMING if shrinks else Image.Resampling.BICUBIC
        picture = picture.resize((width, height), method, box=box)
    # The same as np.asarray(picture), in half the time.
    return np.frombuffer(picture.tobytes(), np.uint8).reshape(height, width, -1)


def _centre_box(size: tuple[int, int], height: int, width: int, exact: bool) -> tuple:
    """Returns the centre box (left, top, right, bottom) of this ratio; if `exact`, of this size."""
    scale = min(size[0] / width, size[1] / height)
    if exact and scale >= 1:
        scale = 1.0
    left, top = (size[0] - width * scale) / 2, (size[1] - height * scale) / 2
    if exact and scale == 1.0:
        left, top = int(left), int(top)  # whole pixels: nothing is blurred
    # Rounding may leave the box a hair outside the picture, which Pillow refuses.
    right, bottom = min(left + width * scale, size[0]), min(top + height * scale, size[1])
    return (max(left, 0), max(top, 0), right, bottom)


def grid(images: np.ndarray, *, columns: int | None = None, margin: int = 1) -> np.ndarray:
    """Puts images into a grid, row by row, on white.

    Args:
        images: uint8 [N, H, W, C], N >= 1.
        columns: number of images in a row; None for a grid that is as square as possible.
        margin: white pixels between images; 1 in the grids of runs, which comparisons cut up.

    Returns:
        uint8 [rows * (H + margin) - margin, columns * (W + margin) - margin, C].
    """
    count, height, width, channels = images.shape
    columns = min(columns or math.ceil(math.sqrt(count)), count)
    rows = math.ceil(count / columns)
    shape = (rows * (height + margin), columns * (width + margin), channels)
    canvas = np.full(shape, 255, np.uint8)
    for i, image in enumerate(images):
        top, left = i // columns * (height + margin), i % columns * (width + margin)
        canvas[top : top + height, left : left + width] = image
    return canvas[: rows * (height + margin) - margin, : columns * (width + margin) - margin]


def natural_scale(height: int, width: int) -> int:
    """Returns how many times to enlarge an image to about `DISPLAY_PIXELS`, at least 1."""
    return max(1, round(DISPLAY_PIXELS / max(height, width)))


def enlarge(pictures: np.ndarray, scale: int) -> np.ndarray:
    """Repeats each pixel of uint8 [N, height, width, channels] `scale` times in both directions."""
    return pictures.repeat(scale, 1).repeat(scale, 2)


class Cell(NamedTuple):
    """A place in a labelled grid."""

    picture: np.ndarray | None = None  # uint8 [height, width, 1 or 3]; None for a heading
    caption: str = ""  # the text below it, in Latin letters


def labelled_grid(rows: Sequence[Sequence[Cell]], *, gap: int = 6) -> np.ndarray:
    """Draws pictures of any sizes in rows and columns, on white, each above its caption.

    A column is as wide as its widest picture or caption. The picture of a cell may be a grid.
    Shorter rows end in empty cells; `gap` white pixels are around each cell.

    Returns:
        uint8 [height, width, 3].
    """
    pen = ImageDraw.Draw(Image.new("RGB", (1, 1)))

    def size(cell: Cell) -> tuple[int, int]:
        height, width = (0, 0) if cell.picture is None else cell.picture.shape[:2]
        return height, max(width, math.ceil(pen.textlength(cell.caption, font_size=TEXT)))

    sizes = [[size(cell) for cell in row] for row in rows]
    heights = [max(height for height, _ in row) for row in sizes]
    widths = [max(w for _, w in column) for column in zip_longest(*sizes, fillvalue=(0, 0))]
    lines = [LINE * any(cell.caption for cell in row) for row in rows]
    side = sum(widths) + gap * (len(widths) + 1), sum(heights + lines) + gap * (len(rows) + 1)
    sheet = Image.new("RGB", side, "white")
    pen, top = ImageDraw.Draw(sheet), gap
    for row, height, line in zip(rows, heights, lines, strict=True):
        left = gap
        for cell, width in zip(row, widths, strict=False):
            if cell.picture is not None:
                tall, wide = cell.picture.shape[:2]
                place = left + (width - wide) // 2, top + (height - tall) // 2
                sheet.paste(to_pillow(cell.picture).convert("RGB"), place)
            under = left + width // 2, top + height + 4
            colour = INK if cell.picture is None else GREY
            pen.text(under, cell.caption, colour, anchor="mt", font_size=TEXT)
            left += width + gap
        top += height + line + gap
    return np.asarray(sheet)


def to_pillow(image: np.ndarray) -> Image.Image:
    """Makes a Pillow picture, "L" or "RGB", of uint8 [height, width, 1 or 3]."""
    return Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)


def png_bytes(image: np.ndarray, *, comment: str = "") -> bytes:
    """Encodes uint8 [height, width, 1 or 3] as a PNG file; the comment is ASCII."""
    buffer = io.BytesIO()
    notes = PngImagePlugin.PngInfo()
    if comment:
        notes.add_text("Comment", comment)
    to_pillow(image).save(buffer, "PNG", optimize=False, pnginfo=notes)
    return buffer.getvalue()


def read_png(path: str | os.PathLike) -> np.ndarray:
    """Reads a PNG file of this project as uint8 [height, width, channels]."""
    array = iio.imread(path, plugin="pillow")
    return array[..., np.newaxis] if array.ndim == 2 else array


def gif_bytes(
    frames: Sequence[np.ndarray], *, seconds: float = 0.1, hold: float = 2.0, comment: str = ""
) -> bytes:
    """Encodes frames as a GIF that repeats endlessly.

    All frames share one palette, which does not flicker, and takes a thirtieth of the time of one
    palette per frame.

    Args:
        frames: uint8 [height, width, channels], all of one shape, at least one.
        seconds: how long each frame is shown, at least 0.02 (browsers slow down shorter ones).
        hold: how long the last frame is shown, in seconds.
        comment: ASCII, written into the file.
    """
    if frames[0].shape[-1] == 1:
        pictures = [Image.fromarray(frame[..., 0]) for frame in frames]  # 256 greys need no palette
    else:
        palette = _palette(frames)
        pictures = [  # no dithering: its noise flickers, and compresses badly
            Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE)
            for frame in frames
        ]
    durations = [round(seconds * 1000)] * (len(pictures) - 1) + [round(hold * 1000)]
    buffer = io.BytesIO()
    pictures[0].save(
        buffer,
        "GIF",
        save_all=True,
        append_images=pictures[1:],
        duration=durations if len(pictures) > 1 else durations[0],  # Pillow wants a number for one
        loop=0,
        **({"comment": comment.encode("ascii")} if comment else {}),
    )
    return buffer.getvalue()


def even_indices(count: int, most: int) -> np.ndarray:
    """Returns evenly spaced indices of `count` things, at most `most`, with the first and last."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(int)


def _palette(frames: Sequence[np.ndarray]) -> Image.Image:
    """Chooses 255 colours for all frames from a part of their pixels.

    The 256th is left to Pillow, for pixels that do not change.
    """
    parts = [frames[i][::3, ::3] for i in even_indices(len(frames), 32)]
    return Image.fromarray(np.concatenate(parts)).quantize(255)
