"""Which devices train: a `tf.distribute` strategy from a word."""

import tensorflow as tf

from dcgan import UserError


def make_strategy(name: str) -> tf.distribute.Strategy:
    """The strategy to train under.

    Args:
        name: "none" (one device), "mirrored" (all GPUs of this machine, else all logical CPUs), or
            "auto" (mirrored when there are several GPUs).

    Raises:
        UserError: the name is none of these.
    """
    gpus = tf.config.list_logical_devices("GPU")
    if name == "none" or (name == "auto" and len(gpus) < 2):
        return tf.distribute.get_strategy()
    if name in ("mirrored", "auto"):
        devices = gpus or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    raise UserError(f"The strategy must be auto, none or mirrored; received {name!r}.")


def grow_gpu_memory() -> None:
    """Lets GPUs be shared: TensorFlow would otherwise take all of their memory at once.

    Call it before anything runs on a device.
    """
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)


def device_names(strategy: tf.distribute.Strategy) -> list[str]:
    """The devices that take part, for people."""
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        count = strategy.num_replicas_in_sync
        return ["CPU"] if count == 1 else [f"CPU:{i}" for i in range(count)]
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    names = [d.get("device_name", gpu.name) for d, gpu in zip(details, gpus, strict=True)]
    return names[: strategy.num_replicas_in_sync]
