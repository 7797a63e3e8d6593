"""In how many images the classifier sees the class that was asked for."""

import numpy as np
from test_evaluate import Painter, judge

from dcgan.commands.evaluate import histogram
from dcgan.evaluation.evaluator import Candidate
from dcgan.evaluation.kept_results import is_histogram
from dcgan.evaluation.metrics import CLASSES


def by_class() -> Candidate:
    """Bright where that is asked for, of odd seeds, but for every fifth seed."""

    def asked(seeds) -> dict[str, list[str]]:
        return {"brightness": ["bright" if seed % 2 else "dark" for seed in seeds], "size": []}

    def paint(seeds) -> np.ndarray:
        bright = [(seed % 2 == 1) != (seed % 5 == 0) for seed in seeds]
        levels = np.where(bright, 220, 40).astype(np.uint8)
        return np.broadcast_to(levels[:, None, None, None], (len(seeds), 8, 8, 1)).copy()

    return Candidate(paint, "by class", 7, 0.5, asked)


def test_it_is_the_share_of_the_images_of_all_batches(tmp_path):
    """150 consecutive seeds: 30 of them are multiples of 5, so 120 are right."""
    (record,) = judge(tmp_path).evaluate([CLASSES], by_class(), tmp_path / "r")
    assert record["asked"]["value"] == 0.8
    assert record["asked"]["low"] < 0.8 < record["asked"]["high"]
    assert is_histogram(record)
    said = " ".join(" ".join(histogram(record)).split())
    assert "sees the class asked for in 80.0% (95 % interval" in said
    again = judge(tmp_path)
    assert again.evaluate([CLASSES], by_class(), tmp_path / "r") == [record]
    assert not again.measured


def test_without_classes_nothing_is_said_of_them(tmp_path):
    (record,) = judge(tmp_path).evaluate([CLASSES], Painter().generated(), tmp_path / "r")
    assert "asked" not in record and "asked for" not in " ".join(histogram(record))
