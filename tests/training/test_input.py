"""How images reach the device: whatever the way, the same batches."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import kernels

from dcgan.datasets.pipeline import gather, make_dataset
from dcgan.latent.labels import ClassTable
from dcgan.models import Discriminator, Generator, convolutions
from dcgan.training import input as input_module
from dcgan.training.input import feed
from dcgan.training.state import GANState
from dcgan.training.step import StepOptions, make_step

ORDER = {"batch_size": 4, "seed": 3, "start_step": 5, "flip": True}


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (18, 6, 5, 3)).astype(np.uint8)


def test_gather_mirrors_the_images_asked_for(images):
    batch = gather(tf.Variable(images), tf.constant([7, 2]), tf.constant([True, False])).numpy()
    np.testing.assert_array_equal(batch[0], images[7, :, ::-1])
    np.testing.assert_array_equal(batch[1], images[2])


@pytest.mark.parametrize(
    ("device", "room", "resident"),
    [(None, 0, False), ("/CPU:0", 100 << 20, False), ("/CPU:0", 3 << 30, True)],
)
def test_batches_are_the_same_by_every_way(images, device, room, resident, monkeypatch):
    """Made by the CPU, sent ahead to a device that lacks the room, and gathered there."""
    monkeypatch.setattr(input_module, "find_single_gpu", lambda strategy: device)

    def empty(shape, dtype):  # as a device of that room: to have none, TensorFlow waits 10 seconds
        if np.prod(shape) * dtype.size > room:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    monkeypatch.setattr(tf.raw_ops, "Empty", empty)
    expected = iter(make_dataset(images, **ORDER).take(9))  # epochs of 4: over two ends
    batches, step = feed(images, lambda batch: batch, tf.distribute.get_strategy(), **ORDER)
    assert isinstance(batches.element_spec, tuple) == resident
    for batch, wanted in zip(batches.take(9), expected, strict=True):
        found = step(batch)
        assert found.shape == (4, 6, 5, 3) and found.dtype == tf.uint8
        np.testing.assert_array_equal(found, wanted)


def test_there_is_no_single_gpu_among_cpus():
    assert input_module.find_single_gpu(tf.distribute.get_strategy()) is None


@pytest.mark.skipif(not tf.test.is_built_with_cuda(), reason="this TensorFlow knows no GPU")
@pytest.mark.parametrize(
    ("precision", "classes"),
    [
        ("mixed_bfloat16", (3,)),
        pytest.param("mixed_float16", (), marks=pytest.mark.slow),
        pytest.param("float32", (3,), marks=pytest.mark.slow),
    ],
)
def test_a_step_with_its_images_on_a_gpu_needs_no_cpu(precision, classes, monkeypatch):
    """Every operation has a kernel there: else all images would come back for each batch.

    TensorFlow knows its kernels where no GPU is.
    """
    monkeypatch.setattr(convolutions, "_on_gpus", lambda: True)
    state = GANState(
        Generator((16, 16, 3), z_dim=5, width=8, dtype=precision, classes=classes),
        Discriminator((16, 16, 3), width=8, dtype=precision, classes=classes),
        loss_scaling=precision == "mixed_float16",
    )
    labels = np.array([[0], [1], [2]] * 3, np.int32)
    table = ClassTable.of({"label": "abc"}, labels, z_dim=5, z_dist="normal01") if classes else None
    step = make_step(state, StepOptions(4, ema_decay=0.9), tf.distribute.get_strategy(), table)
    resident = tf.Variable(np.zeros((9, 16, 16, 3), np.uint8), trainable=False)

    @tf.function(autograph=False)
    def whole(rows, mirrored):
        pictures = gather(resident, rows, mirrored)
        return step((pictures, tf.gather(labels, rows)) if classes else pictures)

    numbers = tf.TensorSpec([4], tf.int64), tf.TensorSpec([4], tf.bool)
    graph = whole.get_concrete_function(*numbers).graph.as_graph_def()
    nodes = [*graph.node, *(node for part in graph.library.function for node in part.node_def)]
    assert {"Conv2D", "ResourceApplyAdam", "ResourceGather"} <= {node.op for node in nodes}
    assert {node.op for node in nodes if not _has_gpu_kernel(node)} <= {"Placeholder"}


kernels_of = functools.cache(kernels.get_registered_kernels_for_op)


def _has_gpu_kernel(node) -> bool:
    """Whether TensorFlow can do the operation, with its types, on a GPU."""
    return any(
        kernel.device_type in ("GPU", "DEFAULT")
        and all(
            {node.attr[limit.name].type, *node.attr[limit.name].list.type} - {0}
            <= set(limit.allowed_values.list.type)
            for limit in kernel.constraint
        )
        for kernel in kernels_of(node.op).kernel
    )
