"""The strided convolutions against TensorFlow's, batch normalization against Keras' and numpy."""

import itertools
from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.ops import convert_to_numpy as value
from networks import convolved, transposed

from dcgan.models.layers import (
    BatchNormalization,
    StridedConv2D,
    StridedConv2DTranspose,
    activation,
)

# --- convolutions


def gradients(function, arguments, variables=()):
    """Outputs and the gradients of their sum, weighted so that every position counts for itself."""
    with tf.GradientTape() as tape:
        tape.watch(arguments)
        outputs = function(*arguments)
        weights = 0.5 + np.sin(np.arange(np.prod(outputs.shape))).reshape(outputs.shape)
        loss = tf.reduce_sum(tf.cast(outputs, tf.float32) * weights.astype(np.float32))
    return [outputs, *tape.gradient(loss, [*arguments, *variables])]


KINDS = ["down", "down in training", "up", "up in training"]
DTYPES = ["float32", "mixed_bfloat16"]
# In training maps of up to 8 pixels take a way of their own, as do those of few channels, and in
# bfloat16 the kernel's gradient up to 16 pixels.
SIZES = [(8, 8, 3), (7, 5, 3), (8, 9, 5), (16, 13, 5), (16, 13, 3), (9, 12, 1), (18, 17, 5)]
SIZES += [(6, 3, 3)]


def each_way() -> list:
    """Every two of kind, type, kernel size and size together; kind, type and size too if slow."""
    every = itertools.product(enumerate(KINDS), enumerate(DTYPES), enumerate(SIZES))
    return [
        pytest.param(
            *(kind, dtype, 3 + (i + k) % 3, *size),
            marks=[] if j == (i in (1, 2)) ^ k % 2 else pytest.mark.slow,
        )
        for (i, kind), (j, dtype), (k, size) in every
    ]


@pytest.mark.parametrize(
    ("kind", "dtype", "kernel_size", "height", "width", "channels"), each_way()
)
def test_convolutions_equal_tensorflows(kind, dtype, kernel_size, height, width, channels):
    random = np.random.default_rng(0)
    small = (-(-height // 2), -(-width // 2))
    if kind.startswith("down"):
        inputs = random.normal(size=(4, height, width, channels))
        layer = StridedConv2D(2, kernel_size, dtype=dtype)
    else:
        inputs = random.normal(size=(4, *small, 3))
        side = (height, width)
        layer = StridedConv2DTranspose(channels, kernel_size, side=side, dtype=dtype)
    inputs = tf.constant(inputs, tf.float32)
    layer.build(inputs.shape)
    layer.bias.assign(np.linspace(0.5, -1, layer.filters))
    call = partial(layer, training="training" in kind)
    ours = gradients(call, [inputs], layer.trainable_variables)
    values = [inputs, *(tf.constant(value(v)) for v in layer.trainable_variables)]
    plain = convolved if kind.startswith("down") else partial(transposed, side=(height, width))
    theirs = gradients(lambda x, kernel, bias: plain(x, kernel) + bias, values)
    assert ours[0].dtype == ("float32" if dtype == "float32" else "bfloat16")
    tolerance = 1e-5 if dtype == "float32" else 0.02  # bfloat16: 8 significant bits
    for one, two in zip(ours, theirs, strict=True):
        assert one.shape == two.shape
        difference = np.abs(np.asarray(tf.cast(one, tf.float32)) - two).max()
        assert difference <= tolerance * np.abs(two).max()


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_convolutions_of_any_batch_size_compiled(dtype):
    conv, deconv = (
        StridedConv2D(2, 5, dtype=dtype),
        StridedConv2DTranspose(3, 5, side=(7, 8), dtype=dtype),
    )
    conv.build((None, 7, 8, 3))
    deconv.build((None, 4, 4, 2))
    variables = conv.trainable_variables + deconv.trainable_variables

    @tf.function(input_signature=[tf.TensorSpec([None, 7, 8, 3])])
    def run(images):
        with tf.GradientTape() as tape:
            outputs = deconv(conv(images))
            loss = tf.reduce_sum(tf.square(tf.cast(outputs, tf.float32)))
        return outputs, tape.gradient(loss, variables)

    for count in (1, 3):
        outputs, found = run(tf.ones((count, 7, 8, 3)))
        assert outputs.shape == (count, 7, 8, 3)
        assert [g.shape for g in found] == [v.shape for v in variables]


@pytest.mark.parametrize(
    ("layer", "wrong", "value"),
    [
        (partial(StridedConv2D, 2, 4), "strides", 1),
        (partial(StridedConv2D, 2, 4), "padding", "valid"),
        (partial(StridedConv2DTranspose, 2, 4, side=(7, 8)), "padding", "valid"),
        (BatchNormalization, "axis", 1),
        (BatchNormalization, "center", False),
        (BatchNormalization, "scale", False),
        (BatchNormalization, "renorm", True),
    ],
)
def test_layers_refuse_what_they_do_not_compute(layer, wrong, value):
    with pytest.raises(ValueError, match=f"computes {wrong}=.* only; got"):
        layer(**{wrong: value})


# --- activation


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(("leak", "plain"), [(0.2, keras.ops.leaky_relu), (0.0, keras.ops.relu)])
def test_activation_equals_keras(leak, plain, dtype):
    inputs = tf.cast([-3.0, -1e-3, -0.0, 0.0, 1e-38, 0.5, 7.0], dtype)
    plain = partial(plain, negative_slope=leak) if leak else plain
    for one, two in zip(
        gradients(partial(activation, leak=leak), [inputs]),
        gradients(plain, [inputs]),
        strict=True,
    ):
        np.testing.assert_array_equal(tf.cast(one, tf.float32), tf.cast(two, tf.float32))


# --- batch normalization


def pair(dtype="float32"):
    """Ours and Keras' with the same gamma, beta and statistics, of three channels."""
    ours = BatchNormalization(dtype=dtype)
    theirs = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, dtype=dtype)
    random = np.random.default_rng(0)
    values = [random.uniform(0.5, 1.5, 3) for _ in range(4)]
    for layer in (ours, theirs):
        layer.build((None, None, None, 3))
        for variable, start in zip(layer.variables, values, strict=True):
            variable.assign(start)
    return ours, theirs


def batch(seed):
    """Three channels of unlike means and deviations."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(6, 5, 4, 3)) * np.linspace(0.5, 2, 3) + np.arange(3)
    return x.astype(np.float32)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("dtype", "compiled"), [("float32", True), ("float32", False), ("mixed_bfloat16", False)]
)
def test_it_equals_keras(training, compiled, dtype):
    # The sums of hundreds of terms, of which Keras is the farther from the exact value; bfloat16
    # has 8 significant bits.
    tolerance = 5e-5 if dtype == "float32" else 0.02
    close = {"rtol": 1e-6, "atol": 1e-7} if dtype == "float32" else {"rtol": 0.01, "atol": 1e-3}
    ours, theirs = pair(dtype)
    for seed in range(2):
        results = []
        for layer in (ours, theirs):

            def run(x, layer=layer):
                call = partial(layer, training=training)
                return gradients(call, [x], layer.trainable_variables)

            results.append((tf.function(run) if compiled else run)(tf.constant(batch(seed))))
        for one, two in zip(*results, strict=True):
            assert one.dtype == two.dtype
            one, two = (np.asarray(tf.cast(array, tf.float32)) for array in (one, two))
            assert np.abs(one - two).max() <= tolerance * np.abs(two).max()
        for one, two in zip(ours.variables, theirs.variables, strict=True):
            assert one.dtype == "float32"
            np.testing.assert_allclose(value(one), value(two), **close)


@pytest.mark.parametrize(
    ("numbers", "unbiased", "normal", "kept"),
    [
        ([1, 3], False, [-1, 1], 1),  # variance ((-1)^2 + 1^2) / 2
        ([1, 3], True, [-1, 1], 2),  # with Bessel's correction
        ([5], False, [0], 0),
        ([5], True, [0], 0),  # no division by zero
    ],
)
def test_the_variance_of_few_numbers_is_corrected_at_most_where_it_is_kept(
    numbers, unbiased, normal, kept
):
    layer = BatchNormalization(unbiased=unbiased)
    layer.build((None, 1, 1, 1))
    outputs = layer(np.float32(numbers).reshape(-1, 1, 1, 1), training=True)
    np.testing.assert_allclose(np.ravel(outputs), normal, atol=1e-4)  # 1 / sqrt(1 + 1e-5)
    np.testing.assert_allclose(value(layer.moving_mean), 0.1 * np.mean(numbers), rtol=1e-6)
    np.testing.assert_allclose(value(layer.moving_variance), 0.9 * 1 + 0.1 * kept, rtol=1e-6)


def test_a_large_mean_loses_no_precision():
    x = (batch(0) + 300).astype(np.float32)  # mean^2 / variance about 1e5
    ours = pair()[0]
    outputs = np.asarray(ours(x, training=True))
    gamma, beta = (value(v).astype(np.float64) for v in ours.variables[:2])
    x = x.astype(np.float64)
    expected = (x - x.mean((0, 1, 2))) / np.sqrt(x.var((0, 1, 2)) + 1e-5) * gamma + beta
    np.testing.assert_allclose(outputs, expected, atol=1e-3)


def test_inference_moves_nothing_and_sees_each_image_alone():
    ours, _ = pair()
    x = batch(0)
    before = [value(v).copy() for v in ours.variables]
    together = np.asarray(ours(x, training=False))
    alone = np.concatenate([ours(x[i : i + 1], training=False) for i in range(len(x))])
    np.testing.assert_allclose(together, alone, rtol=1e-6, atol=1e-6)
    for variable, old in zip(ours.variables, before, strict=True):
        np.testing.assert_array_equal(value(variable), old)


def test_a_frozen_layer_does_inference_as_in_keras():
    results = []
    for layer in pair():
        layer.trainable = False
        results.append((np.asarray(layer(batch(0), training=True)), value(layer.moving_mean)))
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(results[0][1], results[1][1])


def test_configuration():
    norm = BatchNormalization(0.5, 7, momentum=0.8, name="norm")
    convolutions = StridedConv2D(2, 4, use_bias=False), StridedConv2DTranspose(2, 4, side=(7, 8))
    for layer in (*convolutions, norm):
        copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
        assert type(copy) is type(layer) and copy.get_config() == layer.get_config()
    for one in (norm, copy):
        assert (one.momentum, one.epsilon, one.synchronized) == (0.8, 1e-5, True)
        one.build((None, 2, 2, 5))
    np.testing.assert_array_equal(value(copy.gamma), value(norm.gamma))
    assert value(norm.gamma).std() > 0
