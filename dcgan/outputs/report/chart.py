"""Curves as inline SVG that is stretched to any width, with their text beside it as HTML.

So letters keep their size on a phone, and lines their thickness, without a script. The template
gets plain values: paths in a square of `SIDE` units, and places in percent.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dcgan.images import even_indices
from dcgan.outputs.drawing import MaxNLocator
from dcgan.outputs.plots import has_spikes, moving_average, smoothing_window, thin
from dcgan.outputs.report.formatting import number

SIDE = 1000  # units
MAX_POINTS = 300  # on a curve: about as many as a phone has pixels
MAX_ROWS = 12  # of the table below a chart


@dataclass(frozen=True)
class Curve:
    """One curve of a chart."""

    label: str
    css_class: str  # its class in style.css
    values: np.ndarray  # float [N], NaN where a value is missing
    low: np.ndarray | None = None  # float [N], the ends of the intervals; None without
    high: np.ndarray | None = None
    band: bool = False  # whether to draw the intervals as one area instead of whiskers
    smooth: bool = False  # whether to draw a moving average, with the values lightly behind it


@dataclass(frozen=True)
class Scale:
    """Maps values to places on an axis."""

    low: float  # the values at both ends
    high: float
    symlog: bool = False  # whether it is logarithmic beyond -1 and 1, and linear between them

    def at(self, values) -> np.ndarray:
        """Returns places in percent of the way from the low end to the high one."""
        low, high = self._transform(self.low), self._transform(self.high)
        return 100 * (self._transform(values) - low) / (high - low)

    def _transform(self, values) -> np.ndarray:
        values = np.asarray(values, np.float64)
        if not self.symlog:
            return values
        return np.clip(values, -1, 1) + np.sign(values) * np.log10(np.maximum(np.abs(values), 1))

    def ticks(self, most: int) -> list[float]:
        if self.symlog:
            largest = max(abs(self.low), abs(self.high), 10)
            powers = [10.0**k for k in range(math.ceil(math.log10(largest)) + 1)]
            found = [-p for p in reversed(powers)] + [0.0, *powers]
        else:
            locator = MaxNLocator(most, steps=[1, 2, 2.5, 5, 10])
            found = locator.tick_values(self.low, self.high).tolist()
        return [0.0 if abs(t) < 1e-12 else t for t in found if self.low <= t <= self.high]


def value_scale(values: np.ndarray, *, top: float | None = None) -> Scale:
    """Makes a scale from 0, or from below if values are; symlog if spikes would hide the rest.

    `values` are all values that are drawn, finite; `top` is the upper end, if it is known.
    """
    low, high = float(values.min()), float(values.max())
    if has_spikes(values):
        return Scale(min(low, 0.0), high * 1.3, symlog=True)
    if top is not None:
        return Scale(min(low, 0.0), max(high, top))
    margin = 0.08 * ((high - low if low < 0 else high) or 1.0)
    return Scale(low - margin if low < 0 else 0.0, high + margin)


def draw(
    title: str,
    steps: np.ndarray,
    curves: Sequence[Curve],
    *,
    unit: str = "",
    x_name: str = "step",
    top: float | None = None,
    line: tuple[float, str] | None = None,
) -> dict | None:
    """Makes a chart for the template, which reads these keys; None if there is nothing to draw.

    Args:
        steps: float [N], increasing; what the values are drawn against.
        curves: of N values each; those without a finite value are left out.
        unit: what the values are, if the title does not say it.
        x_name: what the steps are.
        top: upper end of the values, if it is known.
        line: a value to mark, and its name.
    """
    curves = [curve for curve in curves if np.isfinite(curve.values).any()]
    if not curves:
        return None
    drawn = [part for c in curves for part in (c.values, c.low, c.high) if part is not None]
    drawn = np.concatenate([*drawn, [line[0]] if line else []])
    vertical = value_scale(drawn[np.isfinite(drawn)], top=top)
    horizontal = Scale(0.0, float(steps[-1]) or 1.0)
    window = smoothing_window(steps) if any(curve.smooth for curve in curves) else 0
    shown = [_ThinCurve(steps, curve, window) for curve in curves]
    places = _format_steps(shown[0].steps)  # where values can be read off
    columns = [[number(y) if np.isfinite(y) else "" for y in one.line] for one in shown]
    texts = list(zip(*columns, strict=True))
    named = [[f"{c.label} {t}" for c, t in zip(curves, one, strict=True) if t] for one in texts]
    heights = [vertical.at(one.line).round(2) for one in shown]
    return {
        "title": title,
        "unit": unit,
        "x_name": x_name,
        "words": _in_words(title, steps, shown, x_name),
        "curves": [one.paths(horizontal, vertical) for one in shown],
        "x_ticks": [(float(horizontal.at(t)), _tick(t)) for t in horizontal.ticks(6)],
        "y_ticks": [(float(vertical.at(t)), _tick(t)) for t in vertical.ticks(5)],
        "line": line and (float(vertical.at(line[0])), line[1]),
        "points": {
            "x": horizontal.at(shown[0].steps).round(2).tolist(),
            "y": [[y if np.isfinite(y) else None for y in each.tolist()] for each in heights],
            "looks": [curve.css_class for curve in curves],
            "words": [
                f"{x_name} {place}: {', '.join(values) or 'not measured'}"
                for place, values in zip(places, named, strict=True)
            ],
        },
        "rows": [[places[i], *texts[i]] for i in even_indices(len(places), MAX_ROWS)],
        "window": window,
    }


class _ThinCurve:
    """A curve reduced to at most `MAX_POINTS` places, see `thin`."""

    def __init__(self, steps: np.ndarray, curve: Curve, window: int):
        self.curve = curve
        self.steps, self.line, self.ends = thin(steps, curve.values, MAX_POINTS)
        self.known = np.isfinite(self.line)
        if curve.smooth and window:
            at, means = self.steps[self.known], self.line[self.known]
            self.line[self.known] = moving_average(at, means, window)

    def paths(self, horizontal: Scale, vertical: Scale) -> dict:
        """Returns SVG paths: the line, the values behind it, dots, whiskers or a band."""
        curve, ends = self.curve, vertical.at(self.ends[self.known].ravel())
        x, y = horizontal.at(self.steps[self.known]), vertical.at(self.line[self.known])
        few = len(x) <= 40 and not (curve.smooth or curve.band)
        dots = zip(x, y, strict=True) if few or len(x) == 1 else ()
        at, low, high = self._intervals(horizontal, vertical)
        around = _path(np.append(at, at[::-1]), np.append(low, high[::-1]))
        whiskers = () if curve.band else zip(at, low, high, strict=True)
        return {
            "label": curve.label,
            "css_class": curve.css_class,
            "line": _path(x, y),
            "values": curve.smooth and _path(x.repeat(2), ends),
            "dots": "".join(f"M{_xy(*dot)}h0" for dot in dots),
            "whiskers": "".join(f"M{_xy(x, low)}L{_xy(x, high)}" for x, low, high in whiskers),
            "band": f"{around}Z" if curve.band and at.size > 1 else "",
        }

    def _intervals(self, horizontal: Scale, vertical: Scale) -> tuple[np.ndarray, ...]:
        """Returns places and both ends of the intervals there; none if the curve was thinned."""
        curve = self.curve
        if curve.low is None or len(self.steps) != len(curve.values):
            return np.empty(0), np.empty(0), np.empty(0)
        known = np.isfinite(curve.low) & np.isfinite(curve.high)
        low, high = vertical.at(curve.low[known]), vertical.at(curve.high[known])
        return horizontal.at(self.steps[known]), low, high


def _xy(x: float, y: float) -> str:
    """Converts percent, with y upwards, to units, with y downwards."""
    return f"{x * SIDE / 100:.1f} {(100 - y) * SIDE / 100:.1f}"


def _path(x: np.ndarray, y: np.ndarray) -> str:
    return "M" + "L".join(_xy(*point) for point in zip(x, y, strict=True))


def _tick(value: float) -> str:
    return f"{value:,.6g}" if abs(value) < 1e5 else f"{value / 1000:,.6g}k"


def _in_words(title: str, steps: np.ndarray, shown: list[_ThinCurve], x_name: str) -> str:
    ways = []
    for one in shown:
        line = one.line[one.known]
        name = one.curve.label
        if len(line) == 1:
            ways.append(f"{name} {number(line[0])}")
        else:
            ways.append(
                f"{name} from {number(line[0])} to {number(line[-1])}, at least "
                f"{number(line.min())} and at most {number(line.max())}"
            )
    return f"{title} up to {x_name} {_format_steps(steps)[-1]}: {'; '.join(ways)}."


def _format_steps(steps: np.ndarray) -> list[str]:
    """Formats steps as whole numbers, unless all are below 100, such as minutes."""
    return [f"{step:,.0f}" if steps[-1] >= 100 else f"{step:.3g}" for step in steps]
