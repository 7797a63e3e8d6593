"""The Frechet distance: closed forms of normal distributions, scipy, and its interval."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from dcgan.evaluation import fid
from dcgan.evaluation.fid import Moments


def features(count: int, dimensions: int = 5, seed: int = 0) -> np.ndarray:
    """Correlated, skewed and not centred, as a network's are."""
    random = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(dimensions, dimensions))
    return np.maximum(random.normal(size=(count, dimensions)) @ mixing + 0.5, 0).astype(np.float32)


def normal(mean, covariance) -> Moments:
    """Of 2 D rows m + a and m - a, a = sqrt((2 D - 1) / 2) times a column of C's symmetric root."""
    values, vectors = np.linalg.eigh(np.array(covariance, float))
    ways = (vectors * np.sqrt(np.maximum(values, 0) * (len(mean) - 0.5))).T
    made = Moments.of(np.concatenate([mean + ways, mean - ways]))
    np.testing.assert_allclose(made.covariance, covariance, atol=1e-12)
    return made


def frechet_distance(one: Moments, other: Moments) -> float:
    scales = fid._pair(one.covariance, other.covariance)[2]
    return fid._distance(one, other, scales)


def by_sqrtm(one: Moments, other: Moments) -> float:
    root = sqrtm(one.covariance @ other.covariance).real
    gap = one.mean - other.mean
    return gap @ gap + np.trace(one.covariance + other.covariance - 2 * root)


# --- moments


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_moments_are_numpys_whatever_the_blocks(size, monkeypatch):
    monkeypatch.setattr(fid, "BLOCK", size)
    rows = features(200)
    moments = Moments.of(rows)
    np.testing.assert_allclose(moments.mean, rows.mean(0, np.float64), rtol=1e-12)
    np.testing.assert_allclose(moments.covariance, np.cov(rows.T.astype(float)), rtol=1e-11)


def test_moments_keep_their_digits_far_from_the_origin():
    """Plain sums of squares of 1e8 would leave no digit of a variance of 1."""
    rows = features(500).astype(np.float64)
    np.testing.assert_allclose(
        Moments.of(rows + 1e8).covariance, Moments.of(rows).covariance, rtol=1e-6
    )


# --- the distance


def test_of_singular_covariances():
    """u = (3, 4), v = (1, 1): |u|^2 + |v|^2 - 2 |u.v| = 25 + 2 - 14."""
    u, v = np.array([3.0, 4]), np.array([1.0, 1])
    one, other = normal([0, 0], np.outer(u, u)), normal([0, 0], np.outer(v, v))
    assert frechet_distance(one, other) == pytest.approx(13)
    point = normal([1, 0], np.zeros((2, 2)))
    assert frechet_distance(one, point) == frechet_distance(point, one) == pytest.approx(26)
    assert frechet_distance(point, point) == 0.0


@pytest.mark.parametrize("dimensions", [1, 3, 40])
def test_it_agrees_with_scipys_matrix_root(dimensions):
    one = Moments.of(features(300, dimensions))
    other = Moments.of(features(250, dimensions, seed=1) ** 2)
    assert frechet_distance(one, other) == pytest.approx(by_sqrtm(one, other), rel=1e-8)
    assert frechet_distance(other, one) == pytest.approx(by_sqrtm(one, other), rel=1e-8)


@pytest.mark.parametrize("count", [10, 500])  # fewer than dimensions, and more
def test_of_a_sample_and_itself_in_another_order_it_is_0(count):
    rows = features(count, 30)
    shuffled = np.random.default_rng(1).permutation(rows)
    assert fid.fid(rows, shuffled).value == pytest.approx(0, abs=1e-6 * float(rows.var(0).sum()))


def test_neither_blocks_nor_order_show(monkeypatch):
    real, fake = features(300), features(200, seed=1)[:, ::-1]
    expected = fid.fid(real, fake)
    monkeypatch.setattr(fid, "BLOCK", 17)
    found = fid.fid(real[::-1], np.random.default_rng(0).permutation(fake))
    for name in ("value", "low", "high"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-9)


# --- the interval


@pytest.mark.parametrize("count", [100, 12])  # of 12 images of 20 dimensions C is singular
def test_the_delta_method_agrees_with_leaving_one_out(count):
    """The jackknife: (N - 1) / N times the sum of squares of what each omission changes."""
    dimensions = 3 if count == 100 else 20
    real, fake = features(count, dimensions), features(60, dimensions, seed=1) * 1.3
    variance = 0.0
    for one, other in ((real, fake), (fake, real)):
        values = [fid.fid(np.delete(one, i, 0), other).value for i in range(len(one))]
        variance += (len(one) - 1) * np.var(values)
    found = fid.fid(real, fake)
    assert (found.high - found.value) / 1.96 == pytest.approx(np.sqrt(variance), rel=0.15)
    assert found.low == pytest.approx(max(2 * found.value - found.high, 0))
