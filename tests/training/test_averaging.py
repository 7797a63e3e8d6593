"""The averaged generator's statistics are those of its own weights.

Its weights' formula is in test_step.py; that runs use these is in commands/test_resume.py.
"""

import numpy as np
import pytest
import tensorflow as tf

from dcgan.latent.labels import ClassTable
from dcgan.latent.noise import latents
from dcgan.latent.sampling import BATCH_SIZE
from dcgan.models import Discriminator, Generator
from dcgan.models.classes import one_hot
from dcgan.training.averaging import BATCHES, FIRST_SEED, AverageStatistics
from dcgan.training.state import GANState

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
    AverageStatistics(state, table).measure()
    return [variable.numpy() for variable in state.averaged_generator.non_trainable_variables]


@pytest.mark.parametrize("table", [None, TABLE])
def test_they_are_those_of_its_own_images(table):
    state = make_state(table)
    generator = state.averaged_generator
    measured(state, table)
    seeds = tf.range(BATCHES * BATCH_SIZE, dtype=tf.int64) + FIRST_SEED
    z = latents(seeds, **OF_Z)
    labels = None if table is None else table.of_latents(z)
    found = [(n.moving_mean.numpy(), n.moving_variance.numpy()) for n in generator.norms]
    project = generator.project(z)
    if table:
        project += generator.of_classes(one_hot(labels, table.sizes))
    maps = project.numpy().reshape(-1, len(found[0][0]))
    np.testing.assert_allclose(found[0][0], maps.mean(0), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found[0][1], maps.var(0), rtol=1e-4)
    # Further layers see other inputs if all images are normalized at once, but nearly the same.
    for norm in generator.norms:
        norm.momentum = 0.0
    generator(z, labels=labels, training=True)
    for norm, (mean, variance) in list(zip(generator.norms, found, strict=True))[1:]:
        away = (mean - norm.moving_mean.numpy()) / np.sqrt(norm.moving_variance.numpy())
        assert np.abs(away).max() < 0.05
        np.testing.assert_allclose(variance, norm.moving_variance.numpy(), rtol=0.05)


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
    statistics = AverageStatistics(state)
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
    AverageStatistics(state).measure()
    for name, array in state.arrays().items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)
