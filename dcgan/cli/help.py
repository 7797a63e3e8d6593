"""`--help` and flags.md, made from the options and presets."""

import dataclasses

from dcgan.cli import command_options, option
from dcgan.cli.flags import COMMANDS, as_text, kind, spellings
from dcgan.cli.presets import DATASETS, DIFFERENCES, OF_ALL, ON_DATASET, OTHER_DATASET, PRESETS


def help_text(command: str | None = None) -> str:
    """What `--help` prints: the flags of a command; all commands and their flags when None."""
    if command is not None:
        lines = [f"usage: {command_options.usage(command)} [--flag value ...]", ""]
        return "\n".join([*lines, COMMANDS[command].does, *_help_of_flags(command)])
    lines = ["usage: python main.py [command] [--flag value ...]", "", "commands:"]
    lines += [f"  {name:13} {taken.does}" for name, taken in COMMANDS.items()]
    for name in COMMANDS:
        lines += _help_of_flags(name)
    return "\n".join([*lines, "", "python main.py <command> --help shows those of one command."])


def _help_of_flags(command: str) -> list[str]:
    lines = []
    for group, fields in _groups(command).items():
        lines += ["", f"{group}:"]
        for field in fields:
            choices = field.metadata.get("choices")
            values = "|".join(map(str, choices)) if choices else f"<{kind(field).__name__}>"
            values += " ..." if field.metadata.get("list") else ""
            default = f" [{_default(field)}]" if _default(field) else ""
            lines += [f"  --{', --'.join(spellings(field))} {values}{default}"]
            lines += [f"      {field.metadata['help']}"]
    return lines


def _groups(command: str) -> dict[str, list[dataclasses.Field]]:
    groups: dict[str, list[dataclasses.Field]] = {}
    for field in option.fields(COMMANDS[command]).values():
        groups.setdefault(field.metadata["group"] or command, []).append(field)
    return groups


def _default(field: dataclasses.Field) -> str:
    if field.metadata.get("required"):
        return "required"
    return "" if field.default in (None, "") else as_text(field.default)


def markdown() -> str:
    """The content of flags.md, made from the commands' options and the presets."""
    lines = [
        "# Flags",
        "",
        "Made by `python -m dcgan.cli.help`; a test fails when it is stale.",
        "`python main.py [command] [--flag value ...]`: the command may stand before or behind its",
        "flags. `--flag value` and `--flag=value` are the same; a switch may be written `--crop`,",
        "`--nocrop`, `--crop=false` or `--crop False`, and a list `--runs a b` or `--runs a,b`.",
        "A path may begin with `~` or `~user`.",
        "",
        *("| command | what it does |", "|---|---|"),
        *(f"| `{name}` | {taken.does} |" for name, taken in COMMANDS.items()),
    ]
    for command in COMMANDS:
        lines += ["", f"## {command}"]
        if command == "train":
            lines += ["", "Precedence: default < data set < preset < preset on a data set < flag."]
        for group, fields in _groups(command).items():
            if group != command:
                lines += ["", f"### {group.capitalize()}"]
            lines += ["", "| flag | default | meaning |", "|---|---|---|", *map(_row, fields)]
        if command == "train":
            lines += _bundles()
    return "\n".join(lines) + "\n"


def _row(field: dataclasses.Field) -> str:
    """The line of a flag in a table of flags.md."""
    names = " ".join(f"`--{spelling}`" for spelling in spellings(field))
    choices = " \\| ".join(f"`{choice}`" for choice in field.metadata.get("choices", ()))
    meaning = field.metadata["help"] + (f" One of {choices}." if choices else "")
    default = _default(field)
    if default and not field.metadata.get("required"):
        default = f"`{default}`"
    return f"| {names} | {default} | {meaning} |"


def _bundles() -> list[str]:
    """The presets and data sets as tables of flags.md."""
    lines = ["", "### Presets", "", "| preset | sets |", "|---|---|"]
    lines += [f"| `{name}` | {_bundle(values)} |" for name, values in PRESETS.items()]
    lines += [
        f"| `{preset}` on {dataset} | also {_bundle(values)} |"
        for (preset, dataset), values in ON_DATASET.items()
    ]
    lines += ["", "A preset that is named after a source has its values, but for these:", ""]
    lines += [f"* `{name}`: {difference}" for name, difference in DIFFERENCES.items()]
    lines += ["", OF_ALL]
    lines += ["", "### Data sets", "", "| data set | sets |", "|---|---|"]
    lines += [f"| `{name}` | {_bundle(values)} |" for name, values in DATASETS.items()]
    return [*lines, f"| any other folder or zip | {_bundle(OTHER_DATASET)} |"]


def _bundle(values: dict) -> str:
    shown = " ".join(f"`--{name} {as_text(value)}`" for name, value in values.items())
    return shown or "the defaults"


if __name__ == "__main__":
    print(markdown(), end="")
