"""The model to export, and what describes a format: where it goes, what it needs, who writes it.

Each format's module has a `Format` named FORMAT; `commands.export` lists the modules.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from dcgan import extras

DESCRIPTION = "dcgan.json"  # `serve`, the explorer and other programs look for this file


@dataclass(frozen=True)
class Subject:
    """The model to export."""

    generator: Any  # a `dcgan.models.Generator` that computes in float32
    discriminator: Any  # a `dcgan.models.Discriminator`, likewise
    description: dict  # made by `description.describe`
    table: Any = None  # the `ClassTable` of their classes; None without classes

    @property
    def step(self) -> int:
        return self.description["step"]


@dataclass(frozen=True)
class Format:
    """A file format of exported models."""

    name: str  # value of `--format`; in descriptions, by which later exports know their own files
    # the file or folder under `--to`; {step} stands for the checkpoint's step. Programs find
    # exports by it, and another export replaces what has this name.
    target: str
    # (subject, path, weights) -> None: writes the model to a new path with the target's name;
    # weights are float32 or float16
    write: Callable[[Subject, Path, str], None]
    runtime: str  # the runtime that runs it, one of `fresh.RUNTIMES`
    # the signatures to check, from `parity.make_cases`
    signatures: tuple[str, ...] = ("serving_default",)
    model: str = ""  # path of the model inside a target folder; "" for the target itself
    # path of the description inside a target folder; "" puts it beside the target
    inside: str = ""
    packages: tuple[str, ...] = ()  # modules, from the extra named export, to be installed
    halves: bool = False  # whether it can hold float16 weights
    # how a model with classes takes labels: "optional"; "needed", always, where -1 stands for the
    # class that z itself has; or "numbers", always, and -1 is not allowed
    labels: str = "optional"

    def path(self, to: Path, step: int) -> Path:
        return to / self.target.format(step=step)

    def description(self, path: Path) -> Path:
        """Returns the path of the JSON file that describes the model at `path`."""
        return path / self.inside if self.inside else path.with_name(f"{path.name}.json")

    def require(self) -> None:
        extras.require(f"--format {self.name}", "export", *self.packages)

    def versions(self) -> dict[str, str]:
        names = [module.replace("_", "-") for module in self.packages]
        return {name: metadata.version(name) for name in names}
