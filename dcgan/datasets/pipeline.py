"""Makes endless batches of images, in an order that a restart can repeat.

The order and the flips of epoch e are a pure function of (seed, e), so a run that is resumed at
step s sees the same batches as one that was never interrupted.
"""

import numpy as np
import tensorflow as tf

from dcgan import UserError

BATCHES_AHEAD = 4  # batches prepared before the device asks for them


def make_dataset(
    images: np.ndarray | tuple[np.ndarray, np.ndarray],
    *,
    batch_size: int,
    seed: int,
    start_step: int = 0,
    flip: bool = False,
    share: tuple[int, int] = (0, 1),
    by_number: bool = False,
) -> tf.data.Dataset:
    """Makes a dataset of endless batches, prepared while the device computes.

    The images left over at the end of an epoch are dropped; they differ from epoch to epoch.

    Args:
        images: uint8 [N, H, W, C], an array or a mapped file; or a tuple of these and labels, int32
            [N, columns].
        seed: seed of order and flips.
        start_step: number of the first batch.
        flip: whether to mirror images left to right, each with probability 1/2.
        share: (i, n) for the i-th of n equal parts of each batch; n divides batch_size.
        by_number: whether to return `rows` and `mirrored` for `gather` instead of images.

    Returns:
        A dataset of uint8 [batch_size / n, H, W, C]; with labels, of tuples of these and int32
        [batch_size / n, columns].
    """
    images, labels = images if isinstance(images, tuple) else (images, None)
    if len(images) < batch_size:
        raise UserError(
            f"There are {len(images)} images, fewer than a batch of {batch_size}; "
            "expected at least one batch: give more images or a smaller batch."
        )
    size = batch_size // share[1]
    mine = slice(share[0] * size, (share[0] + 1) * size)

    def epochs():
        for rows, mirrored in _epochs(len(images), batch_size, seed, start_step, flip):
            yield rows[:, mine], mirrored[:, mine]

    def pick(rows, mirrored):
        batch = tf.numpy_function(lambda *of: _pick(images, *of), (rows, mirrored), tf.uint8)
        batch = tf.ensure_shape(batch, (size, *images.shape[1:]))
        if labels is None:
            return batch
        of_batch = tf.numpy_function(lambda rows: labels[rows], (rows,), tf.int32)
        return batch, tf.ensure_shape(of_batch, (size, labels.shape[1]))

    # Python yields row numbers once per epoch and pixels once per batch: `from_generator` would
    # copy images once more.
    dataset = tf.data.Dataset.from_generator(
        epochs,
        output_signature=(
            tf.TensorSpec((None, size), tf.int64),
            tf.TensorSpec((None, size), tf.bool),
        ),
    )
    dataset = dataset.flat_map(lambda *epoch: tf.data.Dataset.from_tensor_slices(epoch))
    dataset = dataset if by_number else dataset.map(pick)
    # Else workers would ask one another before each batch whether the data have ended.
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))
    options = tf.data.Options()
    # There is nothing to tune, and training would wait at its end for the tuner, which sleeps for
    # up to a minute.
    options.autotune.enabled = False
    # A generator cannot be split over workers by file or by row.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return dataset.prefetch(BATCHES_AHEAD).with_options(options)


def gather(images: tf.Variable, rows: tf.Tensor, mirrored: tf.Tensor) -> tf.Tensor:
    """Picks the images of a batch, on the device that holds all images.

    Takes the `rows`, int64 [batch], of `images`, uint8 [N, H, W, C], and mirrors them left to right
    where `mirrored`, bool [batch], is true.
    """
    batch = tf.gather(images, rows)
    return tf.where(mirrored[:, None, None, None], batch[:, :, ::-1], batch)


def _epochs(num_images: int, batch_size: int, seed: int, start_step: int, flip: bool):
    """Yields each epoch's (rows, mirrored), int64 and bool [batches left, batch_size].

    With other draws, or in another order, resumed runs would go on differently.
    """
    per_epoch = num_images // batch_size
    epoch, done = divmod(start_step, per_epoch)
    while True:
        random = np.random.Generator(np.random.Philox(key=[seed, epoch]))
        rows = random.permutation(num_images)
        mirrored = random.random(num_images) < 0.5 * flip
        left = slice(done * batch_size, per_epoch * batch_size)
        yield rows[left].reshape(-1, batch_size), mirrored[left].reshape(-1, batch_size)
        epoch, done = epoch + 1, 0


def _pick(images: np.ndarray, rows: np.ndarray, mirrored: np.ndarray) -> np.ndarray:
    """Picks the images of these rows and mirrors some of them, as `gather` does."""
    batch = images[rows]
    turned = batch[mirrored]
    # Channel by channel is four times as fast as all channels at once.
    for channel in range(batch.shape[-1]):
        batch[mirrored, :, :, channel] = turned[:, :, ::-1, channel]
    return batch
