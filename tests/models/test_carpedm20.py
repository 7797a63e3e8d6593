"""The layout carpedm20: labels beside what each layer sees, as in his networks for MNIST."""

import dataclasses
import json

import keras
import numpy as np
import pytest
from networks import convolved, normalized, scrambled, transposed

from dcgan import UserError
from dcgan.evaluation import linear_probe
from dcgan.models import Discriminator, Generator, layouts
from dcgan.run import model_file
from dcgan.run.checkpoint import Checkpointer, open_checkpoint
from dcgan.training.state import GANState

SHAPE, CLASSES = (28, 20, 1), (3, 2)
LABELS = np.array([[0, 0], [2, 1], [1, 0], [2, 0]], np.int32)
NUMBERS = np.array([[1, 0, 0, 1, 0], [0, 0, 1, 0, 1], [0, 1, 0, 1, 0], [0, 0, 1, 1, 0]], np.float32)
G_LAYERS = ("hidden", "project", "deconv_0", "deconv_1")
D_LAYERS = ("conv_0", "conv_1", "hidden", "logit")


def unbuilt(shape=SHAPE, *, classes=CLASSES, **kwargs):
    common = {"layout": "carpedm20", "classes": classes, **kwargs}
    generator = Generator(shape, z_dim=4, width=24, **common)
    return generator, Discriminator(shape, width=8, **common)


def networks(*args, **kwargs):
    made = unbuilt(*args, **kwargs)
    for network in made:
        network.build()
    return made


def weights(network):
    """Arrays by layer and name."""
    arrays = {v.path.partition("/")[2]: keras.ops.convert_to_numpy(v) for v in network.weights}
    return arrays.__getitem__


def noise():
    return np.random.default_rng(1).normal(size=(4, 4)).astype(np.float32)


def pictures():
    return np.random.default_rng(1).uniform(-1, 1, (4, *SHAPE)).astype(np.float32)


# --- the arithmetic, in the order and the words of model.py, with images from 0 to 1


def concat(x):
    """conv_cond_concat, and concat([x, y], 1)."""
    y = NUMBERS.reshape(4, *[1] * (x.ndim - 2), 5)
    return np.concatenate([x, np.broadcast_to(y, (*x.shape[:-1], 5))], -1)


def lrelu(x):
    return np.maximum(x, 0.2 * x)


def test_the_generators_images_are_his():
    generator = scrambled(networks()[0], deviation=0.1)
    w, norm = weights(generator), generator.get_layer
    h0 = np.maximum(normalized(concat(noise()) @ w("hidden/kernel"), norm("norm_0")), 0)
    h1 = np.maximum(normalized(concat(h0) @ w("project/kernel"), norm("norm_1")), 0)
    h1 = h1.reshape(4, 7, 5, 6)  # int(28 / 4), int(20 / 4), a quarter of 24
    h2 = transposed(concat(h1), w("deconv_0/kernel"), (14, 10))
    h2 = np.maximum(normalized(h2, norm("norm_2")), 0)
    h3 = transposed(concat(h2), w("deconv_1/kernel"), (28, 20)) + w("deconv_1/bias")
    expected = 1 / (1 + np.exp(-h3))  # sigmoid
    assert expected.std() > 0.05
    found = generator(noise(), labels=LABELS)
    np.testing.assert_allclose((found + 1) / 2, expected, atol=1e-5)
    np.testing.assert_array_equal(found, generator(noise(), labels=NUMBERS))


def test_the_discriminators_logits_are_his():
    discriminator = scrambled(networks()[1], deviation=0.1)
    w, norm = weights(discriminator), discriminator.get_layer
    x = concat((pictures() + 1) / 2)
    h0 = lrelu(convolved(x, w("conv_0/kernel")) + w("conv_0/bias"))
    assert h0.shape[-1] == 1 + 5  # c_dim + y_dim
    h1 = lrelu(normalized(convolved(concat(h0), w("conv_1/kernel")), norm("norm_1")))
    assert h1.shape[-1] == 8 + 5  # df_dim + y_dim
    h1 = concat(h1.reshape(4, -1))
    h2 = lrelu(normalized(h1 @ w("hidden/kernel"), norm("norm_2")))
    expected = concat(h2) @ w("logit/kernel") + w("logit/bias")
    found, class_logits = discriminator(pictures(), labels=LABELS, with_classes=True)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert class_logits is None


# --- labels


@pytest.mark.parametrize("which", [0, 1])
def test_labels_matter_in_each_layer(which):
    """The rows that a kernel has for labels are its last inputs."""
    network, inputs = scrambled(networks()[which], deviation=0.1), (noise(), pictures())[which]
    names = (G_LAYERS, D_LAYERS)[which]
    kernels = {name: network.get_layer(name).kernel for name in names}
    whole = {name: keras.ops.convert_to_numpy(one).copy() for name, one in kernels.items()}

    def changes(seeing: str) -> np.ndarray:
        """Of each image with other labels, where only one layer sees them, or none."""
        for name, kernel in kernels.items():
            array = whole[name].copy()
            if name != seeing:
                np.moveaxis(array, -1 if name.startswith("deconv") else -2, 0)[-5:] = 0
            kernel.assign(array)
        one, other = (network(inputs, labels=np.roll(LABELS, n, 0)) for n in range(2))
        return np.abs(one - other).reshape(4, -1).max(1)

    assert not changes("").any()
    for name in names:
        assert (changes(name) > 1e-3).all(), name


def test_convolutions_see_an_image_of_any_class_as_the_mean_of_all():
    _, discriminator = networks(classes=(2,))
    bias = discriminator.convs[0].bias
    bias.assign(np.full(bias.shape, 9.0))  # so that nothing is cut off
    each = [discriminator.activations(pictures(), np.full((4, 1), n))[0] for n in range(2)]
    assert np.abs(each[0] - each[1]).max() > 0.01
    found = discriminator.activations(pictures())[0]
    np.testing.assert_allclose(found, (each[0] + each[1]) / 2, atol=1e-5)
    shown = np.random.default_rng(0).integers(0, 256, (5, *SHAPE), np.uint8)
    # 28x20 becomes 14x10 with 1 + 2 channels and 7x5 with 8 + 2, each pooled to 4x4.
    untrained = linear_probe.make_untrained(discriminator, shown, seed=5)
    assert linear_probe.pooled_features(untrained)(shown).shape == (5, 16 * 3 + 16 * 10)


# --- what surrounds it


@pytest.mark.parametrize("shape", [(8, 8, 3), (33, 57, 3)])
def test_it_takes_every_size_and_its_configuration_makes_it_again(shape):
    generator, discriminator = networks(shape, dtype="mixed_bfloat16")
    images = generator(noise(), labels=LABELS, training=True)
    assert images.shape == (4, *shape) and images.dtype == "float32"
    logits = discriminator(images, labels=LABELS, training=True)
    assert logits.shape == (4, 1) and logits.dtype == "float32"
    for network in (generator, discriminator):
        copy = type(network).from_config(json.loads(json.dumps(network.get_config())))
        copy.build()
        assert [v.path for v in copy.variables] == [v.path for v in network.variables]
        assert copy.get_config() == network.get_config()


def test_without_labels_it_is_the_default():
    for network in networks(classes=()):
        assert network.get_config()["layout"] == layouts.DEFAULT and network.hidden is None


@pytest.mark.parametrize("name", ["generator", "discriminator"])
def test_a_strangers_number_of_classes_takes_no_memory(tmp_path, monkeypatch, name):
    state = GANState(*unbuilt())
    checkpointer = Checkpointer(tmp_path / "checkpoints")
    checkpointer.folder.mkdir()
    model_file.write(checkpointer.folder, state.generator, state.discriminator)
    checkpointer.save(state, {})
    whole = open_checkpoint(tmp_path)
    np.testing.assert_array_equal(
        whole.generator()(noise(), labels=LABELS), state.sampler(noise(), labels=LABELS)
    )
    network = getattr(state, name)
    monkeypatch.setattr(type(network), "build", lambda *_: pytest.fail("it was built"))
    configs = {name: {**whole.configs[name], "classes": [1000] * 64}}
    with pytest.raises(UserError, match="another architecture"):
        getattr(dataclasses.replace(whole, configs=configs), name)()
