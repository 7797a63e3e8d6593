"""Chooses the labels of a data set that a conditional run learns, and checks them.

This happens before any picture is decoded.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from dcgan import UserError
from dcgan.cli.option import did_you_mean
from dcgan.datasets.source import NONE, Labels, Source, Summary

MOST_CLASSES = 1000  # in a column
MOST_COLUMNS = 64
FEWEST = 2  # pictures in a class
_NAMED = 3  # pictures or classes that a refusal names


def hint(source: Source) -> str:
    """Returns a hint for runs that ignore labels; "" unless the data set has one column of them.

    Digits were clearer with labels, see docs/conditional.md. Several columns may hold anything.
    """
    if not getattr(source, "labels_at_hand", True) or len(source.labels) != 1:
        return ""
    (count,) = (len(one.names) for one in source.labels.values())
    if not 2 <= count <= MOST_CLASSES:
        return ""
    return (
        f"The images have labels of {count:,} classes: with --conditional the networks learn these "
        "too, which made digits clearer in the same minutes (docs/conditional.md)."
    )


def choose(source: Source, wanted: str | None) -> dict[str, Labels]:
    """Returns the wanted columns of labels. `wanted` joins names by commas; None means all.

    Raises UserError if there are no labels, unknown names, too many columns, or a column without
    2 to `MOST_CLASSES` classes.
    """
    there = source.labels
    if not there:
        raise UserError(
            f"--conditional needs labels, and {source.name} has none: put the pictures into one "
            "folder a class, or beside them a .csv file with a column of file names and a column "
            "a kind of label; or leave the flag out."
        )
    names = list(dict.fromkeys(map(str.strip, wanted.split(",")))) if wanted else list(there)
    for name in names:
        if name not in there:
            raise UserError(
                f"--label_columns {wanted} names {name!r}{did_you_mean(name, there)}, and the "
                f"labels of {source.name} are {', '.join(there)}: choose from these."
            )
    if len(names) > MOST_COLUMNS:
        raise UserError(
            f"{source.name} has {len(names)} columns of labels, and at most {MOST_COLUMNS} can be "
            "learnt: name some with --label_columns."
        )
    others = [name for name in there if name != names[0]]
    instead = f", such as --label_columns {others[0]}" if others else ""
    for name in names:
        count = len(there[name].names)
        if not 2 <= count <= MOST_CLASSES:
            raise UserError(
                f"The labels {name!r} of {source.name} have {count:,} "
                f"class{'es' if count != 1 else ''}: expected 2 to {MOST_CLASSES:,}; name other "
                f"columns with --label_columns{instead}."
            )
    return {name: there[name] for name in names}


def usable(source: Source, summary: Summary, limit: int | None) -> np.ndarray:
    """Returns the numbers of the pictures that will be used, as far as their headers tell."""
    skipped = {one.name for one in summary.skipped}
    names = getattr(source, "names", None)
    rows = np.arange(len(source))
    if skipped and names is not None:
        rows = np.array([i for i, name in enumerate(names) if name not in skipped], int)
    return rows[:limit]


def problem(labels: Mapping[str, Labels], rows: np.ndarray, *, names: Iterable[str] = ()) -> str:
    """Returns why a run cannot learn the labels of the pictures `rows`; "" if it can.

    Reasons are pictures without a label and classes with too few. `names` are of all files, if any.
    """
    files = list(names)
    for column, one in labels.items():
        values = one.values[rows]
        if len(without := rows[values == NONE]):
            some = ", ".join(files[i] for i in without[:_NAMED]) if files else ""
            return (
                f"{len(without):,} of {len(rows):,} pictures have no label {column!r}"
                f"{f' (such as {some})' if some else ''}: give each picture one, take these "
                "pictures away, or name other columns with --label_columns."
            )
        counts = np.bincount(values, minlength=len(one.names))
        if len(rare := np.flatnonzero(counts < FEWEST)):
            some = ", ".join(f"{one.names[i]} ({counts[i]})" for i in rare[:_NAMED])
            return (
                f"Of the labels {column!r} these classes have fewer than {FEWEST} pictures: {some}"
                f"{', ...' if len(rare) > _NAMED else ''}; give them more, join them with other "
                "classes, or name other columns with --label_columns."
            )
    return ""


def matrix(labels: Mapping[str, Labels], columns: Iterable[str]) -> np.ndarray:
    """Returns int32 [N, columns], the given columns side by side."""
    return np.stack([np.asarray(labels[name].values, np.int32) for name in columns], 1)
