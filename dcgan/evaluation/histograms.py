"""What classes generated images show, and how often, against how often each should occur.

Of every image the most probable class counts. A classifier errs, so where the truth is known from
labels and not from the same classifier, part of a difference may be its.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc, entr

VERSION = 1  # raised when the same probabilities give other numbers
SURE = 0.9  # probability from which on the classifier is called sure


@dataclass(frozen=True)
class ClassHistogram:
    """How often each class occurs."""

    shares: np.ndarray  # float64 [K], of the generated images
    truth: np.ndarray  # float64 [K], as they should be
    entropy: float  # of `shares`, in bits, from 0 (one class only) to log2(K) (all equally often)
    true_entropy: float  # of `truth`
    sure: float  # the share of images whose most probable class has a probability of `SURE` or more
    # half the sum of the differences: the share of the images that would have to be of another
    # class; from 0 to 1
    total_variation: float
    by_chance: float  # what total variation perfect images would have, as they are so many
    chi_square: float  # Pearson's statistic against the truth
    # how probable as large a statistic is with perfect images; 0 also where a class occurs that
    # cannot
    p_value: float


def class_histogram(probabilities: np.ndarray, truth: np.ndarray) -> ClassHistogram:
    """Counts the classes of the generated images' probabilities [N, K], N >= 1, and compares.

    `truth` [K] says how often each class should occur: probabilities, shares or counts.
    """
    count, classes = probabilities.shape
    counts = np.bincount(probabilities.argmax(1), minlength=classes)
    truth = np.asarray(truth, np.float64) / np.sum(truth, dtype=np.float64)
    shares = counts / count
    statistic, p_value = chi_square(counts, truth)
    return ClassHistogram(
        shares=shares,
        truth=truth,
        entropy=entropy(shares),
        true_entropy=entropy(truth),
        sure=float((probabilities.max(1) >= SURE).mean()),
        total_variation=total_variation(shares, truth),
        # A count's mean absolute deviation, sqrt(2 p (1 - p) / (pi N)) of its share, and half.
        by_chance=float(np.sqrt(truth * (1 - truth) / (2 * np.pi * count)).sum()),
        chi_square=statistic,
        p_value=p_value,
    )


def entropy(shares: np.ndarray) -> float:
    """In bits, of shares [K] that sum to 1."""
    return float(entr(shares).sum() / np.log(2))


def total_variation(one: np.ndarray, other: np.ndarray) -> float:
    """Half the sum of absolute differences of shares [K] that sum to 1 each."""
    return float(np.abs(np.asarray(one) - other).sum() / 2)


def chi_square(counts: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Pearson's test of counts [K] against shares [K] that are known without error.

    Returns the statistic and its p-value, which is rough where fewer than about 5 are expected.
    Classes that should not occur count only if they do: then the statistic is infinite.
    """
    expected = truth * np.sum(counts)
    if counts[expected == 0].any():
        return float("inf"), 0.0
    possible = expected > 0
    differences = np.square(counts[possible] - expected[possible]) / expected[possible]
    statistic = float(differences.sum())
    freedom = int(possible.sum()) - 1
    return statistic, float(chdtrc(freedom, statistic)) if freedom else 1.0
