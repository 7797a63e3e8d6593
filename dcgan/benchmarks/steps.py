"""The training loop against the bare step: what data set, hooks, grids and checkpoints cost."""

import time
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from dcgan.benchmarks.bare import BareStep
from dcgan.benchmarks.turns import PairedFigures, seconds_of
from dcgan.training.loop import Every
from dcgan.training.trainer import Trainer, make_networks, optimizer_options, step_options


def bare_spec(config, classes: Sequence[int] = ()) -> dict:
    """What `BareStep` needs of train's options, and of the classes that networks know."""
    generator, discriminator = make_networks(config, classes)
    return {
        "generator": generator.get_config(),
        "discriminator": discriminator.get_config(),
        "recipe": asdict(step_options(config, steps_per_epoch=1)),
        "optimizer": optimizer_options(config),
    }


def training(
    trainer: Trainer, bare: BareStep, *, steps: int, cadence: tuple[int, int]
) -> PairedFigures:
    """A whole run of training in which, after each turn of the loop, the bare step has one.

    Grids and checkpoints are rare: each turn makes one of either, times them by themselves, and
    charges each step its share. The first turn does not count, as both sides compile in it. A
    signal that stops the training raises SystemExit.

    Args:
        trainer: a fresh one, to be trained for steps * (1 + turns that count) steps, in which it
            makes neither grids nor checkpoints.
        steps: of a turn.
        cadence: steps between two grids and between two checkpoints, in training.
    """
    ours, theirs, since = [], [], time.perf_counter()

    def turn(done: int, scalars: dict) -> None:
        nonlocal since
        np.asarray(scalars["d_loss"])  # the device has done what the loop asked for
        seconds = (time.perf_counter() - since) / steps
        for act, period in zip((trainer.sample, trainer.checkpoint), cadence, strict=True):
            seconds += seconds_of(lambda act=act: act(done, scalars)) / period
        ours.append(trainer.images_per_step / seconds)
        theirs.append(bare.images * steps / bare.seconds(steps))
        since = time.perf_counter()

    code = trainer.run(Every(steps, turn))  # calls of several steps end with a turn
    if code:
        raise SystemExit(code)
    figures = (tuple(ours[1:]), tuple(theirs[1:]))
    return PairedFigures("step", "images/s", *figures, "bare compiled step, constant batch")
