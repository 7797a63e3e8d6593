"""The classifier of a data set's own labels: what it learns, keeps, says and refuses."""

import logging
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage

from dcgan import UserError
from dcgan.datasets import mnist, svhn
from dcgan.datasets.prepare import prepare
from dcgan.datasets.source import ImageSpec, Labels
from dcgan.evaluation import classifier, classifier_network, extractors, trunk, unseen
from dcgan.evaluation.classifier import load

DATA = Path(__file__).parents[3] / "shared" / "data"
COLOURS = {"red": (200, 40, 40), "green": (40, 200, 40), "blue": (40, 40, 200)}
KINDS = ("across", "down")


def stripes(count: int, shape=(12, 10), seed: int = 0) -> tuple[np.ndarray, dict[str, Labels]]:
    """Striped pictures [count, *shape, 3] in noise, labelled by colour and by direction."""
    random = np.random.default_rng(seed)
    colours, kinds = random.integers(0, 3, count), random.integers(0, 2, count)
    rows, columns = np.indices(shape)
    phase = random.integers(0, 4, count)[:, np.newaxis, np.newaxis]
    across = np.where((rows + phase) % 4 < 2, 1.0, 0.5)
    down = np.where((columns + phase) % 4 < 2, 1.0, 0.5)
    light = np.where((kinds == 0)[:, np.newaxis, np.newaxis], across, down)
    images = light[..., np.newaxis] * np.array(list(COLOURS.values()))[colours][:, None, None]
    images = np.clip(images + random.normal(0, 10, images.shape), 0, 255).astype(np.uint8)
    return images, {
        "colour": Labels(colours.astype(np.int32), tuple(COLOURS)),
        "kind": Labels(kinds.astype(np.int32), KINDS),
    }


@pytest.fixture
def short(monkeypatch):
    """Little training by small networks, so that a test takes seconds."""
    monkeypatch.setattr(classifier_network, "STEM", 8)
    monkeypatch.setattr(classifier_network, "WIDTHS", (8, 16))
    monkeypatch.setattr(classifier_network, "PASSES", 6_000)
    monkeypatch.setattr(classifier_network, "BATCH", 32)


@pytest.fixture
def untrained(monkeypatch):
    """The initial weights count as trained; returns how often that was asked for."""
    calls = []
    monkeypatch.setattr(classifier, "_require_knowledge", lambda *_: None)  # it has none
    monkeypatch.setattr(classifier_network, "STEM", 4)
    monkeypatch.setattr(classifier_network, "WIDTHS", (4, 6))
    monkeypatch.setattr(
        classifier_network, "train", lambda *args, **kwargs: calls.append((args, kwargs))
    )
    return calls


# --- what it learns


def test_one_trunk_learns_all_labellings(tmp_path, short, caplog):
    images, labels = stripes(600)
    with caplog.at_level(logging.INFO, "dcgan"):
        found = load(images, labels, folder=tmp_path, seed=0)
    assert found.classes == {"colour": tuple(COLOURS), "kind": KINDS}
    assert found.accuracy["colour"] > 0.9 and found.accuracy["kind"] > 0.9
    new, truths = stripes(300, seed=1)
    extracted = found(new)
    assert extracted.features.shape == (300, 16) and extracted.features.dtype == np.float32
    for name, true in truths.items():
        probabilities = extracted.probabilities[name]
        np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
        assert (probabilities.argmax(1) == true.values).mean() > 0.9
    assert re.search(
        r"right on \d+\.\d% \(colour\), \d+\.\d% \(kind\) of 120 held-out", caplog.text
    )


def test_one_that_has_learnt_nothing_is_refused(tmp_path, short, monkeypatch):
    """Train and test taken for classes, say: labels that no picture shows."""
    images, _ = stripes(600)
    values = (np.random.default_rng(1).random(600) > 0.9).astype(np.int32)
    labels = {"folder": Labels(values, ("train", "test"))}
    for _ in range(2):  # as if trained, and from the cache
        with monkeypatch.context() as patch, pytest.raises(UserError) as error:
            patch.setattr(classifier_network, "train", lambda *_, **__: None)
            load(images, labels, folder=tmp_path, seed=0)
        most = max(np.mean(values), 1 - np.mean(values))
        assert f"naming the largest class (folder) each time would be on {most:.1%}" in str(
            error.value
        )
        assert "--extractor self_supervised" in str(error.value)
    known = SimpleNamespace(test_count=120, accuracy={"folder": most, "kind": 0.9})
    both = {"folder": values, "kind": np.arange(600) % 2}
    classifier._require_knowledge(known, both)  # it knows one of them


def test_its_accuracy_is_that_on_images_it_has_not_seen(tmp_path, untrained):
    images, labels = stripes(500)
    found = load(images, labels, folder=tmp_path, seed=3)
    (_, learnt, truths), _ = untrained[0]
    assert found.test_count == 100 and len(learnt) == 400
    # Every image is in one of the two parts: the noise makes each unlike all others.
    seen = {image.tobytes() for image in learnt}
    held_out = [i for i, image in enumerate(images) if image.tobytes() not in seen]
    assert len(held_out) == 100
    said = found(images[held_out]).probabilities["colour"].argmax(1)
    right = said == labels["colour"].values[held_out]
    assert found.accuracy["colour"] == pytest.approx(right.mean())
    rows = [i for i, image in enumerate(images) if image.tobytes() in seen]
    np.testing.assert_array_equal(learnt, images[rows])
    np.testing.assert_array_equal(truths[1], labels["kind"].values[rows])


def test_the_same_seed_gives_the_same_classifier_and_another_seed_another(
    tmp_path, short, monkeypatch
):
    monkeypatch.setattr(classifier_network, "PASSES", 320)  # ten steps
    images, labels = stripes(500)
    same = [load(images, labels, folder=tmp_path / name, seed=5) for name in "ab"]
    monkeypatch.setattr(classifier, "_require_knowledge", lambda *_: None)
    monkeypatch.setattr(classifier_network, "train", lambda *_, **__: None)
    one, other = (load(images, labels, folder=tmp_path, seed=seed) for seed in (6, 7))
    assert one.fingerprint != other.fingerprint  # they begin with other weights
    assert same[0].fingerprint == same[1].fingerprint
    np.testing.assert_array_equal(same[0](images).features, same[1](images).features)


def test_features_do_not_depend_on_the_number_of_images(tmp_path, untrained):
    images, labels = stripes(500)
    found = load(images, labels, folder=tmp_path, seed=0)
    everything = found(images)
    for rows in (slice(0, 1), slice(0, 100), slice(256, 500)):
        some = found(images[rows])
        np.testing.assert_array_equal(some.features, everything.features[rows])
        np.testing.assert_array_equal(
            some.probabilities["kind"], everything.probabilities["kind"][rows]
        )


def test_large_images_are_made_smaller(tmp_path, untrained):
    images, labels = stripes(500, (96, 80))
    found = load(images, labels, folder=tmp_path, seed=0)
    (model, learnt, _), _ = untrained[0]
    assert model.input_shape == (None, 64, 53, 3) and learnt.shape == (400, 64, 53, 3)
    assert found.resize.startswith("to 64x53, bicubic with antialiasing")
    assert found(images[:3]).features.shape == (3, 6)


def test_it_learns_from_a_bounded_number_of_images(tmp_path, untrained, monkeypatch):
    monkeypatch.setattr(classifier, "MOST", 150)
    found = load(*stripes(500), folder=tmp_path, seed=0)
    (_, learnt, _), _ = untrained[0]
    assert len(learnt) == 150 and found.test_count == 350  # it may judge all others


# --- what it keeps


def test_it_is_trained_once_for_the_same_data_recipe_and_seed(tmp_path, untrained, monkeypatch):
    images, labels = stripes(500)
    first = load(images, labels, folder=tmp_path, seed=0)
    again = load(images.copy(), dict(labels), folder=tmp_path, seed=0)
    assert len(untrained) == 1
    assert again.fingerprint == first.fingerprint and again.accuracy == first.accuracy
    np.testing.assert_array_equal(again(images).features, first(images).features)
    other_images = images.copy()
    other_images[-1, 0, 0, 0] ^= 1
    other_values = labels["kind"].values.copy()
    other_values[0] ^= 1
    renamed = Labels(labels["kind"].values, ("flat", "steep"))
    for count, (pictures, named, seed) in enumerate(
        [
            (other_images, labels, 0),
            (images, labels, 1),
            (images, labels | {"kind": Labels(other_values, KINDS)}, 0),
            (images, labels | {"kind": renamed}, 0),
            (images, {"kind": labels["kind"]}, 0),
        ],
        start=2,
    ):
        load(pictures, named, folder=tmp_path, seed=seed)
        assert len(untrained) == count
    # A classifier that an older version has kept, or that has learnt from more, is not used.
    changes = [(classifier, "VERSION", 1), (unseen, "SHARE", 0.1), (classifier, "MOST", 399)]
    changes += [(classifier_network, "RECIPE", ("another",))]
    for count, change in enumerate(changes, start=7):
        with monkeypatch.context() as patch:
            patch.setattr(*change)
            load(images, labels, folder=tmp_path, seed=0)
        assert len(untrained) == count


def test_its_fingerprint_is_of_weights_and_classes(tmp_path, untrained):
    images, labels = stripes(500)
    one = load(images, {"kind": labels["kind"]}, folder=tmp_path, seed=0)
    renamed = Labels(labels["kind"].values, ("flat", "steep"))
    two = load(images, {"kind": renamed}, folder=tmp_path, seed=0)
    assert one.fingerprint != two.fingerprint and len(one.fingerprint) == 32


# --- which images it may judge


def test_what_it_learns_from_is_known_before(tmp_path, untrained):
    """By content: copies of a learnt image, in the data set or in another part of it, are seen."""
    images, labels = stripes(500)
    images[400:] = images[:100]  # a fifth are copies
    prints = classifier.find_learnt(images, labels, seed=3)
    found = load(images, labels, folder=tmp_path, seed=3)
    (_, learnt, _), _ = untrained[0]
    assert sorted(unseen.fingerprints(learnt)) == sorted(prints)
    assert len({image.tobytes() for image in learnt}) == len(learnt) == 320  # of 400 different
    seen = {image.tobytes() for image in learnt}
    rows = unseen.rows(images, prints)
    assert list(rows) == [i for i, image in enumerate(images) if image.tobytes() not in seen]
    assert found.test_count == len(rows) > 80  # the copies among them are of one another
    other, _ = stripes(50, seed=1)
    other[::5] = learnt[:10]
    assert list(unseen.rows(other, prints)) == [i for i in range(50) if i % 5]
    assert list(unseen.rows(other, None)) == list(range(50))


def test_images_that_are_all_alike_leave_none_to_judge(tmp_path, untrained):
    images, labels = stripes(500)
    with pytest.raises(UserError, match=r"different images, and of these 500 only 1 are: choose"):
        load(np.repeat(images[:1], 500, 0), labels, folder=tmp_path, seed=0)


# --- what it refuses


@pytest.mark.parametrize("names", [[], ["one"]])
def test_without_classes_it_says_what_to_do(tmp_path, names):
    images, _ = stripes(500)
    labels = {name: Labels(np.zeros(500, np.int32), ("all", "none")) for name in names}
    with pytest.raises(UserError, match=r"one folder a class.*--extractor inception or pixels"):
        load(images, labels, folder=tmp_path, seed=0)
    assert list(tmp_path.iterdir()) == []


def test_too_few_images_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"at least 500 labelled images, received 499: "):
        load(*stripes(499), folder=tmp_path, seed=0)


def test_a_labelling_of_one_class_is_left_out(tmp_path, untrained):
    images, labels = stripes(500)
    labels["all"] = Labels(np.zeros(500, np.int32), ("same",))
    assert list(load(images, labels, folder=tmp_path, seed=0).classes) == ["colour", "kind"]


# --- how images are varied


AMOUNTS = ("TURN", "SCALE", "SHIFT", "CONTRAST", "BRIGHTNESS")


def varied(monkeypatch, images: np.ndarray, seed=(3, 4), **amounts: float) -> np.ndarray:
    """By these amounts only."""
    for name in AMOUNTS:
        monkeypatch.setattr(classifier_network, name, amounts.get(name, 0.0))
    seed = tf.constant(seed, tf.int64)
    return classifier_network.vary(tf.constant(images, tf.float32), seed).numpy()


def draws(count: int, seed=(3, 4)) -> np.ndarray:
    """The random numbers of `varied`: turn, scales x and y, shifts x and y, contrast, light."""
    seed = tf.constant(seed, tf.int64)
    return tf.random.stateless_uniform([7, count], seed, -1.0, 1.0, alg="philox").numpy()


def smooth(count: int) -> np.ndarray:
    """float32 [count, 21, 15, 2] in about [-1, 1], without fine detail."""
    noise = np.random.default_rng(0).normal(0, 3, (count, 21, 15, 2))
    return ndimage.gaussian_filter(noise, (0, 2, 2, 0)).astype(np.float32)


def test_light_changes_every_pixel_of_an_image_alike(monkeypatch):
    images = smooth(4)
    found = varied(monkeypatch, images, CONTRAST=0.3, BRIGHTNESS=0.2)
    contrast, light = (1 + 0.3 * draws(4)[5], 0.2 * draws(4)[6])
    for image, changed, factor, more in zip(images, found, contrast, light, strict=True):
        np.testing.assert_allclose(changed, image * factor + more, atol=1e-5)


def test_they_are_turned_scaled_and_shifted_as_scipy_does_it(monkeypatch):
    images = smooth(5)
    found = varied(monkeypatch, images, TURN=0.2, SCALE=0.12, SHIFT=0.08)
    turn, x_scale, y_scale, x_shift, y_shift, *_ = draws(5).astype(np.float64)
    middle = np.array([10.0, 7.0])  # (y, x)
    for i, image in enumerate(images):
        angle = 0.2 * turn[i]
        rotation = [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]  # (y, x)
        matrix = rotation @ np.diag([1 + 0.12 * y_scale[i], 1 + 0.12 * x_scale[i]])
        offset = middle - matrix @ middle + [0.08 * 21 * y_shift[i], 0.08 * 15 * x_shift[i]]
        for channel in range(2):
            expected = ndimage.affine_transform(
                image[..., channel], matrix, offset, order=1, mode="nearest"
            )
            np.testing.assert_allclose(found[i, ..., channel], expected, atol=1e-3)


def test_the_seed_decides(monkeypatch):
    images = smooth(2)
    one, same, other = (
        varied(monkeypatch, images, seed, TURN=0.2) for seed in [(1, 2), (1, 2), (1, 3)]
    )
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 0.01
    assert np.abs(one[0] - varied(monkeypatch, images[[0, 0]], (1, 2), TURN=0.2)[1]).max() > 0.01


def test_every_image_comes_equally_often():
    order = trunk.order(7, 30, seed=0)
    assert sorted(np.bincount(order)) == [4] * 5 + [5] * 2
    assert sorted(order[:7]) == list(range(7)) and list(order[:7]) != list(order[7:14])


# --- real data


@pytest.mark.slow
@pytest.mark.parametrize(
    ("find", "name", "shape", "least"),
    [(mnist.find_mnist, "mnist", (28, 28, 1), 0.99), (svhn.find, "svhn", (32, 32, 3), 0.88)],
)
def test_it_reads_real_digits(tmp_path, find, name, shape, least):
    if not (DATA / name).is_dir():
        pytest.skip(f"{DATA / name} is not here")
    source = find(DATA / name, download=False)
    prepared = prepare(source, ImageSpec(*shape), cache_dir=None)
    found = extractors.make("classifier", prepared, cache_dir=tmp_path, seed=0)
    assert found.accuracy["label"] >= least
