"""Batches: every image once an epoch, in an order that a restart repeats."""

import numpy as np
import pytest
import tensorflow as tf

from dcgan import UserError
from dcgan.datasets.pipeline import make_dataset


def numbered(count, height=2, width=3, channels=3):
    """Image i holds i and the number of the column, so that it and its mirror image are known."""
    images = np.zeros((count, height, width, channels), np.uint8)
    images[..., 0] = np.arange(count)[:, None, None]
    images[..., 1] = np.arange(width)
    return images


def take(count, images, **kwargs):
    kwargs = {"batch_size": 4, "seed": 0, **kwargs}
    return np.stack(list(make_dataset(images, **kwargs).take(count).as_numpy_iterator()))


def which(found):
    """The numbers of the images in batches of any shape."""
    return found[..., 0, 0, 0]


def test_every_epoch_is_a_permutation():
    images = numbered(12)
    found = take(9, images)  # three epochs of three batches
    assert found.shape == (9, 4, 2, 3, 3) and found.dtype == np.uint8
    epochs = which(found).reshape(3, 12)
    for epoch in epochs:
        assert sorted(epoch) == list(range(12))
        assert list(epoch) != list(range(12))
    assert len({tuple(epoch) for epoch in epochs}) == 3
    np.testing.assert_array_equal(found, images[which(found)])


def test_what_is_left_over_is_dropped_and_differs():
    # 10 images, batches of 4: two batches an epoch, two images left.
    epochs = which(take(2 * 30, numbered(10))).reshape(30, 8)
    left = [frozenset(range(10)) - set(epoch) for epoch in epochs]
    assert all(len(epoch_left) == 2 for epoch_left in left)
    assert frozenset.union(*left) == frozenset(range(10))  # missed by all: 10 * 0.8^30 = 1 %


def test_the_order_is_shuffled_fairly():
    """Over 500 epochs each of 4 images stands first in a quarter."""
    firsts = which(take(500, numbered(4), seed=3))[:, 0]
    assert (np.abs(np.bincount(firsts, minlength=4) - 125) < 49).all()  # 5 * sqrt(500 * 3 / 16)


def test_a_later_start_is_the_same_as_skipping():
    images = numbered(10)
    whole = take(105, images, seed=7, flip=True)
    for start in (1, 2, 3, 7, 100):
        later = take(5, images, seed=7, start_step=start, flip=True)
        np.testing.assert_array_equal(later, whole[start : start + 5])


def test_the_seed_is_the_order():
    images = numbered(40)
    one = take(10, images, seed=1)
    np.testing.assert_array_equal(one, take(10, images, seed=1))
    assert (one != take(10, images, seed=2)).any()
    # Another pair of the same sum: seed 0, epoch 1 and seed 1, epoch 0.
    assert (take(20, images, seed=0)[10:] != one).any()


def test_flips_are_exact_mirror_images_of_half():
    images = np.random.default_rng(0).integers(0, 256, (100, 3, 4, 3)).astype(np.uint8)
    plain = take(100, images, flip=False)
    mirrored = take(100, images, flip=True)  # four epochs of 100
    flips = (mirrored != plain).any(axis=(2, 3, 4))
    np.testing.assert_array_equal(mirrored[flips], plain[flips][:, :, ::-1])
    np.testing.assert_array_equal(mirrored[~flips], plain[~flips])
    assert abs(flips.mean() - 0.5) < 5 * 0.5 / np.sqrt(400)
    # One image is not always, nor never, mirrored: its flips belong to the epoch.
    flips, seen = flips.reshape(4, 100), numbered(100)
    order = which(take(100, seen, flip=False)).reshape(4, 100)
    by_image = np.stack([f[np.argsort(o)] for f, o in zip(flips, order, strict=True)])
    assert 0 < np.sum(by_image.any(0) & ~by_image.all(0)) < 100


def test_fewer_images_than_a_batch():
    with pytest.raises(UserError, match="There are 7 images, fewer than a batch of 8") as error:
        make_dataset(numbered(7), batch_size=8, seed=0)
    assert str(error.value).count(". ") == 0 and "smaller batch" in str(error.value)
    next(iter(make_dataset(numbered(8), batch_size=8, seed=0)))  # exactly a batch is enough


def test_each_iteration_begins_at_the_first_step():
    dataset = make_dataset(numbered(10), batch_size=4, seed=5, start_step=3, flip=True)
    assert dataset.element_spec == tf.TensorSpec((4, 2, 3, 3), tf.uint8)
    one, other = (np.stack([b.numpy() for b in dataset.take(9)]) for _ in range(2))
    np.testing.assert_array_equal(one, other)


def test_the_shares_of_all_workers_are_the_batches():
    images, workers = numbered(21), 4
    options = {"batch_size": 8, "seed": 5, "start_step": 1, "flip": True}
    shares = [
        np.stack([b.numpy() for b in make_dataset(images, **options, share=(i, workers)).take(5)])
        for i in range(workers)
    ]
    assert shares[0].shape == (5, 8 // workers, *images.shape[1:])
    np.testing.assert_array_equal(np.concatenate(shares, axis=1), take(5, images, **options))


@pytest.mark.parametrize("by_number", [False, True])
def test_it_is_known_to_be_endless_and_nothing_sleeps_where_an_iterator_ends(by_number):
    """TensorFlow's tuner of data sets does, for up to a minute: no thread is to be its own."""
    batches = make_dataset(numbered(12), batch_size=4, seed=0, by_number=by_number)
    assert batches.cardinality() == tf.data.INFINITE_CARDINALITY
    assert batches.options().autotune.enabled is False
    kept = tf.distribute.get_strategy().experimental_distribute_dataset(batches)
    assert kept.options().autotune.enabled is False
