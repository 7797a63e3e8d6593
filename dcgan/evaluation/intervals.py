"""A measured number, and how far it can be trusted.

Every interval is of 95 %: if the same numbers of other images were drawn from the same two
distributions again and again, 19 of 20 intervals would hold the mean of all those measurements.
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
    """One number.

    Attributes:
        value: what was measured.
        low, high: the ends of its 95 % interval; None where there is none.
        interval: how the interval was got, in words.
        parts: what `value` is the mean of, by name, where it is worth knowing.
    """

    value: float
    low: float | None
    high: float | None
    interval: str
    parts: Mapping[str, float] = field(default_factory=dict)


def of_error(
    value: float, error: float, interval: str, *, least: float = -np.inf, quantile: float = NORMAL
) -> Estimate:
    """A value whose standard error is known.

    Args:
        value: what was measured.
        error: its standard error.
        interval: how that was got.
        least: below which the value cannot be.
        quantile: standard errors to either side.
    """
    low = max(value - quantile * error, least)
    return Estimate(float(value), float(low), float(value + quantile * error), interval)


class Group:
    """Some rows of an array, which may lie on the disk: they are read where they are looked at."""

    def __init__(self, array: np.ndarray, rows: np.ndarray):
        self._array, self._rows = array, rows
        self.shape = (len(rows), *array.shape[1:])

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, part: slice) -> np.ndarray:
        return self._array[self._rows[part]]


def groups(array: np.ndarray, seed: int) -> list[Group]:
    """The rows of a sample dealt into `GROUPS` groups at random: rows may have come in any order.

    Args:
        array: [N, ...].
        seed: of the dealing.

    Returns:
        `GROUPS` parts, in each of which the rows keep their order.
    """
    order = np.random.default_rng(seed).permutation(len(array))
    return [Group(array, np.sort(order[start::GROUPS])) for start in range(GROUPS)]


def group_error(values: Sequence[float]) -> float:
    """The standard error of the whole sample's value, from the same measured on each group.

    A value whose variance falls as 1/N varies sqrt(groups) times less on the whole.
    """
    return float(np.std(values, ddof=1) / np.sqrt(len(values)))


def of_groups(value: float, values: Sequence[float], *, least: float = -np.inf) -> Estimate:
    """The whole sample's value, and an interval from that of each group (Student's t)."""
    quantile = float(stdtrit(len(values) - 1, _TAIL))
    words = f"95 % from the spread over {len(values)} groups of the images"
    return of_error(value, group_error(values), words, least=least, quantile=quantile)


def of_share(value: float, values: Sequence[float], count: int) -> Estimate:
    """A share of `count` images, and an interval inside [0, 1] that is never empty.

    Wilson 1927, "Probable inference, the law of succession, and statistical inference". The images
    are not independent trials where the other sample decides over them too, so there count as many
    as agree with the spread over the groups.

    Args:
        value: the share, in [0, 1].
        values: the same, measured on each group.
        count: of the images.
    """
    variance, spread = value * (1 - value), group_error(values) ** 2
    trials = min(count, variance / spread) if variance and spread else count
    quantile = float(stdtrit(len(values) - 1, _TAIL))
    words = f"95 % after Wilson, with the spread over {len(values)} groups of the images"
    return _wilson(value, trials, quantile, words)


def of_trials(successes: int, count: int) -> Estimate:
    """A share of independent trials, at least one, with Wilson's interval."""
    return _wilson(successes / count, count, NORMAL, "95 % after Wilson")


def _wilson(value: float, trials: float, quantile: float, words: str) -> Estimate:
    weight = quantile**2 / trials
    centre = (value + weight / 2) / (1 + weight)
    half = np.sqrt(value * (1 - value) * weight + weight**2 / 4) / (1 + weight)
    # At 0 and 1 an end is the value itself, but for rounding.
    return Estimate(
        float(value), float(min(centre - half, value)), float(max(centre + half, value)), words
    )
