"""Replicas on one machine: normalization over all of them, and checkpoints that move between them.

Run as a script, this file is the process with four logical CPUs, which must be asked for before
TensorFlow starts. Two of them are in test_step.py: TensorFlow's collective operations keep to one
number in a process.
"""

import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from running import results_of

from dcgan.cli.resolve import resolve
from dcgan.datasets.pipeline import make_dataset
from dcgan.models import Discriminator, Generator
from dcgan.models.layers import BatchNormalization
from dcgan.run.checkpoint import Checkpointer, read
from dcgan.training.state import GANState
from dcgan.training.step import StepOptions, make_step
from dcgan.training.trainer import make_networks

pytestmark = pytest.mark.slow  # two replicas are in test_step.py, in the default suite

COUNT = 4  # replicas
BATCH, Z_DIM, SHAPE = 8, 4, (16, 16, 3)
STEPS = 4  # on one replica, then on four, then on one again
MAPS, CHANNELS = (8, 3, 2, 5), 5  # of the whole batch
PARAMETERS = (np.linspace(0.5, 1.5, CHANNELS), np.linspace(-1, 1, CHANNELS))  # gamma, beta


def maps(shift: float = 0.0) -> np.ndarray:
    random = np.random.default_rng(0)
    return (random.normal(1.0, 2.0, MAPS) + shift).astype(np.float32)


def upstream() -> np.ndarray:
    return np.random.default_rng(1).normal(size=MAPS).astype(np.float32)


# ------------------------------------------------------------------ in the process with four CPUs


def mirrored() -> tf.distribute.Strategy:
    cpu = tf.config.list_physical_devices("CPU")[0]
    devices = [tf.config.LogicalDeviceConfiguration()] * COUNT
    tf.config.set_logical_device_configuration(cpu, devices)
    return tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(COUNT)])


def normalized(
    strategy, values, *, synchronized=True, dtype="float32", moving_mean=0.0, **more
) -> dict:
    """Outputs, gradients and statistics of one step of a layer; each replica has its rows."""
    with strategy.scope():
        layer = BatchNormalization(synchronized=synchronized, dtype=dtype, **more)
        layer.build((None, *MAPS[1:]))
        for variable, value in zip(layer.trainable_variables, PARAMETERS, strict=True):
            variable.assign(value)
        layer.moving_mean.assign(np.full(CHANNELS, moving_mean, np.float32))

    def rows(array):
        parts = np.split(array, COUNT)
        return strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(parts[context.replica_id_in_sync_group])
        )

    def one(x, weights):
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = layer(x, training=True)
            loss = tf.reduce_sum(tf.cast(outputs, tf.float32) * weights)
        sources = [x, layer.gamma.value, layer.beta.value]
        return tf.cast(outputs, tf.float32), *tape.gradient(loss, sources)

    @tf.function(autograph=False)
    def run(x, weights):
        return strategy.run(one, args=(x, weights))

    outputs, x, gamma, beta = (
        [np.asarray(part) for part in strategy.experimental_local_results(value)]
        for value in run(rows(values), rows(upstream()))
    )
    return {
        "outputs": np.concatenate(outputs),
        "x": np.concatenate(x),
        "gamma": sum(gamma),
        "beta": sum(beta),
        "mean": keras.ops.convert_to_numpy(layer.moving_mean),
        "variance": keras.ops.convert_to_numpy(layer.moving_variance),
    }


class Training:
    """A run on one number of replicas, which goes on from other runs' checkpoints."""

    def __init__(self, strategy, folder: Path):
        with strategy.scope():
            networks = (
                Generator(SHAPE, z_dim=Z_DIM, width=8, seed=3),
                Discriminator(SHAPE, width=8, seed=1003),
            )
            self.state = GANState(*networks)
        self.strategy, self.checkpointer = strategy, Checkpointer(folder)
        self.step = make_step(self.state, StepOptions(BATCH, seed=5, ema_decay=0.99), strategy)

    def run(self, start: int | None = None) -> dict:
        """STEPS further, from the checkpoint of `start` or from where it is; saves it."""
        if start is not None:
            path = self.checkpointer.folder / f"{start:08d}.npz"
            self.state.assign(read(path)[0])
        done = int(self.state.step.numpy())
        pictures = np.random.default_rng(2).integers(0, 256, (20, *SHAPE)).astype(np.uint8)
        batches = make_dataset(pictures, batch_size=BATCH, seed=1, start_step=done)
        batches = iter(self.strategy.experimental_distribute_dataset(batches))
        for _ in range(STEPS):
            self.step(next(batches))
        self.checkpointer.save(self.state, {})
        return self.state.arrays()


def main(path: str) -> None:
    strategy, found = mirrored(), {}
    for name, options in CASES.items():
        for part, array in normalized(strategy, **options).items():
            found[f"{name} {part}"] = array
    folder = Path(path).parent
    one, four = Training(tf.distribute.get_strategy(), folder), Training(strategy, folder)
    for _ in range(3):
        stayed = one.run()
    four.run(STEPS)
    moved = one.run(2 * STEPS)
    for name, arrays in (("moved", moved), ("stayed", stayed)):
        found |= {f"{name} {key}": array for key, array in arrays.items()}
    np.savez(path, **found)


CASES = {
    "float32": {"values": maps()},
    "bfloat16": {"values": maps(), "dtype": "mixed_bfloat16"},
    # After a while the moving mean is near: mean^2 / variance is 2e5 here.
    "far": {"values": maps(1000.0), "moving_mean": 990.0},
    "apart": {"values": maps(), "synchronized": False},
    "unbiased": {"values": maps(), "unbiased": True},
}


# ----------------------------------------------------------------------------------- what is found


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    path = tmp_path_factory.mktemp("replicas") / "found.npz"
    results_of(__file__, path)
    return dict(np.load(path))


def of(found: dict, start: str) -> dict:
    return {k.removeprefix(start): v for k, v in found.items() if k.startswith(start)}


def expected(values: np.ndarray, moving_mean: float = 0.0) -> dict:
    """In float64, by the gradient of Ioffe and Szegedy 2015 (arXiv 1502.03167, section 3)."""
    x, up = values.astype(np.float64), upstream().astype(np.float64)
    axes, (gamma, beta) = (0, 1, 2), PARAMETERS
    mean, variance = x.mean(axes), x.var(axes)
    deviation = np.sqrt(variance + 1e-5)
    hat = (x - mean) / deviation
    inner = up - up.mean(axes) - hat * (up * hat).mean(axes)
    return {
        "outputs": gamma * hat + beta,
        "x": gamma / deviation * inner,
        "gamma": (up * hat).sum(axes),
        "beta": up.sum(axes),
        "mean": 0.9 * moving_mean + 0.1 * mean,
        "variance": 0.9 + 0.1 * variance,
    }


@pytest.mark.parametrize(
    ("case", "tolerance"),
    [("float32", 1e-5), ("bfloat16", 0.02), ("far", 1e-3), ("unbiased", 1e-5)],
)
def test_replicas_normalize_by_the_whole_batch(found, case, tolerance):
    options = CASES[case]
    wanted = expected(options["values"], options.get("moving_mean", 0.0))
    if "unbiased" in options:  # 8 * 3 * 2 numbers of a channel
        wanted["variance"] = 0.9 + (wanted["variance"] - 0.9) * 48 / 47
    for part, array in of(found, f"{case} ").items():
        assert np.abs(array - wanted[part]).max() <= tolerance * np.abs(wanted[part]).max(), part


def test_without_it_each_normalizes_by_its_own_share(found):
    apart = of(found, "apart ")
    gamma, beta = PARAMETERS
    for mine, outputs in zip(
        np.split(maps(), COUNT), np.split(apart["outputs"], COUNT), strict=True
    ):
        hat = (mine - mine.mean((0, 1, 2))) / np.sqrt(mine.var((0, 1, 2)) + 1e-5)
        np.testing.assert_allclose(outputs, gamma * hat + beta, atol=1e-4)
    first = np.split(maps(), COUNT)[0]  # whose statistics are kept
    np.testing.assert_allclose(apart["mean"], 0.1 * first.mean((0, 1, 2)), rtol=1e-4)


def test_a_run_moves_from_one_replica_to_four_and_back(found):
    moved, stayed = of(found, "moved "), of(found, "stayed ")
    assert moved.keys() == stayed.keys() and moved["step"] == stayed["step"] == 3 * STEPS
    for name, array in stayed.items():
        assert np.abs(moved[name].astype(float) - array).max(initial=0) <= 1e-4, name


@pytest.mark.parametrize("synchronized", [True, False])
def test_the_option_reaches_every_layer(synchronized):
    options = {"output_size": 8, "g_width": 8, "d_width": 4, "channels": 3, "precision": "float32"}
    networks = make_networks(resolve({**options, "sync_batch_norm": synchronized}))
    norms = [norm for network in networks for norm in network.norms]
    assert norms and all(norm.synchronized == synchronized for norm in norms)


if __name__ == "__main__":
    main(sys.argv[1])
