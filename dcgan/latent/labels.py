"""The classes of a data set: their names, and how often they occur together.

A column is a kind of labels, such as hair; an image has one class in each column. A latent vector
has classes of its own, which are drawn unless others are asked for; over all vectors they occur as
often as in the data. So z alone determines the image, and seed 7 has the same classes everywhere.
"""

import functools
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from dcgan import UserError
from dcgan.latent.class_words import class_number
from dcgan.latent.noise import QUANTILES, latents

# The most combinations of classes; if there are more, those of this many images are kept.
MOST_ROWS = 1 << 14
_TAKEN = ("z", "seed", "images", "score", "png_bytes")  # names of an exported model's other tensors


@dataclass(frozen=True)
class ClassTable:
    """The labels of a conditional run: names, combinations, and how to draw them."""

    names: Mapping[str, tuple[str, ...]]  # names of the classes by column, in order of their number
    rows: np.ndarray  # int32 [R, columns], the different combinations of classes
    counts: np.ndarray  # int64 [R], how often each combination occurs
    z_dim: int  # length of the latent vectors, see `latents`
    z_dist: str  # their distribution

    @classmethod
    def of(
        cls, names: Mapping[str, Sequence[str]], labels: np.ndarray, *, z_dim: int, z_dist: str
    ) -> "ClassTable":
        """Makes the table of a data set with integer labels [N, columns]."""
        rows, counts = np.unique(labels, axis=0, return_counts=True)
        if len(rows) > MOST_ROWS:
            some = np.linspace(0, len(labels) - 1, MOST_ROWS).round().astype(int)
            rows, counts = np.unique(labels[some], axis=0, return_counts=True)
        known = {column: tuple(classes) for column, classes in names.items()}
        return cls(known, rows.astype(np.int32), counts, z_dim, z_dist)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(self.names)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of classes of each column."""
        return tuple(map(len, self.names.values()))

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns' input names in an exported model; only letters, digits and underscores.

        Clients of exported models pass labels by these names.
        """
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
        """A hexadecimal hash of names, combinations and counts; in generators' fingerprints."""
        names = json.dumps(list(self.names.items())).encode()
        numbers = (np.ascontiguousarray(one, "<i8").tobytes() for one in (self.rows, self.counts))
        return hashlib.sha256(names + b"".join(numbers)).hexdigest()[:32]

    def labels(self, seeds: Sequence[int], asked: Mapping[str, Sequence[str]]) -> np.ndarray:
        """Returns the classes of seeds, int32 [N, columns], replaced by those asked for.

        `asked` has names of classes by column, one for all seeds or one per seed. Raises UserError
        for an unknown column or class, or a wrong number of classes.
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

    def class_names(self, seeds: Sequence[int]) -> dict[str, list[str]]:
        """Returns the names of the seeds' own classes by column."""
        rows = self.labels(seeds, {}).T
        names = self.names.items()
        return {
            column: [known[number] for number in numbers]
            for (column, known), numbers in zip(names, rows, strict=True)
        }

    def draw(self, count: int, seed: tf.Tensor) -> tf.Tensor:
        """Draws combinations of classes, int32 [count, columns], as often as in the data.

        The seed is int64 [2]. Training draws the classes of generated images this way, not from z,
        so that each class learns to use all of latent space. Drawn in another way, resumed runs
        would go on differently.
        """
        numbers = tf.random.stateless_uniform([count], seed, dtype=tf.float64, alg="philox")
        places = tf.searchsorted(tf.constant(self._below), numbers, side="right")
        return tf.gather(tf.constant(self.rows), places)

    def of_seeds(self, seeds: tf.Tensor) -> tf.Tensor:
        """Returns the own classes of seeds int64 [N]: int32 [N, columns]; row i is of seeds[i]."""
        return self.of_latents(latents(seeds, z_dim=self.z_dim, z_dist=self.z_dist))

    def of_latents(self, z: tf.Tensor) -> tf.Tensor:
        """Returns the own classes of latent vectors float32 [N, z_dim]: int32 [N, columns].

        The first number of z decides: its range is divided into intervals that are as probable as
        the combinations are frequent. Every runtime of exported models can compare with all ends.
        """
        is_above = z[:, :1] >= self._ends(z)
        places = tf.reduce_sum(tf.cast(is_above, tf.int32), 1)
        return tf.gather(tf.constant(self.rows), places)

    def _ends(self, z: tf.Tensor) -> tf.Tensor:
        """Returns the ends of the intervals, float32 [R - 1]; `export.litert` makes them of z."""
        return tf.constant(self._cuts)

    @functools.cached_property
    def _below(self) -> np.ndarray:
        """float64 [R], the cumulative shares of the combinations among the images."""
        return np.cumsum(self.counts) / self.counts.sum()

    @functools.cached_property
    def _cuts(self) -> np.ndarray:
        """float32 [R - 1], the ends of the intervals of `of_latents`."""
        quantile = QUANTILES[self.z_dist]
        return np.array([quantile(share) for share in self._below[:-1]], np.float32)

    def shares(self) -> np.ndarray:
        """Returns float32 [classes of all columns], the share of images that have each class."""
        found = np.zeros(sum(self.sizes))
        begins = np.cumsum([0, *self.sizes[:-1]])
        for begin, numbers in zip(begins, self.rows.T, strict=True):
            np.add.at(found, begin + numbers, self.counts / self.counts.sum())
        return found.astype(np.float32)
