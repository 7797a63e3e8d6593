"""Completes and checks the options that a user gave, with presets, data sets and defaults."""

from typing import Any

from dcgan import UserError
from dcgan.cli.option import ENDLESS, check_value, parse_seconds
from dcgan.cli.presets import (
    DATASETS,
    DECIDED_LATER,
    LONG_RUN,
    ON_DATASET,
    OTHER_DATASET,
    PRESETS,
)
from dcgan.cli.train_options import FIELDS, Config


def resolve(given: dict[str, Any]) -> Config:
    """Makes a complete, checked `Config` from the options that a user gave, by field name.

    Presets, data set and defaults supply the others. Raises UserError if a value is out of range
    or contradicts another.
    """
    dataset = given.get("dataset", FIELDS["dataset"].default)
    if dataset.lower() in DATASETS:
        given = {**given, "dataset": dataset.lower()}
    for name, value in given.items():
        check_value(FIELDS[name], value)
    bundle = DATASETS.get(dataset.lower(), OTHER_DATASET)
    preset = given.get("preset", bundle.get("preset", FIELDS["preset"].default))
    on_this = ON_DATASET.get((preset, dataset.lower()), {})
    # A size that the user gives in one form replaces the data set's in the other.
    values = {**bundle, **PRESETS[preset], **on_this, **given}
    known = {**on_this, **given, **(LONG_RUN if on_this else {})}
    open_ = [name for name in DECIDED_LATER.get(preset, ()) if name not in known]
    # The run may have begun without labels, or the labels may not be fit to learn from.
    asked = given.keys() | ({"conditional"} if "label_columns" in given else set())
    labelled = ("conditional", "layout", "class_loss")
    open_ += [name for name in labelled if name in on_this.keys() - asked]
    if "preset" not in given:  # the run may have begun with another
        known = {*open_, *on_this, *given}
        open_ += ["preset", *(name for name in PRESETS[preset] if name not in known)]
    if "time_budget" in given and not given.keys() & {"epoch", "steps"}:
        values["epoch"] = ENDLESS  # the time alone ends it
    if {"output_height", "output_width"} & given.keys() and "output_size" not in given:
        values.pop("output_size", None)
    _spread(values, "output_size", "output_height", "output_width")
    _spread(values, "image_size", "input_height", "input_width")
    for name, value in values.items():
        check_value(FIELDS[name], value)
    if values.get("precision", FIELDS["precision"].default) == "auto":
        open_ = (*open_, "precision")
    config = Config(**values, undecided=tuple(open_))
    _check_together(config, given)
    return config


def _spread(values: dict, both: str, height: str, width: str) -> None:
    """Fills height and width from the shorthand for both, or one from the other."""
    side = values.get(both)
    for name in (height, width):
        if side is not None and values.get(name, side) not in (side, None):
            raise UserError(
                f"--{both} {side} and --{name} {values[name]} contradict each other; "
                f"use --{both} for a square or --{height} and --{width}."
            )
    values[height], values[width] = (
        values.get(height) or side or values.get(width),
        values.get(width) or side or values.get(height),
    )
    values[both] = values[height] if values[height] == values[width] else None


def _check_together(config: Config, given: dict[str, Any]) -> None:
    if config.time_budget is not None:
        parse_seconds(config.time_budget)
    if not config.crop and config.input_height is not None:
        raise UserError(
            f"--crop false squeezes the whole picture, so the crop box {config.input_height}x"
            f"{config.input_width} would not be used; leave out --image_size / --input_height / "
            "--input_width, or use --crop true."
        )
    for name in ("label_columns", "class_loss"):
        if given.get(name) and not config.conditional:
            raise UserError(
                f"--{name} {given[name]} is for --conditional, which was not given: add it, or "
                f"leave out --{name}."
            )
    if "none" in config.augment and config.augment != "none":
        raise UserError(
            f"--augment none cannot be combined with others; received {config.augment!r}; leave "
            "out none, or use it alone."
        )
    if config.update == "simultaneous" and (config.d_steps, config.g_steps) != (1, 1):
        raise UserError(
            f"--update simultaneous takes one step of each network; received --d_steps "
            f"{config.d_steps} --g_steps {config.g_steps}; use --update alternating."
        )
    if "steps" in given and "epoch" in given:
        raise UserError(
            f"--steps {config.steps} and --epoch {config.epoch} both set how long to train; "
            "use only one of them."
        )
