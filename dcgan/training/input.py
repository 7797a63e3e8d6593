"""How images reach the device: in batches made by the CPU, or by number where they all stay."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from dcgan.datasets.pipeline import gather, make_dataset

WORKSPACE_BYTES = 2 << 30  # of a GPU, beside images that stay there: for the training itself


def feed(
    images: np.ndarray | tuple[np.ndarray, np.ndarray],
    step: Callable,
    strategy: tf.distribute.Strategy,
    **order,
) -> tuple[tf.data.Dataset, Callable]:
    """Makes a data set of batches, and a function of its elements that takes a step.

    On a single GPU with room for them images stay there as uint8 and only the numbers of a batch
    travel; else batches are sent ahead. CPUs and several GPUs get what `make_dataset` makes.

    Args:
        images: uint8 [N, H, W, C]; or these and labels int32 [N, columns].
        step: of `make_step`, under this strategy.
        **order: of `make_dataset`.
    """
    device = single_gpu(strategy)
    if device is None:
        return make_dataset(images, **order), step
    pictures, labels = images if isinstance(images, tuple) else (images, None)
    resident = _on_device(pictures, device)
    if resident is None:
        ahead = tf.data.experimental.prefetch_to_device(device)
        return make_dataset(images, **order).apply(ahead), step

    @tf.function(autograph=False)
    def gathering(batch):
        pictures = gather(resident, *batch)
        return step(pictures if labels is None else (pictures, tf.gather(labels, batch[0])))

    return make_dataset(images, **order, by_number=True), gathering


def single_gpu(strategy: tf.distribute.Strategy) -> str | None:
    """Returns the name of the only GPU that trains; None where there is none or a strategy."""
    gpus = tf.config.list_logical_devices("GPU")
    return gpus[0].name if gpus and strategy is tf.distribute.get_strategy() else None


def _on_device(images: np.ndarray, device: str) -> tf.Variable | None:
    """The images there; None where the device lacks the room."""
    try:
        with tf.device(device):
            # TensorFlow does not tell how much is free: all is asked for, and given back at once.
            megabytes = (images.nbytes + WORKSPACE_BYTES >> 20) + 1
            tf.raw_ops.Empty(shape=[megabytes, 1 << 20], dtype=tf.uint8)
            # A variable: of gathering bytes from a tensor there is no kernel for GPUs.
            return tf.Variable(images, trainable=False)
    except tf.errors.ResourceExhaustedError:
        return None
