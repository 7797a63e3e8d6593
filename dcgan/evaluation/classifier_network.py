"""The network of the classifier, and its training; `classifier.py` selects the data and caches it.

The network is a trunk (see `trunk`) and one linear layer for each labelling. In training, images
are rotated, scaled, shifted and lit a little differently every time, so that a few thousand are
enough. They are not mirrored, as a mirrored digit is not a digit; hues stay, as labels may be
colours.
"""

import math
from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from dcgan.evaluation import trunk
from dcgan.images import to_float

STEM = 24
WIDTHS = (48, 96, 192)  # channels of the stages, which halve the sides; the last gives the features
DROPOUT = 0.3  # share of the features dropped before the heads
BATCH = 128
PASSES = 120_000  # images seen in training, with repetitions
MOST_EPOCHS = 60
SMOOTHING = 0.05  # label smoothing
# The largest changes to an image.
TURN = math.radians(10)
SCALE = 0.12
SHIFT = 0.08  # share of a side
CONTRAST = 0.3
BRIGHTNESS = 0.2  # in levels from -1 to 1

# Everything above that changes what is learnt, in the keys of cached networks.
RECIPE = (
    *(STEM, WIDTHS, trunk.LARGE, DROPOUT, BATCH, PASSES, MOST_EPOCHS),
    *(trunk.PEAK_RATE, trunk.WARM_UP, trunk.DECAY),
    *(SMOOTHING, TURN, SCALE, SHIFT, CONTRAST, BRIGHTNESS),
)


def build(shape: tuple[int, int, int], classes: Mapping[str, int], *, seed: int) -> keras.Model:
    """Builds the network with its initial weights, which depend on the seed.

    Its inputs are images [N, *shape], float in [-1, 1]; its outputs a list of the features
    [N, WIDTHS[-1]] and the logits of each labelling. `classes` has each labelling's class count.
    """
    seeds = iter(range(seed * 1000, (seed + 1) * 1000))
    images = keras.Input(shape)
    stages = trunk.trunk(images, STEM, WIDTHS, seeds)
    features = keras.layers.GlobalAveragePooling2D()(stages[-1])
    kept = keras.layers.Dropout(DROPOUT, seed=next(seeds))(features)
    heads = [trunk.dense(kept, count, seeds) for count in classes.values()]
    return keras.Model(images, [features, *heads])


def vary(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Rotates, scales and shifts images a little, and changes their contrast and brightness.

    Images are float [N, H, W, C] in [-1, 1], the seed is int64 [2].
    """
    count, height, width = tf.shape(images)[0], images.shape[1], images.shape[2]
    draws = tf.random.stateless_uniform([7, count], seed, -1.0, 1.0, alg="philox")
    turn, x_scale, y_scale, x_shift, y_shift, contrast, brightness = tf.unstack(draws)
    cos, sin = tf.cos(TURN * turn), tf.sin(TURN * turn)
    x_scale, y_scale = 1.0 + SCALE * x_scale, 1.0 + SCALE * y_scale
    a, b, d, e = cos * x_scale, -sin * y_scale, sin * x_scale, cos * y_scale
    x_middle, y_middle = (width - 1) / 2, (height - 1) / 2  # both are seen from the centre
    c = x_middle - a * x_middle - b * y_middle + SHIFT * width * x_shift
    f = y_middle - d * x_middle - e * y_middle + SHIFT * height * y_shift
    moved = trunk.warp(images, [a, b, c, d, e, f])
    contrast, brightness = (tf.reshape(v, [-1, 1, 1, 1]) for v in (contrast, brightness))
    return moved * (1.0 + CONTRAST * contrast) + BRIGHTNESS * brightness


def train(model: keras.Model, images: np.ndarray, labels: list[np.ndarray], *, seed: int) -> None:
    """Trains a network made by `build`, see `trunk.train`.

    Images are uint8 [N, H, W, C]; labels are int32 [N] per labelling, in the order of the heads.
    """

    def loss(number, pictures, *truths):
        draw = tf.stack([tf.constant(seed, tf.int64), number])
        varied = vary(to_float(tf.cast(pictures, tf.float32)), draw)
        _, *logits = model(varied, training=True)
        losses = [_loss(*pair) for pair in zip(logits, truths, strict=True)]
        return tf.add_n(losses) / len(losses)

    trunk.train(
        model,
        [images, *labels],
        loss,
        size=min(BATCH, len(images)),
        passes=min(PASSES, MOST_EPOCHS * len(images)),
        seed=seed,
        doing="training the classifier",
    )


def _loss(logits: tf.Tensor, truth: tf.Tensor) -> tf.Tensor:
    """Computes the cross-entropy with smoothed labels (Szegedy et al. 2015, section 7)."""
    classes = logits.shape[-1]
    wanted = tf.one_hot(truth, classes) * (1.0 - SMOOTHING) + SMOOTHING / classes
    return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(wanted, logits))
