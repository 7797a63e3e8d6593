"""checkpoints/classes.json: the names of a conditional run's classes, and how often they occur.

Runs hold this file, so neither its name nor its keys may change.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from dcgan import UserError
from dcgan.cli.option import list_some
from dcgan.files import read_json, write_json
from dcgan.latent.labels import MOST_ROWS, ClassTable
from dcgan.models import Generator
from dcgan.run.run_dir import damaged_error

NAME = "classes.json"
_NAMED = 12  # classes listed in a message, at most


def write(checkpoints: Path, table: ClassTable) -> None:
    names = {column: list(classes) for column, classes in table.names.items()}
    rows = {"rows": table.rows.tolist(), "counts": table.counts.tolist()}
    write_json(checkpoints / NAME, {"names": names, **rows})


def read(checkpoints: Path, generator: Generator) -> ClassTable | None:
    """Reads the table of a run; None if its generator knows no classes.

    Raises UserError if the file is missing or does not fit the generator.
    """
    sizes = generator.classes
    if not sizes:
        return None
    path = checkpoints / NAME
    if not path.exists():
        raise damaged_error(path, "is missing, which says what the classes of this run are")
    found = _parse(read_json(path))
    if found is None or tuple(map(len, found["names"].values())) != sizes:
        raise damaged_error(path, "does not describe the classes of this run's networks")
    return ClassTable(**found, z_dim=generator.z_dim, z_dist=generator.z_dist)


def refuse_other(checkpoints: Path, columns: Mapping[str, Sequence[str]]) -> None:
    """Raises UserError if the columns or names of the classes differ from the run's."""
    path = checkpoints / NAME
    found = _parse(read_json(path)) if path.exists() else None
    now = {column: tuple(names) for column, names in columns.items()}
    if found is None or list(found["names"].items()) == list(now.items()):
        return
    for column in {**found["names"], **now}:
        before, after = found["names"].get(column, ()), now.get(column, ())
        if before != after:
            break
    before, after = (list_some(names, _NAMED) or "none" for names in (before, after))
    raise UserError(
        f"The run has learnt other classes: its {column!r} are {before}, those of the data now "
        f"{after}; restore the labels, or choose another --run_dir to start anew."
    )


def _parse(value: dict) -> dict | None:
    """Returns names, rows and counts of a `ClassTable`; None if `write` makes no such file."""
    names, rows, counts = (value.get(name) for name in ("names", "rows", "counts"))
    if not (isinstance(names, dict) and isinstance(rows, list) and isinstance(counts, list)):
        return None
    fits = (
        all(isinstance(one, list) and all(type(n) is str for n in one) for one in names.values())
        and 0 < len(rows) == len(counts) <= MOST_ROWS
        and all(isinstance(row, list) and len(row) == len(names) for row in rows)
        and all(
            type(n) is int and 0 <= n < len(classes)
            for row in rows
            for n, classes in zip(row, names.values(), strict=True)
        )
        and all(type(n) is int and 0 < n < 1 << 53 for n in counts)
    )
    if not fits:
        return None
    known = {column: tuple(classes) for column, classes in names.items()}
    return {"names": known, "rows": np.array(rows, np.int32), "counts": np.array(counts, np.int64)}
