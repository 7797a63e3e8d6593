"""Embeds pictures in HTML as data: URLs of limited size.

Pictures that fit are kept without loss; others are compressed with loss, then scaled down. Every
`max_bytes` counts the bytes before base64, which adds a third.
"""

import base64
import io
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from dcgan import images

QUALITIES = (92, 84, 75)  # of WebP, tried in this order
MAX_FRAMES = 24  # grids that are embedded
MIN_FRAMES = 8  # embedded even if each must be scaled down for it
FRAME_SECONDS = 0.25  # 24 frames last 6 s, as the 60 of training.gif do with 0.1 s each
MAX_SIDE = 1600  # pixels; browsers show no more of a grid, and WebP ends at 16,383

logger = logging.getLogger("dcgan")


@dataclass(frozen=True)
class EmbeddedPicture:
    """What an <img> needs."""

    data_url: str  # with the whole file
    width: int  # in pixels, before any scaling down
    height: int


def embed_picture(array: np.ndarray, *, max_bytes: int) -> EmbeddedPicture:
    """Embeds uint8 [height, width, 1 or 3] in `max_bytes`, or a few more if 32 x 32 take more."""
    height, width = array.shape[:2]
    return EmbeddedPicture(_data_url(_webp(array, max_bytes), "webp"), width, height)


def embed_row(cells: np.ndarray, *, max_bytes: int) -> EmbeddedPicture:
    """Embeds images side by side, uint8 [N, height, width, 1 or 3]; see `embed_picture`."""
    return embed_picture(images.grid(cells, columns=len(cells)), max_bytes=max_bytes)


def _webp(array: np.ndarray, max_bytes: int) -> bytes:
    image = _image(array)
    if max(image.size) <= MAX_SIDE:
        data = _encode_webp(image, lossless=True)
        if len(data) <= max_bytes:
            return data
    while True:
        if max(image.size) <= MAX_SIDE:
            for quality in QUALITIES:
                data = _encode_webp(image, quality=quality)
                if len(data) <= max_bytes:
                    return data
        if max(image.size) <= 32:
            return data
        image = image.resize([max(1, side * 3 // 4) for side in image.size], Image.Resampling.BOX)


def _image(array: np.ndarray) -> Image.Image:
    return images.to_pillow(array).convert("RGB")


def _encode_webp(image: Image.Image, **how) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", **how)
    return buffer.getvalue()


def _data_url(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


def read_grids(grids: Sequence[Path]) -> list[tuple[int, np.ndarray]]:
    """Reads sample grids as (step, uint8 [height, width, channels]), `MAX_FRAMES` at most.

    Leaves out grids that cannot be read, with a warning, and those whose shape is not that of the
    last one, without a warning.
    """
    chosen = [grids[i] for i in images.even_indices(len(grids), MAX_FRAMES)]
    found = [
        (int(path.stem), array) for path in chosen if (array := read_or_warn(path)) is not None
    ]
    return [one for one in found if one[1].shape == found[-1][1].shape]


def read_or_warn(path: Path, out_of: str = "report") -> np.ndarray | None:
    """Reads our PNG file as uint8 [height, width, channels]; warns and returns None if it fails."""
    try:
        return images.read_png(path)
    # Pillow raises SyntaxError for a PNG file with broken chunks, ValueError for an empty text
    # chunk, and OSError for a file cut short.
    except (OSError, SyntaxError, ValueError) as error:
        logger.warning("Left %s out of the %s: it cannot be read (%s).", path, out_of, error)
        return None


def embed_frames(
    grids: Sequence[tuple[int, np.ndarray]], *, max_bytes: int
) -> list[tuple[int, EmbeddedPicture]]:
    """Embeds grids (step, uint8 [height, width, channels]) in `max_bytes` together.

    Takes fewer of them, evenly spaced, if they are large.
    """
    usual = len(_encode_webp(_image(grids[-1][1]), quality=QUALITIES[1]))
    count = min(len(grids), max(max_bytes // usual, MIN_FRAMES))
    chosen = [grids[i] for i in images.even_indices(len(grids), count)]
    return [(step, embed_picture(grid, max_bytes=max_bytes // count)) for step, grid in chosen]


@dataclass(frozen=True)
class GridAnimation:
    """The grids as an endless GIF."""

    gif: EmbeddedPicture  # all frames
    still: EmbeddedPicture  # the last frame
    images_per_side: int | None  # rows and columns that are left, at most; None if all are


def embed_animation(
    grids: Sequence[np.ndarray], cell: tuple[int, int], existing: Path, *, max_bytes: int
) -> GridAnimation:
    """Embeds training.gif itself if it is small enough, else a GIF of as many images as fit.

    Args:
        grids: uint8 [height, width, channels], in the order of time, at least one.
        cell: (height, width) of an image in them, without the line between two.
        existing: training.gif, which may be absent.
        max_bytes: of the GIF, and again of the still; a single image may take more.
    """
    if existing.exists() and existing.stat().st_size <= max_bytes:
        data = existing.read_bytes()
        with Image.open(io.BytesIO(data)) as gif:
            moving = EmbeddedPicture(_data_url(data, "gif"), *gif.size)
        return GridAnimation(moving, embed_picture(grids[-1], max_bytes=max_bytes), None)
    height, width = cell
    tall, wide = grids[-1].shape[:2]
    # Rows too: the grids of runs by class may have more of them than columns.
    most = side = max(1, math.ceil(tall / (height + 1)), math.ceil(wide / (width + 1)))
    while True:
        cut = [grid[: side * (height + 1) - 1, : side * (width + 1) - 1] for grid in grids]
        data = images.gif_bytes(cut, seconds=FRAME_SECONDS)
        if len(data) <= max_bytes or side == 1:
            break
        side = max(1, min(side - 1, int(side * math.sqrt(max_bytes / len(data)))))
    tall, wide = cut[-1].shape[:2]
    moving = EmbeddedPicture(_data_url(data, "gif"), wide, tall)
    return GridAnimation(
        moving, embed_picture(cut[-1], max_bytes=max_bytes), None if side == most else side
    )
