"""Encodes a walk in latent space as an animation or a strip: a GIF, MP4 or PNG file."""

import imageio.v3 as iio
import numpy as np

from dcgan import extras, images
from dcgan.images import enlarge

HOLD_SECONDS = 1.0  # for which a walk that does not loop shows its last image
FFMPEG_QUALITY = 8  # of 10


def gif(frames: np.ndarray, *, fps: int, loop: bool, scale: int, comment: str) -> bytes:
    """Encodes uint8 [N, height, width, channels] as an endless GIF, at most 50 frames a second.

    Args:
        loop: whether the first frame follows the last one at once.
        scale: how many times to enlarge the pixels.
    """
    seconds = 1 / fps
    hold = seconds if loop else HOLD_SECONDS
    large = list(enlarge(frames, scale))
    return images.gif_bytes(large, seconds=seconds, hold=hold, comment=comment)


def require_mp4() -> None:
    extras.require("An .mp4 file (a .gif needs nothing)", "video", "imageio_ffmpeg")


def mp4(frames: np.ndarray, *, fps: int, scale: int, comment: str) -> bytes:
    """Encodes an H.264 film, which every browser and phone plays; see `gif` for the arguments."""
    require_mp4()
    return iio.imwrite(
        "<bytes>",
        (_even(enlarge(frame[np.newaxis], scale)[0]) for frame in frames),
        is_batch=True,
        plugin="FFMPEG",
        extension=".mp4",
        fps=fps,
        quality=FFMPEG_QUALITY,
        macro_block_size=2,  # H.264 with subsampled colours needs even sides
        ffmpeg_log_level="error",
        output_params=["-metadata", f"comment={comment}"],
    )


def _even(frame: np.ndarray) -> np.ndarray:
    """Makes a frame RGB with even sides: repeats the last line of pixels of an odd side."""
    height, width, channels = frame.shape
    frame = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return frame.repeat(3 // channels, 2)


def strip(frames: np.ndarray, per_leg: int, *, loop: bool, scale: int, comment: str) -> bytes:
    """Draws one row from each seed to the next, with both ends, as Radford et al. 2015, figure 4.

    Args:
        frames: made by `paths.walk`; `per_leg` is its `frames`. See `gif` for the others.
    """
    if loop:
        frames = np.concatenate([frames, frames[:1]])
    starts = range(0, len(frames) - 1, per_leg)
    rows = np.concatenate([frames[start : start + per_leg + 1] for start in starts])
    grid = images.grid(rows, columns=per_leg + 1)
    return images.png_bytes(enlarge(grid[np.newaxis], scale)[0], comment=comment)
