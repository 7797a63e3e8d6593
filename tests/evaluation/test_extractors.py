"""Extraction block by block, the one resize, pixels as features, and extractors by name."""

from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest
from arrays import numbers
from tqdm import tqdm

from dcgan import UserError
from dcgan.evaluation import extractor, extractors, inception, resizing, trunk
from dcgan.evaluation.extractor import BLOCK, Extracted, extract, pieces
from dcgan.evaluation.pixels import Pixels
from dcgan.evaluation.spill import collect
from dcgan.terminal import progress


def blocks(count: int) -> Iterator[np.ndarray]:
    return pieces(numbers(count, 6, 5, 3), np.arange(count))


class Means:
    """Says of each image its mean, as a feature and as a probability."""

    name, fingerprint, resize, classes = "means", "0", "none", {"light": ("dark", "light")}

    def __call__(self, images: np.ndarray) -> Extracted:
        light = images.mean((1, 2, 3), dtype=np.float64).astype(np.float32)[:, np.newaxis] / 255
        return Extracted(light, {"light": np.concatenate([1 - light, light], 1)})


# --- the resize


def cubic(x: np.ndarray) -> np.ndarray:
    """Keys' kernel with a = -1/2, which Pillow calls bicubic."""
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0))


def weights(old: int, new: int) -> np.ndarray:
    """[new, old]: the kernel, widened where images shrink, around each new pixel's centre."""
    factor = old / new
    centres = (np.arange(new) + 0.5) * factor
    found = cubic((np.arange(old) + 0.5 - centres[:, np.newaxis]) / max(factor, 1))
    return found / found.sum(1, keepdims=True)


@pytest.mark.parametrize(("old", "new"), [((9, 14), (299, 299)), ((40, 31), (16, 12))])
def test_the_resize_is_the_antialiased_bicubic_one(old, new):
    images = numbers(2, *old, 3)
    rows, columns = weights(old[0], new[0]), weights(old[1], new[1])
    expected = np.einsum("yh,xw,nhwc->nyxc", rows, columns, images.astype(np.float64))
    found = resizing.resize(images, *new)
    assert found.dtype == np.float32 and found.shape == (2, *new, 3)
    # Pillow leaves out what lies beyond the kernel's rounded support: a thousandth of a level.
    np.testing.assert_allclose(found, np.clip(expected, 0, 255), atol=0.01)
    assert (found != np.rint(found)).mean() > 0.5  # levels are not rounded


@pytest.mark.parametrize(
    ("size", "expected"),
    [((64, 64), (16, 16)), ((109, 89), (16, 13)), ((8, 12), (8, 12)), ((3, 400), (1, 16))],
)
def test_shrinking_keeps_proportions_and_never_enlarges(size, expected):
    assert resizing.shrink(*size, 16) == expected


# --- block by block


def test_what_is_extracted_is_joined():
    images = numbers(600, 6, 5, 3)
    found = collect(extract(Means(), pieces(images, np.arange(600)), total=600, doing="test"))
    np.testing.assert_array_equal(found.features, Means()(images).features)
    np.testing.assert_array_equal(found.probabilities["light"][:, 1:], found.features)


def test_only_one_block_is_held():
    """What has been found is handed on before more images are asked for."""
    given = []

    def arriving():
        for piece in blocks(5 * BLOCK):
            given.append(len(piece))
            yield piece

    for number, _ in enumerate(extract(Means(), arriving(), total=5 * BLOCK, doing="test"), 1):
        assert len(given) == number


def test_a_progress_bar_counts_images_and_vanishes_below_another(capsys, monkeypatch):
    monkeypatch.setattr(progress, "is_interactive", lambda: True)

    def shown() -> str:
        list(extract(Means(), blocks(300), total=300, doing="features of reals"))
        return capsys.readouterr().err

    alone = shown()
    assert "features of reals" in alone and "300/300" in alone
    with tqdm(total=1):
        last = shown().rpartition("images/s]")[2]
    assert last.count(" ") > 40 and not last.strip(" \r\n\x1b[A")  # nothing but spaces over it


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
@pytest.mark.parametrize("where", ["features", "probabilities"])
def test_what_is_not_finite_is_refused(wrong, where):
    class Broken(Means):
        def __call__(self, images):
            found = super().__call__(images)
            (found.features if where == "features" else found.probabilities["light"])[-1] = wrong
            return found

    with pytest.raises(UserError, match="extractor means are not finite: expected .* received"):
        list(extract(Broken(), blocks(3), total=3, doing="test"))


def test_a_block_is_a_whole_number_of_every_extractors_batches():
    assert extractor.BLOCK % trunk.BATCH == extractor.BLOCK % inception.BATCH == 0


# --- pixels


def test_small_images_are_features_as_they_are():
    images = np.array([0, 51, 255, 102], np.uint8).reshape(2, 1, 2, 1)
    found = Pixels((1, 2, 1))(images)
    # -1 + 2 * 51 / 255 = -0.6; -1 + 2 * 102 / 255 = -0.2
    np.testing.assert_allclose(found.features, [[-1, -0.6], [1, -0.2]], atol=1e-6)
    assert found.features.dtype == np.float32 and found.probabilities == {}


def test_large_images_become_sixteen_pixels():
    pixels = Pixels((48, 96, 3))
    images = numbers(70, 48, 96, 3)
    found = pixels(images).features
    assert found.shape == (70, 8 * 16 * 3) and pixels.classes == {}
    assert pixels.resize == "to 8x16, bicubic with antialiasing (Pillow, float32)"
    expected = resizing.resize(images, 8, 16).reshape(70, -1) / 127.5 - 1
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_array_equal(pixels(images[7:9]).features, found[7:9])


def test_the_fingerprint_is_of_what_is_computed():
    assert Pixels((48, 48, 3)).fingerprint == Pixels((48, 48, 3)).fingerprint
    assert Pixels((48, 48, 3)).fingerprint != Pixels((64, 64, 3)).fingerprint


# --- by name


def test_a_wrong_name_is_refused_with_the_right_ones(tmp_path):
    data = SimpleNamespace(images=numbers(4, 8, 8, 3), labels={})
    with pytest.raises(UserError, match=r"'pixel' \(did you mean pixels\?\): expected --extractor"):
        extractors.make("pixel", data, cache_dir=tmp_path, seed=0)
