"""Which real images an extractor that learns may judge: only those that it did not learn from.

A network's features of its own training images differ from those of new images, so even perfect
new images would seem to differ from them. Two images are the same when all of their pixels are
equal, wherever they come from; nearly equal ones, such as one picture saved twice, count as two.
"""

import numpy as np

from dcgan.datasets.prepare import fingerprints

SHARE = 0.2  # of the different images, which an extractor leaves for judging


def split(images: np.ndarray, *, seed: int, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of images to judge, and rows to learn from, of which no two are the same image.

    No image is in both; each are ascending. At most `most` are learnt from, and at least `SHARE` of
    the different images are left for judging.
    """
    prints = fingerprints(images)
    _, first = np.unique(prints, return_index=True)
    order = np.random.Generator(np.random.Philox(key=seed)).permutation(first)
    learnt = np.sort(order[: min(len(first) - round(SHARE * len(first)), most)])
    return np.flatnonzero(~np.isin(prints, prints[learnt])), learnt


def rows(images: np.ndarray, learnt: np.ndarray | None) -> np.ndarray:
    """The rows of images, ascending, whose fingerprints are not among `learnt`; None is nothing."""
    if learnt is None:
        return np.arange(len(images))
    return np.flatnonzero(~np.isin(fingerprints(images), learnt))
