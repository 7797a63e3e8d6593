"""The real images that generated ones are compared with, and those that give the floor.

An extractor that has learnt from some of them does not judge these. The floor of a metric is what
two disjoint halves of the real images score: about what a perfect generator would score.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dcgan.datasets.prepare import Prepared
from dcgan.datasets.source import Labels
from dcgan.evaluation import unseen
from dcgan.evaluation.cache import data_fingerprint, digest


@dataclass(frozen=True)
class Reals:
    """Real images to compare with."""

    images: np.ndarray  # uint8 [N, height, width, channels]; may be memory-mapped
    # int [M], some of them in random order, none of which the extractor has learnt from
    rows: np.ndarray
    count: int  # the first so many rows are compared with generated images
    # the first so many rows, and as many that follow them, give the floor. As many as `count` where
    # there are twice as many rows, so that both comparisons are of one size.
    half: int
    labels: Mapping[str, Labels]  # of all images, by labelling
    data: str  # fingerprint of all images
    split: str  # the parts of the data set that they are
    unseen: bool = False  # whether images that the extractor has learnt from are left out

    @property
    def fingerprint(self) -> str:
        """Of the images that are looked at, and of what each is for."""
        return digest(self.data, self.rows, self.count, self.half)


def choose_reals(
    prepared: Prepared, count: int, *, learnt: np.ndarray | None, split: str, seed: int
) -> Reals:
    """Some of a data set's images, chosen by a seed; all, where there are no more than `count`.

    Images among those `learnt`, see `extractors.find_learnt`, are left out.
    """
    rows = np.random.default_rng(seed).permutation(unseen.rows(prepared.images, learnt))
    half = min(count, len(rows) // 2)
    return Reals(
        prepared.images,
        rows[: max(count, 2 * half)],
        min(count, len(rows)),
        half,
        prepared.labels,
        data_fingerprint(prepared.images),
        split,
        learnt is not None,
    )
