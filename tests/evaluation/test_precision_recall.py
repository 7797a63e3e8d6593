"""Precision, recall, density, coverage: against full tables, and their intervals."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from dcgan.evaluation import precision_recall as module
from dcgan.evaluation.precision_recall import NAMES, measure, shares

PERFECT = dict.fromkeys(NAMES, 1.0)


def normal(count: int, seed: int, mean: float = 0.0, dimensions: int = 3) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.normal(mean, 1, (count, dimensions)).astype(np.float32)


def by_tables(real: np.ndarray, fake: np.ndarray) -> dict[str, float]:
    """As the papers write them, with all distances at once."""

    def radius(points, k):
        return np.sort(cdist(points, points), axis=1)[:, k]  # the 0th is the point itself

    table = cdist(real, fake)  # [N, M]
    return {
        "precision": np.mean([any(column <= radius(real, 3)) for column in table.T]),
        "recall": np.mean([any(row <= radius(fake, 3)) for row in table]),
        "density": (table < radius(real, 5)[:, None]).sum() / (5 * len(fake)),
        "coverage": np.mean(table.min(1) < radius(real, 5)),
    }


def test_they_agree_with_full_tables():
    real, fake = normal(80, 0), normal(60, 1, 0.8)
    assert shares(real, fake) == pytest.approx(by_tables(real, fake))
    found = measure(real, fake)
    assert {name: one.value for name, one in found.items()} == shares(real, fake)


@pytest.mark.parametrize(("block", "far"), [(5, 30.0), (64, 0.0)])
def test_of_a_sample_and_itself_they_are_exactly_1(monkeypatch, block, far):
    """Every ball has a fake on its surface: an error of rounding would show."""
    real = normal(100, 0, far, 20)
    real[30:40] = real[50]  # and ten of its balls are points
    monkeypatch.setattr(module, "BLOCK", block)
    found = shares(real, np.random.default_rng(1).permutation(real))
    assert (found["precision"], found["recall"]) == (1.0, 1.0)
    distinct = np.delete(real, range(30, 40), 0)
    assert shares(distinct, distinct[::-1]) == PERFECT


@pytest.mark.parametrize("block", [1, 7])
def test_neither_blocks_nor_order_show(monkeypatch, block):
    real, fake = normal(40, 0), normal(30, 1, 0.5)
    expected = shares(real, fake)
    monkeypatch.setattr(module, "BLOCK", block)
    assert shares(real[::-1], np.random.default_rng(2).permutation(fake)) == expected


@pytest.mark.parametrize("mean", [0.0, 1.0])
def test_19_of_20_intervals_hold_the_mean_of_all_measurements(mean):
    found = [measure(normal(300, 2 * i), normal(300, 2 * i + 1, mean), seed=i) for i in range(60)]
    for name in NAMES:
        values = [one[name] for one in found]
        centre = np.mean([one.value for one in values])
        covered = np.mean([one.low <= centre <= one.high for one in values])
        assert covered >= 0.85, name  # of 60 trials: 0.95 and three standard errors
        widths = np.mean([one.high - one.low for one in values]) / 2
        assert widths < 4 * np.std([one.value for one in values]), name  # nor are they idle


def test_intervals_stay_inside_and_are_never_empty():
    for real, fake in ((normal(100, 0), normal(100, 1, 100)), (normal(100, 0),) * 2):
        for name, one in measure(real, fake).items():
            assert 0 <= one.low <= one.value <= one.high
            if name != "density":
                assert one.high <= 1 and 0.01 < one.high - one.low < 0.1
