"""The real images that generated ones are compared with, and those that give the floor.

Images that the extractor has learnt from are left out. The floor of a metric is its value between
two disjoint halves of the real images: about the value of a perfect generator.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dcgan.datasets.prepare import PreparedData
from dcgan.datasets.source import Labels
from dcgan.evaluation import unseen
from dcgan.evaluation.cache import data_fingerprint, digest


@dataclass(frozen=True)
class Reals:
    """Real images to compare with."""

    images: np.ndarray  # uint8 [N, height, width, channels]; may be memory-mapped
    # int [M], rows of `images` in random order, none of which the extractor has learnt from
    rows: np.ndarray
    count: int  # the first `count` rows are compared with generated images
    # the first `half` rows are compared with the next `half` rows for the floor. It equals `count`
    # if there are enough rows, so that both comparisons have the same size.
    half: int
    labels: Mapping[str, Labels]  # labels of all images, by labelling
    data: str  # fingerprint of all images
    split: str  # the parts of the data set that the images are from
    unseen: bool = False  # whether images that the extractor has learnt from are left out

    @property
    def fingerprint(self) -> str:
        """A hash of the images that are used, and of the purpose of each; `data` of records."""
        return digest(self.data, self.rows, self.count, self.half)


def choose_reals(
    prepared: PreparedData, count: int, *, learnt: np.ndarray | None, split: str, seed: int
) -> Reals:
    """Chooses by a seed `count` real images, or all if there are fewer, and those for the floor.

    Images with fingerprints in `learnt`, see `extractors.find_learnt`, are left out.
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
