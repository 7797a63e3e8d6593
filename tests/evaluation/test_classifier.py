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
from dcgan.datasets import mnist
from dcgan.datasets.prepare import prepare
from dcgan.datasets.source import ImageSpec, Labels
from dcgan.evaluation import classifier, classifier_network, extractors, trunk

DATA = Path(__file__).parents[3] / "shared" / "data"
COLOURS = {"red": (200, 40, 40), "green": (40, 200, 40), "blue": (40, 40, 200)}
KINDS = ("across", "down")


def stripes(count: int, seed: int = 0) -> SimpleNamespace:
    """A data set of striped pictures in noise, labelled by colour and by direction."""
    random = np.random.default_rng(seed)
    colours, kinds = random.integers(0, 3, count), random.integers(0, 2, count)
    rows, columns = np.indices((12, 10))
    phase = random.integers(0, 4, count)[:, np.newaxis, np.newaxis]
    across = np.where((rows + phase) % 4 < 2, 1.0, 0.5)
    down = np.where((columns + phase) % 4 < 2, 1.0, 0.5)
    light = np.where((kinds == 0)[:, np.newaxis, np.newaxis], across, down)
    images = light[..., np.newaxis] * np.array(list(COLOURS.values()))[colours][:, None, None]
    images = np.clip(images + random.normal(0, 10, images.shape), 0, 255).astype(np.uint8)
    labels = {
        "colour": Labels(colours.astype(np.int32), tuple(COLOURS)),
        "kind": Labels(kinds.astype(np.int32), KINDS),
    }
    return SimpleNamespace(images=images, labels=labels)


@pytest.fixture
def small(monkeypatch):
    """Small networks."""
    monkeypatch.setattr(classifier_network, "STEM", 8)
    monkeypatch.setattr(classifier_network, "WIDTHS", (16,))
    monkeypatch.setattr(classifier_network, "BATCH", 32)


@pytest.fixture
def ignorant(small, eager, monkeypatch):
    """It may know nothing, and 50 images suffice; nothing is compiled."""
    monkeypatch.setattr(classifier, "_require_knowledge", lambda *_: None)
    monkeypatch.setattr(classifier, "FEWEST_LABELLED", 50)


@pytest.fixture
def untrained(ignorant, monkeypatch) -> list[tuple]:
    """The initial weights count as trained; returns what `train` was to have."""
    calls = []
    monkeypatch.setattr(classifier_network, "train", lambda *args, **_: calls.append(args))
    return calls


def load(data: SimpleNamespace, folder: Path, seed: int = 0) -> classifier.Classifier:
    return classifier.load(data, folder=folder, seed=seed)


# --- what it learns


def test_one_trunk_learns_all_labellings(tmp_path, small, monkeypatch, caplog):
    monkeypatch.setattr(classifier_network, "PASSES", 3_000)
    with caplog.at_level(logging.INFO, "dcgan"):
        found = load(stripes(600), tmp_path)
    assert found.classes == {"colour": tuple(COLOURS), "kind": KINDS}
    assert found.accuracy["colour"] > 0.9 and found.accuracy["kind"] > 0.9
    new = stripes(300, seed=1)
    extracted = found(new.images)
    assert extracted.features.shape == (300, 16) and extracted.features.dtype == np.float32
    for name, true in new.labels.items():
        probabilities = extracted.probabilities[name]
        np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
        assert (probabilities.argmax(1) == true.values).mean() > 0.9
    assert re.search(
        r"right on \d+\.\d% \(colour\), \d+\.\d% \(kind\) of 120 held-out", caplog.text
    )


def test_one_that_has_learnt_nothing_is_refused(tmp_path, small, monkeypatch):
    """Train and test taken for classes, say: labels that no picture shows."""
    data, values = stripes(600), (np.random.default_rng(1).random(600) > 0.9).astype(np.int32)
    data.labels = {"folder": Labels(values, ("train", "test"))}
    monkeypatch.setattr(classifier_network, "train", lambda *_, **__: None)
    for _ in range(2):  # as if trained, and from the cache
        with pytest.raises(UserError) as error:
            load(data, tmp_path)
        most = max(np.mean(values), 1 - np.mean(values))
        words = f'naming the largest class of the labels "folder" would be right on {most:.1%}'
        assert words in str(error.value) and "--extractor self_supervised" in str(error.value)
    known = SimpleNamespace(test_count=120, accuracy={"folder": most, "kind": 0.9})
    both = {"folder": values, "kind": np.arange(600) % 2}
    classifier._require_knowledge(known, both)  # it knows one of them


def test_its_accuracy_is_that_on_images_it_has_not_seen(tmp_path, untrained):
    data = stripes(100)
    found = load(data, tmp_path, seed=3)
    [(_, learnt, truths)] = untrained
    assert found.test_count == 20 and len(learnt) == 80
    # Every image is in one of the two parts: the noise makes each unlike all others.
    seen = {image.tobytes() for image in learnt}
    parts = np.array([image.tobytes() in seen for image in data.images])
    assert parts.sum() == 80
    said = found(data.images[~parts]).probabilities["colour"].argmax(1)
    right = said == data.labels["colour"].values[~parts]
    assert found.accuracy["colour"] == pytest.approx(right.mean())
    np.testing.assert_array_equal(learnt, data.images[parts])
    np.testing.assert_array_equal(truths[1], data.labels["kind"].values[parts])
    again = load(data, tmp_path, seed=3)  # from the cache
    assert again.accuracy == found.accuracy and len(untrained) == 1


def test_the_same_seed_gives_the_same_classifier_and_another_seed_another(
    tmp_path, ignorant, monkeypatch
):
    monkeypatch.setattr(classifier_network, "PASSES", 64)  # two steps
    data = stripes(60)
    one, same = (load(data, tmp_path / name, seed=5) for name in "ab")
    assert one.fingerprint == same.fingerprint
    np.testing.assert_array_equal(one(data.images).features, same(data.images).features)
    monkeypatch.setattr(classifier_network, "train", lambda *_, **__: None)
    weights = [load(data, tmp_path / "c", seed=seed).fingerprint for seed in (5, 6)]
    assert len({*weights, one.fingerprint}) == 3  # they begin with other weights


def test_its_fingerprint_is_of_weights_and_classes(tmp_path, untrained):
    data = stripes(60)
    one = load(data, tmp_path)
    data.labels["kind"] = Labels(data.labels["kind"].values, ("flat", "steep"))
    two = load(data, tmp_path)
    assert one.fingerprint != two.fingerprint and len(one.fingerprint) == 32


# --- what it refuses


def test_images_that_are_all_alike_leave_none_to_judge(tmp_path):
    data = stripes(500)
    data.images[:] = data.images[0]
    with pytest.raises(UserError, match=r"different images, .* only 1 among 500: choose"):
        load(data, tmp_path)


@pytest.mark.parametrize("names", [[], ["one"]])
def test_without_classes_it_says_what_to_do(tmp_path, names):
    data = stripes(500)
    data.labels = {name: Labels(np.zeros(500, np.int32), ("all", "none")) for name in names}
    words = "a folder of their own, or choose --extractor self_supervised"
    with pytest.raises(UserError, match=words):
        load(data, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_too_few_images_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"at least 500 labelled images, received 499: "):
        load(stripes(499), tmp_path)


def test_labellings_without_classes_are_left_out(tmp_path, untrained):
    data = stripes(60)
    data.labels["all"] = Labels(np.zeros(60, np.int32), ("same",))
    data.labels["address"] = Labels(np.arange(60, dtype=np.int32), tuple(map(str, range(60))))
    assert list(load(data, tmp_path).classes) == ["colour", "kind"]


# --- how images are varied


AMOUNTS = ("TURN", "SCALE", "SHIFT", "CONTRAST", "BRIGHTNESS")
SEED = tf.constant([3, 4], tf.int64)


def varied(monkeypatch, images: np.ndarray, **amounts: float) -> np.ndarray:
    """By these amounts only."""
    for name in AMOUNTS:
        monkeypatch.setattr(classifier_network, name, amounts.get(name, 0.0))
    return classifier_network.vary(tf.constant(images, tf.float32), SEED).numpy()


def draws(count: int) -> np.ndarray:
    """The random numbers of `varied`: turn, scales x and y, shifts x and y, contrast, light."""
    return tf.random.stateless_uniform([7, count], SEED, -1.0, 1.0, alg="philox").numpy()


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


def test_every_image_comes_equally_often():
    order = trunk.order(7, 30, seed=0)
    assert sorted(np.bincount(order)) == [4] * 5 + [5] * 2
    assert sorted(order[:7]) == list(range(7)) and list(order[:7]) != list(order[7:14])


# --- real data


@pytest.mark.slow
def test_it_reads_real_digits(tmp_path):
    if not (DATA / "mnist").is_dir():
        pytest.skip(f"{DATA / 'mnist'} is not here")
    source = mnist.find_mnist(DATA / "mnist", download=False)
    prepared = prepare(source, ImageSpec(28, 28, 1), cache_dir=None)
    found = extractors.make("classifier", prepared, cache_dir=tmp_path, seed=0)
    assert found.accuracy["label"] >= 0.99
