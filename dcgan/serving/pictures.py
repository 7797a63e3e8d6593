"""Pictures of several seeds: which seeds, how many, and a way there and back as a GIF."""

import numpy as np

from dcgan import UserError, images
from dcgan.seeds import TooManySeeds, parse_seeds
from dcgan.serving.refusals import RequestError


def read_seeds(text: str, limit: int) -> list[int]:
    """Seeds of a list such as 1,5,9-20, negative ones too.

    Args:
        text: what the client wrote.
        limit: the most seeds.

    Raises:
        RequestError: 400, it is no such list; 413, there are too many.
    """
    try:
        return parse_seeds(text, flag="seeds", at_most=limit, negative=True)
    except TooManySeeds as error:
        raise RequestError(413, str(error)) from error
    except UserError as error:
        raise RequestError(400, str(error)) from error


def gif(frames: np.ndarray) -> bytes:
    """Frames uint8 [N, height, width, channels] as an endless GIF that goes there and back."""
    back = frames[-2:0:-1]
    return images.gif_bytes([*frames, *back], seconds=0.06, hold=0.06)
