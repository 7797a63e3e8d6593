"""No image that an extractor learns from is one that it judges, wherever the two lie."""

import numpy as np
import pytest

from dcgan.datasets import prepare
from dcgan.evaluation import unseen

DIFFERENT = np.random.default_rng(0).integers(0, 256, (100, 2, 3, 1), np.uint8)
# Each of the first ten is there eleven times, in various places.
IMAGES = np.concatenate([*[DIFFERENT[:10]] * 10, DIFFERENT])


def contents(images: np.ndarray) -> list[bytes]:
    return [image.tobytes() for image in images]


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
