"""Whole numbers to latent vectors to images: seed 7 is the same picture everywhere.

Samples are computed in float32, whatever the training computes in, and in batches of one size, so
that on one machine every command gives the same bytes. `export.parity` says what exported models
may differ by.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

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
    if table is None:
        return lambda seeds: np.concatenate(list(sample_batches(of_seeds, seeds)))
    specs = [*specs, tf.TensorSpec([BATCH_SIZE, len(table.columns)], tf.int32)]
    of_labels = tf.function(generate, input_signature=specs, autograph=False)

    def sample(seeds: Sequence[int], labels: np.ndarray | None = None) -> np.ndarray:
        if labels is None:
            return np.concatenate(list(sample_batches(of_seeds, seeds)))
        return np.concatenate(list(sample_batches(of_labels, seeds, labels)))

    return sample


def sample_batches(
    sample_batch: Callable[..., tf.Tensor], seeds: Iterable[int], *more: np.ndarray
) -> Iterator[np.ndarray]:
    """uint8 images of seeds in batches of one size; the last batch is filled up and cut.

    `more` is what else `sample_batch` takes, a row a seed.
    """
    columns = [full_batches(rows) for rows in (np.asarray(list(seeds), np.int64), *more)]
    for parts in zip(*columns, strict=True):
        batches, (count, *_) = zip(*parts, strict=True)
        yield images.to_uint8(sample_batch(*map(tf.constant, batches)).numpy())[:count]


def full_batches(rows: np.ndarray, size: int = BATCH_SIZE) -> Iterator[tuple[np.ndarray, int]]:
    """(`size` rows, how many of them count): the last ones are repeated to fill a batch."""
    for start in range(0, len(rows), size):
        batch = np.asarray(rows[start : start + size])
        yield batch[np.arange(size) % len(batch)], len(batch)


def in_batches(
    function: Callable[[np.ndarray], np.ndarray],
    rows: np.ndarray,
    progress: Callable[[int], object],
) -> np.ndarray:
    """Applies a function to batches of one size, the last one filled up and cut.

    So no result depends on how many are asked for.
    """
    results = []
    for batch, count in full_batches(rows):
        results.append(np.asarray(function(batch))[:count])
        progress(count)
    return np.concatenate(results)
