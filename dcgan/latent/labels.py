"""The classes of a data set: what they are called, and how often they occur together.

A column is a kind of labels, such as hair; an image has one class in each. Labels are drawn as they
occur together in the data, and like latent vectors as a pure function of a seed, so that seed 7 has
the same classes everywhere.
"""

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

MOST_ROWS = 1 << 14  # different ones that are kept; of more, as many from all over the data
_LABELS = -2  # where latent vectors have -1 and training's noise the step, which is never negative


@dataclass(frozen=True)
class ClassTable:
    """What a conditional run knows of its labels.

    Attributes:
        names: of the classes, in the order of their numbers, by column.
        rows: int32 [R, columns], different combinations of classes that occur.
        counts: int64 [R], how often each does.
    """

    names: Mapping[str, tuple[str, ...]]
    rows: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, names: Mapping[str, Sequence[str]], labels: np.ndarray) -> "ClassTable":
        """The table of a data set with labels [N, columns]."""
        rows, counts = np.unique(labels, axis=0, return_counts=True)
        if len(rows) > MOST_ROWS:
            some = np.linspace(0, len(labels) - 1, MOST_ROWS).round().astype(int)
            rows, counts = np.unique(labels[some], axis=0, return_counts=True)
        return cls({k: tuple(v) for k, v in names.items()}, rows.astype(np.int32), counts)

    @property
    def columns(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(self.names)

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many classes each column has."""
        return tuple(map(len, self.names.values()))

    @functools.cached_property
    def digest(self) -> str:
        """Hexadecimal; tells tables apart."""
        names = json.dumps(list(self.names.items())).encode()
        numbers = (np.ascontiguousarray(one, "<i8").tobytes() for one in (self.rows, self.counts))
        return hashlib.sha256(names + b"".join(numbers)).hexdigest()[:32]

    def like(self, fixed: Mapping[int, int]) -> "ClassTable":
        """The rows whose columns have these classes.

        Where there is none, all rows with these classes put into them.

        Args:
            fixed: class by column, both as numbers.
        """
        chosen = np.ones(len(self.rows), bool)
        for column, number in fixed.items():
            chosen &= self.rows[:, column] == number
        rows, counts = self.rows.copy(), self.counts
        if chosen.any():
            return ClassTable(self.names, rows[chosen], counts[chosen])
        for column, number in fixed.items():
            rows[:, column] = number
        return ClassTable(self.names, rows, counts)

    def draw(self, count: int, seed: tf.Tensor) -> tf.Tensor:
        """So many rows int32 [count, columns], as often as they occur, of a seed int64 [2]."""
        return self._pick(_uniform([count], seed))

    def of_seeds(self, seeds: tf.Tensor) -> tf.Tensor:
        """The classes of seeds int64 [N]: int32 [N, columns]; row i depends on seeds[i] only."""
        seeds = tf.cast(seeds, tf.int64)
        pairs = tf.stack([seeds, tf.fill(tf.shape(seeds), tf.constant(_LABELS, tf.int64))], 1)
        uniform = tf.TensorSpec([], tf.float64)
        return self._pick(
            tf.map_fn(lambda pair: _uniform([], pair), pairs, fn_output_signature=uniform)
        )

    def _pick(self, numbers: tf.Tensor) -> tf.Tensor:
        """Rows of numbers in [0, 1)."""
        shares = np.cumsum(self.counts) / self.counts.sum()
        places = tf.searchsorted(tf.constant(shares), numbers, side="right")
        return tf.gather(tf.constant(self.rows), places)


def _uniform(shape: list[int], seed: tf.Tensor) -> tf.Tensor:
    """float64 in [0, 1) of a seed int64 [2]."""
    key, counter = tf.raw_ops.StatelessRandomGetKeyCounter(seed=seed)
    philox = tf.random.Algorithm.PHILOX.value
    return tf.raw_ops.StatelessRandomUniformV2(
        shape=shape, key=key, counter=counter, alg=philox, dtype=tf.float64
    )
