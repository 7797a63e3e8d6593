"""What may be wrong with generated pictures, at growing strength, by code of its own."""

from collections.abc import Callable

import numpy as np
from scipy import ndimage


def _levels(images: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(images), 0, 255).astype(np.uint8)


def blurred(images: np.ndarray, deviation: float) -> np.ndarray:
    """Of a normal distribution, in pixels."""
    return _levels(ndimage.gaussian_filter(images.astype(np.float32), (0, deviation, deviation, 0)))


def noisy(images: np.ndarray, deviation: float) -> np.ndarray:
    """In levels of 255."""
    return _levels(images + np.random.default_rng(1).normal(0, deviation, images.shape))


def checkered(images: np.ndarray, height: float) -> np.ndarray:
    """Every second pixel lighter by so many levels, the others darker."""
    rows, columns = np.indices(images.shape[1:3])
    return _levels(images + height * ((rows + columns) % 2 * 2 - 1)[np.newaxis, ..., np.newaxis])


def tinted(images: np.ndarray, shift: float) -> np.ndarray:
    """Red up by so many levels, green and blue down by half of it."""
    return _levels(images + shift * np.array([1.0, -0.5, -0.5]))


def dropped(pool: np.ndarray, lost: float, count: int) -> np.ndarray:
    """`count` different pictures, once this share, the least like one picture, is lost.

    Likeness is that of the colours of 8x8 parts.
    """
    small = pool.reshape(len(pool), 8, pool.shape[1] // 8, 8, pool.shape[2] // 8, -1).mean((2, 4))
    distances = np.square(small - small[0]).sum((1, 2, 3))
    kept = np.argsort(distances, kind="stable")[: round((1 - lost) * len(pool))]
    return pool[np.random.default_rng(2).choice(kept, count, replace=False)]


FAULTS: dict[str, tuple[Callable[[np.ndarray, float], np.ndarray], tuple[float, ...]]] = {
    "blur": (blurred, (0.6, 1.0, 1.8)),
    "noise": (noisy, (8, 16, 40)),
    "checkerboard": (checkered, (4, 10, 30)),
    "colour": (tinted, (10, 25, 60)),
}
LOST = (0.4, 0.7, 0.85)


def spoilt(images: np.ndarray, pool: np.ndarray) -> dict[str, list[np.ndarray]]:
    """By fault, the pictures with each strength of it, the first one with none.

    Args:
        images: uint8 [N, H, W, 3].
        pool: uint8 [M, H, W, 3], what is left of which must be more than N.
    """
    found = {
        name: [images, *(fault(images, strength) for strength in strengths)]
        for name, (fault, strengths) in FAULTS.items()
    }
    return found | {"dropped": [dropped(pool, lost, len(images)) for lost in (0.0, *LOST)]}
