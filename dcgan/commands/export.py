"""`python main.py export`: writes a trained run as files for use without this project."""

import importlib
import logging
from pathlib import Path

import tensorflow as tf

from dcgan import UserError
from dcgan.cli.run_options import Export
from dcgan.commands.open_run import open_run
from dcgan.export import parity
from dcgan.export.description import describe
from dcgan.export.format import Format, Subject
from dcgan.export.writing import Exported, export

logger = logging.getLogger("dcgan")

MODULES = {"keras": "keras_file"}  # the others have the names of their formats


def run(options: Export) -> None:
    forms = _import_formats(options)
    # On the CPU only: a GPU may be busy with training, and multiplies less exactly.
    tf.config.set_visible_devices([], "GPU")
    trained = open_run(options)
    root, table = trained.run.root, trained.table
    description = describe(trained.run, trained.checkpoint, table)
    discriminator = trained.checkpoint.discriminator()
    subject = Subject(trained.generator, discriminator, description, table)
    logger.info("Exporting %s, step %d.", root, subject.step)
    to = Path(options.to) if options.to else root / "export"
    for exported in export(subject, forms, to, weights=options.weights):
        _report(exported)
    logger.info(
        "The numbers are the largest differences from the Keras model, measured in a separate "
        "process at batch sizes %s.",
        ", ".join(map(str, parity.BATCH_SIZES)),
    )


def _import_formats(options: Export) -> list[Format]:
    """Imports the formats that were asked for; each may need packages of its own."""
    names = dict.fromkeys(options.format.split(","))
    if options.onnxruntime and "web" not in names:
        raise UserError(
            f"--onnxruntime is for --format web, received --format {options.format}: leave the "
            "flag out, or add web."
        )
    forms = [_form(name, options.onnxruntime) for name in names]
    for form in forms:
        form.require()
    if options.weights == "float16" and not any(form.halves for form in forms):
        raise UserError(
            f"--weights float16 is for litert, onnx and web; --format {options.format} always has "
            "float32 weights: leave the flag out, or add one of those formats."
        )
    return forms


def _form(name: str, onnxruntime: str | None) -> Format:
    module = importlib.import_module(f"dcgan.export.{MODULES.get(name, name)}")
    if name == "web":
        return module.with_runtime(onnxruntime or module.VERSION)
    return module.FORMAT


def _report(exported: Exported) -> None:
    form, weights = exported.form, exported.weights
    logger.info("Wrote %-11s %s (%s weights).", form.name, exported.path, weights)
    width = max(15, *map(len, exported.differences))
    for signature, largest in exported.differences.items():
        unit = " of 255 levels" if parity.is_in_levels(signature) else ""
        allowed = parity.tolerance(signature, weights)
        logger.info("  %-*s %.1e%s (at most %.1e)", width, signature, largest, unit, allowed)
