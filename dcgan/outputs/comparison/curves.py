"""Charts of all settings together: one per quantity, against minutes and against images.

The charts are those of the report. For several seeds the line is their mean, and an area reaches
from the lowest to the highest of them.
"""

from collections.abc import Sequence

import numpy as np

from dcgan.outputs.comparison.runs import Setting
from dcgan.outputs.comparison.scores import Measurement, MetricCurve
from dcgan.outputs.report import chart, measurements

AXES = ("minute", "image")
POINTS = 200  # at which training curves can be read off
# Quantities in metrics.jsonl: (key, title, unit, upper end).
QUANTITIES = (
    ("d_loss", "Discriminator’s loss", "loss", None),
    ("g_loss", "Generator’s loss", "loss", None),
    ("d_real", "D(x), real images", "probability of being real", 1.0),
    ("d_fake", "D(G(z)), generated images", "probability of being real", 1.0),
)


def training(settings: Sequence[Setting]) -> list[list[dict]]:
    """Draws metrics.jsonl: for each quantity its charts, one per axis."""
    found = [
        [
            made
            for axis in AXES
            if (made := _of_training(settings, key, axis, title=title, unit=unit, top=top))
        ]
        for key, title, unit, top in QUANTITIES
    ]
    return [charts for charts in found if charts]


def _of_training(settings: Sequence[Setting], key: str, axis: str, **how) -> dict | None:
    lines = {
        setting: [line for run in setting.runs if (line := run.smooth(key, axis))[0].size]
        for setting in settings
    }
    ends = [min(x[-1] for x, _ in found) for found in lines.values() if found]
    if not ends:
        return None
    # The ends too, so that a line reaches the end of its run, or of the shortest of its runs.
    grid = np.unique([*np.linspace(0, max(ends), POINTS + 1)[1:], *ends])
    curves = [_mean(setting, found, grid) for setting, found in lines.items() if found]
    title, top = how.pop("title"), how["top"]
    line = (0.5, "cannot tell") if top else None
    return chart.draw(title, grid, curves, x_name=axis, line=line, **how)


def _mean(
    setting: Setting, lines: Sequence[tuple[np.ndarray, np.ndarray]], grid: np.ndarray
) -> chart.Curve:
    """Draws a setting's line as far as all of its seeds have trained."""
    at = np.stack([np.interp(grid, x, values, left=np.nan, right=np.nan) for x, values in lines])
    if len(lines) == 1:
        return chart.Curve(setting.name, setting.css_class, at[0])
    return chart.Curve(setting.name, setting.css_class, at.mean(0), at.min(0), at.max(0), band=True)


def quality(protocols: Sequence[Sequence[Measurement]]) -> list[tuple[str, list[dict]]]:
    """Returns (protocol, charts) of each metric that a setting was measured by more than once."""
    found = []
    for one in (measured for group in protocols for measured in group):
        charts = [made for axis in AXES if (made := _of_metric(one, axis))]
        if charts:
            found.append((measurements.protocol(one.example.newest), charts))
    return found


def _of_metric(measured: Measurement, axis: str) -> dict | None:
    tracks = measured.curves(axis)
    if not any(one.x.size > 1 for one in tracks.values()):
        return None
    places = np.unique(np.concatenate([one.x for one in tracks.values()]))
    curves = [_curve(setting, one, places) for setting, one in tracks.items()]
    example = measured.example
    return chart.draw(example.name, places, curves, unit=example.better, x_name=axis)


def _curve(setting: Setting, one: MetricCurve, places: np.ndarray) -> chart.Curve:
    """Draws a track, with gaps where only other settings were measured."""
    columns = np.full((3, len(places)), np.nan)
    columns[:, np.searchsorted(places, one.x)] = one.values, one.low, one.high
    band = one.count > 1 and one.x.size > 1
    return chart.Curve(setting.name, setting.css_class, *columns, band=band)
