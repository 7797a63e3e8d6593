"""The table of a network's layers: their order, what they give, and what they cost."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dcgan.models import Discriminator, Generator
from dcgan.models.layouts import LAYOUTS
from dcgan.models.summary import rows, table


def built(network: keras.Model) -> keras.Model:
    network.build()
    return network


@pytest.mark.parametrize(
    ("layout", "precision"), [*zip(LAYOUTS, ["float32", "mixed_bfloat16"] * 2, strict=True)]
)
def test_the_rows_add_up_and_end_with_what_the_network_gives(layout, precision):
    common = {"layout": layout, "dtype": precision}
    for network, z, last in (
        (built(Generator((20, 28, 3), z_dim=6, width=16, **common)), (6,), (20, 28, 3)),
        (built(Discriminator((20, 28, 3), width=4, **common)), (20, 28, 3), (1,)),
    ):
        found = rows(network, tf.zeros([1, *z]))
        assert sum(row.parameters for row in found) == network.count_params()
        assert found[-1].shape == last
        assert sorted(row.name for row in found) == sorted(one.name for one in network.layers)
        assert table("it", found)[0].startswith(f"it: {network.count_params():,} parameters, ")


def test_the_order_the_shapes_and_the_work_of_a_generator():
    """48x48: by hand, 5x5 kernels; a transposed convolution takes each input through its kernel."""
    found = rows(built(Generator((48, 48, 3), width=64)), tf.zeros([1, 100]))
    assert [(row.name, row.shape, row.multiply_adds) for row in found] == [
        ("project", (576,), 100 * 576),
        ("norm_0", (3, 3, 64), 0),
        ("deconv_0", (6, 6, 32), 3 * 3 * 25 * 64 * 32),
        ("norm_1", (6, 6, 32), 0),
        ("deconv_1", (12, 12, 16), 6 * 6 * 25 * 32 * 16),
        ("norm_2", (12, 12, 16), 0),
        ("deconv_2", (24, 24, 8), 12 * 12 * 25 * 16 * 8),
        ("norm_3", (24, 24, 8), 0),
        ("deconv_3", (48, 48, 3), 24 * 24 * 25 * 8 * 3),
    ]
    work = sum(row.multiply_adds for row in found)  # a multiplication and an addition each
    assert table("g", found)[0].endswith(f", {2e-9 * work:.3g} GFLOP per image")
    lines = table("g", found)[1:]
    assert len({len(line) for line in lines}) == 1 and lines[1].split()[:3] == [
        *("project", "Dense", "576")
    ]


def test_a_convolution_takes_each_output_through_its_kernel():
    found = rows(built(Discriminator((48, 48, 3), width=64)), tf.zeros([1, 48, 48, 3]))
    assert (found[0].name, found[0].kind) == ("conv_0", "StridedConv2D")
    assert found[0].multiply_adds == 24 * 24 * 25 * 3 * 64
    assert found[-1].multiply_adds == 3 * 3 * 512


def test_the_network_is_as_before_also_after_an_error():
    network = built(Generator((16, 16, 3), z_dim=4, width=16))
    before = network(tf.ones([2, 4]))
    rows(network, tf.zeros([1, 4]))
    with pytest.raises(Exception, match="(?i)shape|incompatible|dimension"):
        rows(network, tf.zeros([1, 5]))
    assert not any("call" in vars(layer) for layer in network.layers)
    np.testing.assert_array_equal(network(tf.ones([2, 4])), before)
