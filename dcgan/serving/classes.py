"""The classes that a model knows by its description, and those that a request asks for."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dcgan import UserError
from dcgan.latent.class_words import class_number
from dcgan.serving.batching import Arrays
from dcgan.serving.refusals import RequestError

OWN = -1  # in a signature with seeds: the seed's own class


@dataclass(frozen=True)
class Column:
    """A kind of labels.

    Attributes:
        name: such as "hair".
        input: of the signatures.
        names: of the classes, from 0.
    """

    name: str
    input: str
    names: tuple[str, ...]


def columns_of(info: Mapping) -> tuple[Column, ...]:
    """Those of a model's description; none where it knows no classes.

    Raises:
        ValueError: they are not as `export` writes them.
    """
    found = []
    for one in info.get("classes", []):
        name, given, names = one["column"], one["input"], one["names"]
        texts = [name, given, *names] if isinstance(names, list) else [None]
        if not all(isinstance(text, str) for text in texts):
            raise ValueError("its classes are no texts")
        found.append(Column(name, given, tuple(names)))
    return tuple(found)


def asked(columns: tuple[Column, ...], query: Mapping[str, str]) -> dict[str, int]:
    """The numbers of the classes that are asked for, by input; `OWN` where none is.

    Args:
        columns: of the model.
        query: names of classes by column; "label" stands for the only column.

    Raises:
        RequestError: 400, there is no such class.
    """
    found = {}
    for column in columns:
        word = query.get(column.name)
        if word is None and len(columns) == 1:
            word = query.get("label")
        found[column.input] = OWN if word is None else _number(column, word)
    return found


def _number(column: Column, word: str) -> int:
    try:
        return class_number({column.name: column.names}, column.name, word)
    except UserError as error:
        raise RequestError(400, str(error)) from error


def repeated(labels: Mapping[str, int], rows: int) -> Arrays:
    """The inputs of so many rows."""
    return {name: np.full(rows, number, np.int32) for name, number in labels.items()}


def words(labels: Mapping[str, int]) -> str:
    """Tells pictures of one seed and several classes apart; nothing for a model without any."""
    return "".join(f"-{name}-{number}" for name, number in labels.items())


def of_all(columns: tuple[Column, ...], labels: object) -> dict[str, int]:
    """The numbers of classes for latent vectors, which have none of their own.

    Args:
        columns: of the model.
        labels: what a client sent: names of classes by column, one of each.

    Raises:
        RequestError: 400, it is something else.
    """
    given = labels if isinstance(labels, dict) else {}
    for column in columns:
        if not isinstance(given.get(column.name), str):
            expected = ", ".join(one.name for one in columns)
            raise RequestError(
                400, f"Expected labels to be an object with the name of a class of {expected}."
            )
    return {column.input: _number(column, given[column.name]) for column in columns}


def check(columns: tuple[Column, ...], inputs: Arrays) -> None:
    """Refuses numbers of classes that there are not.

    Raises:
        RequestError: 400, says which there are.
    """
    least = OWN if "seed" in inputs else 0
    for column in columns:
        numbers = inputs.get(column.input)
        if numbers is None or (numbers.min() >= least and numbers.max() < len(column.names)):
            continue
        worst = numbers.min() if numbers.min() < least else numbers.max()
        own = ", or -1 for the seed's own" if least == OWN else ""
        raise RequestError(
            400,
            f"Expected {column.input} from 0 to {len(column.names) - 1}{own}; received {worst}.",
        )
