"""Makes images from seeds, by way of latent vectors: seed 7 is the same image everywhere.

Samples are computed in float32, whatever the precision of training, and in batches of one size, so
that on one machine every command gives the same bytes. `export.parity` says by how much the images
of exported models may differ.
"""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from dcgan import images
from dcgan.latent.labels import ClassTable
from dcgan.latent.noise import latents

BATCH_SIZE = 64  # always the same, so that an image does not depend on the number of images


def describe_source(z_dist: str, table: ClassTable | None) -> str:
    """Describes what samples are drawn from, uniquely: the distribution and the classes' table.

    The text is part of generators' fingerprints, which are in evaluation records.
    """
    return z_dist if table is None else f"{z_dist}, classes {table.digest} by z"


def make_sampler(
    generator: Callable, *, z_dim: int, z_dist: str, table: ClassTable | None = None
) -> Callable[..., np.ndarray]:
    """Makes a function from N >= 1 seeds to images, uint8 [N, H, W, channels].

    The generator is called with z and, if there is a table of classes, with `labels`. The function
    then also takes labels, int32 [N, columns], after the seeds; without them it uses each seed's
    own classes. For `z_dim` and `z_dist` see `latents`.
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
    """Calls a function on batches of one size and joins the results; the last batch is padded.

    Networks compiled for a single batch size are fast, and add numbers in one order, so that the
    result for an image does not depend on the number of images.

    Args:
        function: takes arrays [size, ...] and returns one or more such arrays.
        *rows: arrays [N, ...], N >= 1.
        progress: called after each batch with its number of rows.
    """
    parts = []
    for start in range(0, len(rows[0]), size):
        count = min(size, len(rows[0]) - start)
        filled = start + np.arange(size) % count
        made = function(*(np.asarray(column[filled]) for column in rows))
        parts.append([np.asarray(one)[:count] for one in made])
        progress(count)
    return [np.concatenate(column) for column in zip(*parts, strict=True)]
