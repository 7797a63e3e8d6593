"""training.gif: how the sample grid changed, made from the PNG files of a run.

Only pictures are read; one that cannot be read is left out with a warning, never an error.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dcgan import files, images
from dcgan.outputs.report.pictures import read

logger = logging.getLogger("dcgan")

LAST_FRAME_SECONDS = 2.0


def make_gif(
    frames: Sequence[Path],
    target: Path,
    *,
    max_frames: int = 60,
    seconds: float = 0.1,
    max_side: int = 520,
) -> None:
    """Writes an endless GIF whose last frame stays for two seconds.

    If no frame can be read, it warns and writes nothing.

    Args:
        frames: PNG files in order of time; those whose shape is not that of most are left out.
        target: the file to write; replaced whole.
        max_frames: largest number of frames, at least 1; of more files, evenly spaced ones are
            taken, the last always. Noisy grids of 519 x 519 pixels take 0.3 MB a frame.
        seconds: how long each frame is shown.
        max_side: larger frames are scaled down so that their longer side is this many pixels. The
            default leaves the usual grid of 8 x 8 images of 64 pixels (519 with margins) untouched:
            resampling it by a few pixels would only blur it.
    """
    found = [(path, read(path, "animation")) for path in _thin(frames, max_frames)]
    pictures = _same_shape([one for one in found if one[1] is not None])
    if not pictures:
        logger.warning("Wrote no %s: none of %d sample grids could be read.", target, len(frames))
        return
    small = [_scale_down(picture, max_side) for picture in pictures]
    data = images.gif_bytes(small, seconds=seconds, hold=LAST_FRAME_SECONDS)
    files.write_bytes(target, data)


def _thin(frames: Sequence[Path], count: int) -> list[Path]:
    """Returns `count` evenly spaced frames, with the first and the last; if one, the last."""
    if len(frames) <= count:
        return list(frames)
    if count == 1:
        return [frames[-1]]
    return [frames[i] for i in np.linspace(0, len(frames) - 1, count).round().astype(int)]


def _same_shape(pictures: Sequence[tuple[Path, np.ndarray]]) -> list[np.ndarray]:
    if not pictures:
        return []
    shape = Counter(array.shape for _, array in pictures).most_common(1)[0][0]
    for path, array in pictures:
        if array.shape != shape:
            logger.warning(
                "Left %s out of the animation: its shape is %s, that of most is %s.",
                path,
                array.shape,
                shape,
            )
    return [array for _, array in pictures if array.shape == shape]


def _scale_down(array: np.ndarray, max_side: int) -> np.ndarray:
    """Scales uint8 [height, width, channels] to sides of at most `max_side`, antialiased."""
    height, width = array.shape[:2]
    scale = max_side / max(height, width)
    if scale >= 1:
        return array
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    return images.fit(images.to_pillow(array), *size, crop=False)
