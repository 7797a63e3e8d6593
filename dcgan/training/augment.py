"""Differentiable augmentation: random changes to every image that the discriminator sees.

Real and generated images are changed alike, and gradients pass through to the generator, so it
does not learn to draw the changes (Zhao et al. 2020, arXiv 2006.10738). A discriminator that cannot
rely on the place of a pixel judges shapes, and does not memorize a small data set.
"""

import tensorflow as tf

KINDS = ("color", "translation")  # in config.json, as values of the option augment
MOVE = 1 / 8  # Zhao et al. 2020, section 4: the farthest translation, as a share of the side


def augment(images: tf.Tensor, kinds: tuple[str, ...], *, seed: tf.Tensor) -> tf.Tensor:
    """Changes each image at random.

    Args:
        images: float32 [N, H, W, C]; on several replicas, this replica's share of the batch.
        kinds: some of `KINDS`, in any order. "color" adds U(-0.5, 0.5) to all levels, which are in
            [-1, 1], and scales the distance of each colour to its grey by U(0, 2) and that of each
            level to the image's mean by U(0.5, 1.5). "translation" moves by up to an eighth of the
            sides, with the border repeated.
        seed: int64 [2]. The changes to an image depend on the seed and on the image's place in the
            whole batch, not on the number of replicas.

    Returns:
        float32 [N, H, W, C].
    """
    if not kinds:
        return images
    context = tf.distribute.get_replica_context()
    count = tf.shape(images)[0]
    # With other numbers, or in another order, resumed runs would go on differently.
    shape = (count * context.num_replicas_in_sync, 5)
    numbers = tf.random.stateless_uniform(shape, seed, alg="philox")
    start = context.replica_id_in_sync_group * count
    draws = tf.unstack(numbers[start : start + count], axis=1)
    if "color" in kinds:
        images = _color(images, *(draw[:, None, None, None] for draw in draws[:3]))
    if "translation" in kinds:
        images = _translation(images, *draws[3:])
    return images


def _color(images, brightness, saturation, contrast):
    """Changes the colours by three draws in [0, 1), [N, 1, 1, 1] each."""
    images = images + (brightness - 0.5)
    grey = tf.reduce_mean(images, axis=3, keepdims=True)
    images = (images - grey) * (2.0 * saturation) + grey
    mean = tf.reduce_mean(images, axis=(1, 2, 3), keepdims=True)
    return (images - mean) * (contrast + 0.5) + mean


def _translation(images, down, right):
    _, height, width, channels = images.shape
    rows = _move_rows(height, down)[:, :, None]
    columns = _move_rows(width, right)[:, None, :]
    pixels = rows * width + columns  # [N, H, W], index of each pixel's source in its image
    pixels += tf.range(tf.shape(images)[0])[:, None, None] * (height * width)
    return tf.gather(tf.reshape(images, (-1, channels)), pixels)


def _move_rows(side: int, draw: tf.Tensor) -> tf.Tensor:
    """Returns int32 [N, side], the source of each row; all whole moves are equally likely."""
    farthest = int(side * MOVE + 0.5)
    by = tf.cast(tf.floor(draw * (2 * farthest + 1)), tf.int32) - farthest
    return tf.clip_by_value(tf.range(side) - by[:, None], 0, side - 1)
