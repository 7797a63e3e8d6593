"""Evaluation: the right numbers of the right images, written once, in memory that stays flat."""

import json
import tracemalloc
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from learnt import learnt_run
from mnist_files import write_mnist
from running import command, content

from dcgan import UserError
from dcgan.cli import run_options
from dcgan.commands.evaluate import histogram, table
from dcgan.datasets.source import Labels
from dcgan.evaluation import evaluator, extractors, metrics, network_file, unseen
from dcgan.evaluation.evaluator import Candidate, Evaluator
from dcgan.evaluation.extractor import Extracted
from dcgan.evaluation.kept_results import is_histogram
from dcgan.evaluation.metrics import CLASSES, ImageSample, measure_all
from dcgan.evaluation.protocol import first_seed, short
from dcgan.evaluation.reals import Reals, choose_reals
from dcgan.files import read_json_lines
from dcgan.run.run_dir import RunDir
from dcgan.run.trained_run import TrainedRun

SHAPE = (8, 8, 1)
pytestmark = pytest.mark.usefixtures("quick_swd")


class Toy:
    """An extractor of four means, whose class is whether the image is bright."""

    name = "toy"
    fingerprint = "f00d"
    resize = "means of four columns"
    classes = {"brightness": ("dark", "bright")}

    def __call__(self, images: np.ndarray) -> Extracted:
        columns = images.reshape(len(images), -1, 4).mean(1, dtype=np.float32)
        bright = (columns.mean(1) > 127).astype(np.float32)
        chances = np.stack([1 - bright, bright], 1)
        return Extracted(columns, {"brightness": chances})


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

    def generated(self, fingerprint: str = "a") -> Candidate:
        return Candidate(self, fingerprint, 7, 0.5)


def reals(count: int = 300, chosen: int = 200, dark: int = 100) -> Reals:
    """In their order: the first are compared with, and two halves are of as many as there are."""
    images, half = pictures(range(1_000_000, 1_000_000 + count)), min(chosen, count // 2)
    labels = Labels((np.arange(count) >= dark).astype(np.int32), ("dark", "bright"))
    rows = np.arange(max(chosen, 2 * half))
    return Reals(images, rows, chosen, half, {"brightness": labels}, "da7a", "train")


def judge(base: Path, *, count=150, seed=0, extractor=None, **kwargs) -> Evaluator:
    return Evaluator(
        extractor or Toy(), reals(**kwargs), count=count, seed=seed, cache_dir=base / "cache"
    )


# --- names


def test_the_options_name_what_there_is():
    assert run_options.METRICS == metrics.METRICS and run_options.FACES == metrics.FACES
    assert run_options.EXTRACTORS == extractors.NAMES
    assert run_options.RANGES == network_file.RANGES and run_options.LAYOUTS == network_file.LAYOUTS


def test_the_protocol_is_in_the_name_of_the_file(tmp_path):
    shown = [short(n) for n in (512, 1000, 2048, 5000, 50_000)]
    assert shown == ["512", "1k", "2048", "5k", "50k"]
    assert judge(tmp_path, count=5000).protocol("kid").file_name("kid") == "kid-5k-toy.jsonl"
    # What looks at the images themselves depends on no extractor.
    assert judge(tmp_path).protocol("swd").file_name("swd") == "swd-150-laplacian.jsonl"


def test_no_two_seeds_share_an_image():
    assert first_seed(0) == 0
    assert first_seed(1) - first_seed(0) >= 1_000_000  # the largest --num_images
    assert first_seed(2**30) + 1_000_000 < 2**63


# --- the evaluator


def test_the_numbers_are_those_of_the_images(tmp_path):
    """150 images come in blocks through files; here all at once through `measure_all`."""
    painter, wanted = Painter(), metrics.METRICS
    one = judge(tmp_path, seed=3)
    records = one.evaluate(wanted, painter.generated(), tmp_path / "records")
    assert painter.asked == list(range(first_seed(3), first_seed(3) + 150))
    found, real = pictures(painter.asked), one.reals.images[:200]
    samples = []
    for images in (real, found):
        seen = Toy()(images)
        samples.append(ImageSample(images, seen.features, seen.probabilities["brightness"]))
    for metric, record in zip(wanted, records, strict=True):
        expected = measure_all([metric], *samples, seed=3)[metric]
        assert record["metric"] == metric
        assert record["value"] == pytest.approx(expected.value, rel=1e-9), metric
        assert (record["low"], record["high"]) == pytest.approx((expected.low, expected.high))
        assert record["interval"] == expected.interval
    assert [r["better"] for r in records] == ["lower"] * 2 + ["higher"] * 4 + ["lower", "higher"]


def test_a_record_says_what_was_measured_and_how(tmp_path):
    judge(tmp_path, seed=3).evaluate(["fid"], Painter().generated(), tmp_path / "records")
    (line,) = read_json_lines(tmp_path / "records" / "fid-150-toy.jsonl")
    expected = {"metric": "fid", "step": 7, "epoch": 0.5, "generator": "a", "extractor": "toy"}
    expected |= {"extractor_fingerprint": "f00d", "resize": "means of four columns"}
    expected |= {"real_count": 200, "generated_count": 150, "split": "train", "unseen": False}
    expected |= {"seed": 3, "version": metrics.VERSIONS["fid"]}
    assert expected.items() <= line.items()
    assert line["made"].endswith("+00:00") and line["seconds"] >= 0


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
    judge(tmp_path, chosen=140).evaluate(["kid"], painter.generated(), folder)
    judge(tmp_path).evaluate(["kid"], painter.generated(), folder, again=True)
    lines = list(read_json_lines(folder / "kid-150-toy.jsonl"))
    assert len(lines) == 5 and len(painter.asked) == 900
    assert lines[0]["value"] == lines[4]["value"]  # the same again


@pytest.mark.parametrize(("metric", "odd"), [("kid", {"value": "0.1"}), (CLASSES, {"names": 3})])
def test_records_of_another_version_or_of_others_are_measured_again(
    tmp_path, monkeypatch, metric, odd
):
    """From before records had versions, of a changed formula, not ours: see `test_kept_results`."""
    painter, folder, clock = Painter(), tmp_path / "records", {"made": 0, "seconds": 0}

    def evaluate() -> dict:
        return judge(tmp_path).evaluate([metric], painter.generated(), folder)[0]

    first = evaluate()
    unversioned = {name: value for name, value in first.items() if name != "version"}
    others = (unversioned, first | {"version": first["version"] + 1}, first | odd)
    for count, other in enumerate(others, start=2):
        (folder / f"{metric}-150-toy.jsonl").write_text(json.dumps(other) + "\n")
        again = evaluate()
        assert again | clock == first | clock and len(painter.asked) == 150 * count
        assert evaluate() == again and len(painter.asked) == 150 * count
    assert first["version"] == metrics.VERSIONS[metric]
    monkeypatch.setitem(metrics.VERSIONS, metric, 9)
    assert evaluate()["version"] == 9 and len(painter.asked) == 150 * 5


# --- real images that the extractor has not learnt from, and the floor


def some(images: np.ndarray) -> SimpleNamespace:
    return SimpleNamespace(images=images, labels={})


def test_reals_are_none_that_were_learnt_from():
    images = pictures(range(400))
    learnt = unseen.fingerprints(images[100:])
    found = choose_reals(some(images), 60, learnt=learnt, split="train", seed=0)
    assert (found.count, found.half, found.unseen) == (60, 50, True)
    assert sorted(found.rows) == list(range(100))  # also those that only the floor needs
    few = choose_reals(some(images), 40, learnt=learnt, split="train", seed=0)
    assert (few.count, few.half, len(few.rows)) == (40, 40, 80)
    assert len(set(few.rows)) == 80 and max(few.rows) < 100
    assert few.rows[:40].tolist() != sorted(few.rows[:40])  # halves are of every part of the data
    many = choose_reals(some(images), 500, learnt=None, split="train", seed=0)
    assert (many.count, many.half, many.unseen) == (400, 200, False)
    other = choose_reals(some(images), 40, learnt=learnt, split="train", seed=1)
    assert len({found.fingerprint, few.fingerprint, many.fingerprint, other.fingerprint}) == 4


def test_every_image_is_compared_with_where_there_are_few():
    """Also the last of an odd number, which belongs to neither half."""
    found = choose_reals(some(pictures(range(9))), 20, learnt=None, split="train", seed=0)
    assert (found.count, found.half, sorted(found.rows)) == (9, 4, list(range(9)))


def test_a_fingerprint_is_of_the_images_and_of_what_each_is_for():
    found = choose_reals(some(pictures(range(9))), 4, learnt=None, split="train", seed=0)
    changes = ({}, {"count": 3}, {"half": 3}, {"data": "other"}, {"rows": found.rows[::-1]})
    assert len({replace(found, **change).fingerprint for change in changes}) == len(changes)


def test_the_floor_is_of_two_halves_and_the_score_of_classes_of_the_reals(tmp_path):
    one = judge(tmp_path, seed=3)
    records = one.evaluate(("fid", "swd", "is"), Painter().generated(), tmp_path / "r")
    images, halves = one.reals.images, []
    for part in (slice(0, 150), slice(150, 300), slice(0, 200)):
        seen = Toy()(images[part])
        halves.append(ImageSample(images[part], seen.features, seen.probabilities["brightness"]))
    for record in records[:2]:
        metric, floor = record["metric"], record["floor"]
        expected = measure_all([metric], *halves[:2], seed=3)[metric]
        assert (floor["of"], floor["count"]) == ("halves", 150)
        assert floor["value"] == pytest.approx(expected.value, rel=1e-9)
        assert (floor["low"], floor["high"]) == pytest.approx((expected.low, expected.high))
    expected = measure_all(["is"], ImageSample(), halves[2])["is"].value
    assert records[2]["floor"]["value"] == pytest.approx(expected, rel=1e-9)
    assert (records[2]["floor"]["of"], records[2]["floor"]["count"]) == ("reals", 200)


def test_the_floor_is_measured_once_for_all_generators(tmp_path, monkeypatch):
    (first,) = judge(tmp_path).evaluate(["fid"], Painter().generated(), tmp_path / "r")
    calls = []
    monkeypatch.setattr(
        evaluator, "measure_all", lambda *args, **how: calls.append(args) or measure_all(*args)
    )
    (other,) = judge(tmp_path).evaluate(["fid"], Painter(90).generated("b"), tmp_path / "r")
    assert len(calls) == 1 and other["floor"] == first["floor"]
    monkeypatch.setitem(metrics.VERSIONS, "fid", 9)
    judge(tmp_path).evaluate(["fid"], Painter(90).generated("b"), tmp_path / "r")
    assert len(calls) == 4  # the comparison, and the floor: halves, and nothing alone


def test_a_floor_is_kept_for_all_that_it_depends_on(tmp_path):
    class Other(Toy):
        fingerprint = "beef"

    judges = [{}, {"seed": 1}, {"extractor": Other()}, {"chosen": 160}]
    for number, how in enumerate([*judges, {}], 1):
        judge(tmp_path, **how).evaluate(["fid"], Painter().generated(), tmp_path / str(number))
        kept = list((tmp_path / "cache").rglob("floors-*"))
        assert len(kept) == min(number, len(judges)), how


def test_without_enough_reals_there_is_no_floor(tmp_path):
    """100 are enough: of each half, or of all for a score of classes, which compares nothing."""
    for count, wanted, counts in ((199, ["kid", "is"], [None, 199]), (99, ["is"], [None])):
        few = replace(reals(), rows=np.arange(count), count=count, half=count // 2)
        one = Evaluator(Toy(), few, count=150, seed=0, cache_dir=tmp_path / "cache")
        records = one.evaluate(wanted, Painter().generated(), tmp_path / str(count))
        floors = [record["floor"] for record in records]
        assert [floor and floor["count"] for floor in floors] == counts
        assert {record["real_count"] for record in records} == {count}


def test_a_floor_that_we_did_not_write_is_measured_again(tmp_path):
    judge(tmp_path).evaluate(["kid"], Painter().generated(), tmp_path / "r")
    path = next(tmp_path.rglob("floors-*.npz"))
    note = np.frombuffer(json.dumps({"kid": {"value": 1}}).encode(), np.uint8)
    np.savez(path, **{"meta.json": note})
    [record] = judge(tmp_path).evaluate(["kid"], Painter().generated("b"), tmp_path / "r")
    assert record["floor"]["of"] == "halves" and type(record["floor"]["low"]) is float


def test_classes_are_counted_beside_the_labels_of_all_reals(tmp_path):
    """A third of the reals is dark by its labels; every image of mean 220 is bright."""
    (record,) = judge(tmp_path).evaluate([CLASSES], Painter(220).generated(), tmp_path / "r")
    assert record["labelling"] == "brightness" and record["names"] == ["dark", "bright"]
    assert record["real"] == pytest.approx([1 / 3, 2 / 3]) and record["generated"] == [0, 1]
    assert record["entropy"] == 0 and record["sure"] == 1
    assert record["total_variation"] == pytest.approx(1 / 3)
    # Seen by the same eyes, those compared with, of 300, are about half dark: noise.
    seen = Toy()(reals().images[:200]).probabilities["brightness"].mean(0)
    assert record["real_classified"] == pytest.approx(seen, rel=1e-6)
    json.loads((tmp_path / "r" / "classes-150-toy.jsonl").read_text(), parse_constant=pytest.fail)


def by_class() -> Candidate:
    """Bright where that is asked for, of odd seeds, but for every fifth seed."""

    def asked(seeds) -> dict[str, list[str]]:
        return {"brightness": ["bright" if seed % 2 else "dark" for seed in seeds], "size": []}

    def paint(seeds) -> np.ndarray:
        bright = [(seed % 2 == 1) != (seed % 5 == 0) for seed in seeds]
        levels = np.where(bright, 220, 40).astype(np.uint8)
        return np.broadcast_to(levels[:, None, None, None], (len(seeds), 8, 8, 1)).copy()

    return Candidate(paint, "by class", 7, 0.5, asked)


def test_the_share_with_the_class_asked_for_is_of_the_images_of_all_batches(tmp_path):
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
    (other,) = judge(tmp_path).evaluate([CLASSES], Painter().generated(), tmp_path / "r")
    assert "asked" not in other and "asked for" not in " ".join(histogram(other))


def peak(base: Path, count: int) -> int:
    one = judge(base, count=count)
    flat = np.zeros((evaluator.BLOCK, *SHAPE), np.uint8)
    tracemalloc.start()
    one._extract_generated(lambda seeds: flat[: len(seeds)] + 1, {"features", "images"})
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


def test_memory_does_not_grow_with_the_images(tmp_path):
    peak(tmp_path, 500)  # what is loaded at first
    few, many = peak(tmp_path, 1000), peak(tmp_path, 40_000)
    assert many - few < 400_000  # the images alone would be 2.5 MB more


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
    one = {"label": Labels(np.arange(500, dtype=np.int32) % 2, ("a", "b"))}
    assert evaluator.default_extractor(one, 900) == "classifier"
    assert evaluator.default_extractor({}, 500) == "self_supervised"
    assert evaluator.default_extractor({}, 499) == "pixels"
    alike = replace(one["label"], values=np.zeros(500, np.int32))
    assert evaluator.default_extractor({"label": alike}, 499) == "pixels"
    each_its_own = replace(one["label"], values=np.arange(500, dtype=np.int32))
    assert evaluator.default_extractor({"address": each_its_own}, 500) == "self_supervised"
    assert evaluator.possible_metrics("classifier", one) == metrics.METRICS
    without = tuple(m for m in metrics.METRICS if m != "is")
    assert evaluator.possible_metrics("pixels", one) == without
    assert evaluator.possible_metrics("classifier", one | {"other": alike}) == without


# --- the command


def evaluate(run_root: Path, *flags) -> int:
    return command("evaluate", "--run_dir", run_root, *flags)


def test_the_command_measures_prints_and_draws(tmp_path, capsys):
    run_root = learnt_run(tmp_path, {"": 110}, shape=(8, 8, 3))
    before = content(run_root)
    flags = ("--num_images", 120, "--metrics", "fid,precision,swd,fid")
    with RunDir(run_root).lock():  # as when training goes on
        assert evaluate(run_root, *flags) == 0
    output = capsys.readouterr().out
    assert "There are 110 real images of train, fewer than --num_images 120" in output
    assert "run, step 1234, epoch 1.5:" in output
    assert "No floor: two halves of the real images would be fewer than a metric" in output
    lines = {name: list(read_json_lines(run_root / "evaluation" / name)) for name in NAMES}
    for name, (record,) in lines.items():
        assert name in output
        shown = f"{record['metric']:10} {record['value']:10.4g}   {record['low']:.4g} to"
        assert shown in output and output.count(shown) == 1
        assert (record["real_count"], record["step"], record["epoch"]) == (110, 1234, 1.5)
        assert record["generator"] == TrainedRun(RunDir(run_root)).fingerprint
    assert "Protocol: extractor pixels " in output and "seeds 0 to 119" in output
    assert (run_root / "evaluation.png").read_bytes().startswith(b"\x89PNG")
    after = content(run_root)
    assert before.items() <= {k: v for k, v in after.items() if k != ".lock"}.items()
    capsys.readouterr(), evaluate(run_root, *flags)
    output = capsys.readouterr().out
    assert "Wrote" not in output and output.count("Measured before (") == 2  # protocols
    files = {n: b for n, b in content(run_root).items() if n.startswith("evaluation/")}
    assert files == {n: b for n, b in after.items() if n.startswith("evaluation/")}
    assert evaluate(run_root, *flags[:2], "--metrics", "swd", "--again") == 0
    counts = [len(list(read_json_lines(run_root / "evaluation" / name))) for name in NAMES]
    assert counts == [1, 1, 2]


NAMES = ("fid-120-pixels.jsonl", "precision-120-pixels.jsonl", "swd-120-laplacian.jsonl")


def test_labelled_data_get_a_histogram(tmp_path, capsys, monkeypatch):
    class Labelled(Toy):
        name, classes, accuracy = "classifier", {"label": ("bright", "dark")}, {"label": 0.875}

        def __call__(self, images):
            found = super().__call__(images)
            return Extracted(found.features, {"label": found.probabilities["brightness"][:, ::-1]})

    def find_learnt(name, prepared, seed):
        return unseen.fingerprints(prepared.images[:10])

    run_root = learnt_run(tmp_path, {"dark": 60, "bright": 80}, shape=(8, 8, 3))
    flags = ("--num_images", 128, "--metrics", "is", "--extractor", "classifier")
    monkeypatch.setattr(extractors, "make", lambda name, *_, **__: {"classifier": Labelled()}[name])
    monkeypatch.setattr(extractors, "find_learnt", find_learnt)
    monkeypatch.setattr(extractors, "require", lambda *args, **kwargs: None)  # of 140 images
    assert evaluate(run_root, *flags) == 0
    output = capsys.readouterr().out
    rows = [line.split()[:2] for line in output.partition("\nlabel ")[2].splitlines()[:3]]
    assert rows == [["real", "generated"], ["bright", "57.1%"], ["dark", "42.9%"]]  # 80 of 140
    assert "right on 87.5% of held-out" in output and "by chance alone" in output
    (record,) = read_json_lines(run_root / "evaluation" / "classes-128-classifier.jsonl")
    assert (record["real"], record["accuracy"]) == (pytest.approx([80 / 140, 60 / 140]), 0.875)
    assert record["unseen"] is True


def test_another_part_of_the_data(tmp_path, capsys):
    pixels = np.random.default_rng(0).integers(0, 256, (150, 28, 28), np.uint8)
    for prefix, count in (("train", 150), ("t10k", 120)):
        write_mnist(
            tmp_path / "mnist", prefix, pixels=pixels[:count], labels=np.zeros(count, np.uint8)
        )
    run_root = learnt_run(tmp_path, {}, shape=(16, 16, 1), dataset="mnist", train_size=140)
    flags = ("--metrics", "precision", "--num_images", 150, "--extractor", "pixels")
    assert evaluate(run_root, *flags) == 0
    assert evaluate(run_root, *flags, "--splits", "train") == 0
    assert evaluate(run_root, *flags, "--splits", "test") == 0
    first, other = read_json_lines(run_root / "evaluation" / "precision-150-pixels.jsonl")
    assert (first["split"], first["real_count"]) == ("train", 140)  # the run's own --train_size
    assert (other["split"], other["real_count"]) == ("test", 120)
    assert first["data"] != other["data"]
    capsys.readouterr()
    assert evaluate(run_root, *flags, "--splits", "valid") == 2
    assert "no images for --splits valid: mnist has no --splits valid" in capsys.readouterr().err


def test_the_table_shows_levels_and_missing_intervals():
    record = {"metric": "swd", "value": 12.345678, "low": 1.5, "high": 20.25, "better": "lower"}
    floor = {"of": "halves", "count": 100, "value": 1.25}
    some = record | {"parts": {"16x16": 3.25}, "floor": floor}
    lines = table([some, record | {"low": None, "high": None, "floor": floor | {"of": "reals"}}])
    assert lines[0].split() == ["metric", "value", "95", "%", "interval", "floor", "better"]
    assert lines[1].split() == [*"swd 12.35 1.5 to 20.25 1.25 lower (16x16 3.25)".split()]
    assert lines[2].split() == ["swd", "12.35", "1.25", "(reals)", "lower"]
    assert table([record | {"floor": None}])[1].split()[-2:] == ["-", "lower"] and table([]) == []
