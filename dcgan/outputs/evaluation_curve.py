"""evaluation.png: how the metrics of a run changed as it learnt, drawn from evaluation/*.jsonl."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dcgan.outputs import drawing
from dcgan.outputs.drawing import Axes, EngFormatter, Figure, MaxNLocator
from dcgan.outputs.report.measurements import OUTDATED, Series, read_series
from dcgan.terminal.console import printable

# Distinct for every kind of colour vision (Okabe and Ito 2008).
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")


@drawing.default_style()
def draw_evaluations(folder: Path, target: Path, *, title: str = "") -> bool:
    """Writes a PNG with one panel per metric: its values against the step, and their intervals.

    Returns:
        Whether there was anything to draw; if not, nothing is written.
    """
    metrics: dict[str, list[Series]] = {}
    for series in read_series(folder):
        metrics.setdefault(series.metric, []).append(series)
    if not metrics:
        return False
    columns = min(len(metrics), 2)
    rows = -(-len(metrics) // columns)
    height = 0.5 + 2.9 * rows  # inches, as are the margins
    figure = Figure(figsize=(9, height), dpi=120, facecolor="white")
    figure.subplots_adjust(
        left=0.08, right=0.98, top=1 - 0.75 / height, bottom=0.5 / height, hspace=0.4, wspace=0.2
    )
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (metric, curves) in zip(panels, metrics.items(), strict=False):
        _panel(axes, metric, curves)
    for axes in panels[len(metrics) :]:
        axes.set_visible(False)
    look = {"ha": "left", "fontsize": 13, "fontweight": "bold", "parse_math": False}
    figure.suptitle(printable(title), x=0.01, **look)
    drawing.write(figure, target)
    return True


def _panel(axes: Axes, metric: str, curves: Sequence[Series]) -> None:
    better = curves[0].newest.get("better")
    for number, series in enumerate(curves):
        colour, values = COLOURS[number % len(COLOURS)], series.column("value")
        ends = [values - series.column("low"), series.column("high") - values]
        axes.errorbar(
            series.steps,
            values,
            yerr=np.maximum(np.nan_to_num(ends), 0),  # no interval where it is not known
            color=colour,
            marker="o",
            markersize=3.5,
            linewidth=1.6,
            elinewidth=0.8,
            capsize=2,
            label=_name(series),
        )
        if series.floor:
            axes.axhline(series.floor.value, color=colour, linestyle=":", linewidth=1.2)
        if len(values) > 1 and better in ("lower", "higher"):
            best = int(values.argmin() if better == "lower" else values.argmax())
            axes.plot(series.steps[best], values[best], "*", color=colour, markersize=11, zorder=3)
    axes.set_xlim(0, 1.05 * max(1, *(series.steps[-1] for series in curves)))
    name = printable(f"{metric} ({better} is better)" if better else metric)
    axes.set_title(name, loc="left", fontsize=10, parse_math=False)
    axes.set_xlabel("step", fontsize=9)
    drawing.style_axes(axes)
    axes.tick_params(labelsize=8)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.legend(fontsize=7, framealpha=0.85, edgecolor="white")


def _name(series: Series) -> str:
    """Returns a few words that tell a curve from the others of its metric."""
    record = series.newest
    known = [f"{record['generated_count']:,} images"] if "generated_count" in record else []
    known += [record[name] for name in ("extractor", "labelling") if record.get(name)]
    known += [record["split"]] if record.get("split", "train") != "train" else []
    known += [f"seed {record['seed']}"] if record.get("seed") else []
    known += [OUTDATED] if series.outdated else []
    known += [str(series.floor)] if series.floor else []
    return ", ".join(map(str, known))
