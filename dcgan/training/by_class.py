"""What training by class adds to a run: the labels of its images, and grids with a class a row."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dcgan.datasets.label_columns import matrix
from dcgan.datasets.prepare import Prepared
from dcgan.latent.labels import ClassTable

MOST_ROWS = 16  # classes in a grid


@dataclass(frozen=True)
class ByClass:
    """The labels that a run learns; all None where it learns none."""

    values: np.ndarray | None = None  # int32 [N, columns], of each image
    table: ClassTable | None = None
    digest: str | None = None  # hexadecimal; tells labels apart

    @classmethod
    def of(cls, prepared: Prepared, columns: Mapping[str, Sequence[str]], **of_z) -> "ByClass":
        """Makes the labels of these columns, whose classes have these names, or of none.

        Args:
            prepared: whose labels are read only where some are learnt.
            columns: the names of the classes of those that are learnt.
            **of_z: see `ClassTable`.
        """
        if not columns:
            return cls()
        values = matrix(prepared.labels, columns)
        table = ClassTable.of(columns, values, **of_z)
        digest = hashlib.sha256(values.astype("<i4").tobytes()).hexdigest()[:32]
        return cls(values, table, digest)

    def beside(self, images: np.ndarray) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Images and their labels, or images alone; see `make_dataset`."""
        return images if self.values is None else (images, self.values)

    @property
    def asked(self) -> Callable | None:
        """The names of the classes of seeds, see `ClassTable.named`."""
        return self.table.named if self.table else None

    def meta(self) -> dict[str, str]:
        """What a checkpoint says of them."""
        return {"labels": self.digest} if self.digest else {}


@dataclass(frozen=True)
class Cells:
    """The images of a sample grid."""

    seeds: Sequence[int]  # of the images
    labels: np.ndarray | None = None  # int32 [N, columns]; None where there are no classes
    in_a_row: int | None = None  # images; the nearest to a square when None

    def __call__(self, sample: Callable) -> np.ndarray:
        return sample(self.seeds) if self.labels is None else sample(self.seeds, self.labels)


def make_cells(count: int, table: ClassTable | None) -> Cells:
    """The cells of a grid of about `count` images: with classes, one a row and a seed a column."""
    if table is None:
        return Cells(range(count))
    rows = min(table.sizes[0], MOST_ROWS, count)
    seeds = np.arange(count // rows)
    labels = np.tile(table.labels(seeds, {}), (rows, 1))
    labels[:, 0] = np.repeat(np.arange(rows), len(seeds))
    return Cells(np.tile(seeds, rows), labels, len(seeds))
