"""Defines options, checks their values, and expands ~ in paths.

It refuses values out of range, and never looks at files.
"""

import dataclasses
import difflib
import math
import os
import re
from collections.abc import Iterable, Sequence
from typing import Any

from dcgan import UserError

ENDLESS = 1_000_000  # epochs of a run that only its time or its user ends


def option(default, help: str, group: str | None = None, *, within: tuple = (), **metadata) -> Any:
    """Makes a field of an options dataclass, with the metadata that its flag needs.

    Args:
        default: the value if the flag is not given.
        help: a sentence for `--help` and flags.md.
        group: the heading that it is listed under; None for the command's name.
        within: the allowed range, both ends included.

    Metadata:
        choices: the allowed values; several: True if commas may join several of them; files: True
            if the path of a file, which has a dot or a slash in it, is allowed as well.
        path: True if the value is, or may be, the path of a file or folder.
        minimum, maximum: the ends of `within`, or one of them; above: the excluded lower end.
        aliases: other names of the flag; formerly: old ones, which still work and are not shown.
        pieces: more flags that may be given several times, each with the sign that is put before
            its value; together they make the value of the field.
        list: True if several values may follow the flag, as words or joined by commas.
        harmless: True if a run may continue with another value.
        required: True if the command refuses to start without it; example: a value to show then.
    """
    metadata |= zip(("minimum", "maximum"), within, strict=False)
    return dataclasses.field(default=default, metadata={"help": help, "group": group, **metadata})


def fields(options: type) -> dict[str, dataclasses.Field]:
    """Returns the fields of a dataclass that are options, by name."""
    return {field.name: field for field in dataclasses.fields(options) if field.metadata}


def flag_name(name: str) -> str:
    """Returns the flag of a field: --from for `from_`, as `from` is a keyword of Python."""
    return name.removesuffix("_")


def check_value(field: dataclasses.Field, value: Any) -> None:
    """Raises UserError if the field's metadata does not allow the value; None is always allowed."""
    if value is None:
        return
    meta, flag = field.metadata, f"--{flag_name(field.name)}"
    for choice in value.split(",") if meta.get("several") else [value]:
        if meta.get("files") and is_file_name(choice):
            continue
        if choice not in meta.get("choices", [choice]):
            expected = ", ".join(map(str, meta["choices"]))
            expected += ", or a file" if meta.get("files") else ""
            hint = did_you_mean(str(choice), map(str, meta["choices"]))
            raise UserError(f"{flag} must be one of {expected}; received {choice!r}{hint}.")
    low, above = meta.get("minimum", -math.inf), meta.get("above", -math.inf)
    high = meta.get("maximum", math.inf)
    if not isinstance(value, (bool, str)) and not (low <= value <= high and value > above):
        least = f"above {above}" if above > low else f"at least {low}"
        bounds = [least] * (max(low, above) > -math.inf) + [f"at most {high}"] * (high < math.inf)
        raise UserError(f"{flag} must be {' and '.join(bounds)}; received {value}.")


def expand(field: dataclasses.Field, value: Any) -> Any:
    """Expands ~ and ~user at the beginning of a path to home folders.

    A shell expands `--to ~/x` itself, but neither `--to=~/x` nor text in quotes.
    """
    if not field.metadata.get("path") or not isinstance(value, str):
        return value
    several = value.split(",") if field.metadata.get("list") else [value]
    return ",".join(_expand_home(path, f"--{flag_name(field.name)}") for path in several)


def _expand_home(path: str, flag: str) -> str:
    whole = os.path.expanduser(path)
    if not whole.startswith("~"):
        return whole
    home = re.split(r"[/\\]", path)[0]
    raise UserError(
        f"{flag} {path} is in the home folder {home}, which this system does not know: give the "
        f"whole path, or ./{path} where that is a name in this folder."
    )


def is_file_name(text: str) -> bool:
    """Tells whether a word must be a path: it has a dot or slash, which no choice has."""
    return any(mark in text for mark in "./\\")


def parse_seconds(text: str) -> float:
    """Converts a duration such as 90, 90s, 10m, 1.5h or 1h30m to seconds.

    Hours come first, then minutes, then seconds, each at most once; UserError for anything else.
    """
    number = r"([0-9]+(?:\.[0-9]+)?)"
    parts = re.fullmatch(rf"(?:{number}h)?(?:{number}m)?(?:{number}s)?|{number}", text)
    found = zip(parts.groups(), (3600.0, 60.0, 1.0, 1.0), strict=True) if parts else ()
    seconds = sum(float(count) * unit for count, unit in found if count)
    if seconds <= 0:
        raise UserError(
            f"--time_budget must be a time such as 90s, 10m or 1h30m; received {text!r}."
        )
    return seconds


def list_some(names: Sequence[str], most: int) -> str:
    """Lists the first `most` names, with ... in place of the others."""
    return ", ".join(names[:most]) + ", ..." * (len(names) > most)


def did_you_mean(word: str, known: Iterable[str], prefix: str = "", near: float = 0.6) -> str:
    """Suggests the known word closest to `word`, as " (did you mean ...?)"; empty if none is close.

    For `near`, from 0 to 1, see `difflib.get_close_matches`.
    """
    close = difflib.get_close_matches(word, list(known), 1, near)
    return f" (did you mean {prefix}{close[0]}?)" if close else ""
