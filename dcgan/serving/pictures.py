"""Pictures of several seeds: which seeds, how many, and a way there and back as a GIF."""

import re

import numpy as np

from dcgan import images
from dcgan.serving.limits import RequestError

INT64 = (-(1 << 63), (1 << 63) - 1)


def read_seeds(text: str, limit: int) -> list[int]:
    """Seeds from "1,5,9-20": numbers and ranges, both ends included.

    Args:
        text: what the client wrote.
        limit: the most seeds.

    Raises:
        RequestError: 400, it is no such list; 413, there are too many.
    """
    ranges = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(-?[0-9]{1,19})(?:-(-?[0-9]{1,19}))?\s*", part)
        if not match:
            raise RequestError(
                400, f"Expected seeds such as 1,5,9-20; received {part[:40]!r} among them."
            )
        first = int(match[1])
        last = int(match[2]) if match[2] else first
        if last < first:
            raise RequestError(400, f"Expected a range that goes up; received {part}.")
        if first < INT64[0] or last > INT64[1]:
            raise RequestError(400, f"Expected seeds of 64 bits; received {part}.")
        ranges.append(range(first, last + 1))
    count = sum(one.stop - one.start for one in ranges)  # len() ends at 64 bits
    if count > limit:
        raise RequestError(413, f"{count:,} seeds; the limit is {limit:,} a request.")
    return [seed for one in ranges for seed in one]


def gif(frames: np.ndarray) -> bytes:
    """Frames uint8 [N, height, width, channels] as an endless GIF that goes there and back."""
    back = frames[-2:0:-1]
    return images.gif_bytes([*frames, *back], seconds=0.06, hold=0.06)
