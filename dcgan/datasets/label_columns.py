"""Which labels of a data set a conditional run learns, and what stands in the way of that.

Refused, each in a sentence and before a picture is decoded: no labels or not those asked for,
pictures without a label, columns of one class or of too many, classes of one picture.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from dcgan import UserError
from dcgan.cli.option import did_you_mean
from dcgan.datasets.source import NONE, Labels, Source, Summary

MOST_CLASSES = 1000  # of a column
MOST_COLUMNS = 64
FEWEST = 2  # pictures of a class
_NAMED = 3  # of those that are refused


def hint(source: Source) -> str:
    """What to say to who trains without the labels that there are; nothing where there are none.

    Digits were clearer with them, see docs/conditional.md; several columns were not compared.
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
    """The columns of labels that are wanted: names joined by commas, all when None.

    A UserError where there are none, not these, too many, or a column has too many classes or one.
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
    """The numbers of the pictures that will be used, as far as their headers tell."""
    skipped = {one.name for one in summary.skipped}
    names = getattr(source, "names", None)
    rows = np.arange(len(source))
    if skipped and names is not None:
        rows = np.array([i for i, name in enumerate(names) if name not in skipped], int)
    return rows[:limit]


def problem(labels: Mapping[str, Labels], rows: np.ndarray, *, names: Iterable[str] = ()) -> str:
    """A sentence why a run cannot learn from labels of these pictures; nothing where it can.

    A picture has no label, or a class has too few pictures. `names` are of all pictures, if any.
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
    """int32 [N, columns], the columns side by side."""
    return np.stack([np.asarray(labels[name].values, np.int32) for name in columns], 1)
