"""What config.json records about a run, and whether a start with other options can continue it."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dcgan.cli.data_names import stem
from dcgan.cli.train_options import FIELDS, Config

SHORTHANDS = ("preset", "output_size", "image_size")  # only set the values of other options


def to_dict(config: Config) -> dict[str, Any]:
    """Returns every option by name, as config.json holds them."""
    return {name: getattr(config, name) for name in FIELDS}


def differences(
    config: Config, recorded: dict[str, Any], there: str = "in the run", *, alike: Iterable = ()
) -> list[str]:
    """Lists the differences that keep a start from continuing a recorded run, one line per option.

    Options that config.json does not know count as their defaults. Options in `alike` have the same
    meaning although their values differ.
    """
    lines, passed = [], {*SHORTHANDS, *alike}
    for name, field in FIELDS.items():
        before, now = recorded.get(name, field.default), getattr(config, name)
        if before != now and name not in passed and not field.metadata.get("harmless"):
            lines.append(f"--{name}: {json.dumps(before)[:80]} {there}, {json.dumps(now)} now")
    return lines


def run_name(config: Config) -> str:
    """Returns <dataset>-<height>x<width>x<channels>; for a path its last part."""
    name = stem(Path(config.dataset).resolve().name)
    name = re.sub(r"[^\w.-]+", "-", name).strip("-").lower() or "data"
    return f"{name}-{config.output_height}x{config.output_width}x{config.channels}"
