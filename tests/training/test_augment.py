"""Augmentation: the same changes in NumPy, gradients, and that all hangs on the seed."""

import numpy as np
import pytest
import tensorflow as tf
from test_step import BATCH, make_state, run

from dcgan.cli.train_options import FIELDS
from dcgan.training import step as step_module
from dcgan.training.augment import KINDS, augment
from dcgan.training.step import StepOptions

SEED = tf.constant([3, 9], tf.int64)
SHAPE = (6, 16, 24, 3)


def pictures(shape=SHAPE):
    return np.random.default_rng(1).uniform(-1, 1, shape).astype(np.float32)


def augmented(images, *kinds, seed=SEED):
    return augment(tf.constant(images), kinds, seed=seed).numpy()


def draws():
    return tf.random.stateless_uniform((len(pictures()), 5), SEED, alg="philox").numpy()


def test_translation_moves_whole_images_and_repeats_the_border():
    images = pictures()
    for image, draw, moved in zip(images, draws(), augmented(images, "translation"), strict=True):
        # An eighth of 16 is 2 and of 24 is 3: 5 and 7 moves, all equally likely.
        down, right = int(draw[3] * 5) - 2, int(draw[4] * 7) - 3
        padded = np.pad(image, ((3, 3), (3, 3), (0, 0)), mode="edge")
        np.testing.assert_array_equal(moved, padded[3 - down : 19 - down, 3 - right : 27 - right])


def test_color_is_the_published_formula():
    images = pictures()
    for image, draw, changed in zip(images, draws(), augmented(images, "color"), strict=True):
        image = image + draw[0] - 0.5
        grey = image.mean(-1, keepdims=True)
        image = (image - grey) * 2 * draw[1] + grey
        expected = (image - image.mean()) * (draw[2] + 0.5) + image.mean()
        np.testing.assert_allclose(changed, expected, atol=1e-5)


def test_grey_images_stay_grey_and_keep_their_structure():
    images = pictures((4, 8, 8, 1))
    changed = augmented(images, "color")
    for image, after in zip(images, changed, strict=True):
        assert np.corrcoef(image.ravel(), after.ravel())[0, 1] == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("kinds", [("color",), ("translation",), KINDS])
def test_gradients_reach_the_images(kinds):
    """Both changes are linear but for a constant: the gradient of <augment(x), w> is known by what
    a change of x does to it."""
    images, rng = pictures(), np.random.default_rng(2)
    weights, change = rng.normal(size=(2, *SHAPE)).astype(np.float32)
    x = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(augment(x, kinds, seed=SEED) * weights)
    gradient = tf.convert_to_tensor(tape.gradient(total, x)).numpy()
    expected = ((augmented(images + change, *kinds) - augmented(images, *kinds)) * weights).sum()
    assert (gradient * change).sum() == pytest.approx(expected, rel=1e-3)


def test_it_belongs_to_the_seed_and_the_place_in_the_batch():
    images = pictures()
    one = augmented(images, *KINDS)
    np.testing.assert_array_equal(one, augmented(images, *KINDS))
    np.testing.assert_array_equal(one[:2], augmented(images[:2], *KINDS))
    other = augmented(images, *KINDS, seed=tf.constant([3, 10], tf.int64))
    assert all((a != b).any() for a, b in zip(one, other, strict=True))


def test_the_option_offers_what_there_is():
    assert FIELDS["augment"].metadata["choices"] == ("none", *KINDS)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(
    ("update", "updates", "passes"),
    [
        ("alternating", {"d_steps": 2, "g_steps": 3}, 7),  # 2 x (reals, fakes), 3 x fakes
        ("simultaneous", {}, 2),
    ],
)
def test_all_that_the_discriminator_sees_is_augmented(monkeypatch, update, updates, passes):
    """Reals, fakes and, through the updated discriminator, fakes again, each by a draw of its own;
    and it sees what comes out."""
    seen = []

    def record(images, kinds, *, seed):
        seen.append((kinds, int(tf.get_static_value(seed)[0])))
        return images * 0.0

    monkeypatch.setattr(step_module, "augment", record)
    monkeypatch.setattr(step_module, "draw_seed", lambda seed, step, draw: tf.constant([draw, 0]))
    monkeypatch.setattr(step_module, "training_noise", lambda shape, **kwargs: tf.ones(shape))
    options = StepOptions(BATCH, augment="translation", update=update, **updates)
    [scalars] = run(make_state(), options, 1)
    assert [kinds for kinds, _ in seen] == [("translation",)] * passes
    assert len({draw for _, draw in seen}) == passes
    assert scalars["d_real"] == pytest.approx(scalars["d_fake"], abs=1e-6)  # all black, all alike
