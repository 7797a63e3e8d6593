"""Measures the training loop against the bare step: the cost of data, hooks, grids, checkpoints."""

import time
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from dcgan.benchmarks.bare import BareStep
from dcgan.benchmarks.turns import PairedFigures, seconds_of
from dcgan.training.loop import PeriodicHook
from dcgan.training.trainer import Trainer, make_networks, optimizer_options, step_options


def bare_spec(config, classes: Sequence[int] = ()) -> dict:
    """Makes the spec of `BareStep` from the options of train and the networks' classes."""
    generator, discriminator = make_networks(config, classes)
    return {
        "generator": generator.get_config(),
        "discriminator": discriminator.get_config(),
        "recipe": asdict(step_options(config)),
        "optimizer": optimizer_options(config),
    }


def training(
    trainer: Trainer, bare: BareStep, *, steps: int, cadence: tuple[int, int]
) -> PairedFigures:
    """Runs a whole training, with a turn of the bare step after each turn of `steps` steps.

    Grids and checkpoints are rare, so each turn makes one of either, times them separately, and
    adds a step's share to the time of a step; `cadence` is the steps between grids, and between
    checkpoints, in real training. The trainer itself must make none. The first turn does not count,
    as both sides compile in it. A signal that stops the training raises SystemExit.
    """
    ours, theirs, since = [], [], time.perf_counter()

    def turn(done: int, scalars: dict) -> None:
        nonlocal since
        np.asarray(scalars["d_loss"])  # waits for the device
        seconds = (time.perf_counter() - since) / steps
        for act, period in zip((trainer.sample, trainer.checkpoint), cadence, strict=True):
            seconds += seconds_of(lambda act=act: act(done, scalars)) / period
        ours.append(trainer.images_per_step / seconds)
        theirs.append(bare.images * steps / bare.seconds(steps))
        since = time.perf_counter()

    # The hook makes calls of several steps end with a turn.
    code = trainer.run(PeriodicHook(steps, turn))
    if code:
        raise SystemExit(code)
    figures = (tuple(ours[1:]), tuple(theirs[1:]))
    return PairedFigures("step", "images/s", *figures, "bare compiled step, constant batch")
