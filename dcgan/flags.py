"""The command line: `Config`'s fields as absl flags, `--help` by group, and flags.md.

Imports no TensorFlow, so that `--help` and every refusal answer at once.
"""

import difflib
import re
import typing

from absl import flags

from dcgan import UserError
from dcgan.config import FIELDS, Config
from dcgan.presets import DATASETS, OTHER_DATASET, PRESETS

TYPES = typing.get_type_hints(Config)
TRUE, FALSE = ("true", "t", "1", "yes", "y"), ("false", "f", "0", "no", "n")


def parse(argv: list[str], commands: dict[str, str]) -> tuple[str, dict[str, typing.Any]]:
    """Splits a command line into a command and the options that were given.

    Args:
        argv: the words behind `main.py`, such as ["--dataset", "anime", "--is_crop", "True"].
        commands: what each command does; the first is taken when none is named.

    Returns:
        (command, values by field name), the command "help" where the user asked for help.

    Raises:
        UserError: an unknown command or flag, or a value of the wrong type.
    """
    values = _define()
    if any(word in ("--help", "-h", "-help", "--helpfull", "help") for word in argv):
        return "help", {}
    try:
        words = values(["main.py", *_join_booleans(argv, commands)])[1:]
    except flags.UnrecognizedFlagError as error:
        raise UserError(_unknown_flag(error.flagname)) from error
    except flags.IllegalFlagValueError as error:
        raise UserError(_illegal_value(str(error))) from error
    except flags.Error as error:
        raise UserError(f"{str(error).rstrip('.')}; see python main.py --help.") from error
    command = words.pop(0) if words else next(iter(commands))
    if command not in commands:
        raise UserError(
            f"There is no command {command!r}{_did_you_mean(command, commands)}; "
            f"expected one of {', '.join(commands)}, then flags that begin with --."
        )
    if words:
        raise UserError(
            f"Did not expect {words[0]!r} behind the command {command!r}; "
            "flags begin with --, and a value with spaces needs quotes."
        )
    return command, {name: values[name].value for name in FIELDS if values[name].present}


def _define() -> flags.FlagValues:
    """One absl flag a field, in a set of its own: absl's and TensorFlow's flags are not ours."""
    values = flags.FlagValues()
    for name, field in FIELDS.items():
        kind = _kind(name)
        define = {
            bool: flags.DEFINE_boolean,
            int: flags.DEFINE_integer,
            float: flags.DEFINE_float,
            str: flags.DEFINE_string,
        }[kind]
        define(name, field.default, field.metadata["help"], flag_values=values)
        for alias in field.metadata.get("aliases", ()):
            flags.DEFINE_alias(alias, name, flag_values=values)
    return values


def _kind(name: str) -> type:
    """The type of a field without its None."""
    kind = TYPES[name]
    return next((k for k in typing.get_args(kind) if k is not type(None)), kind)


def _spellings(name: str) -> tuple[str, ...]:
    return (name, *FIELDS[name].metadata.get("aliases", ()))


def _join_booleans(argv: list[str], commands: dict[str, str]) -> list[str]:
    """`--crop True`, as carpedm20's users write it, becomes absl's `--crop=true`."""
    booleans = {s for name in FIELDS if _kind(name) is bool for s in _spellings(name)}
    joined: list[str] = []
    for word in argv:
        switch = joined[-1][2:] if joined and joined[-1].startswith("--") else None
        if switch in booleans and word.lower() in TRUE + FALSE:
            joined[-1] += "=" + ("true" if word.lower() in TRUE else "false")
        elif switch in booleans and not word.startswith("-") and word not in commands:
            raise UserError(f"--{switch} must be true or false; received {word!r}.")
        else:
            joined.append(word)
    return joined


def _did_you_mean(word: str, known) -> str:
    close = difflib.get_close_matches(word, list(known), 1)
    return f" (did you mean {close[0]}?)" if close else ""


def _unknown_flag(name: str) -> str:
    known = [spelling for field in FIELDS for spelling in _spellings(field)]
    close = difflib.get_close_matches(name, known, 1)
    hint = f"; did you mean --{close[0]}?" if close else "; python main.py --help lists all flags."
    return f"There is no flag --{name}{hint}"


def _illegal_value(absl_message: str) -> str:
    """absl says `flag --epoch=abc: ...`, with Python's reason behind it."""
    name, value = re.match(r"flag --(\w+)=(.*?): ", absl_message, re.DOTALL).groups()
    field = next(field for field in FIELDS if name in _spellings(field))
    expected = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
    return f"--{name} must be {expected[_kind(field)]}; received {value!r}."


def help_text(commands: dict[str, str]) -> str:
    """What `--help` prints: commands, then every flag by group."""
    lines = ["usage: python main.py [command] [--flag value ...]", "", "commands:"]
    lines += [f"  {name:12} {does}" for name, does in commands.items()]
    for group, fields in _groups().items():
        lines += ["", f"{group}:"]
        for name in fields:
            default = FIELDS[name].default
            shown = "" if default is None else f" [{_shown(default)}]"
            lines += [f"  --{', --'.join(_spellings(name))}{_range(name)}{shown}"]
            lines += [f"      {FIELDS[name].metadata['help']}"]
    return "\n".join(lines)


def _groups() -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for name, field in FIELDS.items():
        groups.setdefault(field.metadata["group"], []).append(name)
    return groups


def _shown(value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _range(name: str) -> str:
    choices = FIELDS[name].metadata.get("choices")
    return f" {'|'.join(map(str, choices))}" if choices else f" <{_kind(name).__name__}>"


def markdown() -> str:
    """The content of flags.md, made from `Config` and the presets."""
    lines = [
        "# Flags",
        "",
        "Made by `python -m dcgan.flags`; a test fails when it is stale.",
        "Precedence: default < data set < preset < flag. `--flag value` and `--flag=value` are the",
        "same; a switch may be written `--crop`, `--nocrop`, `--crop=false` or `--crop False`.",
    ]
    for group, fields in _groups().items():
        lines += ["", f"## {group.capitalize()}", ""]
        lines += ["| flag | default | meaning |", "|---|---|---|"]
        for name in fields:
            default, meta = FIELDS[name].default, FIELDS[name].metadata
            spellings = " ".join(f"`--{s}`" for s in _spellings(name))
            choices = " \\| ".join(f"`{c}`" for c in meta.get("choices", ()))
            help = meta["help"] + (f" One of {choices}." if choices else "")
            shown = "" if default is None else f"`{_shown(default)}`"
            lines.append(f"| {spellings} | {shown} | {help} |")
    lines += ["", "## Presets", "", "| preset | sets |", "|---|---|"]
    lines += [f"| `{name}` | {_bundle(values)} |" for name, values in PRESETS.items()]
    lines += ["", "## Data sets", "", "| data set | sets |", "|---|---|"]
    lines += [f"| `{name}` | {_bundle(values)} |" for name, values in DATASETS.items()]
    lines += [f"| any other folder or zip | {_bundle(OTHER_DATASET)} |"]
    return "\n".join(lines) + "\n"


def _bundle(values: dict) -> str:
    shown = " ".join(f"`--{name} {_shown(value)}`" for name, value in values.items())
    return shown or "the defaults"


if __name__ == "__main__":
    print(markdown(), end="")
