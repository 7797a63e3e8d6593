"""Measures ours and a baseline in turn, so that a disturbance of the machine affects both."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from dcgan.terminal.progress import Bar


@dataclass(frozen=True)
class PairedFigures:
    """Measurements of ours and of a baseline."""

    name: str  # what was measured
    unit: str  # unit of the measurements
    ours: tuple[float, ...]  # one per pair, in the order of measurement
    bare: tuple[float, ...]  # the baseline's, likewise
    baseline: str  # description of the baseline
    more_is_better: bool = True  # True for rates, False for seconds and memory

    @property
    def ratio(self) -> float:
        return statistics.median(self.ours) / statistics.median(self.bare)

    @property
    def spread(self) -> tuple[float, float]:
        """The lower and upper quartile of the ratios of single pairs."""
        ratios = [ours / bare for ours, bare in zip(self.ours, self.bare, strict=True)]
        if len(ratios) == 1:
            return ratios[0], ratios[0]
        low, _, high = statistics.quantiles(ratios, n=4, method="inclusive")
        return low, high

    def record(self) -> dict:
        return {
            "name": self.name,
            "unit": self.unit,
            "better": "more" if self.more_is_better else "less",
            "baseline": self.baseline,
            "pairs": len(self.ours),
            "ours_median": _short(statistics.median(self.ours)),
            "baseline_median": _short(statistics.median(self.bare)),
            "ratio": _short(self.ratio),
            "ratio_quartiles": [_short(ratio) for ratio in self.spread],
            "ours": [_short(figure) for figure in self.ours],
            "baseline_figures": [_short(figure) for figure in self.bare],
        }

    def row(self) -> str:
        """Formats a line of the table under `HEADER`."""
        ours, bare = (f"{statistics.median(f):,.4g}" for f in (self.ours, self.bare))
        low, high = self.spread
        better = "more" if self.more_is_better else "less"
        return (
            f"{self.name:12} {ours:>10} {bare:>10} {self.unit:12} {self.ratio:7.3f} "
            f"{low:7.3f}-{high:<7.3f} {better:6} {self.baseline}"
        )


HEADER = (
    f"{'':12} {'ours':>10} {'baseline':>10} {'':12} {'ratio':>7} {'quartiles':>15} better baseline"
)


def measure_in_turn(
    ours: Callable[[], float], bare: Callable[[], float], *, pairs: int, name: str
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Calls both in turn, `pairs` times, and returns the results of each."""
    taken: tuple[list[float], list[float]] = ([], [])
    with Bar(name, 2 * pairs, "turns") as bar:
        for _ in range(pairs):
            for figures, take in zip(taken, (ours, bare), strict=True):
                figures.append(take())
                bar.update()
    return tuple(taken[0]), tuple(taken[1])


def _short(number: float) -> float:
    return float(f"{number:.6g}")


def seconds_of(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
