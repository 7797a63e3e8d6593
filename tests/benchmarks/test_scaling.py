"""The model of many GPUs: its counts against TensorFlow's, and docs/scaling.md against both."""

from pathlib import Path

import pytest
import tensorflow as tf

from dcgan.benchmarks import scaling
from dcgan.models import Discriminator, Generator

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def networks():
    made = Generator((64, 64, 3)), Discriminator((64, 64, 3))
    for network in made:
        network.build()
    return made


def test_arithmetic_by_hand(networks):
    """Each layer between two widths w and 2 w moves 25 * w * 2 w numbers at each small position."""
    inner = 2 * 25 * (4 * 4 * 512 * 256 + 8 * 8 * 256 * 128 + 16 * 16 * 128 * 64)
    image = 2 * 25 * 32 * 32 * 64 * 3
    assert scaling.forward_flops(networks[0]) == 2 * 100 * 8192 + inner + image
    assert scaling.forward_flops(networks[1]) == inner + image + 2 * 8192


def test_arithmetic_by_tensorflows_profiler(networks):
    for network, shape in zip(networks, [(1, 100), (1, 64, 64, 3)], strict=True):
        inputs = tf.TensorSpec(shape)
        graph = tf.function(lambda x, n=network: n(x, training=False)).get_concrete_function(inputs)
        options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
        profile = tf.compat.v1.profiler.profile(graph.graph, options={**options, "output": "none"})
        assert scaling.forward_flops(network) == pytest.approx(profile.total_float_ops, rel=0.02)


def test_bytes_and_messages(networks):
    """Four layers of normalization in the generator, three in the discriminator."""
    cost = scaling.step_cost(*networks)
    weights = [v for network in networks for v in network.trainable_variables]
    assert cost.gradient_bytes == sum(v.numpy().nbytes for v in weights)
    assert cost.messages == 2 * 4 + 2 * 3 * 3


def test_the_document_says_what_is_computed(networks):
    text = (ROOT / "docs" / "scaling.md").read_text("utf-8")
    cost = scaling.step_cost(*networks)
    assert scaling.counted(cost) in " ".join(text.split())
    for row in scaling.table(cost):
        assert row in text, row


def test_more_replicas_are_never_more_efficient(networks):
    cost = scaling.step_cost(*networks)
    for synchronized in (True, False):
        speeds = [
            64 / scaling.step_seconds(cost, replicas, 64, synchronized=synchronized)
            for replicas in scaling.MACHINES
        ]
        assert speeds == sorted(speeds, reverse=True)
