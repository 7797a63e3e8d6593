"""Parses classes as users write them: hair=blue, or just 7 if there is one column of labels.

It does not import TensorFlow, as the server, which gives the same messages, can do without it.
"""

from collections.abc import Mapping, Sequence

from dcgan import UserError
from dcgan.cli.option import did_you_mean, list_some

_NAMED = 20  # the most classes that a message lists
# The most letters of a word, and classes, that are compared to guess what was meant: 500 classes
# take a server some 40 ms.
_LETTERS, _COMPARED = 40, 500

# Stands for a class's number: the class that the latent vector or seed has by itself. Exported
# models contain it, and their users pass it.
OWN = -1


def by_class(signature: str) -> str:
    """Returns the name of an exported model's signature that takes labels as well.

    Models that were exported earlier have these names.
    """
    return "by_class" if signature == "serving_default" else f"{signature}_by_class"


def class_number(names: Mapping[str, Sequence[str]], column: str, name: str) -> int:
    """Returns the number of a class by name. Raises UserError for an unknown column or class."""
    if column not in names:
        raise UserError(
            f"There are no labels {column!r}{did_you_mean(column, names)}: expected "
            f"{', '.join(names)}."
        )
    if name not in names[column]:
        known = names[column]
        word = name[:_LETTERS]
        hint = did_you_mean(word, known[:_COMPARED])
        raise UserError(
            f"There is no class {word!r} of {column}{hint}: expected {list_some(known, _NAMED)}."
        )
    return list(names[column]).index(name)


def parse_classes(text: str, names: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Parses the classes that a user asks for, such as hair=blue,eyes=red.

    Returns the names of the classes by column, in the order given. The column may be left out if
    there is only one. Raises UserError for a missing or unknown column, or an unknown class.
    """
    only = next(iter(names)) if len(names) == 1 else None
    if only is not None and text in names[only]:  # a class's name may have commas
        return {only: [text]}
    found: dict[str, list[str]] = {}
    for word in text.split(","):
        column, equals, name = (part.strip() for part in word.partition("="))
        if not equals or (only is not None and column not in names):
            column, name = only, word.strip()
        if column is None:
            first = next(iter(names))
            raise UserError(
                f"--label {word} does not say which label it is: write column=class, such as "
                f"{first}={names[first][0]}; the columns are {', '.join(names)}."
            )
        class_number(names, column, name)
        found.setdefault(column, []).append(name)
    return found
