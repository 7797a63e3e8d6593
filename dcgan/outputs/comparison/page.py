"""The page itself, which loads nothing from any address, and its text for the terminal."""

import datetime
import functools
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dcgan import images, program
from dcgan.outputs import provenance
from dcgan.outputs.comparison import curves, scores
from dcgan.outputs.comparison.runs import Run, Setting, by_data, find_differing, settings, values_of
from dcgan.outputs.comparison.scores import Measurement, Score
from dcgan.outputs.comparison.verdict import notes, verdict
from dcgan.outputs.report import pictures
from dcgan.outputs.report.contents import CheckpointSummary
from dcgan.outputs.report.formatting import count, join_words, large, number
from dcgan.outputs.report.page import format_value, html, seeds_in_words
from dcgan.terminal.console import printable

FOLDER = Path(__file__).parent
GRIDS, STRIPS = 3_000_000, 600_000  # bytes of the pictures; in base64 a third more
STRIP = 10  # images of each run in the strip
PRINTED = 3  # metrics in the text

OfRun = Callable[[Run], float | None]  # a number of a run; None if it is not known
MINUTES, IMAGES = operator.methodcaller("last", "minute"), operator.methodcaller("last", "image")
SPEED = operator.attrgetter("history.images_per_second")


@dataclass(frozen=True)
class Comparison:
    """Several runs and what their comparison says."""

    runs: Sequence[Run]  # at least two, in the order of their settings
    settings: Sequence[Setting]  # the runs, grouped by options other than the seed
    protocols: Sequence[Sequence[Measurement]]  # the measurements, by protocol
    verdict: Sequence[str]  # which settings are ahead, in sentences
    notes: Sequence[str]  # what is missing, in sentences


def compare(runs: Sequence[Run]) -> Comparison:
    found = settings(runs)
    in_order = [run for setting in found for run in setting.runs]
    protocols = scores.by_protocol(found)
    return Comparison(in_order, found, protocols, verdict(found, protocols), notes(in_order))


def render(comparison: Comparison, seeds: Sequence[int]) -> bytes:
    """Renders the comparison as an HTML file; `seeds` are those of the runs' samples."""
    runs = comparison.runs
    folders = [str(run.folder.root) for run in runs]
    now = datetime.datetime.now(datetime.UTC)
    data = by_data(runs)
    reals = [group for group in data if group[0].reals is not None]
    cells = _real_cells(data[0]) if len(data) == 1 else None
    drawn = [run for run in runs if isinstance(run.model, CheckpointSummary)]
    strip_bytes = STRIPS // max(len(drawn) + (cells is not None), 1)
    grid_bytes = GRIDS // max(len(drawn) + len(reals), 1)
    parts = {  # comparison.html has these names
        "mark": provenance.mark(f"compare --runs {' '.join(folders)}"),
        "command": program.command_line("compare", "--runs", *folders),
        "made": now.strftime("%Y-%m-%d %H:%M UTC"),
        "comparison": comparison,
        "title": f"{count(len(runs), 'run')} side by side",
        "seeds": seeds_in_words(seeds).rstrip(","),
        "numbers": seeds[:STRIP],
        "most": STRIP,
        "drawn": drawn,
        "data": data,
        "reals": reals,
        "cells": None if cells is None else cells[images.even_indices(len(cells), STRIP)],
        "row_of": functools.partial(pictures.embed_row, max_bytes=strip_bytes),
        "picture_of": functools.partial(pictures.embed_picture, max_bytes=grid_bytes),
        "grid_of": images.grid,
        "options": _options(comparison),
        "facts": _facts(comparison.settings),
        "notes_of": _notes_of,
        "training": curves.training(comparison.settings),
        "quality": curves.quality(comparison.protocols),
        "evaluate": [
            program.command_line("evaluate", "--run_dir", folder)
            for run, folder in zip(runs, folders, strict=True)
            if run.can_be_evaluated
        ],
    }
    return html("comparison.html", parts, FOLDER)


def text(comparison: Comparison) -> list[str]:
    """Makes lines for the terminal: one per setting with the first metrics, verdict and notes."""
    most = [one for group in comparison.protocols for one in group][:PRINTED]
    width = max(len(one.name) for one in comparison.settings) + 2
    heads = [f"{one.example.name:>22}" for one in most]
    lines = [f"{'':{width}}{'minutes':>8} {'images':>10} {'images/s':>9}{''.join(heads)}"]
    for setting in comparison.settings:
        shown = [_fact(setting, of, number)["value"] or "-" for of in (MINUTES, IMAGES, SPEED)]
        cells = []
        for one in most:
            score = one.scores.get(setting)
            star = "*" if one.winner is setting else " "
            cells.append(f"{'-' if score is None else number(score.value):>21}{star}")
        line = f"{setting.name:{width}}{shown[0]:>8} {shown[1]:>10} {shown[2]:>9}{''.join(cells)}"
        lines.append(line.rstrip())
    lines += ["* intervals apart"] if any(one.winner for one in most) else []
    lines += ["", *comparison.verdict, *comparison.notes, ""]
    # Names of folders and files may hold control characters.
    return [printable(line) for line in lines]


def _real_cells(group: Sequence[Run]) -> np.ndarray | None:
    """Cuts the grid of reals into its images, uint8 [N, height, width, channels].

    The grids of runs have one white pixel between images.
    """
    grid = group[0].reals
    size = [group[0].option(name) for name in ("output_height", "output_width")]
    if grid is None or not all(isinstance(side, int) and side > 0 for side in size):
        return None
    height, width = size
    rows, columns = (grid.shape[0] + 1) // (height + 1), (grid.shape[1] + 1) // (width + 1)
    shape = (rows, height + 1, columns, width + 1, grid.shape[2])
    whole = np.pad(grid, ((0, 1), (0, 1), (0, 0)))[: rows * shape[1], : columns * shape[3]]
    cells = whole.reshape(shape)[:, :height, :, :width].swapaxes(1, 2)
    cells = cells.reshape(-1, height, width, grid.shape[2])
    cells = cells[(cells < 255).any((1, 2, 3))]
    return cells if len(cells) else None


def _options(comparison: Comparison) -> list[tuple[str, str, list[list[str]]]]:
    """Returns (name, help, the values of each setting) of the options that differ."""
    runs = comparison.runs
    found = []
    for name in find_differing(runs):
        shown = dict(zip(runs, map(format_value, values_of(runs, name)), strict=True))
        cells = [
            list(dict.fromkeys(shown[run] for run in setting.runs))
            for setting in comparison.settings
        ]
        help = next(run.options[name].help for run in runs if name in run.options)
        found.append((name, help, cells))
    return found


def _facts(settings: Sequence[Setting]) -> list[tuple[str, list[dict]]]:
    """Returns (name, one cell per setting) of each fact about length, speed and size."""

    def parameters(network: str) -> OfRun:
        return lambda run: getattr(run.model, f"{network}_weights", None)  # a sentence has none

    facts: list[tuple[str, OfRun, Callable[[float], str]]] = [
        ("minutes of training", MINUTES, number),
        ("images learnt from", IMAGES, "{:,.0f}".format),
        ("steps", lambda run: run.history.last("step"), "{:,.0f}".format),
        ("images a second", SPEED, number),
        ("generator’s parameters", parameters("generator"), large),
        ("discriminator’s parameters", parameters("discriminator"), large),
    ]
    return [
        (name, [_fact(setting, of, write) for setting in settings]) for name, of, write in facts
    ]


def _fact(setting: Setting, of: OfRun, write: Callable[[float], str]) -> dict:
    known = [value for run in setting.runs if (value := of(run)) is not None]
    if not known:
        return {"value": "", "spread": "not known"}
    ends = dict.fromkeys(write(value) for value in (min(known), max(known)))
    spread = f"seeds: {' to '.join(ends)}" if len(ends) > 1 else ""
    return {"value": write(float(np.mean(known))), "spread": spread}


def _notes_of(score: Score, setting: Setting) -> list[str]:
    """Says between what a score lies, of which seeds it is the mean, and at which steps."""
    notes = []
    if np.isfinite([score.low, score.high]).all():
        notes.append(f"{number(score.low)} to {number(score.high)}")
    if len(setting.runs) > 1:
        ends = dict.fromkeys(number(end) for end in (min(score.values), max(score.values)))
        all_seeds = len(score.values) == len(setting.runs)
        who = len(score.values) if all_seeds else f"{len(score.values)} of {len(setting.runs)}"
        notes.append(f"{who} seeds: {' to '.join(ends)}")
    steps = dict.fromkeys(f"{step:,.0f}" for step in score.steps)
    return [*notes, f"step {join_words(steps)}"]
