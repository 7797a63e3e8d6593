"""Measures images from any source, such as another program, in place of a generator's.

Copies of real images among them are counted, as metrics of copies say nothing about new images.
"""

import numpy as np

from dcgan.evaluation import unseen
from dcgan.evaluation.cache import data_fingerprint
from dcgan.evaluation.evaluator import Candidate
from dcgan.evaluation.protocol import first_seed


def as_generator(images: np.ndarray, count: int, *, seed: int) -> Candidate:
    """Makes a candidate whose samples are `count` of the images, chosen by a seed."""
    chosen = np.sort(np.random.default_rng(seed).permutation(len(images))[:count])
    first = first_seed(seed)
    return Candidate(
        lambda seeds: images[chosen[np.asarray(seeds) - first]],
        data_fingerprint(images),
        step=None,
        epoch=None,
    )


def copies(images: np.ndarray, *reals: np.ndarray) -> int:
    """Counts the images that are equal to a real one in every pixel."""
    known = [unseen.fingerprints(one) for one in reals]
    return int(np.isin(unseen.fingerprints(images), np.concatenate(known)).sum())
