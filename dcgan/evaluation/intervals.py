"""Measured numbers with confidence intervals.

All intervals are 95 % intervals: if images were drawn from the same two distributions repeatedly,
as many each time, 19 of 20 intervals would contain the mean of all measurements.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.special import stdtrit

CONFIDENCE = 0.95
GROUPS = 10  # parts of a sample whose differences say how much the whole varies
_TAIL = (1 + CONFIDENCE) / 2
NORMAL = float(stdtrit(np.inf, _TAIL))  # 1.96


@dataclass(frozen=True)
class Estimate:
    """A measured number."""

    value: float
    low: float | None  # the ends of its 95 % interval; None without an interval
    high: float | None
    interval: str  # how the interval was computed, in words
    # the values by name of which `value` is the mean; empty where it is not a mean
    parts: Mapping[str, float] = field(default_factory=dict)


def of_error(
    value: float, error: float, interval: str, *, least: float = -np.inf, quantile: float = NORMAL
) -> Estimate:
    """Makes an estimate from a value and its standard error.

    The interval is `quantile` errors to either side, not below `least`, the lowest possible value.
    """
    low = max(value - quantile * error, least)
    return Estimate(float(value), float(low), float(value + quantile * error), interval)


class RowGroup:
    """Some rows of an array, which are read on access, as the array may be memory-mapped."""

    def __init__(self, array: np.ndarray, rows: np.ndarray):
        self._array, self._rows = array, rows
        self.shape = (len(rows), *array.shape[1:])

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, part: slice) -> np.ndarray:
        return self._array[self._rows[part]]


def groups(array: np.ndarray, seed: int) -> list[RowGroup]:
    """Divides the rows of a sample [N, ...] into `GROUPS` random groups, rows ascending in each."""
    order = np.random.default_rng(seed).permutation(len(array))
    return [RowGroup(array, np.sort(order[start::GROUPS])) for start in range(GROUPS)]


def group_error(values: Sequence[float]) -> float:
    """Computes the standard error of the whole sample's value from the values of its groups.

    This assumes a variance that falls as 1/N: the error of the whole sample is then sqrt(groups)
    times smaller than that of a group.
    """
    return float(np.std(values, ddof=1) / np.sqrt(len(values)))


def of_groups(value: float, values: Sequence[float], *, least: float = -np.inf) -> Estimate:
    """Makes an estimate of the whole sample's value from those of its groups (Student's t)."""
    quantile = float(stdtrit(len(values) - 1, _TAIL))
    words = f"95 % from the spread over {len(values)} groups of the images"
    return of_error(value, group_error(values), words, least=least, quantile=quantile)


def of_share(value: float, values: Sequence[float], count: int) -> Estimate:
    """Makes an estimate of a share of `count` images, with an interval inside [0, 1].

    Wilson 1927, "Probable inference, the law of succession, and statistical inference". Images are
    not independent trials if the share depends on another sample too. So the number of trials is
    the one that agrees with the spread of the share over the groups, if that is smaller.
    """
    variance, spread = value * (1 - value), group_error(values) ** 2
    trials = min(count, variance / spread) if variance and spread else count
    quantile = float(stdtrit(len(values) - 1, _TAIL))
    words = f"95 % after Wilson, with the spread over {len(values)} groups of the images"
    return _wilson(value, trials, quantile, words)


def of_trials(successes: int, count: int) -> Estimate:
    """Makes an estimate of a share of independent trials, at least one, by Wilson's interval."""
    return _wilson(successes / count, count, NORMAL, "95 % after Wilson")


def _wilson(value: float, trials: float, quantile: float, words: str) -> Estimate:
    weight = quantile**2 / trials
    centre = (value + weight / 2) / (1 + weight)
    half = np.sqrt(value * (1 - value) * weight + weight**2 / 4) / (1 + weight)
    # At 0 and 1 one end is the value itself; rounding must not put it on the wrong side.
    return Estimate(
        float(value), float(min(centre - half, value)), float(max(centre + half, value)), words
    )
