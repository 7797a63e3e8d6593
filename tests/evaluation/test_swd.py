"""The sliced Wasserstein distance: closed forms, scipy, the pyramid, its interval."""

import numpy as np
import pytest
from scipy import ndimage
from scipy.stats import wasserstein_distance

from dcgan.evaluation import swd as module
from dcgan.evaluation.swd import levels, pyramid, sliced_wasserstein, swd


def pictures(count: int, seed: int = 0, shape=(28, 24, 3)) -> np.ndarray:
    """Smooth colours with a little noise."""
    random = np.random.default_rng(seed)
    rough = ndimage.gaussian_filter(random.normal(size=(count, *shape)), (0, 3, 3, 0))
    return np.clip(128 + 400 * rough + random.normal(0, 5, rough.shape), 0, 255).astype(np.uint8)


pytestmark = pytest.mark.usefixtures("quick_swd")


def random() -> np.random.Generator:
    return np.random.default_rng(7)


# --- along directions


def test_along_each_direction_it_is_scipys():
    one, other = (random().normal(size=(300, 5)).astype(np.float32) + i for i in range(2))
    other *= 2
    ways = random().normal(size=(64, 5))
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    expected = np.mean([wasserstein_distance(one @ way, other @ way) for way in ways])
    assert sliced_wasserstein(one, other, random=random(), directions=64) == pytest.approx(
        expected, rel=1e-4
    )


# --- the pyramid


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((64, 64), [(64, 64), (32, 32), (16, 16)]),  # as in the paper
        ((28, 28), [(28, 28), (14, 14)]),
        ((48, 96), [(48, 96), (24, 48), (12, 24)]),
        ((25, 23), [(25, 23), (13, 12)]),
        ((7, 100), [(7, 100)]),
    ],
)
def test_levels(size, expected):
    assert levels(*size) == expected


def test_a_level_is_what_two_dimensional_filters_give():
    """Burt and Adelson's, written with whole 5 x 5 kernels."""
    image = pictures(1)[0].astype(float)  # 28 x 24
    weights = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1])[:, :, np.newaxis] / 256
    half = ndimage.convolve(image, weights, mode="mirror")[::2, ::2]
    sparse = np.zeros_like(image)
    sparse[::2, ::2] = half
    fine = image - ndimage.convolve(sparse, 4 * weights, mode="mirror")
    floats = image[np.newaxis].astype(np.float32)
    for found, expected in zip(pyramid(floats), (fine, half), strict=True):
        np.testing.assert_allclose(found[0], expected, atol=1e-3)


@pytest.mark.parametrize("shape", [(28, 24, 3), (25, 23, 1)])
def test_one_colour_is_on_the_coarsest_level_only(shape):
    """Edges and odd sides included: nothing of them is mistaken for texture."""
    images = np.full((2, *shape), 77, np.float32)
    fine, coarse = pyramid(images)
    np.testing.assert_allclose(fine, 0, atol=1e-4)
    np.testing.assert_allclose(coarse, 77, rtol=1e-6)


# --- the distance


@pytest.mark.parametrize("shape", [(7, 9, 1), (25, 23, 3)])
def test_of_images_and_themselves_it_is_0(shape):
    images = pictures(40, shape=shape)
    found = swd(images, images)
    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_it_is_the_mean_of_its_levels():
    found = swd(pictures(40), pictures(40, 1))
    assert list(found.parts) == ["28x24", "14x12"]
    assert found.value == pytest.approx(np.mean(list(found.parts.values())))
    assert found.low < found.value < found.high


@pytest.mark.parametrize(("block", "at_once"), [(1, 64), (7, 5), (1000, 1)])
def test_blocks_do_not_show(monkeypatch, block, at_once):
    real, fake = pictures(40), pictures(30, 1)  # not as many: both give as many patches
    expected = swd(real, fake)
    monkeypatch.setattr(module, "BLOCK", block)
    monkeypatch.setattr(module, "AT_ONCE", at_once)
    assert swd(real, fake).value == pytest.approx(expected.value, rel=1e-5)


def test_every_image_gives_patches():
    """Where one image of many differs, the distance does."""
    real = np.full((50, 7, 7, 1), 10, np.uint8)
    for row in (0, 17, 49):
        fake = real.copy()
        fake[row, 3, 3] = 200
        assert swd(real, fake).value > 0


def test_19_of_20_intervals_hold_the_mean_of_all_measurements(monkeypatch):
    monkeypatch.setattr(module, "MOST_PATCHES", 1500)

    def one(i):
        return swd(pictures(60, 2 * i, (12, 12, 1)), pictures(60, 2 * i + 1, (12, 12, 1)) // 2)

    found = [one(i) for i in range(40)]
    mean = np.mean([one.value for one in found])
    assert np.mean([one.low <= mean <= one.high for one in found]) >= 0.85
