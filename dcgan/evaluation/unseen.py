"""Chooses the real images that a trained extractor may judge: those it did not learn from.

A network's features of its own training images differ from those of new images, so even perfect
new images would seem to differ from them. Two images are the same if all of their pixels are equal;
nearly equal ones, such as an image saved twice as JPEG, count as two.
"""

import numpy as np

from dcgan.datasets.prepare import fingerprints

SHARE = 0.2  # the share of the different images that an extractor does not learn from


def split(images: np.ndarray, *, seed: int, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the rows of images to judge, and those of images to learn from, both ascending.

    No image is in both parts, and none is learnt from twice. At most `most` images are learnt from,
    and at least `SHARE` of the different images are left for judging. If the choice changes,
    increase `VERSION` of both extractors that learn: cached ones have learnt from other images.
    """
    prints = fingerprints(images)
    _, first = np.unique(prints, return_index=True)
    order = np.random.Generator(np.random.Philox(key=seed)).permutation(first)
    learnt = np.sort(order[: min(len(first) - round(SHARE * len(first)), most)])
    return np.flatnonzero(~np.isin(prints, prints[learnt])), learnt


def rows(images: np.ndarray, learnt: np.ndarray | None) -> np.ndarray:
    """Returns the rows, ascending, whose fingerprints are not in `learnt`; None gives all rows."""
    if learnt is None:
        return np.arange(len(images))
    return np.flatnonzero(~np.isin(fingerprints(images), learnt))


def copies(images: np.ndarray, *reals: np.ndarray) -> int:
    """Counts the images that are in `reals`: metrics of copies say nothing about new images."""
    known = np.concatenate([fingerprints(one) for one in reals])
    return int(np.isin(fingerprints(images), known).sum())
