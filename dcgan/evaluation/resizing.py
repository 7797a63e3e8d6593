"""The one resize of evaluation: bicubic with antialiasing, in float32, channel by channel.

Parmar et al. 2022, "On aliased resizing and surprising subtleties in GAN evaluation" (arXiv
2104.11222): libraries that shrink without antialiasing, or round to integers afterwards, change FID
by several points. So images are resized only by this file, in the way of the authors' clean-fid:
by Pillow, whose filter grows with the factor, without rounding.
"""

import numpy as np
from PIL import Image

METHOD = "bicubic with antialiasing (Pillow, float32)"  # in records, which are compared by it


def resize(images: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resizes images [N, H, W, channels] with levels from 0 to 255; returns float32, not rounded.

    Images that have the size already are only converted.
    """
    levels = np.asarray(images, np.float32)
    count, old_height, old_width, channels = levels.shape
    if (old_height, old_width) == (height, width):
        return levels
    result = np.empty((count, height, width, channels), np.float32)
    for i in range(count):
        for channel in range(channels):
            picture = Image.fromarray(np.ascontiguousarray(levels[i, :, :, channel]))  # mode "F"
            small = picture.resize((width, height), Image.Resampling.BICUBIC)
            result[i, :, :, channel] = small
    # Bicubic filters overshoot near edges.
    return np.clip(result, 0.0, 255.0, out=result)


def shrink(height: int, width: int, longest: int) -> tuple[int, int]:
    """Returns the size, reduced in proportion if a side is above `longest`."""
    factor = min(1.0, longest / max(height, width))
    return max(1, round(height * factor)), max(1, round(width * factor))


def in_words(old: tuple[int, int], new: tuple[int, int]) -> str:
    """Describes for records how images of one size (height, width) are resized to another."""
    return "none" if old == new else f"to {new[0]}x{new[1]}, {METHOD}"
