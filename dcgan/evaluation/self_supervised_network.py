"""The network of the self-supervised extractor, and its training; `self_supervised.py` caches it.

It learns two tasks that need no labels. The first is to match two views of an image, cut out a
little differently, among views of all other images (Chen et al. 2020, "SimCLR", arXiv 2002.05709,
NT-Xent) and images with faults, so that features describe the content but do not ignore faults. The
second is to name the kind and strength of the fault in a faulty image. Views are not mirrored.
"""

import keras
import numpy as np
import tensorflow as tf

from dcgan.evaluation import degradations, trunk
from dcgan.evaluation.degradations import KINDS, degrade
from dcgan.images import to_float

STEM = 16
WIDTHS = (32, 64, 128)  # channels of the stages
PROJECTED = 128  # dimensions in which views are compared
BATCH = 96  # images; each gives two views and one with a fault
PASSES = 40_000  # images seen in training, with repetitions
MOST_EPOCHS = 100
TEMPERATURE = 0.2  # NT-Xent's
SMALLEST = 0.7  # the least share of the sides that a view shows
STRETCH = 0.08  # the most that a view is stretched
FAULTS = 1.0  # weight of the second task
STRENGTHS = 4.0  # weight of the strength's error in it

# Everything above that changes what is learnt, in the keys of cached networks.
RECIPE = (
    *(STEM, WIDTHS, PROJECTED, BATCH, PASSES, MOST_EPOCHS, TEMPERATURE, SMALLEST, STRETCH),
    *(FAULTS, STRENGTHS, degradations.RECIPE, trunk.RECIPE),
)


def build(shape: tuple[int, int, int], *, seed: int) -> keras.Model:
    """Builds the network with its initial weights, for images [N, *shape], float in [-1, 1].

    Its outputs are a list: features [N, D], the means over all places of every stage's outputs; and
    for training only, projections [N, PROJECTED], logits of the faults (the first for no fault) and
    their strengths, both [N, 1 + len(KINDS)].
    """
    seeds = iter(range(seed * 1000, (seed + 1) * 1000))
    images = keras.Input(shape)
    pool = keras.layers.GlobalAveragePooling2D()
    pooled = [pool(stage) for stage in trunk.trunk(images, STEM, WIDTHS, seeds)]
    hidden = keras.layers.ReLU()(trunk.dense(pooled[-1], PROJECTED, seeds))
    heads = [trunk.dense(hidden, PROJECTED, seeds)]
    heads += [trunk.dense(pooled[-1], 1 + len(KINDS), seeds) for _ in range(2)]
    return keras.Model(images, [keras.layers.Concatenate()(pooled), *heads])


def view(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Cuts a part out of each image [N, H, W, C], and stretches it to the whole image's size."""
    height, width = images.shape[1:3]
    draws = tf.random.stateless_uniform([4, images.shape[0]], seed, -1.0, 1.0, alg="philox")
    size, stretch, x_place, y_place = tf.unstack(draws)
    size = 1.0 - (1.0 - SMALLEST) * (1.0 + size) / 2
    a, e = size * (1.0 + STRETCH * stretch), size * (1.0 - STRETCH * stretch)
    x_middle, y_middle = (width - 1) / 2, (height - 1) / 2
    c = (1.0 - a + x_place * (1.0 - size)) * x_middle
    f = (1.0 - e + y_place * (1.0 - size)) * y_middle
    none = tf.zeros_like(a)
    return trunk.warp(images, [a, none, c, none, e, f])


def train(model: keras.Model, images: np.ndarray, *, seed: int) -> None:
    """Trains a network made by `build` on images uint8 [N, H, W, C], N >= len(KINDS).

    See `trunk.train`.
    """
    batch = min(BATCH, len(images)) // len(KINDS) * len(KINDS)

    def loss(number, pictures):
        known = to_float(tf.cast(pictures, tf.float32))
        draws = [tf.stack([tf.constant(4 * seed + i, tf.int64), number]) for i in range(3)]
        faulty, kinds, strengths = degrade(view(known, draws[0]), -1 - draws[0])
        together = tf.concat([view(known, draws[1]), view(known, draws[2]), faulty], 0)
        _, projected, logits, said = model(together, training=True)
        of_faults = _faults_loss(logits, said, kinds, strengths)
        return _views_loss(projected, batch) + FAULTS * of_faults

    passes = min(PASSES, MOST_EPOCHS * len(images))
    doing = "training the extractor"
    trunk.train(model, [images], loss, size=batch, passes=passes, seed=seed, doing=doing)


def _views_loss(projected: tf.Tensor, count: int) -> tf.Tensor:
    """Computes NT-Xent (SimCLR, equation 1) with faulty images as additional negatives.

    Projections [3 * count, D] are those of first views, second views and faulty images.
    """
    directions = tf.math.l2_normalize(projected, 1)
    alike = tf.matmul(directions[: 2 * count], directions, transpose_b=True) / TEMPERATURE
    alike -= 1e9 * tf.eye(2 * count, 3 * count)  # views are not compared with themselves
    other = tf.roll(tf.range(2 * count), count, 0)
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(other, alike))


def _faults_loss(
    logits: tf.Tensor, said: tf.Tensor, kinds: tf.Tensor, strengths: tf.Tensor
) -> tf.Tensor:
    """Computes the kinds' cross-entropy plus the weighted squared error of the strengths.

    Faulty and faultless images have equal weights in the first. Logits and the strengths `said` are
    [3 N, 1 + len(KINDS)]; the last N rows are of faulty images.
    """
    count = kinds.shape[0]
    truth = tf.concat([tf.zeros([2 * count], tf.int32), 1 + kinds], 0)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(truth, logits)
    told = tf.gather(said[2 * count :], 1 + kinds, batch_dims=1)
    kind = (tf.reduce_mean(losses[: 2 * count]) + tf.reduce_mean(losses[2 * count :])) / 2
    return kind + STRENGTHS * tf.reduce_mean(tf.square(told - strengths))
