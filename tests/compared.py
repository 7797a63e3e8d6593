"""Runs to compare, made without training."""

from pathlib import Path

import numpy as np
from report_pages import SHAPE, fill, pictures

from dcgan import images
from dcgan.outputs.comparison.runs import Run
from dcgan.outputs.report.contents import Model, Option
from dcgan.run_dir import RunDir, write_bytes

DEFAULTS = {"seed": 0, "batch_size": 64, "dataset": "faces", "epoch": 25, "run_dir": None}
DEFAULTS |= {"output_height": SHAPE[0], "output_width": SHAPE[1]}


def run_of(folder: Path, *, model: Model | str = "no checkpoint yet.", **values) -> Run:
    """A run of a folder; its options are `DEFAULTS` but for the values given."""
    found = {**DEFAULTS, "epoch": 12, "run_dir": str(folder), **values}
    options = {n: Option(n, v, DEFAULTS.get(n), f"What {n} is.", "") for n, v in found.items()}
    return Run(folder.name, RunDir(folder), options, model)


def filled(folder: Path, *, seed: int = 0, reals: int = 99, **values) -> Run:
    """The same with everything in its folder that a training leaves, of 1,200 steps."""
    run_dir = fill(folder)
    write_bytes(run_dir.reals, images.png_bytes(images.grid(pictures(16, reals))))
    model = Model(1200, SHAPE, 3_400_000, 1_200_000, range(16), pictures(16, seed))
    return run_of(folder, model=model, seed=seed, **values)


def lines(seconds: np.ndarray, *, every: int = 100, batch: int = 10, **more) -> list[dict]:
    """Of metrics.jsonl: one a hundred steps, at these seconds."""
    return [
        {"step": every * (i + 1), "images": batch * every * (i + 1), "seconds": s, **more}
        for i, s in enumerate(seconds)
    ]
