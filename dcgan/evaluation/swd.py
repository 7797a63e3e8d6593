"""The sliced Wasserstein distance of patches, at each scale: needs no network.

Karras et al. 2018, "Progressive growing of GANs" (arXiv 1710.10196), section 5: a Laplacian pyramid
of each image (Burt and Adelson 1983), patches of 7 x 7 pixels from random places of each level, the
patches of a level normalized by the mean and deviation of each channel, and the mean over random
directions of the one-dimensional Wasserstein-1 distance along them, times 1000. The fine levels
compare texture, the coarsest the composition. It falls with the number of images: compare only
figures of equal numbers.
"""

from collections.abc import Iterator

import numpy as np
from scipy.ndimage import correlate1d

from dcgan.evaluation.intervals import GROUPS, Estimate, groups, of_groups

VERSION = 1  # raised when the same images give another distance or interval
PATCHES = 128  # of an image
MOST_PATCHES = 1 << 18  # of a sample: beyond 2,048 images, each gives fewer
DIRECTIONS = 512
FEWER_DIRECTIONS = 64  # for the groups that give the interval
BLOCK = 256  # images whose pyramids are at hand
AT_ONCE = 32  # directions
# Levels go on as long as the shorter side has as many pixels. The paper stops at 16; for powers of
# two that is the same, and sides of 28 and 48 get two and three levels.
COARSEST = 12
_BINOMIAL = np.array([1, 4, 6, 4, 1]) / 16


def levels(height: int, width: int) -> list[tuple[int, int]]:
    """The sizes of the pyramid's levels, the finest first: halved, rounded up."""
    sizes = [(height, width)]
    while (min(sizes[-1]) + 1) // 2 >= COARSEST:
        sizes.append(tuple((side + 1) // 2 for side in sizes[-1]))
    return sizes


def swd(real: np.ndarray, fake: np.ndarray, *, seed: int = 0) -> Estimate:
    """The mean of the levels' distances; they are its `parts`, as {"64x64": ...}.

    Of uint8 [N, H, W, C] and [M, H, W, C], at least 1 in each of ten groups. The seed is of
    patches, directions, and the groups that give the interval.
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
    """The distance on each level, the finest first, times 1000.

    Of `total` patches of each sample on a level, spread evenly over the images.
    """
    random = np.random.default_rng(seed)
    # Both samples are looked at in the same places, so that equal images have distance 0.
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
    """The mean Wasserstein-1 distance along random directions: [P, D], [P, D] -> a number.

    In one dimension it is the mean difference of the sorted values (Rabin et al. 2011).
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
    """Normalized patches float32 [P, C * 49] for each level, spread evenly over the images.

    `places` are for each level the upper left corners, int [P] and int [P].
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
    """Each channel less its mean, divided by its deviation: [P, C, 7, 7] -> [P, C * 49]."""
    for channel in range(patches.shape[1]):
        values = patches[:, channel]
        values -= values.mean(dtype=np.float64)
        deviation = np.sqrt(np.square(values).mean(dtype=np.float64))
        values /= deviation or 1.0  # patches of one colour stay 0
    return patches.reshape(len(patches), -1)


def pyramid(images: np.ndarray) -> Iterator[np.ndarray]:
    """The Laplacian pyramid of float32 images [N, H, W, C], the finest level first.

    Each level is the difference between the image, halved again and again, and its next halving
    enlarged; the last one is what remains.
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
    """The binomial filter along an axis, mirrored at the edges."""
    return correlate1d(images, _BINOMIAL, axis, mode="mirror")


def _every_second(images: np.ndarray, axis: int) -> np.ndarray:
    return images[:, ::2] if axis == 1 else images[:, :, ::2]


def _enlarge(images: np.ndarray, axis: int, side: int) -> np.ndarray:
    """To `side` along an axis: every second place is known, those between are smoothed."""
    shape = list(images.shape)
    shape[axis] = side
    sparse = np.zeros(shape, np.float32)
    _every_second(sparse, axis)[...] = 2 * images  # half of the filter's weight meets known places
    return _smooth(sparse, axis)
