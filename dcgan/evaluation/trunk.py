"""Shared parts of the networks that learn from the data set: trunk, training and use.

A small residual network (He et al. 2016, arXiv 1603.05027), trained by AdamW with a warm-up and a
cosine decay, on images in a shuffled order that a seed decides.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf

from dcgan.evaluation import resizing
from dcgan.evaluation.extractor import pieces
from dcgan.images import to_float
from dcgan.latent.sampling import in_batches
from dcgan.models.layers import BatchNormalization
from dcgan.terminal.progress import format_estimate, with_bar

LONGEST = 64  # pixels; larger images are made smaller
BATCH = 128  # images; always the same, so that features do not depend on the number of images
LARGE = 40  # pixels; if the longer side is above, the stem halves the sides too
PEAK_RATE = 4e-3  # highest learning rate
WARM_UP = 0.15  # share of the steps
DECAY = 0.05  # weight decay, as a multiple of the learning rate

# Everything above that changes what is learnt, in the keys of cached networks.
RECIPE = (LARGE, PEAK_RATE, WARM_UP, DECAY)

FIRST_STEPS = 10  # steps after which the total time is estimated

logger = logging.getLogger("dcgan")


def input_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Returns the input's (height, width, channels) for images of this shape."""
    return (*resizing.shrink(*shape[:2], LONGEST), shape[2])


def compile_outputs(
    model: keras.Model, outputs: Callable[[tf.Tensor], list[tf.Tensor]]
) -> Callable[[np.ndarray], list[np.ndarray]]:
    """Compiles a function of uint8 images [N, H, W, C], which are resized to the model's input.

    `outputs` computes its results from float images [BATCH, *input shape] in [-1, 1].
    """
    shape = model.input_shape[1:]

    @tf.function(input_signature=[tf.TensorSpec((BATCH, *shape), tf.float32)], autograph=False)
    def run(levels):
        return outputs(to_float(levels))

    def of_batch(images):
        return run(tf.constant(resizing.resize(images, *shape[:2])))

    return lambda images: in_batches(of_batch, images, size=BATCH)


def warp(images: tf.Tensor, transform: list[tf.Tensor]) -> tf.Tensor:
    """Resamples each image [N, H, W, C] bilinearly; borders are repeated outwards.

    The transform is a, b, c, d, e, f, each [N]: output (x, y) comes from input (a x + b y + c,
    d x + e y + f), in pixels from the upper left corner.
    """
    none = tf.zeros_like(transform[0])
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack([*transform, none, none], axis=1),
        output_shape=images.shape[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    )


def trunk(images, stem: int, widths: tuple[int, ...], seeds: Iterator[int]) -> list:
    """Returns the outputs of the stem and of each stage; every stage halves the sides.

    `images` are a Keras tensor in [-1, 1]; `seeds` initialize the layers.
    """

    def convolve(x, width: int, stride: int = 1):
        start = keras.initializers.HeNormal(seed=next(seeds))
        layer = keras.layers.Conv2D(
            width, 3, stride, padding="same", use_bias=False, kernel_initializer=start
        )
        return keras.layers.ReLU()(BatchNormalization()(layer(x)))

    stages = [convolve(images, stem, 2 if max(images.shape[1:3]) > LARGE else 1)]
    for width in widths:
        x = convolve(stages[-1], width, 2)
        stages.append(keras.layers.Add()([x, convolve(x, width)]))
    return stages


def dense(x, count: int, seeds: Iterator[int]):
    """Applies a new linear layer with `count` outputs, initialized by the next seed."""
    start = keras.initializers.GlorotUniform(seed=next(seeds))
    return keras.layers.Dense(count, kernel_initializer=start)(x)


def train(
    model: keras.Model,
    arrays: Sequence[np.ndarray],
    loss: Callable[..., tf.Tensor],
    *,
    size: int,
    passes: int,
    seed: int,
    doing: str,
) -> None:
    """Trains a model; the same seed gives the same weights on the same machine, up to rounding.

    Args:
        arrays: images and what belongs to them, all [N, ...].
        loss: takes the number of the step, int64, and `size` rows of each array.
        passes: number of rows in all steps, with repetitions.
        seed: decides the order of the rows.
    """
    steps = max(1, passes // size)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0,
        round(steps * (1 - WARM_UP)),
        warmup_target=PEAK_RATE,
        warmup_steps=round(steps * WARM_UP),
    )
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=DECAY)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    optimizer.build(model.trainable_variables)

    @tf.function
    def step(number, *rows):
        with tf.GradientTape() as tape:
            value = loss(number, *rows)
        gradients = tape.gradient(value, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)

    places = order(len(arrays[0]), steps * size, seed)
    for number in with_bar(range(steps), doing, steps, "steps"):
        some = places[number * size : (number + 1) * size]
        step(tf.constant(number, tf.int64), *(tf.constant(one[some]) for one in arrays))
        if number == 0:
            start = time.monotonic()  # the first step includes compilation
        if number == FIRST_STEPS:
            seconds = (time.monotonic() - start) / FIRST_STEPS * (steps - number)
            logger.info("%s once: %s.", doing.capitalize(), format_estimate(seconds))


def order(count: int, passes: int, seed: int) -> np.ndarray:
    """Returns the order of the images, int [passes]: one shuffle of all `count` after another."""
    random = np.random.Generator(np.random.Philox(key=seed))
    return np.concatenate([random.permutation(count) for _ in range(-(-passes // count))])[:passes]


def small(images: np.ndarray, rows: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resizes the images of M rows, uint8 [M, *size, channels]."""
    parts = (np.rint(resizing.resize(part, *size)) for part in pieces(images, rows))
    return np.concatenate([part.astype(np.uint8) for part in parts])
