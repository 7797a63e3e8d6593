"""`--help` and flags.md, made from the options and presets."""

import dataclasses
import shutil
import textwrap

from dcgan import program
from dcgan.cli import command_options, option
from dcgan.cli.flags import COMMANDS, DEFAULT, as_text, kind, spellings
from dcgan.cli.presets import COMMON_NOTE, DATASETS, DIFFERENCES, ON_DATASET, OTHER_DATASET, PRESETS

# The flags of train that most people want, in the fewest words.
COMMON = {
    "dataset": "a built-in name, or your folder, zip or array file",
    "output_size": "image size in pixels",
    "preset": "which networks: silva, best, fast, paper ...",
    "epoch": "total passes over the data",
    "time_budget": "stop after this time: 30m, 2h",
    "batch_size": "images per step",
    "run_dir": "folder of the run",
    "dry_run": "show what would be trained, and how long it would take",
}
MAX_WIDTH = 100  # longer lines are tiring to read


def help_text(command: str | None = None) -> str:
    """Returns the text of `--help`: the flags of a command; None: commands and common flags."""
    if command is None:
        return _overview()
    usage = f"usage: {command_options.usage(command)} [--flag value ...]"
    does = command_options.DESCRIPTIONS[command]
    lines = [*_wrap(usage, "", " " * 7), "", *_wrap(f"{does[0].upper()}{does[1:]}.", "", "")]
    return "\n".join([*lines, *_help_of_flags(command)])


def _overview() -> str:
    """Lists the commands by group and the common flags, on one screen."""
    name = program.name()
    lines = _wrap(f"usage: {name} [command] [--flag value ...]", "", " " * 7)
    lines += ["", *_wrap(f"To train on your own pictures: {name} path/to/pictures", "", "  ")]
    for group, commands in command_options.GROUPS.items():
        lines += ["", f"{group}:"]
        for command, does in commands.items():
            lines += _wrap(does, f"  {command:14}", " " * 16)
    lines += ["", f"common flags of {DEFAULT}:"]
    for flag, meaning in COMMON.items():
        lines += _wrap(meaning, f"  --{flag:13}", " " * 17)
    lines += ["", *_wrap(f"All flags of a command: {name} <command> --help", "", "")]
    return "\n".join(lines)


def _wrap(text: str, first: str, indent: str) -> list[str]:
    """Wraps text to the terminal's width; `first` begins the first line, `indent` the others."""
    width = max(40, min(shutil.get_terminal_size().columns, MAX_WIDTH))
    return textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=indent,
        break_on_hyphens=False,
        break_long_words=False,
    )


def _help_of_flags(command: str) -> list[str]:
    lines = []
    for group, fields in _groups(command).items():
        lines += ["", f"{group}:"]
        for field in fields:
            choices = field.metadata.get("choices")
            values = "|".join(map(str, choices)) if choices else f"<{kind(field).__name__}>"
            values += " ..." if field.metadata.get("list") else ""
            default = f" [{_default(field)}]" if _default(field) else ""
            names = ", --".join(spellings(field, shown=True))
            lines += _wrap(f"--{names} {values}{default}", "  ", " " * 6)
            lines += _wrap(field.metadata["help"], " " * 6, " " * 6)
    return lines


def _groups(command: str) -> dict[str, list[dataclasses.Field]]:
    """Returns the fields by heading: a command's own first, then those of several commands."""
    groups: dict[str, list[dataclasses.Field]] = {command: []}
    for field in option.fields(COMMANDS[command]).values():
        groups.setdefault(field.metadata["group"] or command, []).append(field)
    return {group: fields for group, fields in groups.items() if fields}


def _default(field: dataclasses.Field) -> str:
    if field.metadata.get("required"):
        return "required"
    return "" if field.default in (None, "") else as_text(field.default)


def markdown() -> str:
    """Makes the content of flags.md from the commands' options and the presets."""
    lines = [
        "# Flags",
        "",
        "Made by `python -m dcgan.cli.help`; a test fails when it is stale.",
        "`python main.py [command] [--flag value ...]`: the command may stand before or behind its",
        "flags. `--flag value` and `--flag=value` are the same, and so are `--image-size` and",
        "`--image_size`; a switch may be written `--crop`, `--nocrop`, `--crop=false` or",
        "`--crop False`, and a list `--runs a b` or `--runs a,b`. A path may begin with `~` or",
        "`~user`. `python main.py pictures` is `python main.py train --dataset pictures`, and",
        "`inspect pictures` likewise.",
        "",
        *("| | command | what it does |", "|---|---|---|"),
    ]
    for group, commands in command_options.GROUPS.items():
        lines += [f"| {group} | {_link(name)} | {does} |" for name, does in commands.items()]
    lines += ["", f"For several commands: {', '.join(_link(g) for g in _find_shared())}."]
    for group, fields in _find_shared().items():
        lines += ["", f"## {group.capitalize()}", "", *_table(fields)]
    for command in COMMANDS:
        lines += ["", f"## {command}", *_section(command)]
    return "\n".join(lines) + "\n"


def _link(heading: str) -> str:
    return f"[{heading}](#{heading.replace(' ', '-')})"


def _find_shared() -> dict[str, list[dataclasses.Field]]:
    """Returns the groups of several commands with all their flags; flags.md shows them once."""
    found: dict[str, dict[str, dataclasses.Field]] = {}
    for command in command_options.COMMANDS:
        for group, fields in _groups(command).items():
            if group != command:
                found.setdefault(group, {}).update({field.name: field for field in fields})
    return {group: list(fields.values()) for group, fields in found.items()}


def _section(command: str) -> list[str]:
    lines, groups = [], _groups(command)
    if command == DEFAULT:
        names = [*map(str.capitalize, groups), "Presets", "Data sets"]
        lines += ["", ", ".join(f"[{n}](#{n.lower().replace(' ', '-')})" for n in names) + "."]
        lines += ["", "Precedence: default < data set < preset < preset on a data set < flag."]
        for group, fields in groups.items():
            lines += ["", f"### {group.capitalize()}", "", *_table(fields)]
        return lines + _bundles()
    for group, fields in groups.items():
        if group == command:
            lines += ["", *_table(fields)]
        else:
            flags = " ".join(f"`--{s}`" for f in fields for s in spellings(f, shown=True))
            lines += ["", f"And {_link(group)}: {flags}"]
    return lines


def _table(fields: list[dataclasses.Field]) -> list[str]:
    return ["| flag | default | meaning |", "|---|---|---|", *map(_row, fields)]


def _row(field: dataclasses.Field) -> str:
    names = " ".join(f"`--{spelling}`" for spelling in spellings(field, shown=True))
    choices = " \\| ".join(f"`{choice}`" for choice in field.metadata.get("choices", ()))
    meaning = field.metadata["help"] + (f" One of {choices}." if choices else "")
    default = _default(field)
    if default and not field.metadata.get("required"):
        default = f"`{default}`"
    return f"| {names} | {default} | {meaning} |"


def _bundles() -> list[str]:
    lines = ["", "### Presets", "", "| preset | sets |", "|---|---|"]
    lines += [f"| `{name}` | {_bundle(values)} |" for name, values in PRESETS.items()]
    lines += [
        f"| `{preset}` on {dataset} | also {_bundle(values)} |"
        for (preset, dataset), values in ON_DATASET.items()
    ]
    lines += ["", "A preset that is named after a source has its values, but for these:", ""]
    lines += [f"* `{name}`: {difference}" for name, difference in DIFFERENCES.items()]
    lines += ["", COMMON_NOTE]
    lines += ["", "### Data sets", "", "| data set | sets |", "|---|---|"]
    lines += [f"| `{name}` | {_bundle(values)} |" for name, values in DATASETS.items()]
    return [*lines, f"| any other folder or zip | {_bundle(OTHER_DATASET)} |"]


def _bundle(values: dict) -> str:
    shown = " ".join(f"`--{name} {as_text(value)}`" for name, value in values.items())
    return shown or "the defaults"


if __name__ == "__main__":
    print(markdown(), end="")
