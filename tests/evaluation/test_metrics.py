"""All metrics by name: each says what it lacks, and keeps its version and its memory."""

import tracemalloc

import numpy as np
import pytest

from dcgan.evaluation import fid, histograms, inception_score, kid, precision_recall, swd
from dcgan.evaluation.metrics import (
    CLASSES,
    METRICS,
    NEEDS,
    VERSIONS,
    ImageSample,
    measure_all,
)

KINDS = ("images", "features", "probabilities")  # of a sample, in this order


def random_sample(count: int = 120, seed: int = 0) -> ImageSample:
    random = np.random.default_rng(seed)
    return ImageSample(
        random.integers(0, 256, (count, 9, 8, 1), np.uint8),
        random.normal(size=(count, 6)).astype(np.float32),
        random.dirichlet(np.ones(4), count).astype(np.float32),
    )


def test_each_metric_is_measured_alone_as_among_others(quick_swd):
    real, fake = random_sample(), random_sample(130, 1)
    together = measure_all(METRICS, real, fake, seed=3)
    assert tuple(together) == METRICS
    for metric in METRICS:
        found = measure_all([metric], real, fake, seed=3)[metric]
        assert found == together[metric]
        assert found.low <= found.value <= found.high and "95 %" in found.interval


def fixed_sample(count: int, seed: int) -> ImageSample:
    """The same on every machine, with two levels of detail and three features."""
    random = np.random.default_rng(seed)
    return ImageSample(
        random.integers(0, 256 - 60 * seed, (count, 24, 25, 1), np.uint8),
        random.normal(0.2 * seed, 1, (count, 3)).astype(np.float32),
        random.dirichlet(np.full(4, 0.3), count).astype(np.float32),
    )


# What each version of a metric gives for 100 and 103 fixed images: (value, low, high), and what it
# is made of that so few images do not show. These are not right or wrong, but a record of the
# version: whoever changes one raises VERSION in the metric's file, so that stored results of the
# old version are measured again, and writes down the new numbers here.
GOLDEN = {
    ("fid", 1): (0.335018, 0.00546083, 0.664576),
    ("kid", 1): (0.376605, -0.193061, 0.946272),
    ("precision", 1): (0.932039, 0.853141, 0.970039),
    ("recall", 1): (0.98, 0.778804, 0.998536),
    ("density", 1): (1.04078, 0.924834, 1.15672),
    ("coverage", 1): (0.95, 0.87525, 0.980935),
    ("swd", 1): (27.0041, 20.6385, 33.3697),
    ("is", 1): (1.77228, 1.65152, 1.89304),
}
GOLDEN_OF_MANY = {("kid", 1): (kid.SIZE, 1000), ("swd", 1): (swd.MOST_PATCHES, 2**18)}
# entropy, sure, total variation, by chance, chi-square, p-value
GOLDEN_CLASSES = {1: (1.90527, 0.126214, 0.0980583, 0.0647873, 6.41748, 0.0929745)}
RAISE = "raise VERSION where the metric is defined, and write the new numbers here"


def test_other_numbers_are_another_version():
    assert GOLDEN.keys() == {(metric, need.version) for metric, need in NEEDS.items()}, RAISE
    found = measure_all(METRICS, fixed_sample(100, 0), fixed_sample(103, 1), seed=3)
    for (metric, version), expected in GOLDEN.items():
        one = found[metric]
        assert (one.value, one.low, one.high) == pytest.approx(expected, rel=1e-4), (
            f"{metric} gives other numbers than its version {version}: {RAISE}."
        )
    for key, (now, then) in GOLDEN_OF_MANY.items():
        assert key in GOLDEN and now == then, (key, RAISE)


def test_other_histograms_are_another_version():
    (version, expected), *_ = GOLDEN_CLASSES.items()
    assert version == VERSIONS[CLASSES], RAISE
    found = histograms.class_histogram(fixed_sample(103, 1).probabilities, [4, 3, 2, 1])
    numbers = (found.entropy, found.sure, found.total_variation, found.by_chance)
    assert (*numbers, found.chi_square, found.p_value) == pytest.approx(expected, rel=1e-4), RAISE


def on_disk(path, shape, dtype) -> np.ndarray:
    """Random rows, written block by block; the last axis of probabilities sums to 1 or so."""
    table = np.lib.format.open_memmap(path, "w+", dtype, shape)
    random = np.random.default_rng(0)
    for start in range(0, len(table), 1000):
        table[start : start + 1000] = 100 * random.random(table[start : start + 1000].shape)
    if dtype == np.float32:
        table /= table.sum(1, keepdims=True)
    del table
    return np.load(path, mmap_mode="r")


@pytest.mark.parametrize(
    ("metric", "shape", "dtype"),
    [
        ("fid", (200,), np.float32),
        ("kid", (200,), np.float32),
        ("is", (200,), np.float32),
        ("coverage", (20,), np.float32),
        ("swd", (12, 12, 3), np.uint8),
    ],
)
def test_memory_does_not_grow_with_the_images(tmp_path, monkeypatch, metric, shape, dtype):
    """But for the few bytes that a nearest distance or a choice of rows takes for each."""
    for module, name, small in ((kid, "SUBSETS", 5), (swd, "MOST_PATCHES", 2000)):
        monkeypatch.setattr(module, name, small)
    for module in (fid, kid, inception_score, precision_recall, swd):
        monkeypatch.setattr(module, "SIZE" if module is kid else "BLOCK", 100)
    peaks = []
    for count in (500, 1500):
        values = on_disk(tmp_path / f"{count}.npy", (count, *shape), dtype)
        sample = ImageSample(*(values if kind == NEEDS[metric].kind else None for kind in KINDS))
        tracemalloc.start()
        measure_all([metric], sample, sample)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    grown, row = peaks[1] - peaks[0], values[0].nbytes
    assert grown < 1000 * max(200, row / 8), (peaks, row)


def test_a_score_of_classes_needs_no_reals():
    assert measure_all(["is"], ImageSample(), random_sample())["is"].value > 1
