"""Evaluation: the right numbers of the right images, written once, in memory that stays flat."""

import json
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from learnt import learnt_run
from running import content
from test_mnist_svhn import write_mnist

import main
from dcgan import UserError
from dcgan.commands.evaluate import table
from dcgan.datasets.source import Labels
from dcgan.evaluation import evaluator, extractors, measures
from dcgan.evaluation.evaluator import CLASSES, Evaluator, Generated, Reals
from dcgan.evaluation.extractor import Extracted
from dcgan.evaluation.measures import Sample, measure
from dcgan.evaluation.protocol import first_seed, short
from dcgan.options import runs
from dcgan.run_dir import RunDir, read_json_lines
from dcgan.trained import Trained

SHAPE = (8, 8, 1)


class Toy:
    """An extractor of four means, whose class is whether the image is bright."""

    name = "toy"
    fingerprint = "f00d"
    resize = "means of four columns"
    classes = {"brightness": ("dark", "bright")}

    def __init__(self, broken: bool = False):
        self.broken = broken

    def __call__(self, images: np.ndarray) -> Extracted:
        columns = images.reshape(len(images), -1, 4).mean(1, dtype=np.float32)
        bright = (columns.mean(1) > 127).astype(np.float32)
        chances = np.stack([1 - bright, bright], 1)
        features = np.full_like(columns, np.nan) if self.broken else columns
        return Extracted(features, {"brightness": chances})


def pictures(seeds, mean: int = 128) -> np.ndarray:
    """One image a seed, whatever other seeds there are."""
    rows = [np.random.default_rng(abs(seed)).normal(mean, 40, SHAPE) for seed in seeds]
    return np.clip(rows, 0, 255).astype(np.uint8)


class Painter:
    """A generator that counts its images."""

    def __init__(self, mean: int = 128):
        self.mean = mean
        self.asked: list[int] = []

    def __call__(self, seeds) -> np.ndarray:
        self.asked += seeds
        return pictures(seeds, self.mean)

    def generated(self, fingerprint: str = "a", step: int = 7) -> Generated:
        return Generated(self, fingerprint, step, 0.5)


def reals(count: int = 300, chosen: int = 200, dark: int = 100) -> Reals:
    images = pictures(range(1_000_000, 1_000_000 + count))
    rows = np.arange(0, count)[:chosen]
    labels = Labels((np.arange(count) >= dark).astype(np.int32), ("dark", "bright"))
    return Reals(images, rows, {"brightness": labels}, "da7a", "train")


def judge(base: Path, *, count=150, seed=0, extractor=None, **kwargs) -> Evaluator:
    return Evaluator(
        extractor or Toy(), reals(**kwargs), count=count, seed=seed, cache_dir=base / "cache"
    )


# --- names


def test_the_options_name_what_there_is():
    assert runs.METRICS == measures.METRICS
    assert runs.EXTRACTORS == extractors.NAMES


def test_the_protocol_is_in_the_name_of_the_file(tmp_path):
    assert [short(n) for n in (512, 1000, 2048, 5000, 50_000)] == [
        *("512", "1k", "2048", "5k", "50k")
    ]
    assert judge(tmp_path, count=5000).protocol("kid").file_name("kid") == "kid-5k-toy.jsonl"
    # What looks at the images themselves depends on no extractor.
    assert judge(tmp_path).protocol("swd").file_name("swd") == "swd-150-laplacian.jsonl"


def test_no_two_seeds_share_an_image():
    assert first_seed(0) == 0
    assert first_seed(1) - first_seed(0) >= 1_000_000  # the largest --num_images
    assert first_seed(2**30) + 1_000_000 < 2**63


# --- the evaluator


def test_the_numbers_are_those_of_the_images(tmp_path):
    """150 images come in blocks through files; here all at once through `measure`."""
    painter, metrics = Painter(), ("fid", "kid", "precision", "coverage", "swd", "is")
    one = judge(tmp_path, seed=3)
    records = one.evaluate(metrics, painter.generated(), tmp_path / "records")
    assert painter.asked == list(range(first_seed(3), first_seed(3) + 150))
    found, real = pictures(painter.asked), one.reals.images[one.reals.rows]
    samples = []
    for images in (real, found):
        seen = Toy()(images)
        samples.append(Sample(images, seen.features, seen.probabilities["brightness"]))
    for metric, record in zip(metrics, records, strict=True):
        expected = measure(metric, *samples, seed=3)
        assert record["metric"] == metric
        assert record["value"] == pytest.approx(expected.value, rel=1e-9), metric
        assert (record["low"], record["high"]) == pytest.approx((expected.low, expected.high))
        assert record["interval"] == expected.interval
    assert [r["better"] for r in records] == ["lower", "lower", *["higher"] * 2, "lower", "higher"]


def test_a_record_says_what_was_measured_and_how(tmp_path):
    judge(tmp_path, seed=3).evaluate(["fid"], Painter().generated(), tmp_path / "records")
    (line,) = read_json_lines(tmp_path / "records" / "fid-150-toy.jsonl")
    expected = {"metric": "fid", "step": 7, "epoch": 0.5, "generator": "a", "extractor": "toy"}
    expected |= {"extractor_fingerprint": "f00d", "resize": "means of four columns"}
    expected |= {"real_count": 200, "generated_count": 150, "split": "train", "data": "da7a"}
    expected |= {"seed": 3, "mirrored": False}
    assert expected.items() <= line.items()
    assert line["made"].endswith("+00:00") and line["seconds"] >= 0


def test_images_of_the_data_themselves_are_perfect(tmp_path):
    one = judge(tmp_path, count=200, chosen=200)
    copies = Generated(lambda seeds: one.reals.images[list(seeds)], "a", 1, None)
    by_name = {r["metric"]: r for r in one.evaluate(measures.METRICS, copies, tmp_path / "r")}
    assert by_name["fid"]["value"] == pytest.approx(0, abs=1e-6)
    assert by_name["swd"]["value"] == 0
    for metric in ("precision", "recall", "coverage"):
        assert by_name[metric]["value"] == 1
    worse = one.evaluate(["fid", "swd"], Painter(mean=90).generated("b"), tmp_path / "r")
    assert all(r["value"] > 1 for r in worse)


def test_what_was_measured_is_not_measured_again(tmp_path):
    painter, folder = Painter(), tmp_path / "records"
    first = judge(tmp_path).evaluate(["kid", CLASSES], painter.generated(), folder)
    assert len(painter.asked) == 150
    again = judge(tmp_path).evaluate(["kid", CLASSES], painter.generated(), folder)
    assert again == first and len(painter.asked) == 150
    # One more metric takes its images only; the other's record is the old one.
    both = judge(tmp_path).evaluate(["fid", "kid"], painter.generated(), folder)
    assert both[1] == first[0] and len(painter.asked) == 300
    # Another generator, seed or choice of reals is another measurement.
    judge(tmp_path).evaluate(["kid"], painter.generated("b"), folder)
    judge(tmp_path, seed=1).evaluate(["kid"], painter.generated(), folder)
    judge(tmp_path, chosen=190).evaluate(["kid"], painter.generated(), folder)
    judge(tmp_path).evaluate(["kid"], painter.generated(), folder, again=True)
    lines = list(read_json_lines(folder / "kid-150-toy.jsonl"))
    assert len(lines) == 5 and len(painter.asked) == 900
    assert lines[0]["value"] == lines[4]["value"]  # the same again


def test_classes_are_counted_beside_the_labels_of_all_reals(tmp_path):
    """A third of the reals is dark by its labels; every image of mean 220 is bright."""
    (record,) = judge(tmp_path).evaluate([CLASSES], Painter(220).generated(), tmp_path / "r")
    assert record["labelling"] == "brightness" and record["names"] == ["dark", "bright"]
    assert record["real"] == pytest.approx([1 / 3, 2 / 3]) and record["generated"] == [0, 1]
    assert record["entropy"] == 0 and record["sure"] == 1
    assert record["total_variation"] == pytest.approx(1 / 3)
    # Seen by the same eyes, the reals are half dark: noise around the middle.
    assert record["real_classified"][0] == pytest.approx(0.5, abs=0.15)
    json.loads((tmp_path / "r" / "classes-150-toy.jsonl").read_text(), parse_constant=pytest.fail)


def peak(base: Path, count: int) -> int:
    one = judge(base, count=count)
    flat = np.zeros((evaluator.BLOCK, *SHAPE), np.uint8)
    tracemalloc.start()
    one._look_at_generated(lambda seeds: flat[: len(seeds)] + 1, {"features", "images"})
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


def test_memory_does_not_grow_with_the_images(tmp_path):
    peak(tmp_path, 500)  # what is loaded at first
    few, many = peak(tmp_path, 1000), peak(tmp_path, 40_000)
    assert many - few < 400_000  # the images alone would be 2.5 MB more


def test_features_that_are_not_finite_are_refused(tmp_path):
    with pytest.raises(UserError, match="not finite"):
        judge(tmp_path, extractor=Toy(broken=True)).evaluate(
            ["fid"], Painter().generated(), tmp_path / "r"
        )
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("metric", "extractor", "labels", "counts", "words"),
    [
        ("is", "pixels", (), (100, 100), "is needs probabilities of classes, which"),
        ("is", "classifier", ("hair", "eyes"), (100, 100), "of one kind, not hair, eyes"),
        ("kid", "pixels", (), (99, 100), "kid needs at least 100 real images, there are 99"),
        ("is", "inception", (), (0, 99), "is needs at least 100 generated images"),
    ],
)
def test_what_cannot_be_measured_is_refused_before(metric, extractor, labels, counts, words):
    named = {name: Labels(np.zeros(1, np.int32), ("a", "b")) for name in labels}
    with pytest.raises(UserError, match=words):
        evaluator.require([metric], extractor, named, real=counts[0], generated=counts[1])


def test_what_can_be_measured():
    one = {"label": Labels(np.arange(200, dtype=np.int32) % 2, ("a", "b"))}
    assert evaluator.default_extractor(one) == "classifier"
    assert evaluator.default_extractor({}) == "pixels"
    alike = replace(one["label"], values=np.zeros(200, np.int32))
    assert evaluator.default_extractor({"label": alike}) == "pixels"
    assert evaluator.possible_metrics("classifier", one) == measures.METRICS
    without = tuple(m for m in measures.METRICS if m != "is")
    assert evaluator.possible_metrics("pixels", one) == without
    assert evaluator.possible_metrics("classifier", one | {"other": alike}) == without


# --- the command


def evaluate(run_root: Path, *flags) -> int:
    return main.main(["evaluate", "--run_dir", str(run_root), *map(str, flags)])


def test_the_command_measures_prints_and_draws(tmp_path, capsys):
    run_root = learnt_run(tmp_path, {"": 130})
    before = content(run_root)
    flags = ("--num_images", 200, "--metrics", "fid,precision,swd,fid")
    with RunDir(run_root).lock():  # as when training goes on
        assert evaluate(run_root, *flags) == 0
    output = capsys.readouterr().out
    assert "There are 130 real images of train, fewer than --num_images 200" in output
    assert "run, step 1234, epoch 1.5:" in output
    lines = {name: list(read_json_lines(run_root / "evaluation" / name)) for name in NAMES}
    for name, (record,) in lines.items():
        assert name in output
        shown = f"{record['metric']:10} {record['value']:10.4g}   {record['low']:.4g} to"
        assert shown in output and output.count(shown) == 1
        assert (record["real_count"], record["step"], record["epoch"]) == (130, 1234, 1.5)
        assert record["generator"] == Trained(RunDir(run_root)).fingerprint
    assert "Protocol: extractor pixels " in output and "seeds 0 to 199" in output
    assert (run_root / "evaluation.png").read_bytes().startswith(b"\x89PNG")
    after = content(run_root)
    assert before.items() <= {k: v for k, v in after.items() if k != ".lock"}.items()
    assert evaluate(run_root, *flags) == 0
    files = {n: b for n, b in content(run_root).items() if n.startswith("evaluation/")}
    assert files == {n: b for n, b in after.items() if n.startswith("evaluation/")}
    assert evaluate(run_root, *flags, "--again") == 0
    assert all(len(list(read_json_lines(run_root / "evaluation" / n))) == 2 for n in NAMES)


NAMES = ("fid-200-pixels.jsonl", "precision-200-pixels.jsonl", "swd-200-laplacian.jsonl")


def test_labelled_data_get_a_histogram(tmp_path, capsys, monkeypatch):
    run_root = learnt_run(tmp_path, {"dark": 60, "bright": 80})
    toy = Toy()
    toy.classes, toy.name = {"label": ("bright", "dark")}, "classifier"
    toy.accuracy = {"label": 0.875}
    call = Toy.__call__

    def renamed(self, images):
        found = call(self, images)
        return Extracted(found.features, {"label": found.probabilities["brightness"][:, ::-1]})

    monkeypatch.setattr(Toy, "__call__", renamed)
    monkeypatch.setattr(extractors, "make", lambda name, *args, **kwargs: {"classifier": toy}[name])
    assert evaluate(run_root, "--num_images", 128, "--metrics", "is") == 0
    output = capsys.readouterr().out
    assert "in % of real > generated images: bright 57.1>" in output  # 80 of 140
    assert "right on 87.5% of held-out" in output and "by chance alone" in output
    (record,) = read_json_lines(run_root / "evaluation" / "classes-128-classifier.jsonl")
    assert record["real"] == pytest.approx([80 / 140, 60 / 140])
    assert record["accuracy"] == 0.875


def test_another_part_of_the_data(tmp_path, capsys):
    pixels = np.random.default_rng(0).integers(0, 256, (150, 28, 28), np.uint8)
    for prefix, count in (("train", 150), ("t10k", 120)):
        write_mnist(
            tmp_path / "mnist", prefix, pixels=pixels[:count], labels=np.zeros(count, np.uint8)
        )
    run_root = learnt_run(tmp_path, {}, shape=(16, 16, 1), dataset="mnist", train_size=140)
    flags = ("--metrics", "precision", "--num_images", 150, "--extractor", "pixels")
    assert evaluate(run_root, *flags) == 0
    assert evaluate(run_root, *flags, "--split", "train") == 0
    assert evaluate(run_root, *flags, "--split", "test") == 0
    first, other = read_json_lines(run_root / "evaluation" / "precision-150-pixels.jsonl")
    assert (first["split"], first["real_count"]) == ("train", 140)  # the run's own --train_size
    assert (other["split"], other["real_count"]) == ("test", 120)
    assert first["data"] != other["data"]
    capsys.readouterr()
    assert evaluate(run_root, *flags, "--split", "valid") == 2
    assert "no images for --split valid: mnist has no splits ('valid',)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--metrics", "fid,kld"], "--metrics must be one of fid, kid, "),
        (["--metrics", "is"], "is needs probabilities of classes"),
        (["--num_images", 99], "needs at least 100 generated images, there are 99"),
        (["--num_images", 150], "needs at least 100 real images, there are 90"),
        (["--split", "test"], "no images for --split test"),
        (["--extractor", "classifier", "--metrics", "is"], "is needs probabilities of classes"),
        (["--extractor", "vgg"], "--extractor must be one of inception, classifier, pixels"),
        (["--checkpoint", "best"], "no checkpoint {run}/checkpoints/best.npz"),
    ],
)
def test_bad_input(tmp_path, capsys, flags, words):
    run_root = learnt_run(tmp_path, {"": 90})
    assert evaluate(run_root, *flags) == 2
    sentence = capsys.readouterr().err.partition("\nerror: ")[2]
    assert words.format(run=run_root) in sentence and sentence.count("\n") == 1
    assert not (run_root / "evaluation").exists()


def test_a_classifier_needs_labels(tmp_path, capsys):
    run_root = learnt_run(tmp_path, {"": 110})
    assert evaluate(run_root, "--extractor", "classifier", "--num_images", 110) == 2
    assert "The classifier needs labels" in capsys.readouterr().err
    assert not (run_root / "evaluation").exists()


def test_a_run_without_checkpoints_is_refused(tmp_path, capsys):
    run_root = learnt_run(tmp_path, {"": 2})
    for path in run_root.glob("checkpoints/*.npz"):
        path.unlink()
    assert evaluate(run_root) == 2
    assert "holds no whole checkpoint; train first" in capsys.readouterr().err


def test_the_table_shows_levels_and_missing_intervals():
    record = {"metric": "swd", "value": 12.345678, "low": 1.5, "high": 20.25, "better": "lower"}
    lines = table([record | {"parts": {"16x16": 3.25}}, record | {"low": None, "high": None}])
    assert lines[1].split() == ["swd", "12.35", "1.5", "to", "20.25", "lower", "(16x16", "3.25)"]
    assert lines[2].split() == ["swd", "12.35", "lower"]
    assert table([]) == []
