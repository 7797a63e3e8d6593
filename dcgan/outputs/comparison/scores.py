"""The measurements of each setting, protocol by protocol, and which setting is ahead.

Two scores are apart if every seed of one, at the worse end of its 95 % interval, is better than
every seed of the other at the better end of its own. Otherwise no setting is called ahead.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dcgan.outputs.comparison.runs import Run, Setting
from dcgan.outputs.report.measurements import PROTOCOL, Series, rank

# Places that differ by at most this share count as equal.
NEARLY = 0.05
# The parts of a protocol in which its metrics differ.
METRIC_FIELDS = ("metric", "version")


@dataclass(frozen=True)
class Score:
    """The value of a metric for one setting."""

    values: Sequence[float]  # one per measured seed
    low: float  # lowest and highest end of their intervals; NaN if one has no interval
    high: float
    steps: Sequence[int] = ()  # one per seed

    @property
    def value(self) -> float:
        return float(np.mean(self.values))

    def is_apart_from(self, other: "Score") -> bool:
        return self.high < other.low or other.high < self.low


@dataclass(frozen=True)
class Measurement:
    """A metric measured by one protocol."""

    runs: Mapping[Setting, Sequence[tuple[Run, Series]]]  # those that were measured

    @property
    def example(self) -> Series:
        """The series of one of the runs, which says how all were measured."""
        return next(iter(self.runs.values()))[0][1]

    @functools.cached_property
    def scores(self) -> dict[Setting, Score]:
        """The last score of each setting that was measured."""
        return {setting: _score([one for _, one in each]) for setting, each in self.runs.items()}

    @property
    def winner(self) -> Setting | None:
        """The best setting if its score is apart from every other's, else None."""
        return find_winner(self.scores, more_is_better=self.example.more_is_better)

    def curves(self, axis: str) -> dict[Setting, "MetricCurve"]:
        """Returns how the metric changed on an axis, see `Run.places`, where that is known."""
        curves = {setting: _join(each, axis) for setting, each in self.runs.items()}
        return {setting: curve for setting, curve in curves.items() if curve}


def find_winner(scores: Mapping[Setting, Score], *, more_is_better: bool) -> Setting | None:
    """Returns the setting that is better than all others, with intervals apart; None if none is."""
    if len(scores) < 2:
        return None
    best = find_best(scores, more_is_better=more_is_better)
    others = (score for setting, score in scores.items() if setting is not best)
    return best if all(scores[best].is_apart_from(other) for other in others) else None


def find_best(scores: Mapping[Setting, Score], *, more_is_better: bool) -> Setting:
    """Returns the setting with the best value, whatever its interval."""
    choose = max if more_is_better else min
    return choose(scores, key=lambda setting: scores[setting].value)


def by_protocol(settings: Sequence[Setting]) -> list[list[Measurement]]:
    """Groups the metrics by protocol; the protocol that most settings have comes first."""
    found: dict[tuple, dict[Setting, list[tuple[Run, Series]]]] = {}
    for setting in settings:
        for run in setting.runs:
            for one in run.series:
                key = tuple(str(one.newest.get(part)) for part in PROTOCOL)
                found.setdefault(key, {}).setdefault(setting, []).append((run, one))
    groups: dict[tuple, list[Measurement]] = {}
    for key, runs in found.items():
        how = tuple(v for part, v in zip(PROTOCOL, key, strict=True) if part not in METRIC_FIELDS)
        groups.setdefault(how, []).append(Measurement(runs))
    in_order = [sorted(group, key=lambda m: rank(m.example.metric)) for group in groups.values()]
    return sorted(in_order, key=lambda group: -max(len(one.runs) for one in group))


def _score(each: Sequence[Series]) -> Score:
    """Makes the score of the last measurement of each seed."""
    values, low, high = (
        np.array([one.column(name)[-1] for one in each]) for name in ("value", "low", "high")
    )
    steps = [one.records[-1]["step"] for one in each]
    return Score(values.tolist(), float(low.min()), float(high.max()), steps)


@dataclass(frozen=True)
class MetricCurve:
    """A metric of a setting during its training."""

    x: np.ndarray  # float64 [N], increasing: minutes or images
    # values, low, high: float64 [N], the mean over the seeds and the outer ends of their
    # intervals, NaN without intervals
    values: np.ndarray
    low: np.ndarray
    high: np.ndarray
    count: int = 1  # seeds

    def interpolate(self, x: float) -> Score | None:
        """Interpolates the score at `x`; None if `x` is too far outside the measurements."""
        nearest = float(np.clip(x, self.x[0], self.x[-1]))
        if abs(nearest - x) > NEARLY * x:
            return None
        value, low, high = (
            float(np.interp(nearest, self.x, column))
            for column in (self.values, self.low, self.high)
        )
        return Score([value], low, high)


def _join(each: Sequence[tuple[Run, Series]], axis: str) -> MetricCurve | None:
    """Joins the curves of a setting's seeds; None if no places are known."""
    tracks = [found for run, one in each if (found := _track(run, one, axis))]
    if len(tracks) < 2:
        return tracks[0] if tracks else None
    start, end = max(one.x[0] for one in tracks), min(one.x[-1] for one in tracks)
    if start > end:  # the seeds' measurements do not overlap: their last ones make one point
        places = [one.x[-1:] for one in tracks]
        x = np.mean(places, axis=0)
    else:
        x = np.unique(np.concatenate([one.x for one in tracks]))
        x = x[(x >= start) & (x <= end)]
        places = [x] * len(tracks)
    values, low, high = (
        np.stack(
            [np.interp(at, t.x, getattr(t, name)) for at, t in zip(places, tracks, strict=True)]
        )
        for name in ("values", "low", "high")
    )
    return MetricCurve(x, values.mean(0), low.min(0), high.max(0), len(tracks))


def _track(run: Run, series: Series, axis: str) -> MetricCurve | None:
    x = run.place(series.steps, axis)
    known = np.isfinite(x)
    known &= x > np.append(-np.inf, np.maximum.accumulate(np.nan_to_num(x))[:-1])
    if not known.any():
        return None
    values, low, high = (series.column(name)[known] for name in ("value", "low", "high"))
    return MetricCurve(x[known], values, low, high)


def interpolate_at_equal(
    measured: Measurement, axis: str
) -> tuple[float, dict[Setting, Score]] | None:
    """Returns (x, scores at x) for the most minutes or images that all settings have reached.

    None if fewer than two settings were measured, or one of them not near x.
    """
    tracks = measured.curves(axis)
    if len(tracks) < 2:
        return None
    x = min(float(one.x[-1]) for one in tracks.values())
    scores = {setting: found for setting, one in tracks.items() if (found := one.interpolate(x))}
    return (x, scores) if len(scores) == len(tracks) else None
