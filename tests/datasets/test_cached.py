"""What the cache folder holds is believed only where each part of it is as we write it."""

import json
import os
import tokenize

import numpy as np
import pytest

from dcgan.datasets import cached

NO_COUNTS = (True, 1.0, "1", None, -1, 1 << 62)
SUMMARY = {
    **{"found": 20, "channels": 3, "skipped": [["a.png", "no picture"]]},
    **{"sizes": [[[8, 9], 18], [[1, 2], 1]]},
}
SPOILT = {
    "found": NO_COUNTS,
    "channels": (2, "3", None),
    "skipped": (None, {}, "ab", [["a"]], ["ab"], [[3, "a"]], [["a", 3]], [["a", "b", "c"]]),
    "sizes": (None, [[8, 9]], [[[8], 1]], [["ab", 1]], [[[8, -9], 1]], [[[8, 9], -1]], [[8, 1]]),
}


@pytest.mark.parametrize("value", [0, 1, (1 << 62) - 1])
def test_counts_are_whole_numbers_that_can_index(value):
    assert cached.is_count(value)
    assert [other for other in NO_COUNTS if cached.is_count(other)] == []


def test_an_entry_is_a_summary_only_if_each_part_is():
    assert cached.is_summary(SUMMARY)
    for name, values in SPOILT.items():
        assert not cached.is_summary({n: v for n, v in SUMMARY.items() if n != name}), name
        for value in values:
            assert not cached.is_summary({**SUMMARY, name: value}), (name, value)


@pytest.mark.parametrize(
    ("seen", "unused", "images", "fits"),
    [
        *((5, [], 5, True), (5, [0, 4], 3, True), (5, [0], 5, False), (2, [0, 1], 0, False)),
        *((5.0, [], 5, False), (None, [], 5, False), (5, None, 5, False), (5, "", 5, False)),
        *((5, [True], 4, False), (5, [1.0], 4, False), (5, [-1], 4, False)),
        *((5, [1, 1], 3, False), (5, [5], 4, False)),
    ],
)
def test_an_entry_counts_the_images_that_are_there(seen, unused, images, fits):
    assert cached.counts({"seen": seen, "unused": unused}, images) is fits


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        *(("[" * 100_000, "nested too deeply"), ("[1]", "not a JSON object")),
        *((None, "not a regular file"), ("large", "far too large")),
    ],
)
def test_an_entry_that_is_none_is_a_value_error(tmp_path, content, reason):
    path = tmp_path / "entry.json"
    if content is None:
        os.mkfifo(path)
    elif content == "large":
        with open(path, "wb") as file:
            file.truncate(cached.MOST_BYTES + 1)
    else:
        path.write_text(content)
    with pytest.raises(ValueError, match=reason):
        cached.read_entry(path)
    path.unlink()
    path.write_text(json.dumps({"found": 3}))
    assert cached.read_entry(path) == {"found": 3}


@pytest.mark.parametrize(
    "error",
    [
        *(EOFError, MemoryError, OverflowError, RecursionError, SyntaxError, TypeError),
        tokenize.TokenError,
    ],
)
def test_whatever_numpy_raises_at_a_header_is_damage(tmp_path, monkeypatch, error):
    """Which bytes give which of them depends on NumPy's and Python's version."""

    def fail(*_args, **_options):
        raise error("made")

    monkeypatch.setattr(np.lib.format, "open_memmap", fail)
    with pytest.raises(ValueError, match="its header is damaged: made"):
        cached.map_array(tmp_path / "a.npy")
