"""The classes in a model's description, and those that a request asks for."""

from collections.abc import Mapping
from dataclasses import dataclass

from dcgan import UserError
from dcgan.latent.class_words import OWN, class_number
from dcgan.serving.batching import Arrays
from dcgan.serving.errors import RequestError


@dataclass(frozen=True)
class Column:
    """A label column."""

    name: str  # such as "hair"
    input: str  # its name among the inputs of signatures
    names: tuple[str, ...]  # names of the classes, by number


def columns_of(info: Mapping) -> tuple[Column, ...]:
    """Reads the columns that `export.description` wrote; raises ValueError if it did not."""
    found = []
    for one in info.get("classes", []):
        name, given, names = one["column"], one["input"], one["names"]
        texts = [name, given, *names] if isinstance(names, list) else [None]
        if not all(isinstance(text, str) for text in texts):
            raise ValueError("its classes are not texts")
        found.append(Column(name, given, tuple(names)))
    return tuple(found)


def from_query(columns: tuple[Column, ...], query: Mapping[str, str]) -> dict[str, int]:
    """Returns the numbers of the classes that a query asks for, by input; `OWN` if it names none.

    The query has class names by column; "label" may stand for the only column. An unknown class is
    refused with 400, and so is a "label" that may be of several columns.
    """
    found = {}
    known = [one.name for one in columns]
    if len(known) > 1 and "label" in query and "label" not in known:
        raise RequestError(
            "label does not say which label it is: expected the name of one of the columns "
            f"{', '.join(known)}."
        )
    for column in columns:
        word = query.get(column.name, query.get("label") if len(columns) == 1 else None)
        try:
            names = {column.name: column.names}
            found[column.input] = OWN if word is None else class_number(names, column.name, word)
        except UserError as error:
            raise RequestError(str(error)) from error
    return found


def cache_key(labels: Mapping[str, int]) -> str:
    """Returns a text that differs for different classes; empty for a model without classes."""
    return "".join(f"-{name}-{number}" for name, number in labels.items())


def from_body(columns: tuple[Column, ...], labels: object) -> dict[str, int]:
    """Does the same as `from_query` for names of classes that a client sent in a body.

    Unlike a query, it may name nothing but columns.
    """
    given = {} if labels is None else labels
    known = [one.name for one in columns]
    if (
        not isinstance(given, dict)
        or not all(isinstance(word, str) for word in given.values())
        or not given.keys() <= {*known, *(["label"] if known else [])}
    ):
        names = ", ".join(known) or "none"
        raise RequestError(f"Expected labels to be an object with the names of classes of {names}.")
    return from_query(columns, given)


def check(columns: tuple[Column, ...], inputs: Arrays) -> None:
    """Refuses numbers of unknown classes with 400."""
    for column in columns:
        numbers = inputs.get(column.input)
        if numbers is None or (numbers.min() >= OWN and numbers.max() < len(column.names)):
            continue
        worst = numbers.min() if numbers.min() < OWN else numbers.max()
        raise RequestError(
            f"Expected {column.input} from 0 to {len(column.names) - 1}, or {OWN} for none in "
            f"particular; received {worst}."
        )
