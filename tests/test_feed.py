"""How images reach the device: whatever the way, the same batches."""

import numpy as np
import pytest
import tensorflow as tf

from dcgan.datasets.pipeline import gather, make_dataset
from dcgan.training import feed as feed_module
from dcgan.training.feed import feed

ORDER = {"batch_size": 4, "seed": 3, "start_step": 5, "flip": True}


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (18, 6, 5, 3)).astype(np.uint8)


def test_gather_mirrors_the_images_asked_for(images):
    batch = gather(tf.constant(images), tf.constant([7, 2]), tf.constant([True, False])).numpy()
    np.testing.assert_array_equal(batch[0], images[7, :, ::-1])
    np.testing.assert_array_equal(batch[1], images[2])


@pytest.mark.parametrize(("device", "limit"), [(None, 0), ("/CPU:0", 0), ("/CPU:0", 1 << 20)])
def test_batches_are_the_same_by_every_way(images, device, limit, monkeypatch):
    """Made by the CPU, sent ahead to a device, and gathered there."""
    monkeypatch.setattr(feed_module, "single_gpu", lambda strategy: device)
    monkeypatch.setattr(feed_module, "RESIDENT_BYTES", limit)
    expected = iter(make_dataset(images, **ORDER).take(9))
    batches, step = feed(images, lambda batch: batch, tf.distribute.get_strategy(), **ORDER)
    by_number = isinstance(batches.element_spec, tuple)
    assert by_number == (device is not None and limit > 0)  # epochs of 4 batches: 9 go over an end
    for batch, wanted in zip(batches.take(9), expected, strict=True):
        found = step(batch)
        assert found.shape == (4, 6, 5, 3) and found.dtype == tf.uint8
        np.testing.assert_array_equal(found, wanted)


def test_there_is_no_single_gpu_among_cpus():
    assert feed_module.single_gpu(tf.distribute.get_strategy()) is None
