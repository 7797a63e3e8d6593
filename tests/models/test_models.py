"""Both networks: every size, their arithmetic, their weights, their configuration."""

import json
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.ops import convert_to_numpy as value
from networks import convolved, normalized, scrambled, transposed

from dcgan.cli.resolve import resolve
from dcgan.cli.train_options import MAX_SIDE, MIN_SIDE
from dcgan.models import Discriminator, Generator
from dcgan.models.layers import BatchNormalization, StridedConv2D, StridedConv2DTranspose, sizes
from dcgan.models.layouts import WEIGHT_STDDEV
from dcgan.training.losses import discriminator_loss, generator_loss
from dcgan.training.trainer import make_networks


def networks(height, width, *, channels=3, g_width=8, d_width=8, seed=0, **kwargs):
    shape = (height, width, channels)
    generator = Generator(shape, z_dim=4, width=g_width, seed=seed, **kwargs)
    discriminator = Discriminator(shape, width=d_width, seed=seed, **kwargs)
    generator.build()
    discriminator.build()
    return generator, discriminator


def kernels(network):
    return {v.path: value(v) for v in network.weights if v.name == "kernel"}


# --- sizes


def test_sizes():
    assert sizes(28, 28) == [(side, side) for side in (28, 14, 7, 4)]
    # log2(96 / 4) = 4.58 rounds up.
    assert sizes(96, 96) == [(side, side) for side in (96, 48, 24, 12, 6, 3)]
    # sqrt(48 * 64) = 55.4, log2(55.4 / 4) = 3.79: four times.
    assert sizes(48, 64) == [(48, 64), (24, 32), (12, 16), (6, 8), (3, 4)]
    # sqrt(33 * 57) = 43.4, log2(43.4 / 4) = 3.44: three times, each rounded up.
    assert sizes(33, 57) == [(33, 57), (17, 29), (9, 15), (5, 8)]
    # sqrt(8 * 256) = 45.3, log2(45.3 / 4) = 3.5 rounds up; the short side stays at 1.
    assert sizes(8, 256) == [(8, 256), (4, 128), (2, 64), (1, 32), (1, 16)]


def test_sizes_of_every_side():
    for side in range(MIN_SIDE, MAX_SIDE + 1):
        chain = sizes(side, side)
        assert chain[0] == (side, side) and len(chain) >= 2
        for (large, _), (small, _) in zip(chain, chain[1:], strict=False):
            assert small == math.ceil(large / 2)
        # round(log2(side / 4)) halvings leave side / 4 / 2^n in [2^-0.5, 2^0.5] of 4, rounded up.
        assert 3 <= chain[-1][0] <= 6


@pytest.mark.parametrize("kernel_size", [3, 4, 5])
def test_one_layer_halves_or_doubles_any_side(kernel_size):
    """With the chains above: every size from 8 to 256 comes out of the generator exactly."""
    conv = StridedConv2D(1, kernel_size)
    for side in (*range(1, 10), 27, 28, 255, 256):
        half = math.ceil(side / 2)
        deconv = StridedConv2DTranspose(1, kernel_size, side=(side, 3))
        large = deconv(np.zeros((1, half, 2, 1), np.float32))
        assert large.shape == deconv.compute_output_shape((1, half, 2, 1)) == (1, side, 3, 1)
        assert conv(large).shape == (1, half, 2, 1)


PICTURES = [(8, 8), (9, 9), (10, 11), (27, 27), (28, 28), (47, 47), (48, 48), (33, 57), (8, 101)]
PICTURES += [(90, 8)]


@pytest.mark.parametrize(
    ("height", "width", "kernel_size"),
    [
        # Each size by one of the two; the other if slow.
        pytest.param(
            *size, kernel_size, marks=[] if (i // 2 + kernel_size) % 2 else pytest.mark.slow
        )
        for i, size in enumerate(PICTURES)
        for kernel_size in (4, 5)
    ],
)
def test_a_picture_of_that_size_and_one_logit(height, width, kernel_size):
    generator, discriminator = networks(height, width, kernel_size=kernel_size)
    images = generator(np.zeros((2, 4), np.float32), training=True)
    assert images.shape == (2, height, width, 3)
    assert discriminator(images, training=True).shape == (2, 1)


def test_the_largest_and_grey():
    generator, discriminator = networks(256, 255, channels=1, g_width=8, d_width=1)
    images = generator(np.zeros((1, 4), np.float32))
    assert images.shape == (1, 256, 255, 1)
    assert discriminator(images).shape == (1, 1)
    # Widths 8, 4, 2, 1 and then never below 1; 1, 2, 4, 8 and then never above 8 times the first.
    assert [d.filters for d in generator.deconvs] == [4, 2, 1, 1, 1, 1]
    assert [c.filters for c in discriminator.convs] == [1, 2, 4, 8, 8, 8]


# --- architecture


@pytest.mark.parametrize("kernel_size", [4, 5])
@pytest.mark.parametrize(("height", "width"), [(16, 16), (13, 18)])
def test_the_generator_is_the_papers(height, width, kernel_size):
    random = np.random.default_rng(0)
    generator = scrambled(networks(height, width, kernel_size=kernel_size)[0])
    z = random.normal(size=(3, 4))
    x = (z @ value(generator.project.kernel)).reshape(3, math.ceil(height / 4), -1, 8)
    x = np.maximum(normalized(x, generator.norms[0]), 0)
    half = math.ceil(height / 2), math.ceil(width / 2)
    x = transposed(x, value(generator.deconvs[0].kernel), half)
    x = np.maximum(normalized(x, generator.norms[1]), 0)
    x = transposed(x, value(generator.deconvs[1].kernel), (height, width))
    expected = np.tanh(x + value(generator.deconvs[1].bias))
    assert np.abs(expected).min() < 0.5  # not saturated
    np.testing.assert_allclose(generator(z.astype(np.float32)), expected, atol=2e-5)


@pytest.mark.parametrize("kernel_size", [4, 5])
@pytest.mark.parametrize(("height", "width"), [(16, 16), (13, 18)])
def test_the_discriminator_is_the_papers(height, width, kernel_size):
    random = np.random.default_rng(0)
    discriminator = scrambled(networks(height, width, kernel_size=kernel_size)[1])
    images = random.uniform(-1, 1, (3, height, width, 3))
    x = convolved(images, value(discriminator.convs[0].kernel)) + value(discriminator.convs[0].bias)
    x = np.where(x > 0, x, 0.2 * x)
    x = normalized(convolved(x, value(discriminator.convs[1].kernel)), discriminator.norms[0])
    x = np.where(x > 0, x, 0.2 * x).reshape(3, -1)
    expected = x @ value(discriminator.logit.kernel) + value(discriminator.logit.bias)
    np.testing.assert_allclose(discriminator(images.astype(np.float32)), expected, rtol=1e-4)


def test_mixed_precision_keeps_outputs_and_weights_float32():
    generator, discriminator = networks(16, 16, dtype="mixed_bfloat16")
    images = generator(np.zeros((2, 4), np.float32), training=True)
    assert images.dtype == "float32"
    assert discriminator(images, training=True).dtype == "float32"
    assert {v.dtype for v in [*generator.weights, *discriminator.weights]} == {"float32"}
    assert generator.project.compute_dtype == generator.deconvs[0].compute_dtype == "bfloat16"
    assert {layer.compute_dtype for layer in discriminator.convs} == {"bfloat16"}
    assert generator.deconvs[-1].compute_dtype == discriminator.logit.compute_dtype == "float32"


def test_gradients_in_bfloat16_point_where_those_in_float32_do():
    """Every variable's, in each way that convolutions are computed: none shrinks or turns it."""
    random = np.random.default_rng(3)
    z = random.normal(size=(32, 4)).astype(np.float32)
    reals = random.uniform(-1, 1, (32, 64, 64, 3)).astype(np.float32)
    found = {}
    for dtype in ("float32", "mixed_bfloat16"):
        generator, discriminator = networks(64, 64, g_width=64, d_width=8, dtype=dtype)
        for kernel in (*generator.weights, *discriminator.weights):
            if kernel.name == "kernel":  # with initial ones judgements hardly depend on the images
                kernel.assign(kernel * 2)
        with tf.GradientTape(persistent=True) as tape:
            fakes = discriminator(generator(z, training=True), training=True)
            g_loss = generator_loss(fakes)
            judged = discriminator(reals, training=True)
            d_loss = discriminator_loss(judged, fakes, real_label=0.9)
        found[dtype] = [
            *tape.gradient(g_loss, generator.trainable_variables),
            *tape.gradient(d_loss, discriminator.trainable_variables),
        ]
    variables = (*generator.trainable_variables, *discriminator.trainable_variables)
    for variable, *pair in zip(variables, *found.values(), strict=True):
        one, other = (np.asarray(gradient, np.float64).ravel() for gradient in pair)
        cosine = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
        kernel = variable.name == "kernel"  # the others are few numbers, sums that nearly cancel
        assert cosine > (0.98 if kernel else 0.96), variable.path
        projection = other @ one / (one @ one)
        assert projection == pytest.approx(1, abs=0.02 if kernel else 0.12), variable.path


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_small_maps_are_multiplied_in_training_only(dtype):
    """Where `models.convolutions` says that products are faster, training really takes them."""
    generator, discriminator = networks(8, 8, dtype=dtype)
    z, images = tf.zeros((2, 4)), tf.zeros((2, 8, 8, 3))
    for inputs, network in (
        (z, generator),
        (images, discriminator),
        (images, discriminator.activations),  # called by itself: outside of Keras' own call
    ):

        def convolutions_of(training, inputs=inputs, network=network) -> set[str]:
            call = tf.function(lambda: network(inputs, training=training))
            operations = call.get_concrete_function().graph.get_operations()
            return {one.type for one in operations if one.type.startswith("Conv")}

        assert convolutions_of(False) and not convolutions_of(True)


# --- initial weights


def test_weights_are_normal_with_the_papers_deviation():
    generator, discriminator = networks(32, 32, g_width=32, d_width=16)
    for path, kernel in {**kernels(generator), **kernels(discriminator)}.items():
        n = kernel.size
        # Five standard errors: of a mean sigma / sqrt(n), of a deviation sigma / sqrt(2 n).
        assert abs(kernel.mean()) < 5 * WEIGHT_STDDEV / math.sqrt(n), path
        assert abs(kernel.std() - 0.02) < 5 * 0.02 / math.sqrt(2 * n), path
    # Of a normal distribution 4.55 % lie beyond two deviations, of a truncated one none.
    everything = np.concatenate([k.ravel() for k in kernels(discriminator).values()])
    share = np.mean(np.abs(everything) > 0.04)
    assert abs(share - 0.0455) < 5 * math.sqrt(0.0455 * 0.9545 / everything.size)


def test_a_seed_gives_the_same_weights_and_another_seed_others():
    first, again, other = (networks(16, 16, seed=s) for s in (3, 3, 4))
    for one, two, three in zip(first, again, other, strict=True):
        for path, kernel in kernels(one).items():
            np.testing.assert_array_equal(kernel, kernels(two)[path])
            assert not np.array_equal(kernel, kernels(three)[path])


def test_no_two_layers_of_any_runs_begin_alike():
    """Of layers of other shapes too the first numbers would be equal, were their seeds."""
    small = {"output_size": 64, "channels": 3, "g_width": 16, "d_width": 2}
    tiny = {**small, "preset": "silva", "gamma_stddev": 0.02, "precision": "float32"}
    begins, shapes = [], []
    for seed in (*range(7), 20):
        for network in make_networks(resolve({**tiny, "seed": seed})):
            network.build()
            drawn = [v for v in network.weights if v.name in ("kernel", "gamma")]
            begins += [(v.name, *value(v).ravel()[:2]) for v in drawn]
            shapes += [tuple(v.shape) for v in drawn]
    # Of each run five kernels each, four and three gammas.
    assert len(set(begins)) == len(begins) == 8 * (2 * 5 + 4 + 3)
    assert shapes.count((5, 5, 8, 16)) == 8 * 2  # deconv_0's and conv_3's


def test_gamma_is_one_or_drawn_around_it():
    plain, _ = networks(32, 32)
    assert all((value(norm.gamma) == 1).all() for norm in plain.norms)
    drawn, _ = networks(32, 32, g_width=512, gamma_stddev=0.02)
    gamma = np.concatenate([value(norm.gamma) for norm in drawn.norms])  # 512 + 256 + 128
    assert gamma.size == 896
    assert abs(gamma.mean() - 1) < 5 * 0.02 / math.sqrt(896)
    assert abs(gamma.std() - 0.02) < 5 * 0.02 / math.sqrt(2 * 896)
    first, second = (value(norm.gamma) for norm in drawn.norms[:2])
    assert not np.array_equal(first[:256], second)


# --- configuration


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_configuration_makes_the_same_network(index, dtype):
    network = networks(13, 18, kernel_size=4, gamma_stddev=0.1, seed=9, dtype=dtype)[index]
    config = json.loads(json.dumps(network.get_config()))  # as model.json keeps it
    serialized = keras.saving.serialize_keras_object(network)
    for copy in (
        type(network).from_config(config),
        keras.saving.deserialize_keras_object(json.loads(json.dumps(serialized))),
    ):
        if not copy.built:
            copy.build()
        assert type(copy) is type(network) and copy.name == network.name
        assert copy.get_config() == network.get_config()
        assert copy.dtype_policy == network.dtype_policy
        assert [v.path for v in copy.variables] == [v.path for v in network.variables]
        for one, two in zip(copy.variables, network.variables, strict=True):
            np.testing.assert_array_equal(value(one), value(two))


def test_a_saved_file_gives_the_same_images(tmp_path):
    generator = scrambled(networks(9, 9)[0])
    generator.save(tmp_path / "generator.keras")
    copy = keras.saving.load_model(tmp_path / "generator.keras")
    z = np.random.default_rng(1).normal(size=(3, 4)).astype(np.float32)
    np.testing.assert_array_equal(copy(z), generator(z))


def test_build_makes_every_variable():
    for network, inputs in zip(networks(13, 18), [(2, 4), (2, 13, 18, 3)], strict=True):
        before = [v.path for v in network.variables]
        network(np.zeros(inputs, np.float32), training=True)
        assert [v.path for v in network.variables] == before
        norms = [layer for layer in network.layers if isinstance(layer, BatchNormalization)]
        assert len(norms) == len(network.norms) > 0
