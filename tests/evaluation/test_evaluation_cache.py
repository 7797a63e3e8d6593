"""What evaluation keeps: used when whole, made again otherwise, found by all that it depends on."""

import json
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from dcgan.evaluation import cache
from dcgan.evaluation.extractor import BLOCK, Extracted

IMAGES = np.random.default_rng(0).integers(0, 256, (600, 4, 4, 1), np.uint8)
ROWS = np.random.default_rng(1).permutation(600)[:530]


class Counting:
    """Two labellings; fails when it has seen `most` images."""

    name, fingerprint, resize = "counting", "a", "none"
    classes = {"light": ("dark", "light"), "b/c": ("x", "y", "z")}

    def __init__(self, most: int = 10**9):
        self.seen, self.most = 0, most

    def __call__(self, images: np.ndarray) -> Extracted:
        self.seen += len(images)
        if self.seen > self.most:
            raise KeyboardInterrupt
        flat = images.reshape(len(images), -1).astype(np.float32)
        return Extracted(flat, {"light": flat[:, :2], "b/c": flat[:, :3] + 1})


def features(folder, extractor=None, *, rows=ROWS, data="d", images=IMAGES) -> Extracted:
    return cache.real_features(
        extractor or Counting(), images, rows, data=data, folder=folder / "evaluation"
    )


def same(one: Extracted, other: Extracted) -> bool:
    pairs = [(one.features, other.features)]
    pairs += [(one.probabilities[name], other.probabilities[name]) for name in one.probabilities]
    equal_names = list(one.probabilities) == list(other.probabilities)
    return equal_names and all(np.array_equal(*pair) for pair in pairs)


def test_features_are_made_once_in_the_order_of_the_rows(tmp_path):
    extractor = Counting()
    first, second = features(tmp_path, extractor), features(tmp_path, extractor)
    assert extractor.seen == 530
    assert same(first, Counting()(IMAGES[ROWS])) and same(second, first)
    assert isinstance(second.features, np.memmap) and not second.features.flags.writeable
    suffixes = sorted(path.suffix for path in (tmp_path / "evaluation").iterdir())
    assert suffixes == [".json", ".npy", ".npy", ".npy"]


def test_the_key_is_all_that_they_depend_on(tmp_path, monkeypatch):
    class Other(Counting):
        fingerprint = "b"

    class Renamed(Counting):
        name = "renamed"

    extractor = Counting()
    features(tmp_path, extractor)
    features(tmp_path, extractor, rows=ROWS[::-1])
    features(tmp_path, extractor, rows=ROWS[:529])
    features(tmp_path, extractor, data="e")
    monkeypatch.setattr(cache, "FORMAT", "another")
    features(tmp_path, extractor)
    assert extractor.seen == 530 + 530 + 529 + 530 + 530
    for other in (Other(), Renamed()):
        features(tmp_path, other)
        assert other.seen == 530


def test_an_interrupted_extraction_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        features(tmp_path, Counting(most=2 * BLOCK))
    assert list((tmp_path / "evaluation").iterdir()) == []
    assert same(features(tmp_path), Counting()(IMAGES[ROWS]))


@pytest.mark.parametrize(
    ("which", "content"),
    [
        *(("*.0.npy", None), ("*.0.npy", "cut"), ("*.2.npy", b""), ("*.2.npy", b"[]")),
        *(("*.json", None), ("*.json", "cut"), ("*.json", b"[]")),  # see `test_cached` for others
        ("*.json", b'{"names": ["", "light", "dark"]}'),
        ("*.json", b'{"names": [[], 3]}'),
        # Too wide, of other numbers, short, flat, a pickle, not numbers.
        *(("*.1.npy", np.ones((530, 3), "f4")), ("*.1.npy", np.ones((530, 2)))),
        *(("*.1.npy", np.ones((529, 2), "f4")), ("*.1.npy", np.ones(530, "f4"))),
        ("*.1.npy", np.array([{}], object)),
        ("*.1.npy", np.full((530, 2), np.nan, "f4")),
    ],
)
def test_what_is_damaged_or_not_ours_is_made_again(tmp_path, caplog, which, content):
    features(tmp_path)
    path = next((tmp_path / "evaluation").glob(which))
    whole = path.read_bytes()
    path.unlink()
    if isinstance(content, np.ndarray):
        np.save(path, content, allow_pickle=True)
    elif content is not None:
        path.write_bytes(whole[: len(whole) // 2] if content == "cut" else content)
    extractor = Counting()
    assert same(features(tmp_path, extractor), Counting()(IMAGES[ROWS]))
    assert extractor.seen == 530
    assert ("are damaged" in caplog.text) == (path.suffix == ".npy" or content is not None)


def left_by_the_dead(path: Path) -> Path:
    """Writes what a killed process leaves, whose number is above the highest."""
    left = path.with_name(f"{path.name}.00000000.{2**22 + 1}.{os.uname().nodename}.tmp")
    left.write_bytes(b"half")
    return left


def test_what_dead_processes_left_is_removed(tmp_path):
    features(tmp_path)
    left = left_by_the_dead(next((tmp_path / "evaluation").glob("*.0.npy")))
    features(tmp_path, data="e")
    assert not left.exists()
    left = left_by_the_dead(tmp_path / "key.npz")
    remember(tmp_path, "key", lambda: ({}, {}))
    assert not left.exists()


def test_where_nothing_can_be_kept_the_features_are_given_all_the_same(tmp_path, caplog):
    (tmp_path / "evaluation").write_text("a file in the folder's place")
    assert same(features(tmp_path), Counting()(IMAGES[ROWS]))
    assert "cannot be kept" in caplog.text


def test_memory_does_not_grow_with_the_images(tmp_path):
    """4,096 images of 2,048 features are 32 MiB; a block of 256 of them is 2 MiB."""

    class Wide(Counting):
        classes = {}

        def __call__(self, images):
            return Extracted(np.ones((len(images), 2048), np.float32))

    images = np.zeros((4096, 1, 1, 1), np.uint8)
    tracemalloc.start()
    found = features(tmp_path, Wide(), rows=np.arange(4096), images=images)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.features.shape == (4096, 2048)
    assert peak < 10 * 2**20


# --- names


def test_a_digest_tells_values_types_shapes_and_order_apart():
    array = np.arange(6)
    different = [
        cache.digest(array),
        cache.digest(array.reshape(2, 3)),
        cache.digest(array.astype(np.int32)),
        cache.digest(array[::-1]),
        cache.digest(array, 1),
        cache.digest(array, "1"),
        cache.digest("ab", "c"),
        cache.digest("a", "bc"),
        cache.digest(1, 23),
        cache.digest(12, 3),
    ]
    assert len(set(different)) == len(different)
    assert cache.digest(array, {"a": 1}) == cache.digest(array.copy(), {"a": 1})


def test_the_data_are_told_by_their_pixels(tmp_path):
    np.save(tmp_path / "images.npy", IMAGES)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    assert cache.data_fingerprint(mapped) == cache.data_fingerprint(IMAGES)
    changed = IMAGES.copy()
    changed[599, 3, 3, 0] ^= 1
    assert cache.data_fingerprint(changed) != cache.data_fingerprint(IMAGES)


# --- small results


def remember(folder, key, make, fits=lambda arrays, facts: True):
    return cache.remember(folder, key, make, fits=fits)


def test_a_small_result_is_made_once(tmp_path):
    made = []

    def make():
        made.append(1)
        return {"000": np.arange(3.0), "001": np.ones((2, 2), np.int32)}, {"accuracy": {"a": 0.5}}

    for _ in range(2):
        arrays, facts = remember(tmp_path / "new", "key", make)
        assert list(arrays) == ["000", "001"] and facts == {"accuracy": {"a": 0.5}}
        np.testing.assert_array_equal(arrays["000"], [0, 1, 2])
    assert len(made) == 1
    remember(tmp_path / "new", "other", make)
    assert len(made) == 2


def test_a_small_result_is_whole_or_absent(tmp_path, caplog):
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        remember(tmp_path, "key", interrupted)
    assert list(tmp_path.iterdir()) == []
    remember(tmp_path, "key", lambda: ({"a": np.arange(9)}, {}))
    path = tmp_path / "key.npz"
    path.write_bytes(path.read_bytes()[:-40])
    arrays, facts = remember(tmp_path, "key", lambda: ({"a": np.arange(2)}, {"n": 1}))
    assert len(arrays["a"]) == 2 and facts == {"n": 1} and "damaged" in caplog.text
    assert remember(tmp_path, "key", interrupted)[1] == {"n": 1}


def test_a_small_result_is_a_file_of_savez_as_old_caches_have_it(tmp_path):
    arrays, facts = {"000": np.arange(6.0).reshape(2, 3).T, "001": np.ones(2, np.int32)}, {"n": 1}
    remember(tmp_path, "key", lambda: (arrays, facts))
    note = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    np.savez(tmp_path / "old.npz", **arrays, **{"meta.json": note})
    assert (tmp_path / "old.npz").read_bytes() == (tmp_path / "key.npz").read_bytes()
    kept, meta = remember(tmp_path, "old", None)
    np.testing.assert_equal(kept, arrays)
    assert meta == facts


def test_a_small_result_that_cannot_be_kept_is_given_all_the_same(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    arrays, facts = remember(tmp_path / "file", "key", lambda: ({"a": np.arange(2)}, {}))
    assert arrays["a"].tolist() == [0, 1] and facts == {} and "cannot be written" in caplog.text


@pytest.mark.parametrize("pipe", [True, False])
def test_a_small_result_that_cannot_be_read_is_made_again(tmp_path, monkeypatch, caplog, pipe):
    def fail(path):
        raise OSError(5, "Input/output error", str(path))

    if pipe:
        os.mkfifo(tmp_path / "key.npz")
    else:
        remember(tmp_path, "key", lambda: ({}, {"n": 1}))
        monkeypatch.setattr(cache, "read", fail)
    assert remember(tmp_path, "key", lambda: ({}, {"n": 2}))[1] == {"n": 2}
    assert ("Input/output error" in caplog.text) is not pipe


def test_a_small_result_of_another_kind_is_made_again(tmp_path, caplog):
    def fits(arrays, facts):
        return list(arrays) == ["a"] and facts == {"n": 1}

    remember(tmp_path, "key", lambda: ({"b": np.arange(9)}, {"n": 1}))
    arrays, _ = remember(tmp_path, "key", lambda: ({"a": np.arange(2)}, {"n": 1}), fits)
    assert list(arrays) == ["a"] and "is damaged (it holds something else)" in caplog.text
    assert list(remember(tmp_path, "key", None, fits)[0]) == ["a"]
