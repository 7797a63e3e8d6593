"""The SavedModel: four signatures, any batch size, for TensorFlow, TensorFlow Serving and `serve`.

serving_default(z float32 [N, z_dim]) -> images float32 [N, H, W, C] in [-1, 1];
generate(seed int64 [N]) -> images uint8; png(seed int64 [N]) -> png_bytes, those of N files;
discriminate(images uint8 [N, H, W, C]) -> score float32 [N], see `description.SCORE`.

Of a run by class each of them also takes an int32 [N] a column of labels, named by
`ClassTable.inputs`: the numbers of classes from 0. With a seed, -1 stands for the seed's own class;
a fifth signature gives these: classes(seed int64 [N]) -> int32 [N] a column.
"""

from pathlib import Path

import keras
import tensorflow as tf

from dcgan import images
from dcgan.export.format import DESCRIPTION, Format, Subject
from dcgan.latent.labels import ClassTable
from dcgan.latent.sampling import latents
from dcgan.models import Generator
from dcgan.plain_path import plain


def latent_inputs(generator: Generator, table: ClassTable | None) -> list[tf.TensorSpec]:
    """The inputs of the signature serving_default: z, and one for each column of labels."""
    z = tf.TensorSpec([None, generator.z_dim], tf.float32, name="z")
    return [z, *label_inputs(table)]


def label_inputs(table: ClassTable | None) -> list[tf.TensorSpec]:
    """The columns of labels; none without a table."""
    return [tf.TensorSpec([None], tf.int32, name=name) for name in table.inputs] if table else []


def joined(columns: tuple[tf.Tensor, ...]) -> tf.Tensor | None:
    """Labels int32 [N, columns] of their columns; None without any."""
    return tf.stack(columns, 1) if columns else None


def archive_of(generator: Generator, table: ClassTable | None) -> keras.export.ExportArchive:
    """The beginning of a SavedModel: the signature serving_default alone."""
    archive = keras.export.ExportArchive()
    archive.track(generator)
    archive.add_endpoint(
        "serving_default",
        lambda z, *columns: {"images": generator(z, labels=joined(columns), training=False)},
        input_signature=latent_inputs(generator, table),
    )
    return archive


def to_uint8(values: tf.Tensor) -> tf.Tensor:
    """`images.to_uint8` in a graph: float [-1, 1] to the nearest level."""
    return tf.saturate_cast(tf.round(images.to_levels(values)), tf.uint8)


def _write(subject: Subject, path: Path, weights: str) -> None:
    generator, discriminator = subject.generator, subject.discriminator
    table = subject.table

    def generate(seed, *columns):
        z = latents(seed, z_dim=generator.z_dim, z_dist=generator.z_dist)
        labels = joined(columns)
        if table:
            labels = tf.where(labels < 0, table.of_seeds(seed), labels)
        return {"images": to_uint8(generator(z, labels=labels, training=False))}

    def png(seed, *columns):
        # TensorFlow Serving encodes for JSON only what is named so.
        return {"png_bytes": tf.io.encode_png(generate(seed, *columns)["images"])}

    def discriminate(images_, *columns):
        levels = images.to_float(tf.cast(images_, tf.float32))
        logits = discriminator(levels, labels=joined(columns), training=False)
        return {"score": tf.sigmoid(logits[:, 0])}

    def classes(seed):
        return dict(zip(table.inputs, tf.unstack(table.of_seeds(seed), axis=1), strict=True))

    of_seeds = [tf.TensorSpec([None], tf.int64, name="seed")]
    seed = [*of_seeds, *label_inputs(table)]
    pictures = [tf.TensorSpec([None, *generator.image_shape], tf.uint8, name="images")]
    archive = archive_of(generator, table)
    archive.track(discriminator)
    archive.add_endpoint("generate", generate, input_signature=seed)
    archive.add_endpoint("png", png, input_signature=seed)
    archive.add_endpoint(
        "discriminate", discriminate, input_signature=[*pictures, *label_inputs(table)]
    )
    if table:
        archive.add_endpoint("classes", classes, input_signature=of_seeds)
    with plain(path) as place:
        archive.write_out(place, verbose=False)


FORMAT = Format(
    name="saved_model",
    target="saved_model/{step}",
    write=_write,
    runtime="saved_model",
    signatures=("serving_default", "generate", "png", "discriminate"),
    inside=f"assets.extra/{DESCRIPTION}",  # TensorFlow Serving leaves that folder alone
)
