"""training.gif: how the sample grid changed, made from the PNG files of a run.

Only pictures are read; one that cannot be read is left out with a warning, never an error.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dcgan import files, images
from dcgan.outputs.report.pictures import read_or_warn

logger = logging.getLogger("dcgan")

FRAME_SECONDS, LAST_FRAME_SECONDS = 0.1, 2.0
MAX_FRAMES = 60  # noisy grids of 519 x 519 pixels take 0.3 MB a frame
# Pixels of a side. The usual grid of 8 x 8 images of 64 pixels (519 with margins) stays untouched:
# resampling it by a few pixels would only blur it.
MAX_SIDE = 520


def make_gif(frames: Sequence[Path], target: Path) -> None:
    """Writes an endless GIF whose last frame stays for two seconds.

    If no frame can be read, it warns and writes nothing.

    Args:
        frames: PNG files in order of time; those whose shape is not that of most are left out. Of
            more than `MAX_FRAMES`, evenly spaced ones are taken, with the first and the last.
        target: the file to write; replaced whole.
    """
    chosen = [frames[i] for i in images.even_indices(len(frames), MAX_FRAMES)]
    read = {path: read_or_warn(path, "animation") for path in chosen}
    found = {path: array for path, array in read.items() if array is not None}
    if not found:
        logger.warning("Wrote no %s: none of %d sample grids could be read.", target, len(frames))
        return
    shape = Counter(array.shape for array in found.values()).most_common(1)[0][0]
    for path, array in found.items():
        if array.shape != shape:
            logger.warning(
                "Left %s out of the animation: its shape is %s, that of most is %s.",
                *(path, array.shape, shape),
            )
    small = [_scale_down(array) for array in found.values() if array.shape == shape]
    data = images.gif_bytes(small, seconds=FRAME_SECONDS, hold=LAST_FRAME_SECONDS)
    files.write_bytes(target, data)


def _scale_down(array: np.ndarray) -> np.ndarray:
    """Scales uint8 [height, width, channels] to sides of at most `MAX_SIDE`, antialiased."""
    height, width = array.shape[:2]
    scale = MAX_SIDE / max(height, width)
    if scale >= 1:
        return array
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    return images.crop_and_resize(images.to_pillow(array), *size, crop=False)
