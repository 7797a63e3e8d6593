"""The Frechet distance of two sets of features (FID), from any network.

Heusel et al. 2017, "GANs trained by a two time-scale update rule" (arXiv 1706.08500): the squared
2-Wasserstein distance of the two normal distributions with the same means and covariances. It falls
as the number of images rises (Chong and Forsyth 2020, arXiv 1911.07023): compare only FIDs of
equally many images.
"""

from typing import NamedTuple

import numpy as np

from dcgan.evaluation.intervals import Estimate, of_error

VERSION = 1  # increase it when the same features give another distance or interval
BLOCK = 1024  # rows at a time
INTERVAL = "95 % by the delta method, for FIDs of as many images"


class Moments(NamedTuple):
    """Mean [D] and covariance [D, D] of features, in float64.

    The covariance is unbiased (divided by N - 1): symmetric, singular for N <= D.
    """

    mean: np.ndarray
    covariance: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray) -> "Moments":
        """Computes the moments of rows [N, D], which are read in blocks."""
        # Sums of differences from a point near the mean: subtracting the squared mean from plain
        # squares would lose most digits.
        origin = np.asarray(features[:BLOCK], np.float64).mean(0)
        total, products = np.zeros_like(origin), np.zeros((len(origin), len(origin)))
        for start in range(0, len(features), BLOCK):
            rows = np.asarray(features[start : start + BLOCK], np.float64) - origin
            total += rows.sum(0)
            products += rows.T @ rows
        count = len(features)
        covariance = (products - np.outer(total, total / count)) / (count - 1)
        return cls(origin + total / count, covariance)


def fid(real: np.ndarray, fake: np.ndarray) -> Estimate:
    """Computes the Frechet distance of features [N, D] and [M, D], at least 2 rows each.

    The interval is by the delta method: an infinitely small weight on an image x changes the
    distance by |x - m1|^2 + 2 (x - m1)'(m1 - m2) - (x - m1)' T (x - m1) and a constant, T being the
    matrix of the optimal transport from C1 to C2. Each sample adds the variance of this influence
    over its images, divided by their number, to the variance of the distance.
    """
    one, other = Moments.of(real), Moments.of(fake)
    factor, inverse, scales = _pair(one.covariance, other.covariance)
    # The variance divides by the scales: leave out those that are only rounding errors.
    kept = scales > scales.max(initial=0.0) * np.sqrt(_epsilon(factor))
    roots = np.sqrt(scales[kept])
    gap = one.mean - other.mean
    variance = _variance(real, one.mean, gap, inverse[:, kept] * roots)
    variance += _variance(fake, other.mean, -gap, factor[:, kept] / roots)
    return of_error(_distance(one, other, scales), np.sqrt(variance), INTERVAL, least=0.0)


def _epsilon(matrix: np.ndarray) -> float:
    """Returns the rounding error of a decomposition, relative to its largest value."""
    return len(matrix) * np.finfo(np.float64).eps


def _pair(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Finds axes in which two covariances A and B are both diagonal.

    Returns F and G, both [D, r], and s [r]: F F' = A, G' A G = 1, and F' B F = diag(s^2). So
    Tr (A B)^(1/2) is the sum of s.
    """
    values, vectors = np.linalg.eigh(first)
    kept = values > values.max() * _epsilon(first)
    vectors, roots = vectors[:, kept], np.sqrt(values[kept])
    factor = vectors * roots
    squares, turn = np.linalg.eigh(factor.T @ second @ factor)
    return factor @ turn, (vectors / roots) @ turn, np.sqrt(np.maximum(squares, 0.0))


def _distance(one: Moments, other: Moments, scales: np.ndarray) -> float:
    """Computes |m1 - m2|^2 + Tr(C1 + C2 - 2 (C1 C2)^(1/2)); Dowson and Landau 1982, equation 4.

    The trace of the root is the sum of the roots of the eigenvalues of F' C2 F with F F' = C1,
    which are real and not negative even if covariances are singular.
    """
    traces = np.trace(one.covariance) + np.trace(other.covariance)
    squared = np.square(one.mean - other.mean).sum() + traces - 2 * scales.sum()
    return float(max(squared, 0.0))  # below 0 by rounding only


def _variance(rows: np.ndarray, mean: np.ndarray, gap: np.ndarray, axes: np.ndarray) -> float:
    """Computes the part of the distance's variance that is due to one sample; T is axes axes'."""
    influence = np.empty(len(rows))
    for start in range(0, len(rows), BLOCK):
        x = np.asarray(rows[start : start + BLOCK], np.float64) - mean
        influence[start : start + len(x)] = (
            np.square(x).sum(1) + 2 * x @ gap - np.square(x @ axes).sum(1)
        )
    return float(influence.var(ddof=1) / len(rows))
