"""How images reach the device: in batches made by the CPU, or by number where they all stay."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from dcgan.datasets.pipeline import gather, make_dataset

RESIDENT_BYTES = 1 << 30  # of images that may stay on a GPU; whatever trains a DCGAN has the room


def feed(
    images: np.ndarray, step: Callable, strategy: tf.distribute.Strategy, **order
) -> tuple[tf.data.Dataset, Callable]:
    """Batches, and the step that takes them.

    On a single GPU images that fit stay there as uint8 and only the numbers of a batch travel;
    others are sent ahead. CPUs and several GPUs get what `make_dataset` makes.

    Args:
        images: uint8 [N, H, W, C].
        step: of `make_step`.
        strategy: that of the step.
        **order: of `make_dataset`.

    Returns:
        (data set, a function of its elements that does a step).
    """
    device = single_gpu(strategy)
    if device is None:
        return make_dataset(images, **order), step
    if images.nbytes > RESIDENT_BYTES:
        ahead = tf.data.experimental.prefetch_to_device(device)
        return make_dataset(images, **order).apply(ahead), step
    with tf.device(device):
        resident = tf.constant(images)

    @tf.function(autograph=False)
    def gathering(batch):
        return step(gather(resident, *batch))

    return make_dataset(images, **order, by_number=True), gathering


def single_gpu(strategy: tf.distribute.Strategy) -> str | None:
    """The name of the one GPU that trains; None on CPUs and on several."""
    gpus = tf.config.list_logical_devices("GPU")
    return gpus[0].name if gpus and strategy.num_replicas_in_sync == 1 else None
