"""Each check of results from files: what it takes, and each kind of thing that it must not."""

import numpy as np
import pytest

from dcgan.evaluation import kept_results as kept

NUMBERS = (True, "1", None, [1])
NAN, INFINITE = float("nan"), float("inf")
ESTIMATE = {"value": 0.5, "low": None, "high": 1}
FLOOR = {"of": "halves", "count": 3, **ESTIMATE}
SCORE = {**ESTIMATE, "interval": "bootstrap", "better": "lower", "floor": FLOOR}
NAMES = ["cat", "dog"]
HISTOGRAM = {
    **dict.fromkeys(kept.HISTOGRAM_NUMBERS, 0.5),
    **dict.fromkeys(kept.SHARES, [0.25, 1]),
    **{"names": NAMES, "accuracy": None},
}
ASKED = {"value": 0.5, "low": 0, "high": 1}
PART = {"value": 1, "low": 0, "high": 2, "dimensions": 8}
ACCURACIES = {**PART, "untrained": PART, "pixels": PART}


def without(record, name):
    """A record that lacks one of its names."""
    return {n: value for n, value in record.items() if n != name}


def spoilt(record, **wrong):
    """The record with each of its names missing, and with each of some values in its place."""
    for name in record:
        yield without(record, name)
    for name, values in wrong.items():
        for value in values:
            yield {**record, name: value}


BAD_FLOORS = [
    *(3, None),
    *spoilt(FLOOR, of=(3, None), count=NUMBERS, value=NUMBERS, low=("x",), high=(True,)),
]
CASES = {
    kept.is_number: ([0, -1.5, NAN], NUMBERS),
    kept.is_finite: ([0, -1.5], [*NUMBERS, NAN, INFINITE]),
    kept.is_share: ([0, 0.5, 1], [*NUMBERS, NAN, -0.1, 1.1]),
    kept.is_seconds: ([0, 1e9], [*NUMBERS, NAN, INFINITE, -1]),
    kept.allow_none(kept.is_text): (["", None], [0]),
    kept.is_accuracies: (
        [ACCURACIES],
        [*spoilt(ACCURACIES, value=NUMBERS, pixels=(None, without(PART, "low")))],
    ),
    kept.is_score: (
        [SCORE, {**SCORE, "floor": None}, {**SCORE, "better": "higher", "parts": {"a": 1}}],
        [
            *spoilt(SCORE, value=NUMBERS, low=([1],), high=(True,), better=("more", 1)),
            *spoilt(SCORE, interval=(None,), floor=(3, *BAD_FLOORS[2:])),
            *({**SCORE, "parts": parts} for parts in (None, [1], {"a": None}, {"a": 1, "b": "2"})),
        ],
    ),
    kept.is_histogram: (
        [HISTOGRAM, {**HISTOGRAM, "accuracy": 0.5, "asked": ASKED}],
        [
            *spoilt(HISTOGRAM, entropy=NUMBERS, accuracy=("1", 1.5), names=(3, "ab", ["a", 3])),
            *({**HISTOGRAM, name: share} for name in kept.SHARES for share in (None, [0.5], "ab")),
            *({**HISTOGRAM, "real": share} for share in ([0.5, 2], [0.5, None], {0: 1, 1: 0})),
            *({**HISTOGRAM, "real": [1, 0, 0]}, {**HISTOGRAM, "names": ["a"]}),
            *({**HISTOGRAM, "asked": asked} for asked in (None, 0.8, {**ASKED, "value": 2}, {})),
        ],
    ),
}


@pytest.mark.parametrize("check", CASES)
def test_each_check_takes_what_we_write_and_nothing_else(check):
    good, bad = CASES[check]
    assert [value for value in good if not check(value)] == []
    assert [value for value in bad if check(value)] == []


def test_floors_hold_no_arrays_and_only_floors():
    assert kept.is_floors({}, {"kid": FLOOR, "fid": FLOOR})
    assert not kept.is_floors({"x": np.zeros(1)}, {"kid": FLOOR})
    assert [f for f in BAD_FLOORS if kept.is_floors({}, {"kid": FLOOR, "fid": f})] == []


def test_weights_have_their_shapes_in_order_and_are_finite_float32():
    a, b = np.ones((2, 3), np.float32), np.ones(4, np.float32)
    assert kept.are_weights({"a": a, "b": b}, [(2, 3), (4,)])
    spoilt = a.copy()
    spoilt[1, 1] = NAN
    for arrays in (
        {"b": b, "a": a},
        {"a": a},
        {"a": spoilt, "b": b},
        {"a": a.astype("f8"), "b": b},
    ):
        assert not kept.are_weights(arrays, [(2, 3), (4,)]), list(arrays)
