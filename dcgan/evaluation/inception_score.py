"""The inception score: high if each image is clearly of one class and all classes occur.

Salimans et al. 2016, "Improved techniques for training GANs" (arXiv 1606.03498), section 4. It does
not compare with real images, and means nothing if the data's classes are not the classifier's.
"""

import numpy as np
from scipy.special import rel_entr

from dcgan.evaluation.intervals import GROUPS, Estimate, of_groups

VERSION = 1  # increase it when the same probabilities give another score or interval
BLOCK = 1024  # rows at a time


def score(probabilities: np.ndarray) -> float:
    """Computes exp of the mean KL(p(y|x) || p(y)) over rows [N, K]; from 1 to K."""
    count = len(probabilities)
    blocks = [probabilities[start : start + BLOCK] for start in range(0, count, BLOCK)]
    mean = sum(block.sum(0, dtype=np.float64) for block in blocks) / count
    return float(np.exp(sum(rel_entr(block, mean).sum() for block in blocks) / count))


def inception_score(probabilities: np.ndarray) -> Estimate:
    """Computes the mean score of ten consecutive parts of rows [N, K], N >= 10, as in the paper."""
    scores = [score(part) for part in np.array_split(probabilities, GROUPS)]
    return of_groups(float(np.mean(scores)), scores, least=1.0)
