"""Adds faults of any strength to images, for a network that learns to recognize them.

There are six faults of generated images: blur, noise, the checkerboard of strided convolutions,
wrong colours, bent shapes, and a second image blended in. All are functions of a seed.
"""

from collections.abc import Callable

import tensorflow as tf

KERNEL = 6  # pixels that a blur reaches to either side
TILE = 4  # pixels, the longest period of a checkerboard: two layers of stride 2
FOLDS = 6  # the most bends along a side
PATCHES = 4  # the most places along a side where a second image may be blended in

# Everything that changes what is learnt, in the keys of cached networks. Increase the last number
# when strengths, kinds or their draws change below.
RECIPE = (KERNEL, TILE, FOLDS, PATCHES, 1)


def degrade(images: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Adds one fault to each image: the first kind to the first ones, and so on.

    Images are float [N, H, W, C] in [-1, 1], N a multiple of `len(KINDS)`; the seed is int64 [2].
    Returns the faulty images, the numbers of their kinds from 0, int32 [N], and their strengths in
    [0, 1], float [N].
    """
    parts = tf.split(images, len(KINDS))
    count = parts[0].shape[0]
    found, strengths = [], []
    for number, (fault, part) in enumerate(zip(KINDS.values(), parts, strict=True)):
        own = seed + tf.constant([1 + 10 * number, 0], tf.int64)
        strength = _uniform([count], own)
        found.append(tf.clip_by_value(fault(part, strength, own), -1.0, 1.0))
        strengths.append(strength)
    kinds = tf.repeat(tf.range(len(KINDS)), count)
    return tf.concat(found, 0), kinds, tf.concat(strengths, 0)


def blur(images: tf.Tensor, strength: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Blurs with a Gaussian whose standard deviation is 0.35 to 2.55 pixels."""
    deviation = 0.35 + 2.2 * strength**1.5
    steps = range(-KERNEL, KERNEL + 1)
    weights = tf.stack([tf.exp(-step * step / (2 * deviation**2)) for step in steps])
    weights = _expand_to_images(weights / tf.reduce_sum(weights, 0))
    for axis in (1, 2):
        places = tf.range(images.shape[axis])
        moved = [
            tf.gather(images, tf.clip_by_value(places + step, 0, places.shape[0] - 1), axis=axis)
            for step in steps
        ]
        images = tf.reduce_sum(weights * tf.stack(moved), 0)
    return images


def add_noise(images: tf.Tensor, strength: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Adds normal noise of standard deviation 0.02 to 0.42 to each pixel and channel."""
    return images + (0.02 + 0.4 * _expand_to_images(strength) ** 2) * _normal(
        tf.shape(images), seed, 1
    )


def add_pattern(images: tf.Tensor, strength: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Adds a pattern that repeats every 2 or 4 pixels, in colour or grey."""
    count, height, width, channels = images.shape
    coarse = _normal([count, TILE, TILE, channels], seed, 1)
    fine = tf.tile(_normal([count, TILE // 2, TILE // 2, channels], seed, 2), [1, 2, 2, 1])
    tile = tf.where(_expand_to_images(_uniform([count], seed, 3)) < 0.6, fine, coarse)
    grey = tf.reduce_mean(tile, 3, keepdims=True) * channels**0.5 + tf.zeros_like(tile)
    tile = tf.where(_expand_to_images(_uniform([count], seed, 4)) < 0.5, grey, tile)
    tile -= tf.reduce_mean(tile, [1, 2], keepdims=True)
    pattern = tf.tile(tile, [1, height // TILE + 1, width // TILE + 1, 1])
    return images + (0.02 + 0.35 * _expand_to_images(strength) ** 2) * pattern[:, :height, :width]


def tint(images: tf.Tensor, strength: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Changes contrast and brightness, each channel differently."""
    shape, strength = [images.shape[0], 1, 1, images.shape[3]], _expand_to_images(strength)
    contrast = tf.exp((0.03 + 0.5 * strength) * _normal(shape, seed, 1))
    return images * contrast + (0.02 + 0.3 * strength) * _normal(shape, seed, 2)


def bend(images: tf.Tensor, strength: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Bends by smooth random shifts of deviation 0.01 to 0.08 of the height; edges are repeated."""
    count, height, width, channels = images.shape
    shifts = _smooth(images, seed, FOLDS, 2) * (0.01 + 0.07 * _expand_to_images(strength)) * height
    y, x = tf.meshgrid(tf.range(height), tf.range(width), indexing="ij")
    y = tf.clip_by_value(tf.cast(y, tf.float32) + shifts[..., 0], 0.0, height - 1.001)
    x = tf.clip_by_value(tf.cast(x, tf.float32) + shifts[..., 1], 0.0, width - 1.001)
    top, left = tf.cast(y, tf.int32), tf.cast(x, tf.int32)
    down, right = (y - tf.floor(y))[..., None], (x - tf.floor(x))[..., None]
    flat = tf.reshape(images, [count, height * width, channels])

    def at(rows, columns):
        places = tf.reshape(rows * width + columns, [count, -1])
        return tf.reshape(tf.gather(flat, places, batch_dims=1), images.shape)

    upper = (1 - right) * at(top, left) + right * at(top, left + 1)
    lower = (1 - right) * at(top + 1, left) + right * at(top + 1, left + 1)
    return (1 - down) * upper + down * lower


def mix(images: tf.Tensor, strength: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Blends each image with the one before it in the batch, in some places."""
    places = 6 * (_smooth(images, seed, PATCHES, 1) - 1.3 * (1 - 2 * _expand_to_images(strength)))
    share = tf.sigmoid(places) * (
        0.3 + 0.7 * _expand_to_images(_uniform([images.shape[0]], seed, 2))
    )
    return (1 - share) * images + share * tf.roll(images, 1, 0)


KINDS: dict[str, Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]] = {
    "blur": blur,
    "noise": add_noise,
    "checkerboard": add_pattern,
    "colour": tint,
    "shape": bend,
    "mixture": mix,
}


def _uniform(shape, seed: tf.Tensor, number: int = 0) -> tf.Tensor:
    own = seed + tf.constant([number, 0], tf.int64)
    return tf.random.stateless_uniform(shape, own, alg="philox")


def _normal(shape, seed: tf.Tensor, number: int) -> tf.Tensor:
    own = seed + tf.constant([number, 0], tf.int64)
    return tf.random.stateless_normal(shape, own, alg="philox")


def _expand_to_images(values: tf.Tensor) -> tf.Tensor:
    """Reshapes [..., N] to [..., N, 1, 1, 1]."""
    return values[..., None, None, None]


def _smooth(images: tf.Tensor, seed: tf.Tensor, cells: int, depth: int) -> tf.Tensor:
    """Draws smooth noise [N, H, W, depth] of deviation about 1, from `cells` values per side."""
    coarse = _normal([images.shape[0], cells, cells, depth], seed, 1)
    return tf.image.resize(coarse, images.shape[1:3], method="bicubic")
