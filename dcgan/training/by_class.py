"""What training by class adds to a run: image labels, and sample grids with one class per row."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dcgan.datasets.label_columns import matrix
from dcgan.datasets.prepare import PreparedData
from dcgan.latent.labels import ClassTable

MAX_ROWS = 16  # classes in a grid


@dataclass(frozen=True)
class TrainingLabels:
    """The labels that a run learns; every attribute is None if it learns none."""

    values: np.ndarray | None = None  # int32 [N, columns], one row per image
    table: ClassTable | None = None
    digest: str | None = None  # hexadecimal hash of the labels

    @classmethod
    def of(
        cls, prepared: PreparedData, columns: Mapping[str, Sequence[str]], **z_options
    ) -> "TrainingLabels":
        """Takes the labels of the given columns from a prepared data set.

        Args:
            prepared: the data set; its labels are read only if `columns` is not empty.
            columns: the class names of each label column to learn; may be empty.
            **z_options: z_dim and z_dist, see `ClassTable`.
        """
        if not columns:
            return cls()
        values = matrix(prepared.labels, columns)
        table = ClassTable.of(columns, values, **z_options)
        # In checkpoints: computed differently, unchanged labels would seem to have changed.
        digest = hashlib.sha256(values.astype("<i4").tobytes()).hexdigest()[:32]
        return cls(values, table, digest)

    def with_labels(self, images: np.ndarray) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Returns (images, labels), or the images alone without labels; see `make_dataset`."""
        return images if self.values is None else (images, self.values)

    def meta(self) -> dict[str, str]:
        """Returns what a checkpoint records about the labels."""
        return {"labels": self.digest} if self.digest else {}


@dataclass(frozen=True)
class SampleGrid:
    """The seeds and labels of a sample grid; calling it with a sampler gives the images."""

    seeds: Sequence[int]  # one per image
    labels: np.ndarray | None = None  # int32 [N, columns]; None without classes
    images_per_row: int | None = None  # images per row; None: as square a grid as possible

    def __call__(self, sample: Callable) -> np.ndarray:
        return sample(self.seeds) if self.labels is None else sample(self.seeds, self.labels)


def make_sample_grid(count: int, table: ClassTable | None) -> SampleGrid:
    """Makes a grid of about `count` images; with classes, each has a row and each seed a column."""
    if table is None:
        return SampleGrid(range(count))
    rows = min(table.sizes[0], MAX_ROWS, count)
    seeds = np.arange(count // rows)
    labels = np.tile(table.labels(seeds, {}), (rows, 1))
    labels[:, 0] = np.repeat(np.arange(rows), len(seeds))
    return SampleGrid(np.tile(seeds, rows), labels, len(seeds))
