"""Exports the generator for LiteRT, formerly TensorFlow Lite: z -> images, any batch size.

It uses only built-in operations of LiteRT, so that its plain runtime is enough.
"""

import dataclasses
import tempfile
from pathlib import Path

import tensorflow as tf

from dcgan.export.format import Format, Subject
from dcgan.export.saved_model import make_archive
from dcgan.latent.class_words import by_class
from dcgan.latent.labels import ClassTable
from dcgan.terminal.quiet import quiet_start


class _ExactTable(ClassTable):
    """A table that the converter cannot round: as float16, some z would be of another class."""

    def _ends(self, z: tf.Tensor) -> tf.Tensor:
        # Whole numbers stay as they are; adding a 0 of z keeps them from being folded to floats.
        zero = tf.minimum(tf.shape(z)[0], 0)
        return tf.bitcast(self._cuts.view("int32") + zero, tf.float32)


def _write(subject: Subject, path: Path, weights: str) -> None:
    table = subject.table
    if table and weights == "float16":
        table = _ExactTable(*(getattr(table, field.name) for field in dataclasses.fields(table)))
    with tempfile.TemporaryDirectory() as folder:
        make_archive(subject.generator, table).write_out(folder, verbose=False)
        names = ["serving_default", *([by_class("serving_default")] if table else [])]
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=names)
        if weights == "float16":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        with quiet_start():
            path.write_bytes(converter.convert())


FORMAT = Format(
    name="litert",
    target="generator.tflite",
    write=_write,
    runtime="litert",
    packages=("ai_edge_litert",),  # only for the check
    halves=True,
)
