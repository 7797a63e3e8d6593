"""The command line: commands, and the flags that are the fields of their options.

Imports no TensorFlow, so that `--help` and every refusal answer at once.
"""

import collections
import dataclasses
import os
import types
import typing

from absl import flags

from dcgan import UserError, program
from dcgan.cli import command_options, option
from dcgan.cli.option import did_you_mean, expand
from dcgan.cli.train_options import Config

# Every command with the dataclass of its options; the first is taken when none is named.
COMMANDS: dict[str, type] = {"train": Config, **command_options.COMMANDS}
DEFAULT = next(iter(COMMANDS))
# After these a bare word is the value of --dataset.
DATASET_COMMANDS = (DEFAULT, "inspect")
# Other spellings of commands.
OTHER_SPELLINGS = {"neighbors": "neighbours"}
# Parsers of values, by type.
PARSERS = {
    bool: flags.BooleanParser,
    int: flags.IntegerParser,
    float: flags.FloatParser,
    str: flags.ArgumentParser,
}
TRUE, FALSE = ("true", "t", "1", "yes", "y"), ("false", "f", "0", "no", "n")


def kind(field: dataclasses.Field) -> type:
    """Returns the type of a field without its None."""
    kinds = typing.get_args(field.type) or (field.type,)
    return next(kind for kind in kinds if kind is not types.NoneType)


def spellings(field: dataclasses.Field, *, shown: bool = False) -> tuple[str, ...]:
    """Returns the flags of a field without dashes, its name first; `shown` leaves out old ones."""
    kinds = ("aliases", "pieces") if shown else ("aliases", "pieces", "formerly")
    return (option.flag_name(field.name), *(s for k in kinds for s in field.metadata.get(k, ())))


# A spelling must be a switch in all commands that have it or in none, and so with lists: a line is
# split before its command is known.
FIELDS = {
    command: {s: field for field in option.fields(options).values() for s in spellings(field)}
    for command, options in COMMANDS.items()
}
SWITCHES = {s for known in FIELDS.values() for s, field in known.items() if kind(field) is bool}
VALUED = {s for known in FIELDS.values() for s in known} - SWITCHES
LISTS = {s for known in FIELDS.values() for s, field in known.items() if field.metadata.get("list")}


def parse(argv: list[str]) -> tuple[str, dict[str, typing.Any]]:
    """Splits a command line into a command and the options that were given.

    The command is the first word that is neither a flag nor a flag's value.

    Returns:
        (command, values by field name); if the user asked for help, ("help", arguments for
        `help_text`), and for the version ("version", {}).

    Raises:
        UserError: an unknown command or flag, or a value of the wrong type.
    """
    words, given = _split_flags(argv)
    if ("version", None) in given:
        return "version", {}
    wants_help = "help" in words
    words = [word for word in words if word != "help"]
    command = _command(words[0]) if words else None
    if words and command is None:
        _require_dataset(words[0])
    else:
        words = words[1:]
    if wants_help:
        return "help", {"command": command}
    is_named, command = command is not None, command or DEFAULT
    if words and command in DATASET_COMMANDS:
        word = words.pop(0)
        if others := [value for name, value in given if name == "dataset"]:
            raise UserError(
                f"Received the data set {word!r} and --dataset {others[-1]}: use only one of them; "
                "a value with spaces or * needs quotes."
            )
        given.append(("dataset", word))
    if words:
        runs = [name for name in ("run_dir", "runs") if name in FIELDS[command]]
        hint = f"; a run is named by --{runs[0]}" if runs and command != DEFAULT else ""
        raise UserError(
            f"Did not expect {words[0]!r} after the command {command!r}; flags begin with --, and "
            f"a value with spaces needs quotes{hint}."
        )
    given = [_as_label(name, value, command) for name, value in given]
    for name, value in given:
        _check_flag(name, value, command, is_named=is_named)
    return command, _values(command, given)


def _command(word: str) -> str | None:
    name = word.replace("_", "-")
    return name if name in COMMANDS else OTHER_SPELLINGS.get(name)


def _require_dataset(word: str) -> None:
    """Refuses a first word that is more likely a mistyped command than a data set."""
    hint = did_you_mean(word, COMMANDS, near=0.75)  # "pictures" must not suggest features
    is_there = os.path.exists(word) or os.path.exists(os.path.join("data", word))
    if hint and not is_there:
        raise UserError(
            f"There is no command {word!r}{hint}; expected one of {', '.join(COMMANDS)}; a data "
            f"set of that name is trained on by: {program.command_line('--dataset', word)}"
        )


def _split_flags(argv: list[str]) -> tuple[list[str], list[tuple[str, str | None]]]:
    """Splits a line into bare words, "help" for each --help, and pairs (flag, value or None)."""
    words: list[str] = []
    given: list[tuple[str, str | None]] = []
    rest = collections.deque(argv)
    while rest:
        word = rest.popleft()
        name, equals, value = word.lstrip("-").partition("=")
        name = _normalize(name)
        if not word.startswith("-") or not name:
            words.append(word)
        elif name in ("h", "help", "helpfull"):
            words.append("help")
        else:
            given.append((name, value if equals else _take_value(name, rest)))
            while name in LISTS and rest and not _ends_values(rest[0], is_named=bool(words)):
                given.append((name, rest.popleft()))
    return words, given


def _normalize(name: str) -> str:
    """Returns a flag with underscores for hyphens, and noflip for no-flip."""
    name = name.replace("-", "_")
    is_off = name.startswith("no_") and name.removeprefix("no_") in SWITCHES
    return name.replace("_", "", 1) if is_off else name


def _ends_values(word: str, *, is_named: bool) -> bool:
    """Tells if a word is not another value: a flag, help, or the command if none is named yet."""
    return word.startswith("-") or (not is_named and _command(word)) or word == "help"


def _take_value(name: str, rest: collections.deque[str]) -> str | None:
    """Takes a flag's value from the words that follow it; None if it has no value there."""
    if not rest or name == "version":
        return None
    word = rest[0]
    is_other = _ends_values(word, is_named=False)
    if name in SWITCHES:  # `--crop True`, as carpedm20's users write it
        is_value = word.lower() in TRUE + FALSE
        if not is_value and not is_other:
            raise UserError(
                f"--{name} must be true or false; received {word!r}: if that is the data set, "
                "name it first, or by --dataset."
            )
    elif name.removeprefix("no") in SWITCHES:
        is_value = word.lower() in TRUE + FALSE  # refused by `_check_flag`
    else:
        is_value = name in VALUED or not is_other
    return rest.popleft() if is_value else None


def _as_label(name: str, value: str | None, command: str) -> tuple[str, str | None]:
    """Turns --hair blue into --label hair=blue in commands with --label; keeps mistyped flags."""
    known = FIELDS[command]
    is_flag = any(name in of_command for of_command in FIELDS.values())
    is_mistyped = did_you_mean(name, known, near=0.8)  # "breed" must not suggest seed
    if "label" not in known or is_flag or value is None or is_mistyped:
        return name, value
    return "label", f"{name}={value}"


def _check_flag(name: str, value: str | None, command: str, *, is_named: bool) -> None:
    """Refuses a flag that the command does not have, and a value after --no..."""
    if name in FIELDS[command]:
        return
    switch = name.removeprefix("no")
    wanted = {name, switch} if switch in SWITCHES else {name}
    owners = [other for other, known in FIELDS.items() if wanted & known.keys()]
    if command in owners:  # --noflip
        if value is not None:
            raise UserError(f"--{name} takes no value; received {value!r}: use --{switch} instead.")
    elif owners:
        hint = f"{program.command_line(command, '--help')} lists the flags of {command}"
        if not is_named:
            hint = f"name the command, as in: {command_options.usage(owners[0])}"
        these = " and ".join(filter(None, (", ".join(owners[:-1]), owners[-1])))
        raise UserError(f"--{name} is a flag of {these}, not of {command}; {hint}.")
    else:
        hint = did_you_mean(name, FIELDS[command], prefix="--")
        raise UserError(
            f"There is no flag --{name}{hint}; {program.command_line(command, '--help')} lists all "
            "flags."
        )


def _values(command: str, given: list[tuple[str, str | None]]) -> dict[str, typing.Any]:
    """Converts values and expands paths; returns the last value of each flag by field name."""
    known, values = FIELDS[command], {}
    for name, text in _merge_repeated(command, given):
        is_on = name in known  # not --noflip
        field = known[name if is_on else name.removeprefix("no")]
        values[field] = _convert(field, name, text, command) if is_on else False
    return {field.name: expand(field, value) for field, value in values.items()}


def _convert(field: dataclasses.Field, name: str, text: str | None, command: str) -> typing.Any:
    wanted = kind(field)
    if text is None and wanted is not bool:
        raise UserError(
            f"Missing value for flag --{name}; see {program.command_line(command, '--help')}."
        )
    if wanted is bool and (text is None or text.lower() in TRUE + FALSE):
        return text is None or text.lower() in TRUE
    try:
        return PARSERS[wanted]().parse(text)
    except ValueError as error:
        expected = {bool: "true or false", int: "a whole number", float: "a number"}[wanted]
        raise UserError(f"--{name} must be {expected}; received {text!r}.") from error


def _merge_repeated(
    command: str, given: list[tuple[str, str | None]]
) -> list[tuple[str, str | None]]:
    """Joins flags that may be given several times into the value of their field, in their order.

    `--plus 3,8 --minus 4 --plus 5` becomes `--terms "+3,8 -4 +5"`, and the list `--runs a b`
    becomes `--runs a,b`.
    """
    for field in option.fields(COMMANDS[command]).values():
        pieces, is_list = field.metadata.get("pieces"), field.metadata.get("list")
        if pieces or is_list:
            name = option.flag_name(field.name)
            mine = {name: "", **(pieces or {})}
            parts = [mine[n] + v.strip() for n, v in given if n in mine and v is not None]
            given = [(n, v) for n, v in given if n not in mine or v is None]
            given += [(name, ("," if is_list else " ").join(parts))] if parts else []
    return given


def as_text(value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
