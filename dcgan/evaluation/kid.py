"""The kernel distance of two sets of features (KID).

Binkowski et al. 2018, "Demystifying MMD GANs" (arXiv 1801.01401): the unbiased estimate of the
squared maximum mean discrepancy with the kernel k(x, y) = (x.y / D + 1)^3. Unlike FID, it is not
larger for fewer images, and it may be negative if both distributions are nearly the same.
"""

import numpy as np

from dcgan.evaluation.intervals import Estimate, of_error

VERSION = 1  # increase it when the same features give another distance or interval
SUBSETS = 100  # random subsets whose mean is the result
SIZE = 1000  # images of each kind in a subset
INTERVAL = "95 % by the variance of U-statistics, drawing of subsets included"


def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Computes (x.y / D + 1)^3 of all rows of float64 [N, D] with all of [M, D]: [N, M]."""
    product = x @ y.T
    product *= 1 / x.shape[1]
    product += 1.0
    cube = product * product  # many times faster than a power
    cube *= product
    return cube


def mmd(x: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Computes the unbiased squared discrepancy (Gretton et al. 2012, JMLR 13, equation 3).

    x and y are float64 [N, D] and [M, D], at least 2 rows each. Returns the estimate, and the
    projections of all x and y, [N] and [M]. The projection of a row is its influence on the
    estimate: twice its mean similarity to its own kind less that to the other.
    """
    xx, yy, xy = kernel(x, x), kernel(y, y), kernel(x, y)
    within_x = (xx.sum(1) - xx.diagonal()) / (len(x) - 1)
    within_y = (yy.sum(1) - yy.diagonal()) / (len(y) - 1)
    value = within_x.mean() + within_y.mean() - 2 * xy.mean()
    return float(value), 2 * (within_x - xy.mean(1)), 2 * (within_y - xy.mean(0))


def kid(real: np.ndarray, fake: np.ndarray, *, seed: int = 0) -> Estimate:
    """Computes the mean of the estimates on subsets of [N, D] and [M, D], drawn by the seed.

    Both have at least 2 rows; with fewer than `SIZE`, subsets have the size of the smaller kind.
    Subsets overlap, so their spread is not the error, but what drawing them adds to the error.
    """
    size = min(SIZE, len(real), len(fake))
    whole = size == len(real) == len(fake)  # one subset holds everything
    values = np.empty(1 if whole else SUBSETS)
    random = np.random.default_rng(seed)
    samples = real, fake
    # Of each image: the sum of its projections over the subsets that contained it, and how many.
    sums = [(np.zeros(len(one)), np.zeros(len(one), np.int64)) for one in samples]
    for i in range(len(values)):
        rows = [np.sort(random.choice(len(one), size, replace=False)) for one in samples]
        x, y = (np.asarray(one[some], np.float64) for one, some in zip(samples, rows, strict=True))
        values[i], *projections = mmd(x, y)
        for (total, times), some, found in zip(sums, rows, projections, strict=True):
            total[some] += found
            times[some] += 1
    drawing = 0.0 if whole else values.var(ddof=1) / len(values)
    error = np.sqrt(_variance(*sums[0]) + _variance(*sums[1]) + drawing)
    return of_error(float(values.mean()), error, INTERVAL)


def _variance(sums: np.ndarray, times: np.ndarray) -> float:
    """Computes the estimate's variance due to images of one kind (Hoeffding 1948, first order)."""
    seen = times > 0
    return float((sums[seen] / times[seen]).var(ddof=1) / len(seen))
