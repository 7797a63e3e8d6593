"""The inception score: closed forms and plain loops."""

import math

import numpy as np
import pytest

from dcgan.evaluation.inception_score import inception_score, score


def by_loops(rows: list[list[float]]) -> float:
    mean = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
    divergences = [
        sum(p * math.log(p / q) for p, q in zip(row, mean, strict=True) if p > 0) for row in rows
    ]
    return math.exp(sum(divergences) / len(rows))


def test_sure_of_every_class_equally_often_it_is_their_number():
    found = inception_score(np.tile(np.eye(7), (20, 1)))
    assert found.value == pytest.approx(7)
    assert score(np.eye(7)[[0, 1] * 50]) == pytest.approx(2)


def test_sure_of_one_class_or_of_none_it_is_1():
    for row in (np.eye(7)[3], np.full(7, 1 / 7), [0.4, 0.3, 0.3, 0, 0, 0, 0]):
        found = inception_score(np.tile(row, (100, 1)))
        assert found.value == found.low == pytest.approx(1)


def test_it_is_the_mean_of_ten_parts_in_their_order():
    given = np.random.default_rng(0).dirichlet(np.full(6, 0.3), 205)  # parts of 21 and of 20
    bounds = [0, 21, 42, 63, 84, 105, 125, 145, 165, 185, 205]
    parts = [
        by_loops(given[start:end].tolist()) for start, end in zip(bounds, bounds[1:], strict=False)
    ]
    found = inception_score(given)
    assert found.value == pytest.approx(np.mean(parts), rel=1e-6)
    # Student's t of 9 degrees of freedom, from a table: 2.262.
    half = 2.262 * np.std(parts, ddof=1) / math.sqrt(10)
    assert found.high - found.value == pytest.approx(half, rel=1e-3)
    assert found.low == pytest.approx(found.value - half, rel=1e-3)
