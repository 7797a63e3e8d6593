"""The classes of a data set: what they are called, and how often they occur together.

A column is a kind of labels, such as hair; an image has one class in each. Labels are drawn as they
occur together in the data, and like latent vectors as a pure function of a seed, so that seed 7 has
the same classes everywhere.
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

MOST_ROWS = 1 << 14  # different ones that are kept; of more, as many from all over the data
_TAKEN = ("z", "seed", "images", "score", "png_bytes")  # other inputs and outputs
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
        """The classes of seeds with those asked for in the place of their own.

        Args:
            seeds: N of them.
            asked: names of classes by column: one for all seeds, or one a seed.

        Returns:
            int32 [N, columns].

        Raises:
            UserError: there is no such column or class, or not one a seed.
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
