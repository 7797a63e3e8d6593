"""losses.png: the curves of a run, drawn from its metrics.jsonl."""

import math
from pathlib import Path

import numpy as np

from dcgan import files
from dcgan.outputs import drawing
from dcgan.outputs.drawing import GREY, Axes, EngFormatter, Figure, MaxNLocator
from dcgan.outputs.report.measurements import column
from dcgan.terminal.console import printable

# The picture is 1,350 pixels wide: more points than this on a curve cannot be told apart.
MAX_POINTS = 1000
# Curves are smoothed over a fiftieth of the run: short enough to keep its turns, long enough to
# remove the noise of single batches.
SMOOTHED_PART = 1 / 50
DISCRIMINATOR_COLOUR, GENERATOR_COLOUR = "#2368b0", "#e06c1f"  # for all colour vision


def read_metrics(path: Path) -> list[dict]:
    """Reads a metrics.jsonl, with "step" strictly increasing; returns no lines if it is missing.

    A run that continued from an older checkpoint wrote some steps again: only their later lines
    are kept. Lines that a crash cut short are left out.
    """
    rows: list[dict] = []
    for row in files.read_json_lines(path):
        step = row.get("step")
        if not isinstance(step, (int, float)) or not 0 <= step < 1 << 62:
            continue  # about an event, not a step
        while rows and rows[-1]["step"] >= row["step"]:
            rows.pop()
        rows.append(row)
    return rows


@drawing.default_style()
def draw_losses(metrics: Path, target: Path, *, title: str = "") -> None:
    """Writes a PNG: both losses, and below them D(x) and D(G(z)), against the step.

    Args:
        metrics: the run's metrics.jsonl, which may be missing.
        title: the heading, such as "anime 48x48x3".
    """
    rows = read_metrics(metrics)
    steps = column(rows, "step")
    window = smoothing_window(steps)
    # Fixed margins: an automatic layout takes as long as all the drawing.
    figure = Figure(figsize=(9, 6.6), dpi=150, facecolor="white")
    figure.subplots_adjust(left=0.085, right=0.98, top=0.89, bottom=0.1, hspace=0.08)
    losses, scores = figure.subplots(2, 1, sharex=True)
    for axes, keys, labels in (
        (losses, ("d_loss", "g_loss"), ("discriminator", "generator")),
        (scores, ("d_real", "d_fake"), ("D(x), real images", "D(G(z)), generated images")),
    ):
        for key, label, colour in zip(
            keys, labels, (DISCRIMINATOR_COLOUR, GENERATOR_COLOUR), strict=True
        ):
            _curve(axes, steps, column(rows, key), window=window, label=label, colour=colour)
        drawing.style_axes(axes)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(ncols=2, loc="upper right", framealpha=0.85, edgecolor="white")
        else:
            axes.text(0.5, 0.6, "no measurements yet", transform=axes.transAxes, ha="center")
    _style_losses(losses)
    scores.axhline(0.5, color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    scores.set(ylim=(-0.03, 1.15), yticks=(0, 0.25, 0.5, 0.75, 1))
    scores.set(ylabel="probability of being real", xlabel="step")
    scores.set_xlim(0, 1.01 * max(steps.max(initial=0), 10))
    scores.xaxis.set_major_formatter(EngFormatter(sep=""))
    scores.xaxis.set_major_locator(MaxNLocator(9, integer=True))
    if window:
        note = f"smoothed: exponential moving average over {window:,} steps"
        figure.text(0.995, 0.005, note, ha="right", va="bottom", fontsize=8, color=GREY)
    _epoch_axis(losses, rows)
    name = printable(title)  # text from outside, and no formula
    losses.set_title(name, loc="left", fontsize=13, fontweight="bold", pad=12, parse_math=False)
    drawing.write(figure, target)


def smoothing_window(steps: np.ndarray) -> int:
    """Returns the steps to smooth over: a round number (1, 2 or 5 times a power of ten).

    It is 0, for no smoothing, in a run so short that the lines of metrics are farther apart.
    """
    length = steps[-1] - steps[0] if steps.size else 0
    wanted = length * SMOOTHED_PART
    if wanted < 2:
        return 0
    power = 10 ** math.floor(math.log10(wanted))
    window = int(max(factor * power for factor in (1, 2, 5) if factor * power <= wanted))
    return window if window * (steps.size - 1) >= length else 0


def _curve(
    axes: Axes, steps: np.ndarray, values: np.ndarray, *, window: int, label: str, colour: str
) -> None:
    """Draws the finite values lightly, and over them their moving average."""
    known = np.isfinite(values)
    steps, values = steps[known], values[known]
    if not steps.size:
        return
    middle, means, ends = thin(steps, values, MAX_POINTS)
    axes.plot(middle.repeat(2), ends.ravel(), color=colour, alpha=0.25, linewidth=0.7)
    smooth = moving_average(middle, means, window) if window else means
    dot = "o" if steps.size == 1 else None  # one point makes no line
    axes.plot(middle, smooth, color=colour, linewidth=2, label=label, marker=dot)


def thin(
    steps: np.ndarray, values: np.ndarray, most: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Reduces a curve to at most `most` points, each for a bin of neighbouring steps.

    `steps` and `values` are float [N], N >= 1, with NaN for missing values.

    Returns:
        The mean step and the mean value of each bin, float [M], and the lowest and highest value,
        [M, 2], so that no spike is lost; NaN for a bin without a value.
    """
    edges = np.linspace(0, steps.size, min(steps.size, most) + 1).astype(int)[:-1]
    known = np.isfinite(values)
    counts = np.add.reduceat(known.astype(float), edges)
    sums = np.add.reduceat(np.where(known, values, 0.0), edges)
    middle = np.add.reduceat(steps, edges) / np.diff(np.append(edges, steps.size))
    means = np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
    ends = np.stack([np.fmin.reduceat(values, edges), np.fmax.reduceat(values, edges)], 1)
    return middle, means, ends


def has_spikes(values: np.ndarray) -> bool:
    """Tells if a few values are so far off that a linear scale would flatten all the others."""
    return bool(np.ptp(values) > 10 * max(np.percentile(np.abs(values), 90), 1))


def moving_average(steps: np.ndarray, values: np.ndarray, window: float) -> np.ndarray:
    """Computes an exponential moving average of unevenly spaced values, without bias to the first.

    It is the average of all values so far, each weighted by exp(-(steps since it) / window) and by
    the steps that it stands for (those since the value before). Values must be finite, and steps
    strictly increasing.
    """
    gaps = np.diff(steps, prepend=2 * steps[0] - steps[1] if steps.size > 1 else steps[0] - 1)
    keep = np.exp(-gaps / window)
    result = np.empty_like(values)
    total = weight = 0.0
    for i, (k, value) in enumerate(zip(keep.tolist(), values.tolist(), strict=True)):
        total = k * total + (1 - k) * value
        weight = k * weight + (1 - k)
        result[i] = total / weight
    return result


def _style_losses(axes: Axes) -> None:
    """Scales losses linearly from 0; logarithmically above 1 if spikes would flatten the rest."""
    axes.set_ylabel("loss")
    lines = [line.get_ydata() for line in axes.get_lines()]
    if not lines:
        return
    everything = np.concatenate(lines)
    # `symlog` is linear up to 1, so zero, and negative losses of other kinds, can be drawn.
    if has_spikes(everything):
        axes.set_yscale("symlog", linthresh=1)
    elif everything.min() >= 0:
        axes.set_ylim(0, 1.2 * max(everything.max(), 1e-3))  # the legend has its place above


def _epoch_axis(axes: Axes, rows: list[dict]) -> None:
    """Adds the same axis in epochs along the top; epochs are proportional to steps."""
    last = next((row for row in reversed(rows) if row.get("epoch") and row["step"]), None)
    if last is None:
        return
    rate = last["epoch"] / last["step"]  # epochs per step
    top = axes.secondary_xaxis("top", functions=(lambda s: s * rate, lambda e: e / rate))
    top.set_xlabel("epoch", color=GREY)
    top.tick_params(colors=GREY, length=3)
    top.spines["top"].set_color("#b8bec6")
