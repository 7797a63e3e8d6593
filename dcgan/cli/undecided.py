"""Decides options that are open until a run begins: for its device, such as precision, and length.

They are decided once: config.json records them, and the run keeps them on whatever device it
continues. `resolve` lists the open options; docs/recipes.md has the trials behind the preset
`best`.
"""

from dataclasses import replace
from typing import Any

from dcgan import UserError
from dcgan.cli.option import ENDLESS, check_value, parse_seconds
from dcgan.cli.presets import LONG_RUN, LONG_RUN_IMAGES, LONG_RUN_SECONDS, ON_GPU
from dcgan.cli.train_options import FIELDS, Config

# Logged when the default networks are trained on a CPU.
PRESET_ADVICE = (
    "These are the networks of the DCGAN tutorials. On a CPU --preset best draws far better "
    "pictures after the same minutes (docs/recipes.md)."
)
WITHOUT_VECTORS = ("carpedm20",)  # layouts whose discriminator has no vector for each class
_BEFORE_PRECISION = {"precision": "float32"}  # the value in runs of versions without the option


def keep_recorded(config: Config, recorded: dict[str, Any]) -> Config:
    """Returns the options with the choices that were made when the run began, from config.json.

    Options that it does not know count as their defaults. Raises UserError if a recorded value is
    not allowed.
    """
    recorded = _BEFORE_PRECISION | recorded
    values = {name: recorded.get(name, FIELDS[name].default) for name in config.undecided}
    for name, value in values.items():
        kind = type(FIELDS[name].default)
        if not isinstance(value, (int, float) if kind is float else kind):
            raise UserError(
                f"The run's config.json has a {name} that no run has, {str(value)[:80]!r}; restore "
                "it, or choose another --run_dir."
            )
        check_value(FIELDS[name], value)
    still = ("precision",) if values.get("precision") == "auto" else ()  # no run records auto
    return replace(config, **values, undecided=still)


def choose_batch(config: Config, *, gpu: bool) -> Config:
    """Returns the options with a batch for the device, and the values that go with it.

    These belong together: if the user gives one of them, the others stay as on a CPU.
    """
    return replace(config, **ON_GPU) if gpu and ON_GPU.keys() <= set(config.undecided) else config


def decide(config: Config, num_images: int, *, gpu: bool, precision: str) -> tuple[Config, str]:
    """Decides the open options; returns all options, and a sentence about the preset or "".

    Args:
        gpu: whether the run trains on a GPU.
        precision: the device's own, for --precision auto.

    Raises:
        UserError: a class loss was asked for, but the layout is one of `WITHOUT_VECTORS`.
    """
    if config.conditional and config.class_loss and config.layout in WITHOUT_VECTORS:
        raise UserError(
            f"--class_loss {config.class_loss} needs a discriminator with a vector for each class, "
            f"which --layout {config.layout} does not have: leave it out, or use --layout radford."
        )
    by_preset = [name for name in config.undecided if name not in ("preset", "precision")]
    is_default = "preset" in config.undecided
    if "precision" in config.undecided:
        config = replace(config, precision=precision)
    widths_are_open = config.preset == "best" and LONG_RUN.keys() <= set(config.undecided)
    if widths_are_open and _is_long(config, num_images):
        config = replace(config, **LONG_RUN)
    config = replace(config, undecided=())
    if is_default and config.preset == "silva" and not gpu:
        return config, PRESET_ADVICE
    if not by_preset:
        return config, ""
    length = config.time_budget or f"{config.epoch:,} epochs"
    if config.steps:
        length = f"{config.steps:,} steps"
    elif config.time_budget and config.epoch < ENDLESS:
        length += f" and at most {config.epoch:,} epochs"
    chosen = " ".join(_flag(name, getattr(config, name)) for name in by_preset)
    return config, (
        f"For {length} of {num_images:,} images at {config.output_height}x{config.output_width} on "
        f"a {'GPU' if gpu else 'CPU'} the preset {config.preset} takes {chosen}; set any of them "
        "to choose it yourself."
    )


def _is_long(config: Config, num_images: int) -> bool:
    images = config.steps * config.batch_size if config.steps else config.epoch * num_images
    seconds = parse_seconds(config.time_budget) if config.time_budget else LONG_RUN_SECONDS
    return images >= LONG_RUN_IMAGES and seconds >= LONG_RUN_SECONDS


def _flag(name: str, value: Any) -> str:
    return f"--{'' if value else 'no'}{name}" if isinstance(value, bool) else f"--{name} {value}"
