"""Which devices train: a `tf.distribute` strategy from a word."""

from pathlib import Path

import tensorflow as tf

from dcgan import UserError

GPU_STEPS = 8  # a call, about a tenth of a second


def make_strategy(name: str) -> tf.distribute.Strategy:
    """The strategy to train under; see `workers` for several machines.

    "none" is one device, "mirrored" all GPUs of this machine, else all logical CPUs, "auto" is
    mirrored when there are several GPUs.
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


def avoid_remapper() -> None:
    """Leaves out, for this process, an optimization that makes steps slower on CPUs.

    TensorFlow's remapper computes a convolution with its bias and LeakyReLU, and a normalization
    with its ReLU, by one kernel, which makes a 64x64 step 5 to 7 % longer. All users of the
    networks leave it out: the same arithmetic gives the same bytes. GPUs keep it, as nothing was
    measured there.
    """
    if tf.config.list_physical_devices("GPU"):
        return
    tf.config.optimizer.set_experimental_options({"remapping": False})


def on_gpu() -> bool:
    return bool(tf.config.list_physical_devices("GPU"))


def native_precision() -> str:
    """ "bfloat16" where the devices multiply it natively, else "float32".

    GPUs do from compute capability 8 on; CPUs with the flags avx512_bf16 or amx_bf16, which only
    Linux tells.
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
    """The number of steps in one call: `wanted`, or a default for the devices when it is None.

    GPUs would wait for Python between steps, so they take several. CPUs would not, so they take
    one, and signals are handled after each step.
    """
    return wanted or (GPU_STEPS if tf.config.list_logical_devices("GPU") else 1)


def device_names(strategy: tf.distribute.Strategy) -> list[str]:
    """The devices of this machine that take part, for people."""
    gpus = tf.config.list_physical_devices("GPU")
    several = strategy.num_replicas_in_sync > 1
    count = len(strategy.extended.worker_devices) if several else 1
    if not gpus:
        return ["CPU"] if count == 1 else [f"CPU:{i}" for i in range(count)]
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    names = [d.get("device_name", gpu.name) for d, gpu in zip(details, gpus, strict=True)]
    return names[:count]
