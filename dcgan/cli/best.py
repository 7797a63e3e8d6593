"""What the preset `best` chooses for a run's own device; docs/recipes.md has the trials.

It chooses once, when the run begins: config.json holds what it took, and the run keeps that where
it goes on, also on another device.
"""

from dataclasses import replace
from typing import Any

from dcgan.cli.option import ENDLESS, check_value
from dcgan.cli.presets import ON_GPU
from dcgan.cli.train_options import FIELDS, Config


def recorded_choices(config: Config, recorded: dict[str, Any]) -> Config:
    """The options with what the preset chose when the run began.

    Args:
        recorded: the content of its config.json.

    Raises:
        UserError: a recorded value cannot be one.
    """
    values = {name: recorded[name] for name in config.undecided if name in recorded}
    for name, value in values.items():
        check_value(FIELDS[name], value)
    return replace(config, **values, undecided=())


def choose_for_device(config: Config, *, gpu: bool) -> Config:
    """The options with a batch for the device, and the values that go with it.

    These belong together: where one of them is given, the others stay as on a CPU.
    """
    return replace(config, **ON_GPU) if gpu and ON_GPU.keys() <= set(config.undecided) else config


def decided(config: Config, num_images: int, *, gpu: bool) -> tuple[Config, str]:
    """The options with nothing undecided, and what the preset takes in a sentence.

    Args:
        num_images: of the data set.

    Returns:
        (options, sentence; empty where the preset chose nothing).
    """
    if not config.undecided:
        return config, ""
    length = config.time_budget or f"{config.epoch} epochs"
    if config.steps:
        length = f"{config.steps} steps"
    elif config.time_budget and config.epoch < ENDLESS:
        length += f" and at most {config.epoch} epochs"
    chosen = " ".join(f"--{name} {getattr(config, name)}" for name in config.undecided)
    return replace(config, undecided=()), (
        f"For {length} of {num_images:,} images at {config.output_height}x{config.output_width} on "
        f"a {'GPU' if gpu else 'CPU'} the preset {config.preset} takes {chosen}; give any of them "
        "to choose it yourself."
    )
