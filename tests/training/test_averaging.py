"""The averaged generator's statistics are those of its own weights.

Its weights' formula is in test_step.py; that runs use these is in commands/test_resume.py.
"""

import numpy as np
import pytest
import tensorflow as tf

from dcgan.latent.labels import ClassTable
from dcgan.latent.noise import DISTRIBUTIONS, latents
from dcgan.models import Discriminator, Generator
from dcgan.models.classes import one_hot
from dcgan.training.averaging import IMAGES, MOST_BATCHES, AverageStatistics, spread_latents
from dcgan.training.state import GANState

BATCH = 16
SHAPE, OF_Z = (8, 8, 3), {"z_dim": 4, "z_dist": "uniform_unsigned"}
LABELS = np.array([[0, 0], [1, 1], [2, 0], [2, 1]])
TABLE = ClassTable.of({"hair": ("a", "b", "c"), "eyes": ("d", "e")}, LABELS, **OF_Z)


def make_state(table: ClassTable | None = None, **kwargs) -> GANState:
    """With weights that are large enough for each layer to matter."""
    common = {"width": 16, "classes": table.sizes if table else ()}
    networks = Generator(SHAPE, **OF_Z, **common), Discriminator(SHAPE, **common)
    state = GANState(*networks, **kwargs)
    random = np.random.default_rng(0)
    for variable in (state.averaged_generator or state.generator).trainable_variables:
        variable.assign(random.normal(0, 0.5, variable.shape))
    return state


def measured(state: GANState, table: ClassTable | None = None) -> list[np.ndarray]:
    AverageStatistics(state, BATCH, table).measure()
    return [variable.numpy() for variable in state.averaged_generator.non_trainable_variables]


@pytest.mark.parametrize("table", [None, TABLE])
def test_they_are_the_mean_of_those_of_batches_of_its_own_images(table):
    state = make_state(table)
    generator = state.averaged_generator
    measured(state, table)
    found = [(n.moving_mean.numpy(), n.moving_variance.numpy()) for n in generator.norms]
    for norm in generator.norms:
        norm.momentum = 0.0
    batches = []
    for z in np.split(spread_latents(IMAGES, **OF_Z), IMAGES // BATCH):
        labels = None if table is None else table.of_latents(z)
        generator(z, labels=labels, training=True)
        norms = generator.norms
        batches.append([(n.moving_mean.numpy(), n.moving_variance.numpy()) for n in norms])
    for i, expected in enumerate(zip(*batches, strict=True)):
        for of_norm, values in zip(found[i], zip(*expected, strict=True), strict=True):
            np.testing.assert_allclose(of_norm, np.mean(values, 0), rtol=1e-4, atol=1e-5)
    project = generator.project(z)
    if table:
        project += generator.of_classes(one_hot(labels, table.sizes))
    maps = project.numpy().reshape(-1, len(found[0][0]))
    np.testing.assert_allclose(batches[-1][0][0], maps.mean(0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(batches[-1][0][1], maps.var(0), rtol=1e-4)


def test_small_batches_are_so_many_that_they_take_no_time():
    state = make_state()
    AverageStatistics(state, 1).measure()
    norm = state.averaged_generator.norms[0]
    z = spread_latents(MOST_BATCHES, **OF_Z)
    maps = state.averaged_generator.project(z).numpy().reshape(MOST_BATCHES, 16, -1)
    np.testing.assert_allclose(norm.moving_mean, maps.mean((0, 1)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(norm.moving_variance, maps.var(1).mean(0), rtol=1e-4)


@pytest.mark.parametrize("z_dist", DISTRIBUTIONS)
def test_spread_latents_take_each_quantile_once(z_dist):
    z = spread_latents(64, 5, z_dist)
    assert z.shape == (64, 5) and z.dtype == np.float32
    drawn = latents(tf.range(50_000, dtype=tf.int64), z_dim=1, z_dist=z_dist).numpy()
    places = np.searchsorted(np.quantile(drawn, np.arange(1, 64) / 64), z)
    assert np.abs(np.sort(places, 0) - np.arange(64)[:, None]).max() <= 1  # drawn ones are few
    assert len(np.unique(z.argsort(0), axis=1).T) == 5  # each number in an order of its own
    np.testing.assert_array_equal(z, spread_latents(64, 5, z_dist))


def test_classes_of_spread_latents_are_as_frequent_as_in_the_data():
    labels = np.array([[0, 0]] * 3 + [[1, 1]] * 12 + [[2, 1]])
    table = ClassTable.of(dict(TABLE.names), labels, **OF_Z)
    found = table.of_latents(tf.constant(spread_latents(64, **OF_Z))).numpy()
    assert np.bincount(found[:, 0]).tolist() == [12, 48, 4]


def test_they_depend_on_the_averaged_weights_alone():
    state = make_state()
    before = state.arrays()
    first = measured(state)
    for name, array in state.arrays().items():
        if not (name.startswith("averaged_generator/") and "moving" in name):
            np.testing.assert_array_equal(array, before[name], err_msg=name)
    for variable in state.averaged_generator.non_trainable_variables:
        variable.assign(np.full(variable.shape, 7.0))
    for variable in state.generator.variables:
        variable.assign(np.zeros(variable.shape))
    state.step.assign(5)
    for one, two in zip(first, measured(state), strict=True):
        np.testing.assert_array_equal(one, two)


def test_they_are_measured_once_for_each_step():
    state = make_state()
    statistics = AverageStatistics(state, BATCH)
    variable = state.averaged_generator.norms[0].moving_mean
    statistics.measure()
    first = variable.numpy()
    variable.assign(np.zeros(variable.shape))
    statistics.measure()
    assert not variable.numpy().any()
    state.step.assign_add(1)
    statistics.measure()
    np.testing.assert_array_equal(variable.numpy(), first)


def test_without_an_average_there_is_nothing_to_measure():
    state = make_state(averaged=False)
    before = state.arrays()
    AverageStatistics(state, BATCH).measure()
    for name, array in state.arrays().items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)
