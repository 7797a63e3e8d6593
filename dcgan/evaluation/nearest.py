"""Exact nearest neighbours by exhaustive search, in memory that does not grow with the images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from dcgan.evaluation.precision_recall import squared_distances
from dcgan.images import even_indices

BLOCK = 256  # images at a time
CROWD = 50  # number of nearest images that a distance is compared with (Carlini et al. 2023)
COPY = 0.5  # an image below this share of the crowd's mean distance may be a copy (the same paper)
REFERENCES = 64  # evenly chosen training images, whose nearest neighbours give the usual distance
NONE = -1  # stands for a row: no image is excluded


@dataclass(frozen=True)
class Space:
    """A way to compare images."""

    name: str  # for messages and files
    unit: str  # what a distance means
    embed: Callable[[np.ndarray], np.ndarray]  # uint8 images [N, height, width, channels] -> [N, D]
    scale: float = 1.0  # squared distances are divided by it before the root is taken


def pixel_space(shape: tuple[int, int, int]) -> Space:
    """Compares pixels by the root mean square difference, in levels from 0 to 255."""
    return Space(
        "pixels",
        "root mean square difference in levels, from 0 to 255",
        lambda images: images.reshape(len(images), -1).astype(np.float64),
        float(np.prod(shape)),
    )


def feature_space(features: Callable[[np.ndarray], np.ndarray]) -> Space:
    """Compares features [N, D], scaled to length 1 for each image; distances are from 0 to 2."""

    def embed(images: np.ndarray) -> np.ndarray:
        found = np.asarray(features(images), np.float64)
        return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)

    return Space("features", "distance of the discriminator's features of length 1, 0 to 2", embed)


@dataclass(frozen=True)
class NearestImages:
    """The training images that are nearest to Q images in one space."""

    rows: np.ndarray  # int [Q, k], nearest first
    mirrored: np.ndarray  # bool [Q, k], whether the mirrored image is the nearer one
    distances: np.ndarray  # float [Q, k]
    # float [Q], the distance of the nearest one divided by the mean of the `CROWD` nearest: about 1
    # for a new image, near 0 for a copy
    relative: np.ndarray
    usual: float  # the median distance from a training image to the nearest other one

    def suspects(self) -> np.ndarray:
        """Returns the images that may be copies of training images, int [n] from 0 to Q - 1.

        Carlini et al. 2023, "Extracting training data from diffusion models" (arXiv 2301.13188),
        section 5. They compare with more neighbours too, as flat images are near to many others.
        """
        return np.flatnonzero(self.relative < COPY)


def find(
    generated: np.ndarray,
    reals: np.ndarray,
    spaces: Sequence[Space],
    *,
    k: int,
    flip: bool = False,
    progress: Callable[[int], object] = lambda _: None,
) -> list[NearestImages]:
    """Searches all training images for those nearest to generated ones, in each space.

    Args:
        generated: uint8 [Q, height, width, channels].
        reals: training images, uint8 [N, height, width, channels], N >= 2; may be memory-mapped.
        k: number of neighbours per generated image, from 1 to N.
        flip: whether mirrored images were trained on as well.
        progress: called after each block with its number of images.
    """
    chosen = even_indices(len(reals), REFERENCES)
    excluded = np.concatenate([np.full(len(generated), NONE), chosen])[:, np.newaxis]
    queries = np.concatenate([generated, reals[chosen]])
    crowd = max(k, min(CROWD, len(reals)))
    points = [np.asarray(space.embed(queries), np.float64) for space in spaces]
    # In each space [Q, up to `crowd`], nearest first: squared distances, rows, whether mirrored.
    none = [np.empty((len(queries), 0), dtype) for dtype in (float, int, bool)]
    nearest = [none] * len(spaces)
    for start in range(0, len(reals), BLOCK):
        block = np.asarray(reals[start : start + BLOCK])
        rows = np.arange(start, start + len(block))
        for i, space in enumerate(spaces):
            squared = squared_distances(points[i], space.embed(block))
            mirrored = np.zeros(squared.shape, bool)
            if flip:
                other = squared_distances(points[i], space.embed(block[:, :, ::-1]))
                mirrored = other < squared
                squared = np.minimum(squared, other)
            squared[excluded == rows] = np.inf
            more = squared, np.broadcast_to(rows, squared.shape), mirrored
            nearest[i] = _nearer(nearest[i], more, crowd)
        progress(len(block))
    found, count = [], len(generated)  # the points behind these give the usual distance
    for (squared, rows, mirrored), space in zip(nearest, spaces, strict=True):
        distances = np.sqrt(squared / space.scale)
        mean = distances[:count].mean(1)
        # If the whole crowd is at distance 0, the image is a copy of many: the result is 0.
        relative = np.divide(distances[:count, 0], mean, out=np.zeros(count), where=mean > 0)
        usual = float(np.median(distances[count:, 0]))
        near = (rows[:count, :k], mirrored[:count, :k], distances[:count, :k])
        found.append(NearestImages(*near, relative, usual))
    return found


def _nearer(
    known: Sequence[np.ndarray], more: Sequence[np.ndarray], count: int
) -> list[np.ndarray]:
    """Returns the `count` nearest of both; squared distances come first in each."""
    both = [np.concatenate(pair, 1) for pair in zip(known, more, strict=True)]
    # The first of equally near ones stays, so that the result does not depend on the blocks.
    order = np.argsort(both[0], axis=1, kind="stable")[:, :count]
    return [np.take_along_axis(one, order, 1) for one in both]
