"""What is exported, and what a format is: where it goes, what it needs, how it is written.

Each format's module has a `Format` named FORMAT. Imports neither TensorFlow nor Keras.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from dcgan import extras

DESCRIPTION = "dcgan.json"


@dataclass(frozen=True)
class Subject:
    """What is exported."""

    generator: Any  # of `dcgan.models`, computing in float32
    discriminator: Any
    description: dict  # what `description.describe` says of them
    table: Any = None  # of the classes that they know; None where they know none

    @property
    def step(self) -> int:
        return self.description["step"]


@dataclass(frozen=True)
class Format:
    """One form of a model."""

    name: str  # as `--format` has it
    target: str  # the file or folder under `--to`; {step} stands for the checkpoint's
    # (subject, path, weights) writes the model to a path that does not exist and whose name is the
    # target's; weights are float32 or float16
    write: Callable[[Subject, Path, str], None]
    runtime: str  # what runs it, one of `fresh.RUNTIMES`
    # what to check of it, of `parity.make_cases`
    signatures: tuple[str, ...] = ("serving_default",)
    model: str = ""  # where the target is a folder, the model in it; "" is the target itself
    # where the target is a folder, the place of its description; a file's lies beside it
    inside: str = ""
    packages: tuple[str, ...] = ()  # modules that must be installed, of the extra export
    halves: bool = False  # whether it can hold float16 weights
    # how a model by class takes them: "optional"; "needed", where -1 stands for the own class of z;
    # or "numbers", where nothing does
    labels: str = "optional"

    def path(self, to: Path, step: int) -> Path:
        return to / self.target.format(step=step)

    def description(self, path: Path) -> Path:
        """The JSON file that says what the model at `path` is; what has none is not ours."""
        return path / self.inside if self.inside else path.with_name(f"{path.name}.json")

    def require(self) -> None:
        extras.require(f"--format {self.name}", "export", *self.packages)

    def versions(self) -> dict[str, str]:
        names = [module.replace("_", "-") for module in self.packages]
        return {name: metadata.version(name) for name in names}
