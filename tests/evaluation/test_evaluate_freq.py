"""Evaluation while training: it changes no weight, and keeps the best checkpoint for good."""

import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from learnt import write_pngs
from running import arrays_of, command, logged, small_flags, temporaries, write_pictures

from dcgan.datasets import catalog
from dcgan.datasets.prepare import PreparedData, prepare
from dcgan.datasets.source import ImageSpec
from dcgan.evaluation import classifier, classifier_network, evaluator, kid, periodic
from dcgan.evaluation.evaluator import Candidate
from dcgan.evaluation.metrics import measure_all
from dcgan.evaluation.periodic import PeriodicEvaluator
from dcgan.files import read_json_lines
from dcgan.outputs.evaluation_curve import draw_evaluations
from dcgan.outputs.report.history import read_history
from dcgan.run.checkpoint import BEST, Checkpointer, read
from dcgan.run.run_dir import RunDir
from dcgan.run.trained_run import TrainedRun

STEPS = 12
OFTEN = ("--evaluate_freq", 4)
RECORDS = "kid-128-pixels.jsonl"


@pytest.fixture(scope="module", autouse=True)
def _few_images():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(periodic, "IMAGES", 128)
        patch.setattr(kid, "SUBSETS", 5)
        yield


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """Enough of them for a metric."""
    return write_pictures(tmp_path_factory.mktemp("data") / "pictures", 110)


def train(base: Path, pictures: Path, *more, steps: int = STEPS) -> int:
    cadence = ("--log_freq", 5, "--sample_freq", 100, "--ckpt_freq", 6, "--steps", steps)
    return command(*small_flags(pictures, base), *cadence, *more)


@pytest.fixture(scope="module")
def plain(pictures, tmp_path_factory) -> Path:
    """A run that was never evaluated."""
    base = tmp_path_factory.mktemp("plain")
    assert train(base, pictures) == 0
    return base / "run"


@pytest.fixture(scope="module")
def evaluated(pictures, tmp_path_factory) -> Path:
    """The same, evaluated; only to be read."""
    base = tmp_path_factory.mktemp("evaluated")
    assert train(base, pictures, *OFTEN) == 0
    return base / "run"


def records(run_dir: Path) -> list[dict]:
    return list(read_json_lines(run_dir / "evaluation" / RECORDS))


def assert_same_weights(one: Path, other: Path) -> None:
    expected, found = arrays_of(one, STEPS), arrays_of(other, STEPS)
    assert expected.keys() == found.keys()
    for name, array in expected.items():
        assert np.array_equal(array, found[name]), name


def test_it_changes_no_weight(plain, evaluated):
    assert not (plain / "evaluation").exists() and not (plain / "checkpoints" / BEST).exists()
    assert_same_weights(plain, evaluated)
    grids = [[p.read_bytes() for p in RunDir(run).sample_grids()] for run in (plain, evaluated)]
    assert grids[0] == grids[1]
    assert not temporaries(evaluated)


def test_what_it_measures_stands_in_both_files_and_the_curve(evaluated):
    found = records(evaluated)
    assert [record["step"] for record in found] == [4, 8, 12]
    assert [record["epoch"] for record in found] == [round(s / 13, 4) for s in (4, 8, 12)]
    assert all(record["low"] < record["value"] < record["high"] for record in found)
    assert all(r["real_count"] == 110 and r["generated_count"] == 128 for r in found)
    lines = {line["step"]: line for line in logged(evaluated) if "kid" in line}
    assert {step: line["kid"] for step, line in lines.items()} == {
        record["step"]: record["value"] for record in found
    }
    assert (evaluated / "evaluation.png").read_bytes().startswith(b"\x89PNG")


def test_the_last_one_stands_in_the_last_line_of_the_log(pictures, idle, tmp_path):
    """The end is a multiple of --log_freq, not of --evaluate_freq."""
    assert train(tmp_path, pictures, "--evaluate_freq", 7, steps=5) == 0
    (record,) = records(tmp_path / "run")
    *_, last = logged(tmp_path / "run")
    assert (last["step"], last["kid"], record["step"]) == (5, record["value"], 5)


def test_the_report_takes_no_evaluation_for_a_message_about_health(evaluated):
    lines = (evaluated / "log.txt").read_text().splitlines()
    assert sum("Evaluation at step" in line for line in lines) == STEPS // OFTEN[1]
    assert read_history(RunDir(evaluated)).messages == []


def test_the_speed_of_the_training_is_without_it(evaluated):
    lines = list(read_json_lines(RunDir(evaluated).metrics))
    pairs = [(one, other) for one, other in zip(lines, lines[1:], strict=False) if "kid" in other]
    for before, line in pairs:
        spent, looked = line["seconds"] - before["seconds"], line["evaluation_seconds"]
        trained = (line["images"] - before["images"]) / line["images_per_second"]
        assert trained == pytest.approx(spent - looked, abs=looked / 2)
    assert len(pairs) == 2


def test_the_best_checkpoint_is_that_of_the_best_value(evaluated):
    best = min(records(evaluated), key=lambda record: record["value"])
    trained = TrainedRun(RunDir(evaluated), "best")
    assert trained.step == best["step"]
    assert trained.fingerprint == best["generator"]  # the command would know it again
    assert Checkpointer(evaluated / "checkpoints").best_meta()["evaluation"] == best
    # It is a checkpoint like the others, beside them.
    assert [p.name for p in Checkpointer(evaluated / "checkpoints").paths()] == [
        *("00000006.npz", "00000012.npz")
    ]
    if best["step"] == STEPS:
        arrays = read(evaluated / "checkpoints" / BEST)[0]
        expected = arrays_of(evaluated, STEPS)
        assert all(np.array_equal(arrays[name], array) for name, array in expected.items())


def test_after_a_kill_only_what_is_lost_is_measured_again(
    pictures, evaluated, tmp_path, monkeypatch
):
    """The last checkpoint is lost, and half of the last record."""
    run_dir, measured = tmp_path / "run", []
    shutil.copytree(evaluated, run_dir)
    (run_dir / "checkpoints" / "00000012.npz").unlink()
    *whole, last = (run_dir / "evaluation" / RECORDS).read_text().splitlines(True)
    (run_dir / "evaluation" / RECORDS).write_text("".join([*whole, last[:20]]))
    kept = (run_dir / "checkpoints" / BEST).read_bytes()

    def measure(metrics, *args, **kwargs):
        measured.extend(metrics)
        return measure_all(metrics, *args, **kwargs)

    monkeypatch.setattr(evaluator, "measure_all", measure)
    assert train(tmp_path, pictures, *OFTEN) == 0
    assert measured == ["kid"]  # of step 12, not of step 8
    assert_same_weights(evaluated, run_dir)
    assert (run_dir / "checkpoints" / BEST).read_bytes() == kept
    clock = ("seconds", "made")
    expected, found = (
        [{k: v for k, v in record.items() if k not in clock} for record in records(run)]
        for run in (evaluated, run_dir)
    )
    assert found == expected and len(found) == 3


# --- which is the best


def labelled(base: Path) -> PreparedData:
    """A folder of 510 pictures in two classes."""
    drawn = np.random.default_rng(0).integers(0, 256, (2, 255, 8, 8, 3), np.uint8)
    for name, pictures in zip(("even", "odd"), drawn, strict=True):
        write_pngs(base / name, pictures)
    return prepare(catalog.find(str(base), ""), ImageSpec(8, 8, 3), cache_dir=None)


def test_the_classifier_judges_none_that_it_has_learnt_from(tmp_path, monkeypatch):
    prepared, learnt = labelled(tmp_path / "pictures"), []
    monkeypatch.setattr(classifier, "_require_knowledge", lambda *_: None)
    monkeypatch.setattr(classifier_network, "WIDTHS", (4,))
    monkeypatch.setattr(
        classifier_network, "train", lambda model, pictures, *_, **__: learnt.extend(pictures)
    )
    watched = watch(prepared, tmp_path)
    seen = {picture.tobytes() for picture in learnt}
    reals = watched._evaluator.reals
    assert watched._evaluator.extractor.name == "classifier" and len(seen) == 408
    assert reals.count == 102 and reals.unseen
    assert not seen.intersection(image.tobytes() for image in reals.images[reals.rows])


@pytest.fixture(scope="module")
def prepared(pictures) -> PreparedData:
    return prepare(catalog.find(str(pictures), ""), ImageSpec(8, 8, 3), cache_dir=None)


def watch(
    prepared: PreparedData, base: Path, metric: str = "kid", kept: dict | None = None
) -> PeriodicEvaluator:
    folders = {"cache_dir": base / "cache", "folder": base / "evaluation"}
    return PeriodicEvaluator(prepared, metric, extractor=None, split="train", kept=kept, **folders)


def seen(watched: PeriodicEvaluator, values: list[float], better: str) -> list[bool]:
    return [watched.is_best({"value": value, "better": better}) for value in values]


def test_better_is_less_or_more(prepared, tmp_path):
    values = [math.nan, 3.0, 1.0, 1.0, 2.0, math.nan, 0.5]
    lower, higher = (seen(watch(prepared, tmp_path), values, b) for b in ("lower", "higher"))
    assert lower == [False, True, True, False, False, False, True]
    assert higher == [False, True, False, False, False, False, False]


def test_the_best_value_is_remembered_if_it_was_measured_in_the_same_way(
    prepared, tmp_path, caplog
):
    def draw(seeds):
        return np.random.default_rng(seeds[0]).integers(0, 256, (len(seeds), 8, 8, 3), np.uint8)

    record = watch(prepared, tmp_path).measure(Candidate(draw, "a", 7, 0.5))
    value = record["value"]
    again = watch(prepared, tmp_path, kept=record)
    assert seen(again, [value, value - 1], "lower") == [False, True]
    assert not caplog.text
    unversioned = {name: one for name, one in record.items() if name != "version"}
    others = (record | {"seed": 1}, record | {"data": "other"}, record | {"version": 0})
    for other in (*others, unversioned):
        assert seen(watch(prepared, tmp_path, kept=other), [value + 1], "lower") == [True]
    assert seen(watch(prepared, tmp_path, "fid", kept=record), [value + 1], "lower") == [True]
    assert caplog.text.count("was chosen by another measure (kid, pixels)") == 5


@pytest.mark.parametrize("value", ["0.1", None, [1], math.nan, -math.inf, True])
def test_a_best_value_that_is_none_is_not_believed(prepared, tmp_path, value, caplog):
    what = watch(prepared, tmp_path)._evaluator.identify("kid")
    for kept in (what | {"value": value}, {"value": value}, [value], "kid"):
        assert seen(watch(prepared, tmp_path, kept=kept), [3.0, 4.0], "lower") == [True, False]


# --- refusals


def test_without_records_there_is_no_curve(tmp_path):
    (tmp_path / "evaluation").mkdir()
    (tmp_path / "evaluation" / "classes-5k-toy.jsonl").write_text('{"metric": "classes"}\n{"cut')
    assert not draw_evaluations(tmp_path / "evaluation", tmp_path / "evaluation.png")
    assert not (tmp_path / "evaluation.png").exists()
