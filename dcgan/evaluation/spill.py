"""Arrays that grow on the disk instead of in memory, in temporary files that are always removed."""

import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from dcgan import disk
from dcgan.evaluation.extractor import Extracted


class Table:
    """Rows that are added in blocks and read as one array.

    Rows are written, not mapped, so that a full disk raises an error instead of SIGBUS.
    """

    def __init__(self):
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as its array
        self._row: tuple[tuple[int, ...], np.dtype] | None = None

    def append(self, rows: np.ndarray) -> None:
        """Adds rows [n, ...], always of one shape and type; raises OSError if the disk is full."""
        self._row = rows.shape[1:], rows.dtype
        self._file.write(np.ascontiguousarray(rows).data)

    def array(self) -> np.ndarray:
        """Returns all rows, at least one; as a read-only memory map if the file can be mapped."""
        self._file.flush()
        shape, dtype = self._row
        try:
            return np.memmap(self._file, dtype, "r").reshape(-1, *shape)
        except OSError as error:
            if error.errno not in disk.UNSUPPORTED:
                raise
            disk.warn_unmapped(Path(tempfile.gettempdir()), error)
        self._file.seek(0)
        return np.fromfile(self._file, dtype).reshape(-1, *shape)


def join_blocks(blocks: Iterable[np.ndarray]) -> np.ndarray:
    """Joins blocks of rows, at least one."""
    table = Table()
    for block in blocks:
        table.append(block)
    return table.array()


def collect(parts: Iterable[Extracted]) -> Extracted:
    """Joins the parts, at least one, that an extractor yields."""
    features, probabilities = Table(), {}
    for part in parts:
        features.append(part.features)
        for name, rows in part.probabilities.items():
            probabilities.setdefault(name, Table()).append(rows)
    return Extracted(features.array(), {n: table.array() for n, table in probabilities.items()})
