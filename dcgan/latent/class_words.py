"""Classes as people write them: hair=blue, or 7 where there is one column of labels.

Imports no TensorFlow: the server answers with the same sentences.
"""

from collections.abc import Mapping, Sequence

from dcgan import UserError
from dcgan.cli.option import did_you_mean, some_of

_NAMED = 20  # classes of a sentence
# Letters of a word, and classes, that are compared with one another to find what was meant: 500
# take a server some 40 ms.
_LETTERS, _COMPARED = 40, 500

OWN = -1  # in the place of a class's number: the own class of a latent vector or of a seed


def by_class(signature: str) -> str:
    """What a signature of an exported model is called that takes labels too."""
    return "by_class" if signature == "serving_default" else f"{signature}_by_class"


def class_number(names: Mapping[str, Sequence[str]], column: str, name: str) -> int:
    """The number of a class, as a user calls it and its column; a UserError if there is none."""
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
            f"There is no class {word!r} of {column}{hint}: expected {some_of(known, _NAMED)}."
        )
    return list(names[column]).index(name)


def parse_classes(text: str, names: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """What a user asks for, such as hair=blue,eyes=red, or 7 where there is one column.

    Names of classes by column, in the order given; commas join several. A UserError where it is
    unclear which column a class is of, or there is no such column or class.
    """
    only = next(iter(names)) if len(names) == 1 else None
    if only is not None and text in names[only]:  # which may have commas in it
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
