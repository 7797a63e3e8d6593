"""The SavedModel for TensorFlow, TensorFlow Serving and `serve`; all batch sizes work.

serving_default(z float32 [N, z_dim]) -> images float32 [N, H, W, C] in [-1, 1];
generate(seed int64 [N]) -> images uint8; png(seed int64 [N]) -> png_bytes, the bytes of N files;
discriminate(images uint8 [N, H, W, C]) -> score float32 [N], see `description.SCORE`.

A model with classes has each signature a second time, named by `by_class`, with an int32 [N] input
for each column of labels, named by `ClassTable.inputs`: the number of a class from 0, or -1 for the
own class of z or of the seed. Images have no class of their own: for -1, `discriminate` uses the
shares of the classes in the data. A ninth signature returns the classes of seeds:
classes(seed int64 [N]) -> int32 [N] for each column.

Clients and `serve` call signatures, inputs and outputs by these names.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import tensorflow as tf

from dcgan import images
from dcgan.export.format import DESCRIPTION, Format, Subject
from dcgan.latent.class_words import OWN, by_class
from dcgan.latent.labels import ClassTable
from dcgan.latent.noise import latents
from dcgan.models import Generator
from dcgan.models.classes import one_hot
from dcgan.plain_path import plain


def z_input(generator: Generator) -> tf.TensorSpec:
    return tf.TensorSpec([None, generator.z_dim], tf.float32, name="z")


def label_inputs(table: ClassTable) -> list[tf.TensorSpec]:
    return [tf.TensorSpec([None], tf.int32, name=name) for name in table.inputs]


def make_generate(generator: Generator, table: ClassTable | None) -> Callable:
    """Makes the generator a function of z and of columns of labels, see the module.

    It is (z float32 [N, z_dim], *columns int32 [N] or [1]) -> images float32 [N, H, W, C]. Without
    columns, each z has its own classes.
    """

    def generate(z, *columns):
        if table is None:
            return generator(z, training=False)
        labels = tf.unstack(table.of_latents(z), axis=1)
        if columns:
            pairs = zip(columns, labels, strict=True)
            labels = [tf.where(given == OWN, own, given) for given, own in pairs]
        return generator(z, labels=tf.stack(labels, 1), training=False)

    return generate


def make_archive(generator: Generator, table: ClassTable | None) -> keras.export.ExportArchive:
    """Begins a SavedModel with the signature serving_default, and the same by class."""
    archive = keras.export.ExportArchive()
    archive.track(generator)
    generate = make_generate(generator, table)
    _add(
        *(archive, "serving_default", z_input(generator), table),
        lambda z, *columns: {"images": generate(z, *columns)},
    )
    return archive


def to_uint8(values: tf.Tensor) -> tf.Tensor:
    """Rounds floats in [-1, 1] to the nearest levels, as `images.to_uint8`, in a graph."""
    return tf.saturate_cast(tf.round(images.to_levels(values)), tf.uint8)


def _add(archive, name: str, first: tf.TensorSpec, table: ClassTable | None, function) -> None:
    """Adds a signature, and if there are classes, the same by class."""
    archive.add_endpoint(name, lambda x: function(x), input_signature=[first])
    if table:
        archive.add_endpoint(
            by_class(name), function, input_signature=[first, *label_inputs(table)]
        )


def shares(table: ClassTable, columns: Sequence[tf.Tensor], count: int) -> tf.Tensor:
    """Makes the labels of `count` images for the discriminator.

    Columns are int32 [N], numbers of classes or `OWN`; without columns, all are `OWN`. Returns
    float32 [N, classes of all columns]: one-hot for given classes, the data's shares for `OWN`.
    """
    labels = tf.stack(columns, 1) if columns else tf.fill([count, len(table.inputs)], OWN)
    known = tf.repeat(labels != OWN, table.sizes, axis=1)
    return tf.where(known, one_hot(labels, table.sizes), table.shares())


def _write(subject: Subject, path: Path, weights: str) -> None:
    generator, discriminator, table = subject.generator, subject.discriminator, subject.table
    from_z = make_generate(generator, table)

    def generate(seed, *columns):
        z = latents(seed, z_dim=generator.z_dim, z_dist=generator.z_dist)
        return {"images": to_uint8(from_z(z, *columns))}

    def png(seed, *columns):
        # TensorFlow Serving encodes an output for JSON only if its name ends in _bytes.
        return {"png_bytes": tf.io.encode_png(generate(seed, *columns)["images"])}

    def discriminate(images_, *columns):
        labels, levels = None, images.to_float(tf.cast(images_, tf.float32))
        if table:
            labels = shares(table, columns, tf.shape(images_)[0])
        logits = discriminator(levels, labels=labels, training=False)
        return {"score": tf.sigmoid(logits[:, 0])}

    def classes(seed):
        return dict(zip(table.inputs, tf.unstack(table.of_seeds(seed), axis=1), strict=True))

    seed = tf.TensorSpec([None], tf.int64, name="seed")
    pictures = tf.TensorSpec([None, *generator.image_shape], tf.uint8, name="images")
    archive = make_archive(generator, table)
    archive.track(discriminator)
    _add(archive, "generate", seed, table, generate)
    _add(archive, "png", seed, table, png)
    _add(archive, "discriminate", pictures, table, discriminate)
    if table:
        archive.add_endpoint("classes", classes, input_signature=[seed])
    with plain(path) as place:
        archive.write_out(place, verbose=False)


FORMAT = Format(
    name="saved_model",
    target="saved_model/{step}",
    write=_write,
    runtime="saved_model",
    signatures=("serving_default", "generate", "png", "discriminate"),
    inside=f"assets.extra/{DESCRIPTION}",  # TensorFlow Serving ignores that folder
)
