"""Pictures of several seeds: parses lists of seeds, and makes PNG grids and GIFs."""

import numpy as np
from PIL import Image

from dcgan import UserError, images
from dcgan.latent.seeds import TooManySeeds, parse_seeds
from dcgan.serving.errors import RequestError

# Of the explorer's first grid: pictures of the seeds from 0, and pictures per row. The explorer's
# renderer.js has the same numbers.
FIRST_GRID_IMAGES, FIRST_GRID_COLUMNS = 48, 8


def read_seeds(text: str, limit: int) -> list[int]:
    """Parses a list of seeds such as 1,5,9-20; they may be negative.

    Raises:
        RequestError: 400, the text is not such a list; 413, there are more than the limit.
    """
    if text.count(",") >= limit:  # refused before parsing: each part holds at least one seed
        raise RequestError(f"seeds must be 1 to {limit:,} seeds; received more: give fewer.", 413)
    try:
        return parse_seeds(text, flag="seeds", at_most=limit, negative=True)
    except TooManySeeds as error:
        raise RequestError(str(error), 413) from error
    except UserError as error:
        raise RequestError(str(error)) from error


def png(faces: np.ndarray, columns: int | None, margin: int) -> bytes:
    """Makes a PNG of pictures side by side, uint8 or float in [-1, 1]; see `images.grid`."""
    return images.png_bytes(images.grid(_levels(faces), columns=columns, margin=margin))


def resized_png(faces: np.ndarray, size: int, resampling: str) -> bytes:
    """Makes a PNG of the first picture, whose longer side gets `size` pixels.

    `faces` are as of `png`; `resampling` is nearest or bicubic.
    """
    face = _levels(faces)[0]
    sides = [max(1, round(size * side / max(face.shape[:2]))) for side in face.shape[1::-1]]
    levels = np.asarray(images.to_pillow(face).resize(sides, Image.Resampling[resampling.upper()]))
    return images.png_bytes(levels.reshape(*levels.shape[:2], -1))


def gif(frames: np.ndarray) -> bytes:
    """Makes an endless GIF, there and back, of [N, H, W, C], uint8 or float in [-1, 1]."""
    frames = _levels(frames)
    return images.gif_bytes([*frames, *frames[-2:0:-1]], seconds=0.06, hold=0.06)


def _levels(faces: np.ndarray) -> np.ndarray:
    return faces if faces.dtype == np.uint8 else images.to_uint8(faces)
