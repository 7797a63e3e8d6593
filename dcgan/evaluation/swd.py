"""The sliced Wasserstein distance of image patches at several scales; it needs no network.

Karras et al. 2018, "Progressive growing of GANs" (arXiv 1710.10196), section 5: a Laplacian pyramid
of each image (Burt and Adelson 1983), patches of 7 x 7 pixels from random places of each level, the
patches of a level normalized by the mean and deviation of each channel, and the mean over random
directions of the one-dimensional Wasserstein-1 distance along them, times 1000. The fine levels
compare texture, the coarsest the composition. The distance falls as the number of images rises:
compare only distances of equally many images.
"""

from collections.abc import Iterator

import numpy as np
from scipy.ndimage import correlate1d

from dcgan.evaluation.intervals import GROUPS, Estimate, groups, of_groups

VERSION = 1  # increase it when the same images give another distance or interval
PATCHES = 128  # patches of an image
MOST_PATCHES = 1 << 18  # patches of a sample: of more than 2,048 images, each gives fewer
DIRECTIONS = 512
FEWER_DIRECTIONS = 64  # directions for the groups that give the interval
BLOCK = 256  # images processed at a time
AT_ONCE = 32  # directions processed at a time
# The least shorter side of a level. The paper stops at 16, which is the same for powers of two;
# with 12, sides of 28 and 48 get two and three levels.
COARSEST = 12
_BINOMIAL = np.array([1, 4, 6, 4, 1]) / 16


def levels(height: int, width: int) -> list[tuple[int, int]]:
    """Returns (height, width) of the pyramid's levels, finest first; halved and rounded up."""
    sizes = [(height, width)]
    while (min(sizes[-1]) + 1) // 2 >= COARSEST:
        sizes.append(tuple((side + 1) // 2 for side in sizes[-1]))
    return sizes


def swd(real: np.ndarray, fake: np.ndarray, *, seed: int = 0) -> Estimate:
    """Computes the mean of the levels' distances, which are its `parts`, as {"64x64": ...}.

    Images are uint8 [N, H, W, C] and [M, H, W, C], at least ten. The seed is that of patches,
    directions, and the groups that give the interval.
    """
    total = min(PATCHES * min(len(real), len(fake)), MOST_PATCHES)
    whole = distances(real, fake, total=total, seed=seed, directions=DIRECTIONS)
    dealt = zip(groups(real, seed), groups(fake, seed), strict=True)
    less = {"total": total // GROUPS, "seed": seed, "directions": FEWER_DIRECTIONS}
    values = [distances(reals, fakes, **less).mean() for reals, fakes in dealt]
    found = of_groups(float(whole.mean()), values, least=0.0)
    sizes = [f"{height}x{width}" for height, width in levels(*real.shape[1:3])]
    parts = dict(zip(sizes, whole.tolist(), strict=True))
    return Estimate(found.value, found.low, found.high, found.interval, parts)


def distances(
    real: np.ndarray, fake: np.ndarray, *, total: int, seed: int, directions: int
) -> np.ndarray:
    """Computes the distance on each level, finest first, times 1000.

    From each sample it takes `total` patches on every level, spread evenly over the images.
    """
    random = np.random.default_rng(seed)
    # Patches of both samples are from the same places, so that equal images have distance 0.
    places = [
        [random.integers(0, side - 6, total) for side in size] for size in levels(*real.shape[1:3])
    ]
    both = zip(_patches(real, places), _patches(fake, places), strict=True)
    found = [
        sliced_wasserstein(one, other, random=random, directions=directions) for one, other in both
    ]
    return 1000 * np.array(found)


def sliced_wasserstein(
    one: np.ndarray, other: np.ndarray, *, random: np.random.Generator, directions: int
) -> float:
    """Computes the mean Wasserstein-1 distance of [P, D] and [P, D] along random directions.

    In one dimension it is the mean absolute difference of the sorted values (Rabin et al. 2011).
    """
    ways = random.normal(size=(directions, one.shape[1]))
    ways = (ways / np.linalg.norm(ways, axis=1, keepdims=True)).astype(np.float32)
    sums = 0.0
    for start in range(0, directions, AT_ONCE):
        some = ways[start : start + AT_ONCE]
        difference = np.sort(some @ one.T, 1) - np.sort(some @ other.T, 1)
        sums += np.abs(difference).sum(dtype=np.float64)
    return sums / directions / len(one)


def _patches(images: np.ndarray, places: list) -> list[np.ndarray]:
    """Cuts normalized patches for each level, float32 [P, C * 49], spread evenly over the images.

    `places` has the rows and columns of their upper left corners for each level, int [P] each.
    """
    total, channels = len(places[0][0]), images.shape[3]
    owners = np.arange(total) * len(images) // total
    found = [np.empty((total, channels, 7, 7), np.float32) for _ in places]
    for start in range(0, len(images), BLOCK):
        block = np.asarray(images[start : start + BLOCK], np.float32)
        some = slice(*np.searchsorted(owners, [start, start + len(block)]))
        for pixels, (tops, lefts), patches in zip(pyramid(block), places, found, strict=True):
            windows = np.lib.stride_tricks.sliding_window_view(pixels, (7, 7), (1, 2))
            patches[some] = windows[owners[some] - start, tops[some], lefts[some]]
    return [_normalize(patches) for patches in found]


def _normalize(patches: np.ndarray) -> np.ndarray:
    """Standardizes each channel over all patches, in place: [P, C, 7, 7] -> [P, C * 49]."""
    for channel in range(patches.shape[1]):
        values = patches[:, channel]
        values -= values.mean(dtype=np.float64)
        deviation = np.sqrt(np.square(values).mean(dtype=np.float64))
        values /= deviation or 1.0  # patches of one colour stay 0
    return patches.reshape(len(patches), -1)


def pyramid(images: np.ndarray) -> Iterator[np.ndarray]:
    """Yields the levels of the Laplacian pyramid of float32 images [N, H, W, C], finest first.

    Each is the image minus its enlarged half-size version; the last is the smallest version itself.
    """
    for _ in levels(*images.shape[1:3])[1:]:
        half = images
        for axis in (1, 2):
            half = _every_second(_smooth(half, axis), axis)
        enlarged = half
        for axis in (1, 2):
            enlarged = _enlarge(enlarged, axis, images.shape[axis])
        yield images - enlarged
        images = half
    yield images


def _smooth(images: np.ndarray, axis: int) -> np.ndarray:
    """Applies the binomial filter along an axis, mirrored at the edges."""
    return correlate1d(images, _BINOMIAL, axis, mode="mirror")


def _every_second(images: np.ndarray, axis: int) -> np.ndarray:
    return images[:, ::2] if axis == 1 else images[:, :, ::2]


def _enlarge(images: np.ndarray, axis: int, side: int) -> np.ndarray:
    """Enlarges to `side` along an axis: fills every second place, and smooths."""
    shape = list(images.shape)
    shape[axis] = side
    sparse = np.zeros(shape, np.float32)
    _every_second(sparse, axis)[...] = 2 * images  # half of the filter's weight falls on zeros
    return _smooth(sparse, axis)
