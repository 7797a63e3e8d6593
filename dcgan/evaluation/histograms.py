"""Counts the classes that generated images show, and compares with how often they should occur.

Each image counts as its most probable class. If the truth is from labels, not from the classifier,
part of a difference may be due to the classifier's errors.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc, entr

VERSION = 1  # increase it when the same probabilities give other numbers
SURE = 0.9  # the classifier counts as sure at this probability or more


@dataclass(frozen=True)
class ClassHistogram:
    """How often each class occurs."""

    shares: np.ndarray  # float64 [K], the share of each class among the generated images
    truth: np.ndarray  # float64 [K], the shares that are expected
    entropy: float  # of `shares`, in bits, from 0 (one class only) to log2(K) (all equally often)
    true_entropy: float  # entropy of `truth`, in bits
    sure: float  # the share of images whose most probable class has a probability of `SURE` or more
    # half the sum of absolute differences: the share of the images that would have to change their
    # class; from 0 to 1
    total_variation: float
    by_chance: float  # expected total variation of equally many perfect images
    chi_square: float  # Pearson's statistic against the truth
    # probability of a statistic at least as large with perfect images; 0 if a class occurs that
    # should not
    p_value: float


def class_histogram(probabilities: np.ndarray, truth: np.ndarray) -> ClassHistogram:
    """Makes the histogram of generated images from their probabilities [N, K], N >= 1.

    `truth` [K] is how often each class should occur: probabilities, shares or counts.
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
        # Half the mean absolute deviation of each share, which is sqrt(2 p (1 - p) / (pi N)).
        by_chance=float(np.sqrt(truth * (1 - truth) / (2 * np.pi * count)).sum()),
        chi_square=statistic,
        p_value=p_value,
    )


def entropy(shares: np.ndarray) -> float:
    """Computes the entropy in bits of shares [K], which sum to 1."""
    return float(entr(shares).sum() / np.log(2))


def total_variation(one: np.ndarray, other: np.ndarray) -> float:
    """Computes half the sum of absolute differences of shares [K], each of which sums to 1."""
    return float(np.abs(np.asarray(one) - other).sum() / 2)


def chi_square(counts: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Computes Pearson's test of counts [K] against the true shares [K].

    Returns the statistic and its p-value, which is rough if fewer than about 5 of a class are
    expected. Classes with share 0 are ignored, but if one occurs, the result is (infinity, 0).
    """
    expected = truth * np.sum(counts)
    if counts[expected == 0].any():
        return float("inf"), 0.0
    possible = expected > 0
    differences = np.square(counts[possible] - expected[possible]) / expected[possible]
    statistic = float(differences.sum())
    freedom = int(possible.sum()) - 1
    return statistic, float(chdtrc(freedom, statistic)) if freedom else 1.0
