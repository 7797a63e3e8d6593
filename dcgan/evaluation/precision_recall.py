"""Precision, recall, density and coverage: are generated images good, and are they diverse?

Each image is the centre of a ball that reaches to its k-th nearest neighbour in its own sample.
Precision is the share of generated images inside balls of reals, recall the share of reals inside
balls of generated images (Kynkaanniemi et al. 2019, arXiv 1904.06991, equations 1 and 2). Density
is the mean number of reals' balls that contain a generated image, divided by k: about 1 for a
perfect model, and robust against single outliers. Coverage is the share of reals' balls that
contain a generated image (Naeem et al. 2020, arXiv 2002.09797, equations 3 and 4).

All four depend on the number of images: compare only values of equally many images.
"""

from collections.abc import Iterator

import numpy as np

from dcgan.evaluation.intervals import Estimate, groups, of_groups, of_share

VERSION = 1  # increase it when the same features give another number or interval
NAMES = ("precision", "recall", "density", "coverage")  # in records, see `metrics.NEEDS`
K_PRECISION = 3  # for precision and recall, as in Kynkaanniemi et al.
K_DENSITY = 5  # for density and coverage, as in Naeem et al.
BLOCK = 1024  # rows and columns of distances computed at a time, to bound memory
_ROUNDING = 1e-12  # error of a squared distance, relative to the squares that it is made of


def squared_distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Computes squared Euclidean distances of all rows: [N, D], [M, D] -> float64 [N, M].

    They are |x|^2 + |y|^2 - 2 x.y, set to 0 if they may be only rounding errors; exact for
    integers, as pixels.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    sizes = np.square(x).sum(1)[:, np.newaxis] + np.square(y).sum(1)
    squared = sizes - 2.0 * (x @ y.T)
    squared[squared < _ROUNDING * sizes] = 0.0
    return squared


def _rounded(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Returns float32, in which equal distances are equal whatever the order of summation was."""
    return squared_distances(x, y).astype(np.float32)


def nearest_squared(points: np.ndarray, k: int) -> np.ndarray:
    """Finds squared distances to the k < N nearest others, ascending: [N, D] -> [N, k]."""
    nearest = np.full((len(points), k), np.inf, np.float32)

    def look(rows: slice, squared: np.ndarray) -> None:
        both = np.concatenate([nearest[rows], squared], 1)
        nearest[rows] = np.partition(both, k - 1)[:, :k]

    for rows, columns in _blocks(len(points), len(points)):
        if rows.start > columns.start:
            continue  # the mirrored block has the same distances
        squared = _rounded(points[rows], points[columns])
        if rows.start == columns.start:
            np.fill_diagonal(squared, np.inf)  # points are not neighbours of themselves
        else:
            look(columns, squared.T)
        look(rows, squared)
    return np.sort(nearest, 1)


def measure(real: np.ndarray, fake: np.ndarray, *, seed: int = 0) -> dict[str, Estimate]:
    """Measures all four of features [N, D] and [M, D], by the names in `NAMES`.

    The seed deals the rows to the ten groups that give the intervals; each needs `K_DENSITY` + 1.
    """
    whole = shares(real, fake)
    dealt = zip(groups(real, seed), groups(fake, seed), strict=True)
    parts = [shares(reals, fakes) for reals, fakes in dealt]
    values = {name: [part[name] for part in parts] for name in NAMES}
    counts = {"precision": len(fake), "recall": len(real), "coverage": len(real)}
    found = {name: of_share(whole[name], values[name], counts[name]) for name in counts}
    return found | {"density": of_groups(whole["density"], values["density"], least=0.0)}


def shares(real: np.ndarray, fake: np.ndarray) -> dict[str, float]:
    """Computes the four numbers without intervals, by the names in `NAMES`; see `measure`."""
    of_reals = nearest_squared(real, K_DENSITY)
    wide, narrow = of_reals[:, K_DENSITY - 1], of_reals[:, K_PRECISION - 1]
    of_fakes = nearest_squared(fake, K_PRECISION)[:, -1]
    precise, recalled = np.zeros(len(fake), bool), np.zeros(len(real), bool)
    covered, dense = np.zeros(len(real), bool), 0
    for rows, columns in _blocks(len(real), len(fake)):
        squared = _rounded(real[rows], fake[columns])
        precise[columns] |= (squared <= narrow[rows, np.newaxis]).any(0)
        recalled[rows] |= (squared <= of_fakes[columns]).any(1)
        # Naeem et al. exclude a ball's surface: a sample compared with itself has density 1.
        inside = squared < wide[rows, np.newaxis]
        covered[rows] |= inside.any(1)
        dense += int(inside.sum())
    values = (precise.mean(), recalled.mean(), dense / (K_DENSITY * len(fake)), covered.mean())
    return dict(zip(NAMES, map(float, values), strict=True))


def _blocks(rows: int, columns: int) -> Iterator[tuple[slice, slice]]:
    """Yields slices of rows and columns that divide a table of distances into blocks."""
    for top in range(0, rows, BLOCK):
        for left in range(0, columns, BLOCK):
            yield slice(top, min(top + BLOCK, rows)), slice(left, min(left + BLOCK, columns))
