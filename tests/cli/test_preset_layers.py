"""The layers of the presets that are named after a source: shapes and parameters by hand."""

import math

import numpy as np
import pytest
import tensorflow as tf

from dcgan.cli.resolve import resolve
from dcgan.models import summary
from dcgan.training.trainer import make_networks

# (layer, shape of its output, trainable numbers), in the order in which they are called. A
# normalization has a gamma and a beta a channel; a kernel of K by K from C to F channels has
# K * K * C * F numbers; "+ 64" is a bias.
NORM = 2


def of_64x64(*, ngf: int, ndf: int, kernel: int, bias: int) -> tuple[list, list]:
    """The networks of figure 1 of Radford et al. 2015, which others took over.

    Args:
        ngf: channels of the generator's first maps, 4x4; half of them at each doubling.
        ndf: channels of the discriminator's first maps, 32x32; twice as many at each halving.
        kernel: K * K.
        bias: 1 where layers without a normalization behind them have a bias, else 0.
    """
    generator = [("project", (16 * ngf,), 100 * 16 * ngf), ("norm_0", (4, 4, ngf), NORM * ngf)]
    for i, width in enumerate([ngf // 2, ngf // 4, ngf // 8]):
        maps = (8 << i, 8 << i, width)
        generator.append((f"deconv_{i}", maps, kernel * 2 * width * width))
        generator.append((f"norm_{i + 1}", maps, NORM * width))
    generator.append(("deconv_3", (64, 64, 3), kernel * ngf // 8 * 3 + 3 * bias))
    discriminator = [("conv_0", (32, 32, ndf), kernel * 3 * ndf + ndf * bias)]
    for i, width in enumerate([2 * ndf, 4 * ndf, 8 * ndf], start=1):
        maps = (32 >> i, 32 >> i, width)
        discriminator.append((f"conv_{i}", maps, kernel * width // 2 * width))
        discriminator.append((f"norm_{i}", maps, NORM * width))
    discriminator.append(("logit", (1,), 16 * 8 * ndf + bias))
    return generator, discriminator


# The paper's generator; the discriminator is that of github.com/Newmu/dcgan_code,
# faces/train_uncond_dcgan.py, lines 93 to 103: ndf = 128 (line 45), dw2 of ndf * 2 and so on, dwy
# of ndf * 8 * 4 * 4. There gwx, dw and dwy have no bias.
PAPER = of_64x64(ngf=1024, ndf=128, kernel=25, bias=1)

# github.com/carpedm20/DCGAN-tensorflow at 62c9a2a, model.py: the generator's lines 367 to 396 with
# gf_dim = 64, so that its first maps have gf_dim * 8, and the discriminator's 339 to 343 with
# df_dim = 64; kernels 5x5 (ops.py, lines 53 and 66). Its layers before a normalization have a bias
# too, which that takes away again: 512 * 16, 256, 128 and 64 numbers more in the generator, 128,
# 256 and 512 in the discriminator. The default, silva, has these very layers.
CARPEDM20 = of_64x64(ngf=512, ndf=64, kernel=25, bias=1)

# pytorch.org/tutorials/beginner/dcgan_faces_tutorial.html with nz = 100, ngf = ndf = 64, nc = 3:
# kernels 4x4, bias=False everywhere. Its first ConvTranspose2d(nz, ngf * 8, 4, 1, 0), of 1x1 to
# 4x4, is our dense layer, and its last Conv2d(ndf * 8, 1, 4, 1, 0), of 4x4 to 1x1, our logit.
TORCH = of_64x64(ngf=512, ndf=64, kernel=16, bias=0)

# tensorflow.org/tutorials/generative/dcgan, make_generator_model and make_discriminator_model, for
# 28x28x1. The generator's first normalization is of 7 * 7 * 256 numbers, before they become maps.
TF_TUTORIAL = (
    [
        ("project", (12_544,), 100 * 12_544),  # Dense(7*7*256, use_bias=False)
        ("norm_0", (12_544,), NORM * 12_544),
        ("deconv_0", (7, 7, 128), 25 * 256 * 128),  # (128, (5, 5), strides=(1, 1)
        ("norm_1", (7, 7, 128), NORM * 128),
        ("deconv_1", (14, 14, 64), 25 * 128 * 64),  # (64, (5, 5), strides=(2, 2)
        ("norm_2", (14, 14, 64), NORM * 64),
        ("deconv_2", (28, 28, 1), 25 * 64 * 1),  # (1, (5, 5), ..., use_bias=False
    ],
    [
        ("conv_0", (14, 14, 64), 25 * 1 * 64 + 64),  # Conv2D(64, (5, 5), strides=(2, 2)
        ("conv_1", (7, 7, 128), 25 * 64 * 128 + 128),  # Conv2D(128, ...), no normalization
        ("logit", (1,), 49 * 128 + 1),  # Flatten, Dense(1)
    ],
)

# carpedm20's model.py for MNIST's labels, y_dim = 10 beside each input: the generator's lines 398
# to 421 with gf_dim = 64 and gfc_dim = 1024, the discriminator's 347 to 362 with df_dim = 64 and
# dfc_dim = 1024. Each number of a dense layer has a gamma and a beta of its own, g_bn1's 6,272 too.
# Biases before a normalization would be 1024, 6,272 and 128 numbers more, 74 and 1024.
CARPEDM20_MNIST = (
    [
        ("hidden", (1024,), (100 + 10) * 1024),  # line 407: linear(z, self.gfc_dim)
        ("norm_0", (1024,), NORM * 1024),
        ("project", (6272,), (1024 + 10) * 6272),  # line 411: gf_dim*2*s_h4*s_w4 = 128 * 7 * 7
        ("norm_1", (6272,), NORM * 6272),
        ("deconv_0", (14, 14, 128), 25 * (128 + 10) * 128),  # line 417: gf_dim * 2
        ("norm_2", (14, 14, 128), NORM * 128),
        ("deconv_1", (28, 28, 1), 25 * (128 + 10) * 1 + 1),  # line 421: c_dim
    ],
    [
        ("conv_0", (14, 14, 11), 25 * (1 + 10) * 11 + 11),  # line 350: c_dim + y_dim
        ("conv_1", (7, 7, 74), 25 * (11 + 10) * 74),  # line 353: df_dim + y_dim
        ("norm_1", (7, 7, 74), NORM * 74),
        ("hidden", (1024,), (49 * 74 + 10) * 1024),  # line 357: dfc_dim
        ("norm_2", (1024,), NORM * 1024),
        ("logit", (1,), 1024 + 10 + 1),  # line 360: linear(h2, 1)
    ],
)


def tables(preset: str, *, channels: int = 3, **given) -> tuple[list, list]:
    """Both networks' layers as called."""
    given = {"dataset": "celeba", "precision": "float32", "channels": channels, **given}
    config = resolve({"preset": preset, **given})
    found = []
    networks = make_networks(config, [10] if config.conditional else [])
    for network, shape in zip(networks, ((100,), networks[0].image_shape), strict=True):
        network.build()
        classes = [tf.zeros([1, 1], tf.int32)] if config.conditional else []
        layers = {layer.name: layer.trainable_variables for layer in network.layers}
        counts = {name: sum(math.prod(v.shape) for v in own) for name, own in layers.items()}
        rows = summary.rows(network, tf.zeros([1, *shape]), *classes)
        found.append([(row.name, row.shape, counts[row.name]) for row in rows])
        for variable in network.trainable_variables if preset == "carpedm20" else ():
            if variable.name == "kernel" and math.prod(variable.shape) > 10_000:
                assert np.std(variable) == pytest.approx(0.02, rel=0.05)  # ops.py, lines 66, 93
    return tuple(found)


@pytest.mark.parametrize(
    ("preset", "expected"),
    [("silva", CARPEDM20), ("paper", PAPER), ("carpedm20", CARPEDM20), ("torch", TORCH)],
)
def test_the_layers_of_the_64x64_networks(preset, expected):
    assert tables(preset) == expected


@pytest.mark.parametrize(
    ("preset", "expected"), [("tf_tutorial", TF_TUTORIAL), ("carpedm20", CARPEDM20_MNIST)]
)
def test_the_layers_of_the_networks_for_digits(preset, expected):
    assert tables(preset, dataset="mnist", channels=1) == expected
