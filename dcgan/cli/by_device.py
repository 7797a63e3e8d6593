"""What is chosen for a run's device: the arithmetic, and a batch where the preset leaves it open.

It is chosen once, when the run begins: config.json holds what was taken, and the run keeps that
wherever it goes on. `resolve` says what is open; docs/recipes.md has the trials behind the preset
`best`.
"""

from dataclasses import replace
from typing import Any

from dcgan import UserError
from dcgan.cli.option import ENDLESS, check_value
from dcgan.cli.presets import ON_GPU
from dcgan.cli.train_options import FIELDS, Config

# Said where the default networks are taken on a CPU.
BETTER = (
    "These are the networks of the DCGAN tutorials. On a CPU --preset best draws far better "
    "pictures after the same minutes (docs/recipes.md)."
)
WITHOUT_VECTORS = ("carpedm20",)  # layouts with labels inside
_BEFORE_PRECISION = {"precision": "float32"}  # what runs without a record of it had


def keep_recorded(config: Config, recorded: dict[str, Any]) -> Config:
    """Returns the options with what was chosen when the run began, as its config.json records it.

    Options that it does not know count as their defaults. Raises UserError if a recorded value is
    not allowed.
    """
    recorded = _BEFORE_PRECISION | recorded
    values = {name: recorded.get(name, FIELDS[name].default) for name in config.undecided}
    for name, value in values.items():
        check_value(FIELDS[name], value)
    still = ("precision",) if values.get("precision") == "auto" else ()  # which no run records
    return replace(config, **values, undecided=still)


def choose_batch(config: Config, *, gpu: bool) -> Config:
    """The options with a batch for the device, and the values that go with it.

    These belong together: where one of them is given, the others stay as on a CPU.
    """
    return replace(config, **ON_GPU) if gpu and ON_GPU.keys() <= set(config.undecided) else config


def decide(config: Config, num_images: int, *, gpu: bool, precision: str) -> tuple[Config, str]:
    """Decides what is left open, and says in a sentence what the preset has chosen, if anything.

    Args:
        gpu: whether the run trains on one.
        precision: the device's own, for --precision auto.

    Raises:
        UserError: a class loss is asked for where there are no vectors of the classes.
    """
    if config.conditional and config.class_loss and config.layout in WITHOUT_VECTORS:
        raise UserError(
            f"--class_loss {config.class_loss} needs a discriminator with a vector for each class, "
            f"which --layout {config.layout} does not have: leave it out, or give --layout radford."
        )
    by_preset = [name for name in config.undecided if name not in ("preset", "precision")]
    is_default = "preset" in config.undecided
    if "precision" in config.undecided:
        config = replace(config, precision=precision)
    config = replace(config, undecided=())
    if is_default and config.preset == "silva" and not gpu:
        return config, BETTER
    if not by_preset:
        return config, ""
    length = config.time_budget or f"{config.epoch} epochs"
    if config.steps:
        length = f"{config.steps} steps"
    elif config.time_budget and config.epoch < ENDLESS:
        length += f" and at most {config.epoch} epochs"
    chosen = " ".join(_flag(name, getattr(config, name)) for name in by_preset)
    return config, (
        f"For {length} of {num_images:,} images at {config.output_height}x{config.output_width} on "
        f"a {'GPU' if gpu else 'CPU'} the preset {config.preset} takes {chosen}; give any of them "
        "to choose it yourself."
    )


def _flag(name: str, value: Any) -> str:
    return f"--{'' if value else 'no'}{name}" if isinstance(value, bool) else f"--{name} {value}"
