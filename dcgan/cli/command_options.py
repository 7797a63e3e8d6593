"""All commands: what each does, and the options of all but train.

Options are frozen dataclasses of `option` fields, from which flags, `--help` and flags.md are made.
To add a command: a dataclass in `data_options` or `run_options`, its rows in `COMMANDS` and
`GROUPS`, and dcgan/commands/<name>.py (with _ for -). Train's dataclass is `train_options.Config`.
"""

from typing import Any

from dcgan import UserError, program
from dcgan.cli import data_options, run_options
from dcgan.cli.option import check_value, fields, flag_name

# What each command takes; `flags.COMMANDS` adds train.
COMMANDS: dict[str, type] = {
    "crawl": data_options.Crawl,
    "crop": data_options.Crop,
    "pack": data_options.Pack,
    "inspect": data_options.Inspect,
    "sample": run_options.Sample,
    "interpolate": run_options.Interpolate,
    "arithmetic": run_options.Arithmetic,
    "neighbours": run_options.Neighbours,
    "evaluate": run_options.Evaluate,
    "features": run_options.Features,
    "report": run_options.Report,
    "compare": run_options.Compare,
    "export": run_options.Export,
    "export-torch": run_options.ExportTorch,
    "import-torch": run_options.ImportTorch,
    "serve": run_options.Serve,
    "benchmark": run_options.Benchmark,
}

# What each command does, grouped by the user's aim, as help shows it.
GROUPS: dict[str, dict[str, str]] = {
    "data": {
        "crawl": "download illustrations by tag, politely",
        "crop": "cut the faces out of a folder of illustrations",
        "inspect": "show what is in a data set, and what may be wrong with it",
        "pack": "put pictures into one zip, or into TFRecord shards",
    },
    "train": {
        "train": "train, or continue a run (the default command)",
        "benchmark": "measure speed and memory on this machine",
        "import-torch": "make a run from the weights of PyTorch's DCGAN tutorial",
    },
    "look": {
        "sample": "make images, one PNG file each",
        "interpolate": "walk from seed to seed: a GIF, MP4 or strip",
        "arithmetic": "add and subtract averages of seeds, as in the DCGAN paper",
        "neighbours": "show the nearest training images, to see whether it memorises",
        "evaluate": "measure how close generated images are to real ones",
        "features": "classify with the discriminator's features and a few labels",
        "report": "show what a run has learnt in one HTML file",
        "compare": "show several runs side by side in one HTML file",
    },
    "ship": {
        "export": "write the model as files that run without this project",
        "serve": "serve a model over HTTP, with an explorer to look around in",
        "export-torch": "write netG.pth and netD.pth for PyTorch's DCGAN tutorial",
    },
}
DESCRIPTIONS = {name: does for commands in GROUPS.values() for name, does in commands.items()}


def complete(command: str, given: dict[str, Any]) -> Any:
    """Makes the options of one of `COMMANDS` from the given values, by field name.

    Raises UserError if a value is out of range or a required one is missing.
    """
    known = fields(COMMANDS[command])
    for name, value in given.items():
        check_value(known[name], value)
    required = [name for name, field in known.items() if field.metadata.get("required")]
    if missing := [f"--{flag_name(name)}" for name in required if not given.get(name)]:
        raise UserError(
            f"The command {command} needs {' and '.join(missing)}, as in: {usage(command)}."
        )
    return COMMANDS[command](**given)


def usage(command: str) -> str:
    """Returns the shortest command line that a command accepts."""
    words = [program.name(), command]
    for name, field in fields(COMMANDS[command]).items() if command in COMMANDS else ():
        if field.metadata.get("required"):
            words += [f"--{flag_name(name)}", field.metadata["example"]]
    return " ".join(words)
