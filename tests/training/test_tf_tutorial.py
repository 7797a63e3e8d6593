"""The preset tf_tutorial against the networks of TensorFlow's own DCGAN tutorial in plain Keras."""

import json
import math
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as plain

from dcgan.cli.resolve import resolve
from dcgan.cli.train_options import FIELDS
from dcgan.models import Discriminator, Generator, layouts
from dcgan.models.convolutions import up
from dcgan.models.layers import dropout
from dcgan.training.state import GANState
from dcgan.training.step import StepOptions, make_step
from dcgan.training.trainer import make_networks

BATCH = 8


def tutorial_generator():
    """tensorflow.org/tutorials/generative/dcgan, in Keras' functional order."""
    return keras.Sequential(
        [
            keras.Input((100,)),
            plain.Dense(7 * 7 * 256, use_bias=False),
            plain.BatchNormalization(),
            plain.LeakyReLU(),
            plain.Reshape((7, 7, 256)),
            plain.Conv2DTranspose(128, 5, 1, "same", use_bias=False),
            plain.BatchNormalization(),
            plain.LeakyReLU(),
            plain.Conv2DTranspose(64, 5, 2, "same", use_bias=False),
            plain.BatchNormalization(),
            plain.LeakyReLU(),
            plain.Conv2DTranspose(1, 5, 2, "same", use_bias=False, activation="tanh"),
        ]
    )


def tutorial_discriminator(rate=0.3):
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            plain.Conv2D(64, 5, 2, "same"),
            plain.LeakyReLU(),
            plain.Dropout(rate),
            plain.Conv2D(128, 5, 2, "same"),
            plain.LeakyReLU(),
            plain.Dropout(rate),
            plain.Flatten(),
            plain.Dense(1),
        ]
    )


def preset():
    """The options of the preset on MNIST."""
    given = {"dataset": "mnist", "preset": "tf_tutorial", "channels": 1, "precision": "float32"}
    return resolve(given)


def ours():
    """Both networks of the preset, built."""
    networks = make_networks(preset())
    for network in networks:
        network.build()
    return networks


def value(variable):
    return keras.ops.convert_to_numpy(variable)


def weights(network):
    """In the order in which they are used, which is that of the plain network."""
    if isinstance(network, Discriminator):
        return network.weights
    pairs = zip(network.norms, network.deconvs, strict=True)
    used = [network.project, *(layer for pair in pairs for layer in pair)]
    return [variable for layer in used for variable in layer.weights]


def give_weights(network, copy, seed=0):
    """Random weights and statistics, the same for both; statistics are away from 0 and 1."""
    random = np.random.default_rng(seed)
    for one, two in zip(weights(network), copy.weights, strict=True):
        if one.name == "kernel":
            array = value(one) + random.normal(0, 0.01, one.shape)
        else:
            array = random.uniform(0.5, 1.5, one.shape)
        one.assign(array)
        two.assign(array)


# --- architecture


def test_shapes_and_numbers_of_parameters():
    generator, discriminator = ours()
    # The tutorial's own summaries; 100 * 12,544 + 4 * 12,544 + 25 * 256 * 128 + 4 * 128
    # + 25 * 128 * 64 + 4 * 64 + 25 * 64, and 25 * 64 + 64 + 25 * 64 * 128 + 128 + 6,272 + 1.
    assert generator.count_params() == 2_330_944
    assert discriminator.count_params() == 212_865
    for network, copy in (
        (generator, tutorial_generator()),
        (discriminator, tutorial_discriminator()),
    ):
        assert len(network.weights) == len(copy.weights)
        for one, two in zip(weights(network), copy.weights, strict=True):
            assert (one.shape, one.name, one.trainable) == (two.shape, two.name, two.trainable)


def test_the_generators_images():
    generator, copy = ours()[0], tutorial_generator()
    give_weights(generator, copy)
    z = np.random.default_rng(1).normal(size=(BATCH, 100)).astype(np.float32)
    images = copy(z, training=False)
    assert 0.05 < np.std(images) and np.abs(images).min() < 0.5  # neither grey nor saturated
    np.testing.assert_allclose(generator(z, training=False), images, atol=1e-5)
    np.testing.assert_allclose(generator(z, training=True), copy(z, training=True), atol=1e-5)
    for one, two in zip(weights(generator), copy.weights, strict=True):  # the statistics moved
        np.testing.assert_allclose(value(one), value(two), rtol=1e-5, atol=1e-6)


def test_the_discriminators_logits():
    discriminator, copy = ours()[1], tutorial_discriminator()
    give_weights(discriminator, copy)
    images = np.random.default_rng(1).uniform(-1, 1, (BATCH, 28, 28, 1)).astype(np.float32)
    np.testing.assert_allclose(discriminator(images), copy(images, training=False), rtol=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_gradient_of_the_layer_that_keeps_the_size(dtype):
    random = np.random.default_rng(0)
    large, small = (tf.constant(random.normal(size=(4, 7, 5, c)), dtype) for c in (3, 6))
    expected = tf.compat.v1.nn.conv2d_backprop_filter(
        tf.cast(large, "float32"), (5, 5, 3, 6), tf.cast(small, "float32"), [1, 1, 1, 1], "SAME"
    )
    kernel = tf.zeros((5, 5, 3, 6), dtype)
    with tf.GradientTape() as tape:
        tape.watch(kernel)
        outputs = up(small, kernel, (7, 5), stride=1, training=True)
    found = tf.cast(tape.gradient(outputs, kernel, output_gradients=large), "float32")
    # bfloat16 has 8 significant bits; the sums are made in more.
    tolerance = 1e-5 if dtype == "float32" else 0.01
    assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()


def test_initial_weights_are_keras_uniform_ones():
    for network in ours():
        for variable in network.trainable_variables:
            if variable.name == "kernel":
                *sides, inputs, outputs = variable.shape
                limit = math.sqrt(6 / (math.prod(sides) * (inputs + outputs)))
                kernel = value(variable)
                assert 0.99 * limit < np.abs(kernel).max() <= limit
                assert np.std(kernel) == pytest.approx(limit / math.sqrt(3), rel=0.05)


@pytest.mark.parametrize("shape", [(8, 8, 3), (28, 28, 1), (33, 57, 3), (64, 64, 3)])
def test_it_takes_every_size_and_its_configuration_makes_it_again(shape):
    generator = Generator(shape, z_dim=4, width=16, layout="tf_tutorial")
    discriminator = Discriminator(shape, width=4, layout="tf_tutorial", dtype="mixed_bfloat16")
    for network in (generator, discriminator):
        network.build()
    images = generator(np.zeros((2, 4), np.float32), training=True)
    assert images.shape == (2, *shape)
    seed = tf.constant([1, 2], tf.int64)
    assert discriminator(images, training=True, seed=seed).shape == (2, 1)
    for network in (generator, discriminator):
        copy = type(network).from_config(json.loads(json.dumps(network.get_config())))
        copy.build()
        assert [v.path for v in copy.variables] == [v.path for v in network.variables]
        assert copy.get_config() == network.get_config()


def test_runs_of_before_there_were_layouts_are_as_they_were():
    config = Generator((8, 8, 3)).get_config()
    del config["layout"]
    assert Generator.from_config(config).layout == "radford"
    assert FIELDS["layout"].default == layouts.DEFAULT
    assert FIELDS["layout"].metadata["choices"] == tuple(layouts.LAYOUTS)


# --- dropout


def rows(seed=(3, 4), count=64, rate=0.3):
    return dropout(tf.ones((count, 4, 4, 8)), rate, tf.constant(seed, tf.int64)).numpy()


def test_dropout_leaves_out_its_share_and_enlarges_the_rest():
    kept = rows() > 0
    # 8,192 numbers: 5 standard errors of sqrt(0.3 * 0.7 / 8,192) = 0.0051.
    assert abs(kept.mean() - 0.7) < 0.026
    np.testing.assert_allclose(rows()[kept], 1 / 0.7, rtol=1e-6)
    np.testing.assert_array_equal(rows(), rows())
    for other in (rows((3, 5)), rows((4, 4))):
        # Independent ones agree in 0.7^2 + 0.3^2 = 58 %.
        assert abs(((other > 0) == kept).mean() - 0.58) < 0.03


def test_dropout_of_two_replicas_is_that_of_one(monkeypatch):
    whole = rows()
    parts = []
    for i in range(2):
        replica = SimpleNamespace(num_replicas_in_sync=2, replica_id_in_sync_group=i)
        monkeypatch.setattr(tf.distribute, "get_replica_context", lambda replica=replica: replica)
        parts.append(rows(count=32))
    np.testing.assert_array_equal(np.concatenate(parts), whole)


@pytest.mark.usefixtures("eager")
def test_the_layers_and_passes_of_a_step_leave_out_different_numbers(monkeypatch):
    seeds = []

    def note(inputs, rate, seed):
        seeds.append(tuple(seed.numpy()))
        return inputs

    monkeypatch.setattr("dcgan.models.discriminator.dropout", note)
    shape = (16, 16, 3)
    common = {"layout": "tf_tutorial", "width": 8}
    state = GANState(Generator(shape, z_dim=4, **common), Discriminator(shape, **common))
    recipe = StepOptions(4, d_steps=2, g_steps=2, seed=2**31 - 1)
    step = make_step(state, recipe, tf.distribute.get_strategy())
    for _ in range(2):
        step(tf.zeros((8, *shape), tf.uint8))
    # Two steps of two passes on reals, two on fakes and two of the generator, a layer each.
    assert len(seeds) == 2 * 6 * len(state.discriminator.convs) == len(set(seeds))


def test_training_without_a_seed_is_refused():
    network = Discriminator((8, 8, 3), width=4, layout="tf_tutorial")
    network.build()
    network(np.zeros((2, 8, 8, 3), np.float32))
    with pytest.raises(ValueError, match="tf_tutorial has dropout: training needs a seed"):
        network(np.zeros((2, 8, 8, 3), np.float32), training=True)
