"""The classes of a data set: what they are called, and how often they occur together.

A column is a kind of labels, such as hair; an image has one class in each. A latent vector has
classes of its own, which are drawn where nobody asks for others: over all vectors, they occur as
often as in the data. So z alone says what a picture shows, and seed 7 has the same classes
everywhere.
"""

import functools
import hashlib
import json
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from dcgan import UserError
from dcgan.latent.class_words import class_number
from dcgan.latent.noise import latents

MOST_ROWS = 1 << 14  # different ones that are kept; of more, as many from all over the data
_TAKEN = ("z", "seed", "images", "score", "png_bytes")  # other inputs and outputs


@dataclass(frozen=True)
class ClassTable:
    """What a conditional run knows of its labels."""

    names: Mapping[str, tuple[str, ...]]  # of the classes, in the order of their numbers, by column
    rows: np.ndarray  # int32 [R, columns], different combinations of classes that occur
    counts: np.ndarray  # int64 [R], how often each does
    z_dim: int  # of the latent vectors, see `latents`
    z_dist: str

    @classmethod
    def of(
        cls, names: Mapping[str, Sequence[str]], labels: np.ndarray, *, z_dim: int, z_dist: str
    ) -> "ClassTable":
        """The table of a data set with labels [N, columns]."""
        rows, counts = np.unique(labels, axis=0, return_counts=True)
        if len(rows) > MOST_ROWS:
            some = np.linspace(0, len(labels) - 1, MOST_ROWS).round().astype(int)
            rows, counts = np.unique(labels[some], axis=0, return_counts=True)
        known = {column: tuple(classes) for column, classes in names.items()}
        return cls(known, rows.astype(np.int32), counts, z_dim, z_dist)

    @property
    def columns(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(self.names)

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many classes each column has."""
        return tuple(map(len, self.names.values()))

    @property
    def inputs(self) -> tuple[str, ...]:
        """What the columns are called as inputs of an exported model: letters, digits and _."""
        found: list[str] = []
        for column in self.names:
            name = re.sub(r"\W+", "_", column, flags=re.ASCII).strip("_") or "label"
            name = name if name[0].isalpha() and name not in _TAKEN else f"label_{name}"
            while name in found:
                name += "_"
            found.append(name)
        return tuple(found)

    @functools.cached_property
    def digest(self) -> str:
        """Hexadecimal; tells tables apart."""
        names = json.dumps(list(self.names.items())).encode()
        numbers = (np.ascontiguousarray(one, "<i8").tobytes() for one in (self.rows, self.counts))
        return hashlib.sha256(names + b"".join(numbers)).hexdigest()[:32]

    def labels(self, seeds: Sequence[int], asked: Mapping[str, Sequence[str]]) -> np.ndarray:
        """The classes of seeds, int32 [N, columns], with those asked for in the place of their own.

        These are named by column: one for all seeds, or one a seed. A UserError where there is no
        such column or class, or not one a seed.
        """
        found = self.of_seeds(tf.constant(list(seeds), tf.int64)).numpy()
        for column, names in asked.items():
            numbers = [class_number(self.names, column, name) for name in names]
            if len(numbers) not in (1, len(found)):
                each = f", or one for each of the {len(found)} seeds" if len(found) > 1 else ""
                raise UserError(
                    f"--label must name one class of {column}{each}; received {len(numbers)}."
                )
            found[:, self.columns.index(column)] = numbers
        return found

    def named(self, seeds: Sequence[int]) -> dict[str, list[str]]:
        """The names of the seeds' own classes, by column."""
        rows = self.labels(seeds, {}).T
        names = self.names.items()
        return {
            column: [known[number] for number in numbers]
            for (column, known), numbers in zip(names, rows, strict=True)
        }

    def draw(self, count: int, seed: tf.Tensor) -> tf.Tensor:
        """So many rows int32 [count, columns], as often as they occur, of a seed int64 [2].

        Training draws those of generated images so, whatever their z: each class learns all of z.
        """
        key, counter = tf.raw_ops.StatelessRandomGetKeyCounter(seed=seed)
        philox = tf.random.Algorithm.PHILOX.value
        numbers = tf.raw_ops.StatelessRandomUniformV2(
            shape=[count], key=key, counter=counter, alg=philox, dtype=tf.float64
        )
        places = tf.searchsorted(tf.constant(self._below), numbers, side="right")
        return tf.gather(tf.constant(self.rows), places)

    def of_seeds(self, seeds: tf.Tensor) -> tf.Tensor:
        """The classes of seeds int64 [N]: int32 [N, columns]; row i depends on seeds[i] only."""
        return self.of_latents(latents(seeds, z_dim=self.z_dim, z_dist=self.z_dist))

    def of_latents(self, z: tf.Tensor) -> tf.Tensor:
        """The classes of latent vectors float32 [N, z_dim]: int32 [N, columns].

        The first number of z says which: its distribution is cut into pieces as likely as the rows
        are frequent. Comparing with all of them is what every runtime of exported models can do.
        """
        is_above = z[:, :1] >= tf.constant(self._cuts)
        places = tf.reduce_sum(tf.cast(is_above, tf.int32), 1)
        return tf.gather(tf.constant(self.rows), places)

    @functools.cached_property
    def _below(self) -> np.ndarray:
        """float64 [R], the share of images whose row is this one or one before it."""
        return np.cumsum(self.counts) / self.counts.sum()

    @functools.cached_property
    def _cuts(self) -> np.ndarray:
        """float32 [R - 1], where the pieces of `of_latents` end."""
        quantile = _QUANTILES[self.z_dist]
        return np.array([quantile(share) for share in self._below[:-1]], np.float32)

    def shares(self) -> np.ndarray:
        """float32 [classes of all columns], the share of each class among its column's images."""
        found = np.zeros(sum(self.sizes))
        begins = np.cumsum([0, *self.sizes[:-1]])
        for begin, numbers in zip(begins, self.rows.T, strict=True):
            np.add.at(found, begin + numbers, self.counts / self.counts.sum())
        return found.astype(np.float32)


# What shares of random numbers are below, by their distribution.
_QUANTILES = {
    "normal01": statistics.NormalDist().inv_cdf,
    "uniform_signed": lambda share: 2 * share - 1,
    "uniform_unsigned": lambda share: share,
}
