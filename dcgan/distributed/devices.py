"""Chooses the devices that train: makes a `tf.distribute` strategy from its name."""

from pathlib import Path

import tensorflow as tf

GPU_STEPS = 8  # steps per call on GPUs, about a tenth of a second


def make_strategy(name: str) -> tf.distribute.Strategy:
    """Makes the strategy for one machine; see `workers` for several machines.

    "none" uses one device; "mirrored" all GPUs or, without GPUs, all logical CPUs; "auto" is
    mirrored if there are several GPUs, else none.
    """
    gpus = tf.config.list_logical_devices("GPU")
    if name == "none" or (name == "auto" and len(gpus) < 2):
        return tf.distribute.get_strategy()
    devices = gpus or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy([device.name for device in devices])


def grow_gpu_memory() -> None:
    """Makes TensorFlow take GPU memory only as needed, so that others can use the GPUs too.

    Call it before anything runs on a device.
    """
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)


def avoid_remapper() -> None:
    """Switches off an optimization of TensorFlow that makes steps slower on CPUs.

    With the remapper, which fuses layers, a 64x64 step takes 5 to 7 % longer. It is off wherever
    networks are used, so that all give the same bytes. On GPUs it was not measured, and stays on.
    """
    if tf.config.list_physical_devices("GPU"):
        return
    tf.config.optimizer.set_experimental_options({"remapping": False})


def on_gpu() -> bool:
    return bool(tf.config.list_physical_devices("GPU"))


def native_precision() -> str:
    """Returns "bfloat16" if the devices multiply it natively, else "float32".

    GPUs do from compute capability 8 on. CPUs do if they have the flag avx512_bf16 or amx_bf16,
    which only Linux reports.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
        native = all(d.get("compute_capability", (0, 0))[0] >= 8 for d in details)
    else:
        cpus = Path("/proc/cpuinfo")
        words = set(cpus.read_text().split()) if cpus.exists() else set()
        native = bool(words & {"avx512_bf16", "amx_bf16"})
    return "bfloat16" if native else "float32"


def steps_per_call(wanted: int | None) -> int:
    """Returns the number of steps in one call: `wanted`, or the devices' default if it is None.

    The default is several for GPUs, which would wait for Python between calls. For CPUs, which
    would not, it is one, so that signals are handled after each step.
    """
    return wanted or (GPU_STEPS if tf.config.list_logical_devices("GPU") else 1)


def device_names(strategy: tf.distribute.Strategy) -> list[str]:
    """Returns readable names of this machine's devices that train."""
    gpus = tf.config.list_physical_devices("GPU")
    several = strategy.num_replicas_in_sync > 1
    count = len(strategy.extended.worker_devices) if several else 1
    if not gpus:
        return ["CPU"] if count == 1 else [f"CPU:{i}" for i in range(count)]
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    names = [d.get("device_name", gpu.name) for d, gpu in zip(details, gpus, strict=True)]
    return names[:count]
