"""The losses against closed forms."""

import math

import numpy as np
import pytest
import tensorflow as tf

from dcgan.training.losses import class_loss, discriminator_loss, generator_loss


def logits(*values):
    return tf.constant([[v] for v in values], tf.float32)


def log1pexp(x):
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def test_one_loss_an_example():
    real, fake = (1.0, -2.0, 0.5), (-1.0, 0.0, 4.0)
    losses = discriminator_loss(logits(*real), logits(*fake), real_label=0.9)
    assert losses.shape == (3,) and losses.dtype == tf.float32
    # log(1 + e^x) - 0.9 x for a real, log(1 + e^x) for a fake.
    expected = [log1pexp(r) - 0.9 * r + log1pexp(f) for r, f in zip(real, fake, strict=True)]
    np.testing.assert_allclose(losses, expected, rtol=1e-6)
    losses = generator_loss(logits(*fake))
    assert losses.shape == (3,) and losses.dtype == tf.float32
    np.testing.assert_allclose(losses, [log1pexp(-f) for f in fake], rtol=1e-6)
    assert generator_loss(logits(1)).shape == (1,)  # a batch of one stays a batch


def test_large_logits_are_neither_infinite_nor_nan():
    # real 1000: 1000 - 900; real -1000: 0 + 900; fake 1000: 1000; fake -1000: 0.
    losses = discriminator_loss(logits(1000, -1000), logits(1000, -1000), real_label=0.9)
    np.testing.assert_allclose(losses, [100 + 1000, 900 + 0], rtol=1e-5)
    np.testing.assert_allclose(generator_loss(logits(1000, -1000)), [0, 1000], atol=1e-6)


@pytest.mark.parametrize("x", [-1000.0, -3.0, 0.0, 2.0, 1000.0])
def test_gradients(x):
    """d/dx: s(x) - 0.9 for a real, s(x) for a fake, s(x) - 1 for the generator."""
    logistic = math.exp(-log1pexp(-x))
    real, fake = logits(x), logits(x)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([real, fake])
        d_loss = discriminator_loss(real, fake, real_label=0.9)
        g_loss = generator_loss(fake)
    np.testing.assert_allclose(tape.gradient(d_loss, real), [[logistic - 0.9]], atol=1e-6)
    np.testing.assert_allclose(tape.gradient(d_loss, fake), [[logistic]], atol=1e-6)
    np.testing.assert_allclose(tape.gradient(g_loss, fake), [[logistic - 1]], atol=1e-6)


def test_each_column_of_classes_is_told_apart_by_itself():
    """-log softmax of the own class, within its column, summed over the columns."""
    found = tf.constant([[0.0, 0.0, 0.0, 0.0, 0.0], [2.0, -1.0, 0.5, 3.0, 1.0]])
    own = tf.constant([[1.0, 0, 0, 1, 0], [0, 1, 0, 0, 1]])
    losses = class_loss(found, own, (3, 2))
    first = math.log(math.exp(2) + math.exp(-1) + math.exp(0.5)) + 1
    second = math.log(math.exp(3) + math.exp(1)) - 1
    np.testing.assert_allclose(losses, [math.log(3) + math.log(2), first + second], rtol=1e-6)
    assert losses.shape == (2,) and losses.dtype == tf.float32
