"""Exact nearest neighbours by exhaustive search, in memory that does not grow with the images.

Images are read once, in blocks, and only the nearest ones so far are kept.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

BLOCK = 256  # images at a time
CROWD = 50  # number of nearest images that a distance is compared with (Carlini et al. 2023)
COPY = 0.5  # an image below this share of the crowd's mean distance may be a copy (the same paper)
REFERENCES = 64  # evenly chosen training images, whose nearest neighbours give the usual distance
NONE = -1  # stands for a row: no image is excluded


class Nearest:
    """The rows nearest to some points, among all that were added."""

    def __init__(self, points: np.ndarray, k: int, *, excluded: np.ndarray | None = None):
        """Searches for the k rows nearest to points [Q, D]; `excluded` [Q] are rows to skip."""
        self._points = np.asarray(points, np.float64)
        self._squares = np.square(self._points).sum(1)
        self._k = k
        count = len(self._points)
        self._excluded = np.full(count, NONE) if excluded is None else np.asarray(excluded)
        self.squared = np.empty((count, 0))  # [Q, up to k] squared distances, ascending
        self.rows = np.empty((count, 0), np.int64)
        self.mirrored = np.empty((count, 0), bool)

    def add(self, rows: np.ndarray, points: np.ndarray, mirrored: np.ndarray | None = None) -> None:
        """Searches among more rows, int [B], with their points [B, D]; add each row only once.

        `mirrored` [B, D] are the points of the mirrored images; the nearer of both counts.
        """
        squared = self._to(points)
        is_mirrored = np.zeros(squared.shape, bool)
        if mirrored is not None:
            other = self._to(mirrored)
            is_mirrored = other < squared
            squared = np.minimum(squared, other)
        squared[self._excluded[:, np.newaxis] == rows] = np.inf
        squared = np.concatenate([self.squared, squared], 1)
        # The first of equally near ones stays, so that the result does not depend on the blocks.
        order = np.argsort(squared, axis=1, kind="stable")[:, : self._k]
        self.squared = np.take_along_axis(squared, order, 1)
        all_rows = np.broadcast_to(rows, is_mirrored.shape)
        for name, new in (("rows", all_rows), ("mirrored", is_mirrored)):
            both = np.concatenate([getattr(self, name), new], 1)
            setattr(self, name, np.take_along_axis(both, order, 1))

    def _to(self, points: np.ndarray) -> np.ndarray:
        """Computes squared distances [Q, B], |p|^2 + |q|^2 - 2 p q; exact for integers, as pixels.

        It uses float64, as for similar images this is a small difference of large numbers.
        """
        points = np.asarray(points, np.float64)
        products = self._points @ points.T
        squares = np.square(points).sum(1)
        return np.maximum(self._squares[:, np.newaxis] + squares - 2.0 * products, 0.0)


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

    Distances of some training images to their nearest other ones give the usual distance.

    Args:
        generated: uint8 [Q, height, width, channels].
        reals: training images, uint8 [N, height, width, channels], N >= 2; may be memory-mapped.
        k: number of neighbours per generated image, from 1 to N.
        flip: whether mirrored images were trained on as well.
        progress: called after each block with its number of images.
    """
    chosen = np.linspace(0, len(reals) - 1, min(REFERENCES, len(reals))).round().astype(int)
    excluded = np.concatenate([np.full(len(generated), NONE), chosen])
    queries = np.concatenate([generated, reals[chosen]])
    crowd = max(k, min(CROWD, len(reals)))
    searches = [Nearest(space.embed(queries), crowd, excluded=excluded) for space in spaces]
    for start in range(0, len(reals), BLOCK):
        block = np.asarray(reals[start : start + BLOCK])
        rows = np.arange(start, start + len(block))
        for space, search in zip(spaces, searches, strict=True):
            mirrored = space.embed(block[:, :, ::-1]) if flip else None
            search.add(rows, space.embed(block), mirrored)
        progress(len(block))
    return [
        _neighbours(search, space, len(generated), k)
        for space, search in zip(spaces, searches, strict=True)
    ]


def _neighbours(search: Nearest, space: Space, count: int, k: int) -> NearestImages:
    """Makes the result for the first `count` points; the others give the usual distance."""
    distances = np.sqrt(search.squared / space.scale)
    crowd = distances[:count].mean(1)
    return NearestImages(
        search.rows[:count, :k],
        search.mirrored[:count, :k],
        distances[:count, :k],
        # If the whole crowd is at distance 0, the image is a copy of many: the result is 0.
        np.divide(distances[:count, 0], crowd, out=np.zeros(count), where=crowd > 0),
        float(np.median(distances[count:, 0])),
    )
