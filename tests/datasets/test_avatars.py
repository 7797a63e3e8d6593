"""The built-in avatars: the same seed is the same face, which shows what its attributes say."""

import pickle

import numpy as np
import pytest

from dcgan.datasets import avatars
from dcgan.datasets.avatar_drawing import outline
from dcgan.datasets.source import ImageSpec

SEEDS = 6000
# Where in a 96 x 96 picture an attribute must show when the head stands straight: rows, columns.
REGIONS = {
    "hair": (slice(0, 45), slice(0, 96)),
    "eyes": (slice(44, 70), slice(20, 76)),
    "skin": (slice(60, 90), slice(30, 66)),
    "background": (slice(0, 20), slice(0, 96)),
    "style": (slice(0, 96), slice(0, 96)),
    "bangs": (slice(15, 65), slice(20, 76)),
    "mouth": (slice(66, 86), slice(34, 62)),
    "brows": (slice(32, 52), slice(20, 76)),
    "glasses": (slice(44, 74), slice(15, 81)),
}


def straight_face(**chosen: int) -> np.ndarray:
    """A face without small variations, with the first value of every attribute not named."""
    plain = dict.fromkeys(avatars.ATTRIBUTES, 0)
    face = avatars.look(plain | chosen, dict.fromkeys(avatars._VARIATIONS, 0.0))
    return avatars.paint(face, 96, 96)


@pytest.fixture(scope="module")
def chosen() -> dict[str, np.ndarray]:
    rows = [avatars.attributes(seed) for seed in range(SEEDS)]
    return {name: np.array([row[name] for row in rows]) for name in avatars.ATTRIBUTES}


def test_shapes_are_smooth_but_for_their_corners():
    """Eight points make a circle, or an octagon, whose sides come as near as cos(pi / 8)."""
    points = [f"{np.cos(a)},{np.sin(a)}" for a in np.arange(8) * np.pi / 4]
    assert np.abs(np.hypot(*outline(" ".join(points)).T) - 1).max() < 0.01
    octagon = np.hypot(*outline(",1 ".join(points) + ",1").T)
    assert octagon.min() == pytest.approx(np.cos(np.pi / 8)) and octagon.max() == pytest.approx(1)


def test_same_seed_gives_the_same_bytes_and_other_seeds_other_faces():
    faces = [avatars.draw(seed, 48, 48).tobytes() for seed in range(100)]
    assert faces[7] == avatars.draw(7, 48, 48).tobytes()
    assert len(set(faces)) == 100


@pytest.mark.parametrize("seed", [0, 2**63 - 1])
def test_a_face_of_any_63_bits_is_the_same_at_every_size(seed):
    small = avatars.draw(seed, 48, 48).astype(float)
    large = avatars.draw(seed, 192, 192).astype(float)
    averaged = large.reshape(48, 4, 48, 4, 3).mean(axis=(1, 3))
    other = avatars.draw(seed // 2 + 1, 48, 48).astype(float)
    # Lines are at least one canvas pixel wide, so thin ones are a little stronger when small.
    assert np.abs(small - averaged).mean() < 6
    assert np.abs(small - other).mean() > 24


@pytest.mark.parametrize("name", avatars.ATTRIBUTES)
def test_frequencies_match_the_weights(name, chosen):
    weights = np.array(avatars.WEIGHTS[name])
    counts = np.bincount(chosen[name], minlength=len(weights))
    assert len(counts) == len(weights) and counts.min() > 0
    expected = SEEDS * weights
    # Chi-square with at most 11 degrees of freedom exceeds 35 with a probability below 0.0003.
    assert ((counts - expected) ** 2 / expected).sum() < 35


def test_attributes_are_independent(chosen):
    # Independent indices correlate by 1 / sqrt(6000) = 0.013; 5 sigma = 0.065.
    correlations = np.corrcoef(np.stack(list(chosen.values())))
    assert np.abs(correlations - np.eye(len(chosen))).max() < 0.065


@pytest.mark.parametrize("name", avatars.ATTRIBUTES)
def test_every_value_of_an_attribute_looks_different_where_it_belongs(name):
    rows, columns = REGIONS[name]
    faces = [
        straight_face(**{name: value})[rows, columns].astype(float)
        for value in range(len(avatars.ATTRIBUTES[name]))
    ]
    for i, face in enumerate(faces):
        for other in faces[:i]:
            # At least 1 % of the region's pixels differ by what an eye sees.
            assert (np.abs(face - other).max(axis=-1) > 24).mean() > 0.01


@pytest.mark.parametrize("name", ["mouth", "brows", "glasses", "eyes"])
def test_an_attribute_of_the_face_leaves_the_rest_alone(name):
    changed = (straight_face() != straight_face(**{name: 2})).any(axis=-1)
    rows, columns = REGIONS[name]
    outside = changed.copy()
    outside[rows, columns] = False
    assert changed.any() and not outside.any()


@pytest.mark.parametrize("size", [(48, 32), (32, 48), (8, 8), (9, 31), (130, 70)])
def test_other_shapes_keep_the_face_in_the_centre(size):
    height, width = size
    side = min(size)
    top, left = (height - side) // 2, (width - side) // 2
    face = avatars.draw(3, height, width)
    assert face.shape == (height, width, 3)
    if (height - side) % 2 == (width - side) % 2 == 0:
        middle = face[top : top + side, left : left + side][
            side // 4 : -side // 8, side // 4 : -side // 4
        ]
        square = avatars.draw(3, side, side)[side // 4 : -side // 8, side // 4 : -side // 4]
        assert np.abs(middle.astype(float) - square).mean() < 6


def test_decode_honours_order_and_needs_no_crop():
    source = avatars.Avatars(50)
    spec = ImageSpec(24, 32, 3, crop=True, crop_height=10, crop_width=10)
    decoded = source.decode([9, 3, 9, 0], spec)
    assert decoded.indices == [9, 3, 9, 0] and decoded.skipped == []
    for image, seed in zip(decoded.images, [9, 3, 9, 0], strict=True):
        np.testing.assert_array_equal(image, avatars.draw(seed, 24, 32))
    assert source.decode([], spec).images.shape == (0, 24, 32, 3)


def test_grey_is_the_luminance_of_the_colours():
    decoded = avatars.Avatars(5).decode([4], ImageSpec(20, 20, 1))
    assert decoded.images.shape == (1, 20, 20, 1)
    # ITU-R 601-2: 0.299 R + 0.587 G + 0.114 B.
    expected = avatars.draw(4, 20, 20) @ np.array([0.299, 0.587, 0.114])
    assert np.abs(decoded.images[0, ..., 0] - expected).max() <= 1


def test_a_source_is_small_picklable_and_knows_itself():
    source = avatars.Avatars(30)
    assert set(source.labels) == set(avatars.ATTRIBUTES)
    for name, labels in source.labels.items():
        assert labels.names == avatars.ATTRIBUTES[name] and labels.values.dtype == np.int32
        assert labels.values.tolist() == [avatars.attributes(seed)[name] for seed in range(30)]
    assert len(source) == 30 and len(avatars.Avatars()) == 20_000
    assert source.name == "avatars"
    assert source.summary().found == 30 and source.summary().skipped == ()
    copy = pickle.loads(pickle.dumps(source))
    assert copy.fingerprint == source.fingerprint != avatars.Avatars(31).fingerprint
    int(source.fingerprint, 16)
    assert len(pickle.dumps(avatars.Avatars())) < 1000
