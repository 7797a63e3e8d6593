"""The SavedModel: four signatures, any batch size, for TensorFlow, TensorFlow Serving and `serve`.

serving_default(z float32 [N, z_dim]) -> images float32 [N, H, W, C] in [-1, 1];
generate(seed int64 [N]) -> images uint8; png(seed int64 [N]) -> png_bytes, those of N files;
discriminate(images uint8 [N, H, W, C]) -> score float32 [N], see `description.SCORE`.
"""

from pathlib import Path

import keras
import tensorflow as tf

from dcgan import images
from dcgan.export.format import DESCRIPTION, Format, Subject
from dcgan.latent.sampling import latents
from dcgan.models import Generator
from dcgan.plain_path import plain


def archive_of(generator: Generator) -> keras.export.ExportArchive:
    """The beginning of a SavedModel: the signature serving_default alone."""
    archive = keras.export.ExportArchive()
    archive.track(generator)
    archive.add_endpoint(
        "serving_default",
        lambda z: {"images": generator(z, training=False)},
        input_signature=[tf.TensorSpec([None, generator.z_dim], tf.float32, name="z")],
    )
    return archive


def to_uint8(values: tf.Tensor) -> tf.Tensor:
    """`images.to_uint8` in a graph: float [-1, 1] to the nearest level."""
    return tf.saturate_cast(tf.round(images.to_levels(values)), tf.uint8)


def _write(subject: Subject, path: Path, weights: str) -> None:
    generator, discriminator = subject.generator, subject.discriminator

    def generate(seed):
        z = latents(seed, z_dim=generator.z_dim, z_dist=subject.z_dist)
        return {"images": to_uint8(generator(z, training=False))}

    def png(seed):
        # TensorFlow Serving encodes for JSON only what is named so.
        return {"png_bytes": tf.io.encode_png(generate(seed)["images"])}

    def discriminate(images_):
        logits = discriminator(images.to_float(tf.cast(images_, tf.float32)), training=False)
        return {"score": tf.sigmoid(logits[:, 0])}

    seed = [tf.TensorSpec([None], tf.int64, name="seed")]
    pictures = [tf.TensorSpec([None, *generator.image_shape], tf.uint8, name="images")]
    archive = archive_of(generator)
    archive.track(discriminator)
    archive.add_endpoint("generate", generate, input_signature=seed)
    archive.add_endpoint("png", png, input_signature=seed)
    archive.add_endpoint("discriminate", discriminate, input_signature=pictures)
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
