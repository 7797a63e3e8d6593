"""The training step against a plain one written here, and two replicas against one.

Run as a script, this file is the process with two logical CPUs, which must be asked for before
TensorFlow starts.
"""

import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from running import results_of

from dcgan.datasets.pipeline import make_dataset
from dcgan.distributed.devices import device_names, make_strategy
from dcgan.latent.labels import ClassTable
from dcgan.latent.noise import training_noise
from dcgan.latent.sampling import make_sampler
from dcgan.models import Discriminator, Generator
from dcgan.training import step as step_module
from dcgan.training.state import GANState
from dcgan.training.step import StepOptions, make_call, make_step

BATCH, Z_DIM, SHAPE = 8, 4, (8, 8, 3)


def make_state(learning_rate=2e-3, averaged=True, **kwargs):
    return GANState(
        Generator(SHAPE, z_dim=Z_DIM, width=8, seed=3, **kwargs),
        Discriminator(SHAPE, width=8, seed=1003, **kwargs),
        learning_rate=learning_rate,
        averaged=averaged,
    )


def pictures(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *SHAPE)).astype(np.uint8)


def compiled(state, **recipe):
    return make_step(state, StepOptions(BATCH, **recipe), tf.distribute.get_strategy())


def run(state, recipe, steps, strategy=None):
    """Trains on random pictures, a new batch a step; returns each step's scalars."""
    step = make_step(state, recipe, strategy or tf.distribute.get_strategy())
    batches = [pictures(BATCH * recipe.d_steps, seed) for seed in range(steps)]
    return [{k: float(v) for k, v in step(tf.constant(b)).items()} for b in batches]


def assert_same(one: dict, two: dict, tolerance: float):
    """Each array differs by no more than `tolerance` of its own largest value."""
    assert one.keys() == two.keys()
    for name in one:
        difference = np.abs(one[name] - two[name]).max(initial=0)
        assert difference <= tolerance * np.abs(two[name]).max(initial=0) + 1e-12, name


# --- the step against a plain one


class Plain:
    """GAN training as one would write it on a blackboard: eager, a tape a gradient."""

    def __init__(self, learning_rate=2e-3):
        self.state = make_state(learning_rate, averaged=False)
        self.entropy = keras.losses.BinaryCrossentropy(from_logits=True)
        self.d_optimizer = keras.optimizers.Adam(learning_rate, beta_1=0.5)
        self.g_optimizer = keras.optimizers.Adam(learning_rate, beta_1=0.5)

    def update_d(self, reals, fakes, scalars):
        network = self.state.discriminator
        with tf.GradientTape() as tape:
            real, fake = network(reals, training=True), network(fakes, training=True)
            loss = self.entropy(tf.fill((BATCH, 1), 0.9), real)
            loss += self.entropy(tf.zeros((BATCH, 1)), fake)
        gradients = tape.gradient(loss, network.trainable_variables)
        scalars.update(
            d_loss=float(loss),
            d_real=float(np.mean(1 / (1 + np.exp(-real.numpy())))),
            d_fake=float(np.mean(1 / (1 + np.exp(-fake.numpy())))),
        )
        return lambda: self.d_optimizer.apply_gradients(
            zip(gradients, network.trainable_variables, strict=True)
        )

    def update_g(self, z, scalars):
        network = self.state.generator
        with tf.GradientTape() as tape:
            # The same z gives the same fakes, but moves the statistics again: put back below.
            logits = self.state.discriminator(network(z, training=True), training=True)
            loss = self.entropy(tf.ones((BATCH, 1)), logits)
        gradients = tape.gradient(loss, network.trainable_variables)
        scalars.update(g_loss=float(loss))
        return lambda: self.g_optimizer.apply_gradients(
            zip(gradients, network.trainable_variables, strict=True)
        )

    def alternating(self, images, noises, d_steps):
        scalars, first = {}, noises[:d_steps]
        for k, z in enumerate(first):
            before = self.statistics(self.state.generator)
            fakes = self.state.generator(z, training=True).numpy()  # a number: no gradient
            self.update_d(images[k::d_steps].astype(np.float32) / 127.5 - 1, fakes, scalars)()
        self.put_back(self.state.generator, before)  # the pass that follows is the same one
        for z in noises[d_steps - 1 :]:
            self.update_g(z, scalars)()
        return scalars

    def simultaneous(self, images, noises, d_steps):
        scalars = {}
        (z,) = noises
        generator, discriminator = self.state.generator, self.state.discriminator
        before = self.statistics(generator)
        fakes = generator(z, training=True).numpy()
        apply_d = self.update_d(images.astype(np.float32) / 127.5 - 1, fakes, scalars)
        self.put_back(generator, before)
        before = self.statistics(discriminator)
        apply_g = self.update_g(z, scalars)
        self.put_back(discriminator, before)
        apply_d()
        apply_g()
        return scalars

    @staticmethod
    def statistics(network):
        return [keras.ops.convert_to_numpy(v).copy() for v in network.non_trainable_variables]

    @staticmethod
    def put_back(network, values):
        for variable, value in zip(network.non_trainable_variables, values, strict=True):
            variable.assign(value)

    def arrays(self):
        networks = self.state.generator, self.state.discriminator
        return named(*networks, self.g_optimizer, self.d_optimizer)


def named(*owners):
    """The variables of networks and optimizers, in float64."""
    return {
        f"{owner}/{i}/{v.name}": keras.ops.convert_to_numpy(v).astype(np.float64)
        for owner, owned in enumerate(owners)
        for i, v in enumerate(owned.variables)
    }


@pytest.mark.parametrize(
    ("update", "d_steps", "g_steps", "g_noise"),
    [
        ("alternating", 1, 1, "new"),
        pytest.param("alternating", 2, 2, "new", marks=pytest.mark.slow),
        ("alternating", 2, 2, "same"),
        ("simultaneous", 1, 1, "new"),
    ],
)
def test_it_equals_a_plain_step(update, d_steps, g_steps, g_noise, monkeypatch, request):
    draws = []
    if (update, d_steps) != ("alternating", 1):
        request.getfixturevalue("eager")

    def noise(shape, *, draw, **kwargs):
        draws.append(draw)  # when the step is compiled, or taken
        return training_noise(shape, draw=draw, **kwargs)

    monkeypatch.setattr(step_module, "training_noise", noise)
    state, plain = make_state(), Plain()
    state.generator.z_dist = "uniform_signed"  # not the default
    steps = {"d_steps": d_steps, "g_steps": g_steps}
    recipe = StepOptions(BATCH, update=update, **steps, g_noise=g_noise, seed=5)
    found = run(state, recipe, 3)
    # The generator's first update takes the discriminator's last fakes, the others new ones, or
    # others of the same noise.
    draws = draws[: d_steps + g_steps - 1]
    further = draws[d_steps:]
    assert len(set(draws[:d_steps])) == d_steps
    if g_noise == "same":
        assert set(further) <= {draws[d_steps - 1]}
    else:
        assert len(set(draws)) == d_steps + g_steps - 1
    for step in range(3):
        noises = [
            training_noise(
                (BATCH, Z_DIM),
                seed=5,
                step=tf.constant(step, tf.int64),
                draw=draw,
                z_dist="uniform_signed",
            )
            for draw in draws
        ]
        scalars = getattr(plain, update)(pictures(BATCH * d_steps, step), noises, d_steps)
        assert found[step].keys() == {"d_loss", "g_loss", "d_real", "d_fake"}
        for name, number in scalars.items():
            assert found[step][name] == pytest.approx(number, rel=1e-4), name
    optimizers = state.generator_optimizer, state.discriminator_optimizer
    ours = named(state.generator, state.discriminator, *optimizers)
    assert_same(ours, plain.arrays(), 1e-3)
    assert [int(one.iterations) for one in optimizers] == [3 * g_steps, 3 * d_steps]
    assert int(state.step) == 3


def test_runs_repeat_and_resume_bit_for_bit():
    state = make_state(layout="tf_tutorial")  # with dropout
    step = compiled(state, seed=5, ema_decay=0.9)

    def train(*seeds):
        for seed in seeds:
            step(tf.constant(pictures(BATCH, seed)))
        return state.arrays()

    middle, whole = train(0, 1), train(2, 3)
    state.assign(middle)
    for name, array in train(2, 3).items():
        np.testing.assert_array_equal(array, whole[name], err_msg=name)


# --- the averaged generator


@pytest.mark.usefixtures("eager")
def test_the_average_follows_its_formula():
    """a <- a + r (w - a); r = max(1 - decay, 9 / (10 + n)) at step n: 0.9, 0.818, 0.75, then 0.7.

    9 / 13 = 0.692 < 0.7 = 1 - decay.
    """
    state = make_state()
    step = compiled(state, ema_decay=0.3)
    variables, averages = state.generator.variables, state.averaged_generator.variables
    expected = [keras.ops.convert_to_numpy(v).astype(np.float64) for v in variables]
    for one, two in zip(expected, averages, strict=True):
        np.testing.assert_array_equal(one, two)  # it begins as the generator
    for n, rate in enumerate([9 / 10, 9 / 11, 9 / 12, 0.7]):
        step(tf.constant(pictures(BATCH, n)))
        expected = [
            a + rate * (keras.ops.convert_to_numpy(v) - a)
            for a, v in zip(expected, variables, strict=True)
        ]
        for one, two in zip(expected, averages, strict=True):
            np.testing.assert_allclose(two, one, rtol=1e-4, atol=1e-6)


@pytest.mark.usefixtures("eager")
def test_the_average_does_not_change_the_training():
    with_average, without = make_state(), make_state(averaged=False)
    assert with_average.sampler is with_average.averaged_generator
    recipe = StepOptions(BATCH, ema_decay=0.99)
    assert run(with_average, recipe, 2) == run(without, recipe, 2)


# --- strategies


@pytest.mark.skipif(bool(tf.config.list_physical_devices("GPU")), reason="is about CPUs")
def test_strategies_without_gpus():
    for name in ("none", "auto"):
        strategy = make_strategy(name)
        assert strategy is tf.distribute.get_strategy()
        assert device_names(strategy) == ["CPU"]


@pytest.mark.usefixtures("eager")
@pytest.mark.skipif(bool(tf.config.list_physical_devices("GPU")), reason="is about CPUs")
def test_mirrored_on_one_device_is_the_same_training():
    strategy = make_strategy("mirrored")
    assert strategy.num_replicas_in_sync == 1
    plain, recipe = make_state(), StepOptions(BATCH, ema_decay=0.9)
    with strategy.scope():
        mirrored = make_state()
    assert run(plain, recipe, 3) == run(mirrored, recipe, 3, strategy)
    assert_same(mirrored.arrays(), plain.arrays(), 0.0)


# --- two replicas, in a process of their own

RECIPES = {
    "one": (20, StepOptions(BATCH, seed=5, ema_decay=0.99, g_steps=2)),
    # Its kernels are narrower.
    "best": (20, StepOptions(16, seed=5, ema_decay=0.998, augment="translation")),
}
OTHERS = tuple(RECIPES)  # marked slow
MANY = {"seed": 5, "ema_decay": 0.99, "d_steps": 2, "augment": "color,translation"}
RECIPES["several"] = (6, StepOptions(BATCH, **MANY, class_loss=0.3))  # with classes
CLASSES = {"hair": tuple("abc"), "eyes": tuple("xy")}
LABELS = np.random.default_rng(2).integers(0, (3, 2), (40, 2)).astype(np.int32)


def train_distributed(strategy, steps, recipe, *, kernel_size=5, at_once=1):
    """From the pipeline to samples, as a run does it; returns arrays by name."""
    of_z, images, table = {"z_dim": Z_DIM, "z_dist": "normal01"}, pictures(40), None
    if recipe.class_loss:
        images, table = (images, LABELS), ClassTable.of(CLASSES, LABELS, **of_z)
    with strategy.scope():
        classes = table.sizes if table else ()
        state = make_state(2e-4, kernel_size=kernel_size, classes=classes)
    size = recipe.batch_size * recipe.d_steps
    dataset = make_dataset(images, batch_size=size, seed=1, flip=True)
    batches = iter(strategy.experimental_distribute_dataset(dataset))
    step = make_step(state, recipe, strategy, table)
    if at_once == 1:
        scalars = [{k: float(v) for k, v in step(next(batches)).items()} for _ in range(steps)]
    else:
        call = make_call(step)
        calls = [call(batches, at_once) for _ in range(steps // at_once)]
        scalars = [{k: float(v[i]) for k, v in s.items()} for s in calls for i in range(at_once)]
    sample = make_sampler(state.sampler, **of_z, table=table)
    lines = {f"scalars/{k}": np.array([s[k] for s in scalars]) for k in scalars[0]}
    return {**state.arrays(), **lines, "samples": sample(range(5))}, state


def replicas_noise(strategy, recipe):
    """Each replica's noise of step 9, draw 0."""
    moves = step_module.ReplicaStep(make_state(), recipe, strategy.num_replicas_in_sync)
    drawn = strategy.run(tf.function(lambda: moves._noise(tf.constant(9, tf.int64), 0)))
    return np.stack([np.asarray(d) for d in strategy.experimental_local_results(drawn)])


def overflow_on_the_second(strategy):
    """A weight of 1 and the loss scale after an update with an infinite gradient on replica 1."""
    with strategy.scope():
        first, weight = (keras.Variable([1.0], name=name) for name in ("first", "weight"))
        optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.1))
        optimizer.build([first, weight])
    moves = step_module.ReplicaStep(None, StepOptions(BATCH), strategy.num_replicas_in_sync)

    def update(gradient):
        moves._apply(optimizer, [tf.constant([1.0]), gradient], [first, weight])

    # Arguments, which only the running step knows: constants would be computed beforehand.
    gradients = strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant([[1.0], [np.inf]][context.replica_id_in_sync_group])
    )
    tf.function(lambda values: strategy.run(update, args=(values,)))(gradients)
    return np.array([float(weight.numpy()[0]), float(optimizer.dynamic_scale.numpy())])


def main(path, *chosen):
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategies = {"1": make_strategy("none"), "2": make_strategy("mirrored")}
    found = {
        "replicas": strategies["2"].num_replicas_in_sync,
        "devices": device_names(strategies["2"]),
    }
    for name in chosen:
        steps, recipe = RECIPES[name]
        for replicas, strategy in strategies.items():
            # Two devices also do several steps a call, as GPUs do.
            at_once = 2 if (name, replicas) == ("several", "2") else 1
            how = {"kernel_size": 4 if name == "best" else 5, "at_once": at_once}
            arrays, state = train_distributed(strategy, steps, recipe, **how)
            found |= {f"{name} {replicas} {k}": v for k, v in arrays.items()}
    for network in (state.generator, state.discriminator):
        for variable in network.variables:
            copies = [np.asarray(copy) for copy in variable.value.values]
            found[f"copies {variable.path}"] = np.stack(copies)
    found["noise"] = replicas_noise(strategies["2"], RECIPES["one"][1])
    found["overflow"] = overflow_on_the_second(strategies["2"])
    np.savez(path, **found)


@pytest.fixture(scope="module")
def two_replicas(request, tmp_path_factory):
    """What the process finds by the recipes named in the parameter."""
    path = tmp_path_factory.mktemp("replicas") / "found.npz"
    results_of(__file__, path, *(getattr(request, "param", None) or ["several"]))
    return dict(np.load(path))


def test_an_overflow_on_one_replica_is_heard_by_all(two_replicas):
    """Keras asks the first replica alone, and would take the step."""
    weight, scale = two_replicas["overflow"]
    assert (weight, scale) == (1.0, 2.0**14)  # the step is left out, the scale of 2^15 halved


@pytest.mark.parametrize(
    ("two_replicas", "name"),
    [(None, "several"), *(pytest.param(OTHERS, n, marks=pytest.mark.slow) for n in OTHERS)],
    indirect=["two_replicas"],
)
def test_two_replicas_equal_one(two_replicas, name):
    assert two_replicas["replicas"] == 2
    assert list(two_replicas["devices"]) == ["CPU:0", "CPU:1"]
    one, two = (
        {k.removeprefix(start): v for k, v in two_replicas.items() if k.startswith(start)}
        for start in (f"{name} 1 ", f"{name} 2 ")
    )
    assert one["step"] == two["step"] == RECIPES[name][0]
    # Pictures of 8 bits: a level's rounding may fall to either side.
    assert np.abs(one.pop("samples").astype(int) - two.pop("samples").astype(int)).max() <= 1
    for key in one:
        assert np.abs(one[key] - two[key]).max() <= 1e-4, key
    # Adam's steps forget the gradients' scale, its moments do not.
    moments = [k for k in one if k.endswith(("momentum", "velocity"))]
    assert len(moments) > 10
    assert_same({k: two[k] for k in moments}, {k: one[k] for k in moments}, 1e-2)


def test_replicas_hold_the_same_values(two_replicas):
    copies = {k: v for k, v in two_replicas.items() if k.startswith("copies")}
    assert any(k.endswith("moving_variance") for k in copies)
    for name, (first, second) in copies.items():
        np.testing.assert_array_equal(first, second, err_msg=name)


def test_replicas_draw_their_own_rows_of_the_same_noise(two_replicas):
    first, second = two_replicas["noise"]
    assert first.shape == second.shape == (BATCH // 2, Z_DIM)
    assert not np.isin(first, second).any()
    of = {"seed": 5, "step": tf.constant(9, tf.int64), "draw": 0, "z_dist": "normal01"}
    whole = training_noise((BATCH, Z_DIM), **of).numpy()
    np.testing.assert_array_equal(np.concatenate([first, second]), whole)


if __name__ == "__main__":
    main(*sys.argv[1:])
