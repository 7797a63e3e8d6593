"""The extractors that learn from the data set: what they keep, and which images they may judge."""

from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from dcgan.datasets import prepare
from dcgan.datasets.source import Labels
from dcgan.evaluation import (
    classifier,
    classifier_network,
    self_supervised,
    self_supervised_network,
    trunk,
    unseen,
)

NETWORKS = {classifier: classifier_network, self_supervised: self_supervised_network}
KINDS = ("across", "down")


def noise(count: int, shape=(12, 10, 3), seed: int = 0, **labels: Labels) -> SimpleNamespace:
    """A data set of images that are all different, of two kinds."""
    random = np.random.default_rng(seed)
    labels = {"kind": Labels((np.arange(count) % 2).astype(np.int32), KINDS)} | labels
    return SimpleNamespace(images=random.integers(0, 256, (count, *shape), np.uint8), labels=labels)


def contents(images: np.ndarray) -> list[bytes]:
    return [image.tobytes() for image in images]


@pytest.fixture(params=NETWORKS, ids=lambda module: module.__name__.rpartition(".")[2])
def module(request) -> ModuleType:
    return request.param


@pytest.fixture
def trained_on(module, eager, monkeypatch) -> list[np.ndarray]:
    """Small networks whose initial weights count as trained; returns what they were to learn from.

    50 images suffice, and nothing is compiled.
    """
    seen = []
    monkeypatch.setattr(classifier, "_require_knowledge", lambda *_: None)  # it has none
    monkeypatch.setattr(classifier, "FEWEST_LABELLED", 50)
    monkeypatch.setattr(self_supervised, "FEWEST_LEARNT", 50)
    monkeypatch.setattr(NETWORKS[module], "STEM", 4)
    monkeypatch.setattr(NETWORKS[module], "WIDTHS", (4, 6))
    monkeypatch.setattr(
        NETWORKS[module], "train", lambda model, images, *_, **__: seen.append(images)
    )
    return seen


def key(module: ModuleType, data: SimpleNamespace, seed: int = 0) -> str:
    """The name under which it is kept."""

    class Asked(Exception):
        pass

    def remember(folder, name, make, fits):
        raise Asked(name)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Asked) as asked:
        patch.setattr(module, "remember", remember)
        module.load(data, folder=None, seed=seed)
    return str(asked.value)


def test_it_is_trained_once_for_the_same_data_recipe_and_seed(tmp_path, module, trained_on):
    data = noise(60)
    copy = SimpleNamespace(images=data.images.copy(), labels=dict(data.labels))
    first, again = (module.load(one, folder=tmp_path, seed=0) for one in (data, copy))
    assert len(trained_on) == 1 and again.fingerprint == first.fingerprint
    np.testing.assert_array_equal(again(data.images).features, first(data.images).features)
    changed = SimpleNamespace(images=data.images.copy(), labels=data.labels)
    changed.images[-1, 0, 0, 0] ^= 1
    keys = [key(module, data), key(module, changed), key(module, data, seed=1)]
    # What an older version has kept, or what has learnt from more, is not used.
    changes = [(module, "VERSION", 9), (module, "MAX_TRAINING_IMAGES", 39), (unseen, "SHARE", 0.1)]
    changes += [(trunk, "LONGEST", 63), (NETWORKS[module], "RECIPE", ("another",))]
    for change in changes:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(*change)
            keys.append(key(module, data))
    assert len(set(keys)) == 8 and key(module, copy) == keys[0]


def test_a_classifier_is_kept_for_its_labels_too():
    values = np.arange(600, dtype=np.int32) % 2
    changed = values.copy()
    changed[0] ^= 1
    labels = [(values, KINDS), (changed, KINDS), (values, ("flat", "steep"))]
    sets = [noise(600, kind=Labels(*one)) for one in labels]
    sets.append(noise(600, other=Labels(values, KINDS)))
    assert len({key(classifier, data) for data in sets}) == 4


def test_what_it_learns_from_is_known_before(tmp_path, module, trained_on):
    """By content: copies of a learnt image, in the data set or in another part of it, are seen."""
    data = noise(100)
    data.images[80:] = data.images[:20]  # a fifth are copies
    prints = module.find_learnt(data, seed=3)
    found = module.load(data, folder=tmp_path, seed=3)
    (learnt,) = trained_on
    seen = set(contents(learnt))
    assert sorted(unseen.fingerprints(learnt)) == sorted(prints)
    assert len(seen) == len(learnt) == 64  # of 80 different ones
    rows = unseen.rows(data.images, prints)
    assert list(rows) == [i for i, one in enumerate(contents(data.images)) if one not in seen]
    assert len(set(contents(data.images[rows]))) == 16
    if module is classifier:
        assert found.test_count == len(rows) > 16  # the copies among them are of one another
    other = noise(50, seed=1).images
    other[::5] = learnt[:10]
    assert list(unseen.rows(other, prints)) == [i for i in range(50) if i % 5]


def test_it_learns_from_a_bounded_number_of_images(tmp_path, module, trained_on, monkeypatch):
    monkeypatch.setattr(module, "MAX_TRAINING_IMAGES", 15)
    found = module.load(noise(60), folder=tmp_path, seed=0)
    assert len(trained_on[0]) == len(module.find_learnt(noise(60), seed=0)) == 15
    assert getattr(found, "test_count", 45) == 45  # it may judge all others


def test_features_do_not_depend_on_the_number_of_images(tmp_path, module, trained_on):
    data = noise(300)
    found = module.load(data, folder=tmp_path, seed=0)
    everything = found(data.images)
    for rows in (slice(0, 1), slice(0, 100), slice(256, 300)):
        some = found(data.images[rows])
        np.testing.assert_array_equal(some.features, everything.features[rows])
        for name, chances in some.probabilities.items():
            np.testing.assert_array_equal(chances, everything.probabilities[name][rows])


def test_large_images_are_made_smaller(tmp_path, module, trained_on):
    data = noise(50, (96, 80, 3))
    found = module.load(data, folder=tmp_path, seed=0)
    assert trained_on[0].shape == (40, 64, 53, 3)
    assert found.resize.startswith("to 64x53, bicubic with antialiasing")
    assert len(found(data.images[:3]).features) == 3


# --- which images they learn from


DIFFERENT = np.random.default_rng(0).integers(0, 256, (100, 2, 3, 1), np.uint8)
# Each of the first ten is there eleven times, in various places.
IMAGES = np.concatenate([*[DIFFERENT[:10]] * 10, DIFFERENT])


@pytest.mark.parametrize(("most", "learns"), [(1_000, 80), (80, 80), (30, 30), (1, 1)])
def test_a_fifth_of_the_different_images_or_more_is_judged(most, learns):
    for seed in range(5):
        judged, learnt = unseen.split(IMAGES, seed=seed, most=most)
        known = contents(IMAGES[learnt])
        assert len(set(known)) == len(known) == learns  # a copy teaches nothing
        assert judged.tolist() == [i for i, c in enumerate(contents(IMAGES)) if c not in known]
        assert len(set(contents(IMAGES[judged]))) == 100 - learns >= 20
        assert learnt.tolist() == sorted(learnt)
        assert unseen.rows(IMAGES, unseen.fingerprints(IMAGES[learnt])).tolist() == judged.tolist()


def test_the_seed_alone_decides_which_they_are():
    choices = [unseen.split(IMAGES, seed=seed, most=30)[1].tolist() for seed in (0, 0, 1, 2)]
    assert choices[0] == choices[1]
    assert len(set(map(tuple, choices))) == 3
    assert np.ptp(choices[0]) > 50  # and not the first ones of the data set


def test_fingerprints_are_equal_where_images_are():
    """Over several blocks, whatever the order of the pixels in memory."""
    images = np.concatenate([IMAGES] * 6)
    assert len(images) > prepare.BLOCK
    found = unseen.fingerprints(images)
    assert found.tolist() == unseen.fingerprints(np.asfortranarray(images)).tolist()
    assert found.tolist() == unseen.fingerprints(IMAGES).tolist() * 6
    assert len(set(found.tolist())) == 100
    assert unseen.rows(images, None).tolist() == list(range(len(images)))
