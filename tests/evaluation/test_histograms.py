"""Class histograms: by hand, against scipy, and how perfect images look."""

import numpy as np
import pytest
from scipy.stats import chisquare

from dcgan.commands.evaluate import histogram
from dcgan.evaluation.histograms import chi_square, class_histogram


def drawn(count: int, truth, seed: int = 0) -> np.ndarray:
    """Probabilities of a classifier that is sure."""
    classes = np.random.default_rng(seed).choice(len(truth), count, p=truth)
    return np.eye(len(truth), dtype=np.float32)[classes]


def test_by_hand():
    """Two, one and one of four images: 1.5 bits; 0.5 - 0.25 too many of the first of four."""
    given = np.array(
        [[0.95, 0.05, 0, 0], [0.4, 0.3, 0.2, 0.1], [0, 0.91, 0.09, 0], [0.3, 0.1, 0.6, 0]],
        np.float32,
    )
    found = class_histogram(given, [5, 5, 5, 5])
    assert found.shares.tolist() == [0.5, 0.25, 0.25, 0]
    assert found.truth.tolist() == [0.25] * 4
    assert found.entropy == pytest.approx(1.5) and found.true_entropy == pytest.approx(2)
    assert found.total_variation == pytest.approx(0.25)
    # One expected of each: (2 - 1)^2 + 0 + 0 + (0 - 1)^2.
    assert found.chi_square == pytest.approx(2)
    # 0.95 and 0.91 are sure.
    assert found.sure == 0.5


def test_pearsons_test_is_scipys():
    counts, truth = np.array([30, 14, 6]), np.array([0.5, 0.3, 0.2])
    expected = chisquare(counts, 50 * truth)
    assert chi_square(counts, truth) == pytest.approx((expected.statistic, expected.pvalue))


def test_classes_that_cannot_occur():
    truth = np.array([0.5, 0.5, 0])
    assert chi_square(np.array([12, 8, 0]), truth) == chi_square(np.array([12, 8]), truth[:2])
    assert chi_square(np.array([10, 9, 1]), truth) == (np.inf, 0.0)
    assert chi_square(np.array([10]), np.array([1.0])) == (0.0, 1.0)


def test_perfect_images_look_as_expected_by_chance():
    truth = [0.5, 0.2, 0.2, 0.1]
    found = [class_histogram(drawn(500, truth, i), truth) for i in range(400)]
    variation = np.mean([one.total_variation for one in found])
    assert variation == pytest.approx(found[0].by_chance, rel=0.08)
    # One of 20 perfect models has a p-value below 0.05; three standard errors.
    assert np.mean([one.p_value < 0.05 for one in found]) == pytest.approx(0.05, abs=0.033)


def test_of_many_classes_those_that_differ_most_are_listed():
    shares = {"real": [1 / 30] * 30, "generated": [i / 435 for i in range(30)]}
    record = {"labelling": "kind", "names": [f"k{i}" for i in range(30)], "accuracy": None} | shares
    numbers = ("total_variation", "by_chance", "real_total_variation", "entropy", "true_entropy")
    lines = histogram(record | dict.fromkeys((*numbers, "sure", "real_sure"), 0.5))
    assert lines[0].endswith("the 20 that differ most of 30")
    assert [line.split()[0] for line in lines[1:21]] == [
        f"k{i}" for i in [*range(10), *range(20, 30)]
    ]
    assert max(map(len, lines)) <= 100
