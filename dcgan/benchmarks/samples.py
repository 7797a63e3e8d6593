"""Sampling: images to files by the command, against the generator's bare forward pass."""

import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from dcgan.benchmarks.turns import Comparison, in_turn
from dcgan.checkpoint import Checkpointer
from dcgan.models import Generator
from dcgan.run_dir import RunDir, write_json
from dcgan.sampling import BATCH_SIZE
from dcgan.state import GANState
from dcgan.training.strategy import avoid_remapper

IMAGES = 10_000


def sampling(
    state: GANState,
    config: dict,
    sample: Callable[[Path, Path, int], object],
    *,
    pairs: int,
    images: int = IMAGES,
) -> Comparison:
    """A run's images as PNG files, the opening of the run included.

    Args:
        state: of the run; the statistics of its generator's normalization are changed.
        config: of the run, as config.json holds it.
        sample: makes images: of a run folder, into a folder, so many.
        pairs: turns of each.
        images: a turn.
    """
    _enliven(state.sampler)
    forward = _forward(state.sampler)
    with tempfile.TemporaryDirectory() as folder:
        run = write_run(RunDir(Path(folder) / "run"), state, config)

        def ours() -> float:
            with tempfile.TemporaryDirectory(dir=folder) as to:
                start = time.perf_counter()
                sample(run.root, Path(to) / "images", images)
                return images / (time.perf_counter() - start)

        def bare() -> float:
            start = time.perf_counter()
            calls = math.ceil(images / BATCH_SIZE)
            for _ in range(calls):
                forward()
            return calls * BATCH_SIZE / (time.perf_counter() - start)

        figures = in_turn(ours, bare, pairs=pairs, name="sampling")
    height, width, _ = state.sampler.image_shape
    baseline = f"bare forward pass, {height}x{width}"
    return Comparison("sampling", "images/s", *figures, baseline)


def write_run(run: RunDir, state: GANState, config: dict) -> RunDir:
    """A run folder with one checkpoint, as training leaves it."""
    run.create()
    write_json(run.config, config)
    checkpointer = Checkpointer(run.checkpoints)
    checkpointer.write_models(state.generator, state.discriminator)
    checkpointer.save(state, {"step": 0})
    return run


def _forward(generator: Generator) -> Callable[[], np.ndarray]:
    """One batch of images of constant latent vectors, compiled."""
    if generator.compute_dtype == "bfloat16":
        avoid_remapper()  # as sampling does
    z = tf.random.stateless_normal((BATCH_SIZE, generator.z_dim), [0, 0])
    compiled = tf.function(lambda: generator(z, training=False), autograph=False)
    compiled().numpy()
    return lambda: compiled().numpy()


def _enliven(generator: Generator) -> None:
    """Sets the statistics of its normalization to those of a batch, as training would in time.

    Initial ones give nearly grey images, which PNG packs far sooner than trained ones.
    """
    momenta = [norm.momentum for norm in generator.norms]
    for norm in generator.norms:
        norm.momentum = 0.0
    generator(tf.random.stateless_normal((BATCH_SIZE, generator.z_dim), [0, 1]), training=True)
    for norm, momentum in zip(generator.norms, momenta, strict=True):
        norm.momentum = momentum
