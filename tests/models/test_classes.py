"""What networks know of classes: their arithmetic, their weights, their configuration."""

import numpy as np
import pytest
from keras.ops import convert_to_numpy as value

from dcgan.models import Discriminator, Generator
from dcgan.models.classes import one_hot
from dcgan.models.layouts import LAYOUTS, WEIGHT_STDDEV

SHAPE, CLASSES = (16, 12, 3), (3, 2)
LABELS = np.array([[0, 0], [2, 1], [1, 0], [2, 0]], np.int32)


def networks(classes=CLASSES, **kwargs):
    generator = Generator(SHAPE, z_dim=4, width=8, classes=classes, **kwargs)
    discriminator = Discriminator(SHAPE, width=8, classes=classes, **kwargs)
    for network in (generator, discriminator):
        network.build()
    return generator, discriminator


def noise(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def test_columns_stand_side_by_side():
    expected = [[1, 0, 0, 1, 0], [0, 0, 1, 0, 1], [0, 1, 0, 1, 0], [0, 0, 1, 1, 0]]
    found = one_hot(LABELS, CLASSES)
    assert value(found).tolist() == expected and found.dtype == "float32"
    between = np.array([[0.5, 0.5, 0, 1, 0]], np.float32)
    assert value(one_hot(between, CLASSES)).tolist() == between.tolist()


@pytest.mark.parametrize("layout", [n for n, one in LAYOUTS.items() if not one.labels_inside])
def test_a_class_is_more_numbers_of_z(layout):
    """As if z and the classes, side by side, went through one kernel; bit for bit nothing else."""
    generator, _ = networks(layout=layout)
    longer = Generator(SHAPE, z_dim=4 + 5, width=8, layout=layout)
    longer.build()
    kernel = np.concatenate([value(generator.project.kernel), value(generator.of_classes.kernel)])
    longer.project.kernel.assign(kernel)
    for one, other in zip(longer.deconvs, generator.deconvs, strict=True):
        one.kernel.assign(other.kernel)
    z = noise(4, 4)
    expected = longer(np.concatenate([z, value(one_hot(LABELS, CLASSES))], 1))
    np.testing.assert_allclose(generator(z, labels=LABELS), expected, atol=1e-6)


def test_a_logit_is_more_by_the_classes_vectors_times_what_the_last_layer_sees():
    _, discriminator = networks()
    images = noise(4, *SHAPE)
    seen = value(discriminator.activations(images)[-1]).reshape(4, 4 * 3 * 16)
    table = value(discriminator.of_classes.kernel)  # [3 + 2, 192]
    plain = seen @ value(discriminator.logit.kernel)
    plain += value(discriminator.logit.bias)
    for i, (first, second) in enumerate(LABELS):
        plain[i] += table[first] @ seen[i] + table[3 + second] @ seen[i]
    logits, of_classes = discriminator(images, labels=LABELS, with_classes=True)
    np.testing.assert_allclose(logits, plain, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(of_classes, seen @ table.T, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(logits, discriminator(images, labels=LABELS))
    _, plain = networks(())
    logits, none = plain(images, with_classes=True)
    assert none is None
    np.testing.assert_array_equal(logits, plain(images))


def test_without_classes_nothing_is_added():
    for network in networks(()):
        assert "classes" not in network.get_config()
        assert not any("classes" in variable.path for variable in network.variables)
    for plain, network in zip(networks(()), networks(), strict=True):
        ours = {v.path: value(v) for v in network.variables}
        for variable in plain.variables:  # the other weights begin as without classes
            np.testing.assert_array_equal(ours.pop(variable.path), value(variable))
        assert list(ours) == [f"{network.name}/classes/kernel"]


def test_labels_are_needed_where_classes_are_known_and_only_there():
    for knowing, plain, inputs in zip(
        networks(), networks(()), (noise(4, 4), noise(4, *SHAPE)), strict=True
    ):
        with pytest.raises(ValueError, match="needs labels"):
            knowing(inputs)
        with pytest.raises(ValueError, match="knows no labels"):
            plain(inputs, labels=LABELS)


def test_configuration_and_initial_weights():
    kernels = []
    for network in networks(seed=7):
        again = type(network).from_config(network.get_config())
        again.build()
        assert again.get_config() == network.get_config() and again.classes == CLASSES
        kernel = value(network.of_classes.kernel)
        np.testing.assert_array_equal(kernel, value(again.of_classes.kernel))
        kernels.append(kernel)
    others = [value(network.of_classes.kernel) for network in networks(seed=8)]
    for one, other in zip(kernels, others, strict=True):
        assert not np.isin(one, other).any()
    assert not np.isin(*kernels).any()
    generator, _ = networks((1000,))
    assert value(generator.of_classes.kernel).std() == pytest.approx(WEIGHT_STDDEV, rel=0.02)


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_logits_and_images_keep_full_precision(dtype):
    generator, discriminator = networks(dtype=dtype)
    images = generator(noise(4, 4), labels=LABELS)
    assert images.dtype == discriminator(images, labels=LABELS).dtype == "float32"
