"""The fused update against Keras' own; several replicas are in test_step.py."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dcgan.training.adam import Adam


def trained(optimizer: keras.optimizers.Optimizer, steps: int = 5) -> list[np.ndarray]:
    """Two weights and the optimizer's variables after some updates."""
    random = np.random.default_rng(0)
    weights = [keras.Variable(random.normal(size=shape)) for shape in ((3, 4), (5,))]
    optimizer.build(weights)
    for _ in range(steps):
        gradients = [tf.constant(random.normal(size=w.shape), tf.float32) for w in weights]
        tf.function(lambda g=gradients: optimizer.apply(g, weights))()
    return [np.copy(v.numpy()) for v in (*weights, *optimizer.variables)]


def test_it_is_keras_adam():
    arguments = {"learning_rate": 2e-3, "beta_1": 0.5}
    ours, theirs = trained(Adam(**arguments)), trained(keras.optimizers.Adam(**arguments))
    assert len(ours) == len(theirs)
    for one, two in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("epsilon_on", "second"),
    [
        # Algorithm 1 of the paper, of a gradient of 1 twice: m and v corrected are 1, so the
        # update is 0.1 * 1 / (1 + 1), twice.
        ("corrected", 0.1 / 2),
        # Section 2's end: 0.1 * sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt(v) + 1), where m = 1 - b1^t
        # and v = 1 - b2^t: 0.1 * sqrt(v) / (sqrt(v) + 1) with v = 1 - 0.999^2 = 0.001999.
        ("raw", 0.1 * 0.04471 / 1.04471),
    ],
)
def test_where_epsilon_stands(epsilon_on, second):
    weight, gradient = keras.Variable([0.0]), [tf.constant([1.0])]
    optimizer = Adam(0.1, epsilon=1.0, epsilon_on=epsilon_on)
    optimizer.build([weight])
    optimizer.apply(gradient, [weight])
    first = weight.numpy()[0]
    optimizer.apply(gradient, [weight])
    np.testing.assert_allclose(first - weight.numpy()[0], second, rtol=1e-4)


def test_amsgrad_is_refused():
    with pytest.raises(ValueError, match="no amsgrad"):
        Adam(amsgrad=True)


def test_names_are_those_that_checkpoints_have():
    weight = keras.Variable([1.0], name="kernel")
    ours, theirs = Adam(), keras.optimizers.Adam()
    for optimizer in (ours, theirs):
        optimizer.build([weight])
    rest = [[v.path.partition("/")[2] for v in o.variables] for o in (ours, theirs)]
    assert rest[0] == rest[1]
