"""The layers of the presets that are named after a source: shapes and parameters by hand."""

import math

import numpy as np
import pytest
import tensorflow as tf

from dcgan.cli.resolve import resolve
from dcgan.models import summary
from dcgan.training.trainer import make_networks

# (layer, shape of its output, trainable numbers), from the input on. A normalization, which keeps
# the shape, has a gamma and a beta a channel and is counted with the layer before it; a kernel of K
# by K from C to F channels has K * K * C * F numbers; "+ 64" is a bias.
NORM = 2

# Radford et al. 2015, figure 1: z of 100, 4x4x1024, 8x8x512, 16x16x256, 32x32x128, 64x64x3, kernels
# 5x5; the discriminator is that of github.com/Newmu/dcgan_code, faces/train_uncond_dcgan.py, lines
# 93 to 103: ndf = 128 (line 45), dw2 of ndf * 2 and so on, dwy of ndf * 8 * 4 * 4.
PAPER = (
    [
        ("project", (4, 4, 1024), 100 * 16_384 + NORM * 1024),  # gw: (nz, ngf * 8 * 4 * 4)
        ("deconv_0", (8, 8, 512), 25 * 1024 * 512 + NORM * 512),  # gw2: (ngf * 8, ngf * 4, 5, 5)
        ("deconv_1", (16, 16, 256), 25 * 512 * 256 + NORM * 256),
        ("deconv_2", (32, 32, 128), 25 * 256 * 128 + NORM * 128),
        ("deconv_3", (64, 64, 3), 25 * 128 * 3 + 3),  # gwx has no bias
    ],
    [
        ("conv_0", (32, 32, 128), 25 * 3 * 128 + 128),  # dw has no bias
        ("conv_1", (16, 16, 256), 25 * 128 * 256 + NORM * 256),
        ("conv_2", (8, 8, 512), 25 * 256 * 512 + NORM * 512),
        ("conv_3", (4, 4, 1024), 25 * 512 * 1024 + NORM * 1024),
        ("logit", (1,), 16 * 1024 + 1),  # dwy has no bias
    ],
)

# github.com/carpedm20/DCGAN-tensorflow at 62c9a2a, model.py: the generator's lines 367 to 396 with
# gf_dim = 64, the discriminator's 339 to 343 with df_dim = 64; kernels 5x5 (ops.py, lines 53 and
# 66). Its layers before a normalization have a bias too, which that takes away again: 512 * 16,
# 256, 128 and 64 numbers more in the generator, 128, 256 and 512 in the discriminator.
CARPEDM20 = (
    [
        ("project", (4, 4, 512), 100 * 8192 + NORM * 512),  # line 375: gf_dim*8*s_h16*s_w16
        ("deconv_0", (8, 8, 256), 25 * 512 * 256 + NORM * 256),  # line 382: gf_dim*4
        ("deconv_1", (16, 16, 128), 25 * 256 * 128 + NORM * 128),  # line 386: gf_dim*2
        ("deconv_2", (32, 32, 64), 25 * 128 * 64 + NORM * 64),  # line 390: gf_dim*1
        ("deconv_3", (64, 64, 3), 25 * 64 * 3 + 3),  # line 394: c_dim
    ],
    [
        ("conv_0", (32, 32, 64), 25 * 3 * 64 + 64),  # line 339: df_dim, without normalization
        ("conv_1", (16, 16, 128), 25 * 64 * 128 + NORM * 128),  # line 340: df_dim*2
        ("conv_2", (8, 8, 256), 25 * 128 * 256 + NORM * 256),  # line 341: df_dim*4
        ("conv_3", (4, 4, 512), 25 * 256 * 512 + NORM * 512),  # line 342: df_dim*8
        ("logit", (1,), 16 * 512 + 1),  # line 343: linear(..., 1)
    ],
)

# The default, which has these very layers.
SILVA = CARPEDM20

# pytorch.org/tutorials/beginner/dcgan_faces_tutorial.html with nz = 100, ngf = ndf = 64, nc = 3:
# kernels 4x4, bias=False everywhere. Its first ConvTranspose2d(nz, ngf * 8, 4, 1, 0), of 1x1 to
# 4x4, is our dense layer, and its last Conv2d(ndf * 8, 1, 4, 1, 0), of 4x4 to 1x1, our logit.
TORCH = (
    [
        ("project", (4, 4, 512), 100 * 16 * 512 + NORM * 512),  # "(ngf*8) x 4 x 4"
        ("deconv_0", (8, 8, 256), 16 * 512 * 256 + NORM * 256),  # "(ngf*4) x 8 x 8"
        ("deconv_1", (16, 16, 128), 16 * 256 * 128 + NORM * 128),  # "(ngf*2) x 16 x 16"
        ("deconv_2", (32, 32, 64), 16 * 128 * 64 + NORM * 64),  # "(ngf) x 32 x 32"
        ("deconv_3", (64, 64, 3), 16 * 64 * 3),  # "(nc) x 64 x 64"
    ],
    [
        ("conv_0", (32, 32, 64), 16 * 3 * 64),  # "(ndf) x 32 x 32"
        ("conv_1", (16, 16, 128), 16 * 64 * 128 + NORM * 128),  # "(ndf*2) x 16 x 16"
        ("conv_2", (8, 8, 256), 16 * 128 * 256 + NORM * 256),  # "(ndf*4) x 8 x 8"
        ("conv_3", (4, 4, 512), 16 * 256 * 512 + NORM * 512),  # "(ndf*8) x 4 x 4"
        ("logit", (1,), 16 * 512),
    ],
)

# tensorflow.org/tutorials/generative/dcgan, make_generator_model and make_discriminator_model, for
# 28x28x1. The generator's first normalization is of 7 * 7 * 256 numbers, before they become maps.
TF_TUTORIAL = (
    [
        ("project", (7, 7, 256), 100 * 12_544 + NORM * 12_544),  # Dense(7*7*256, use_bias=False)
        ("deconv_0", (7, 7, 128), 25 * 256 * 128 + NORM * 128),  # (128, (5, 5), strides=(1, 1)
        ("deconv_1", (14, 14, 64), 25 * 128 * 64 + NORM * 64),  # (64, (5, 5), strides=(2, 2)
        ("deconv_2", (28, 28, 1), 25 * 64 * 1),  # (1, (5, 5), ..., use_bias=False
    ],
    [
        ("conv_0", (14, 14, 64), 25 * 1 * 64 + 64),  # Conv2D(64, (5, 5), strides=(2, 2)
        ("conv_1", (7, 7, 128), 25 * 64 * 128 + 128),  # Conv2D(128, ...), no normalization
        ("logit", (1,), 49 * 128 + 1),  # Flatten, Dense(1)
    ],
)

# The same file for MNIST's labels, y_dim = 10 beside each input: the generator's lines 398 to 421
# with gf_dim = 64 and gfc_dim = 1024, the discriminator's 347 to 362 with df_dim = 64 and
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


def tables(preset, **given):
    """Both networks' layers as built: each with the normalization that follows it."""
    given = {"dataset": "celeba", "channels": 3, "precision": "float32", **given}
    generator, discriminator = make_networks(resolve({"preset": preset, **given}))
    for network in (generator, discriminator):
        network.build()

    def count(*layers):
        return sum(math.prod(v.shape) for one in layers for v in one.trainable_variables)

    first = (*generator.maps[0], generator.width)
    rows = [("project", first, count(generator.project, generator.norms[0]))]
    norms = [*([norm] for norm in generator.norms[1:]), []]
    for deconv, norm in zip(generator.deconvs, norms, strict=True):
        rows.append((deconv.name, (*deconv.side, deconv.filters), count(deconv, *norm)))
    by_number = {int(norm.name.removeprefix("norm_")): norm for norm in discriminator.norms}
    others = []
    maps = discriminator.activations(np.zeros((1, *generator.image_shape), np.float32))
    for i, (conv, seen) in enumerate(zip(discriminator.convs, maps, strict=True)):
        norm = [by_number[i]] if i in by_number else []
        others.append((conv.name, tuple(seen.shape[1:]), count(conv, *norm)))
    others.append(("logit", (discriminator.logit.units,), count(discriminator.logit)))
    return rows, others


@pytest.mark.parametrize(
    ("preset", "expected"),
    [("silva", SILVA), ("paper", PAPER), ("carpedm20", CARPEDM20), ("torch", TORCH)],
)
def test_the_layers_of_the_64x64_networks(preset, expected):
    assert tables(preset) == expected


def test_the_layers_of_tensorflows_tutorial():
    found = tables("tf_tutorial", dataset="mnist", channels=1)
    assert found == TF_TUTORIAL


def test_the_layers_of_carpedm20s_networks_for_mnist():
    given = {"dataset": "mnist", "channels": 1, "precision": "float32"}
    config = resolve({"preset": "carpedm20", **given})
    assert config.conditional
    found = []
    for network, inputs in zip(make_networks(config, [10]), ((100,), (28, 28, 1)), strict=True):
        network.build()
        rows = summary.rows(network, tf.zeros([1, *inputs]), tf.zeros([1, 1], tf.int32))
        layers = {layer.name: layer.trainable_variables for layer in network.layers}
        counts = {name: sum(math.prod(v.shape) for v in own) for name, own in layers.items()}
        found.append([(row.name, row.shape, counts[row.name]) for row in rows])
        for variable in network.trainable_variables:  # ops.py, lines 66 and 93: stddev=0.02
            if variable.name == "kernel" and math.prod(variable.shape) > 10_000:
                assert np.std(variable) == pytest.approx(0.02, rel=0.05)
    assert tuple(found) == CARPEDM20_MNIST
