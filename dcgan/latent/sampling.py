"""Whole numbers to latent vectors to images: seed 7 is the same picture everywhere.

Samples are computed in float32, whatever the training computes in, and in batches of one size, so
that on one machine every command gives the same bytes. `export.parity` says what exported models
may differ by.
"""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from dcgan import images
from dcgan.latent.labels import ClassTable
from dcgan.latent.noise import latents

BATCH_SIZE = 64  # always the same, so that an image does not depend on how many were asked for


def sampled_from(z_dist: str, table: ClassTable | None) -> str:
    """What the random numbers of samples are drawn from, in words that tell it apart."""
    return z_dist if table is None else f"{z_dist}, classes {table.digest} by z"


def make_sampler(
    generator: Callable, *, z_dim: int, z_dist: str, table: ClassTable | None = None
) -> Callable[..., np.ndarray]:
    """A function from one or more seeds to uint8 [N, H, W, channels]; it moves no statistic.

    The generator computes images of (z, training) and, where there is a table of the classes that
    it knows, of `labels` too. The function then takes labels int32 [N, columns] behind the seeds;
    without them it draws each seed's.
    """

    def generate(seeds, labels=None):
        z = latents(seeds, z_dim=z_dim, z_dist=z_dist)
        if table is None:
            return generator(z, training=False)
        labels = table.of_latents(z) if labels is None else labels
        return generator(z, labels=labels, training=False)

    specs = [tf.TensorSpec([BATCH_SIZE], tf.int64)]
    of_seeds = tf.function(lambda seeds: generate(seeds), input_signature=specs, autograph=False)
    if table:
        specs = [*specs, tf.TensorSpec([BATCH_SIZE, len(table.columns)], tf.int32)]
        of_labels = tf.function(generate, input_signature=specs, autograph=False)

    def sample(seeds: Sequence[int], labels: np.ndarray | None = None) -> np.ndarray:
        def draw(*batches):
            compiled = of_seeds if labels is None else of_labels
            return [images.to_uint8(compiled(*map(tf.constant, batches)).numpy())]

        rows = [np.asarray(list(seeds), np.int64), *([] if labels is None else [labels])]
        return in_batches(draw, *rows)[0]

    return sample


def in_batches(
    function: Callable[..., Sequence[np.ndarray]],
    *rows: np.ndarray,
    size: int = BATCH_SIZE,
    progress: Callable[[int], object] = lambda _: None,
) -> list[np.ndarray]:
    """Calls a function on batches that all have one size, as the last one is filled up.

    Networks compiled for one size only are fast, and add up in one order: what becomes of an image
    does not depend on the number of images. The function makes one or more arrays [size, ...] of
    so many rows, row by row; returns them of all N >= 1 rows.
    """
    parts = []
    for start in range(0, len(rows[0]), size):
        count = min(size, len(rows[0]) - start)
        filled = start + np.arange(size) % count
        made = function(*(np.asarray(column[filled]) for column in rows))
        parts.append([np.asarray(one)[:count] for one in made])
        progress(count)
    return [np.concatenate(column) for column in zip(*parts, strict=True)]
