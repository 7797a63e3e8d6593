"""Pictures as what is measured, whatever made them: another program, or nobody.

They stand in the place of a generator. Copies of real images among them are counted: figures of
copies say nothing about new images.
"""

import numpy as np

from dcgan.evaluation import unseen
from dcgan.evaluation.cache import data_fingerprint
from dcgan.evaluation.evaluator import Candidate
from dcgan.evaluation.protocol import first_seed


def as_generator(images: np.ndarray, count: int, *, seed: int) -> Candidate:
    """`count` of the images, chosen by a seed, in the place of what a generator makes of seeds."""
    chosen = np.sort(np.random.default_rng(seed).permutation(len(images))[:count])
    first = first_seed(seed)
    return Candidate(
        lambda seeds: images[chosen[np.asarray(seeds) - first]],
        data_fingerprint(images),
        step=None,
        epoch=None,
    )


def copies(images: np.ndarray, *reals: np.ndarray) -> int:
    """How many of the images, pixel for pixel, are among real ones."""
    known = [unseen.fingerprints(one) for one in reals]
    return int(np.isin(unseen.fingerprints(images), np.concatenate(known)).sum())
