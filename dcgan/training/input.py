"""How images reach the device: in batches made by the CPU, or by index if it holds them all."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from dcgan.datasets.pipeline import gather, make_dataset

WORKSPACE_BYTES = 2 << 30  # GPU memory left for the training itself, beside resident images


def feed(
    images: np.ndarray | tuple[np.ndarray, np.ndarray],
    step: Callable,
    strategy: tf.distribute.Strategy,
    **order,
) -> tuple[tf.data.Dataset, Callable]:
    """Makes a data set of batches, and a function that takes one training step on a batch of it.

    A single GPU keeps all images as uint8 if it has room, and only their indices travel; else
    batches are prefetched to it. CPUs and several GPUs get what `make_dataset` makes.

    Args:
        images: uint8 [N, H, W, C]; or a tuple of these and labels, int32 [N, columns].
        step: made by `make_step` with this strategy.
        **order: further arguments of `make_dataset`.
    """
    device = find_single_gpu(strategy)
    if device is None:
        return make_dataset(images, **order), step
    pictures, labels = images if isinstance(images, tuple) else (images, None)
    resident = _copy_to_device(pictures, device)
    if resident is None:
        ahead = tf.data.experimental.prefetch_to_device(device)
        return make_dataset(images, **order).apply(ahead), step

    @tf.function(autograph=False)
    def gathering(batch):
        pictures = gather(resident, *batch)
        return step(pictures if labels is None else (pictures, tf.gather(labels, batch[0])))

    return make_dataset(images, **order, by_number=True), gathering


def find_single_gpu(strategy: tf.distribute.Strategy) -> str | None:
    """Returns the name of the GPU that trains alone; None without a GPU or with a strategy."""
    gpus = tf.config.list_logical_devices("GPU")
    return gpus[0].name if gpus and strategy is tf.distribute.get_strategy() else None


def _copy_to_device(images: np.ndarray, device: str) -> tf.Variable | None:
    """Copies the images to the device; returns None if they do not fit into its memory."""
    try:
        with tf.device(device):
            # TensorFlow does not tell how much memory is free: try to take it, and free it at once.
            megabytes = (images.nbytes + WORKSPACE_BYTES >> 20) + 1
            tf.raw_ops.Empty(shape=[megabytes, 1 << 20], dtype=tf.uint8)
            # A variable, as GPUs have no kernel that gathers uint8 from a plain tensor.
            return tf.Variable(images, trainable=False)
    except tf.errors.ResourceExhaustedError:
        return None
