"""`evaluate --images`: pictures as what is measured, whatever made them."""

from pathlib import Path

import numpy as np
import pytest
from learnt import learnt_run, write_pngs
from mnist_files import write_mnist
from running import content
from test_evaluate import evaluate, pictures

from dcgan.evaluation.evaluator import as_generator
from dcgan.evaluation.inception_score import inception_score
from dcgan.evaluation.protocol import first_seed
from dcgan.evaluation.unseen import copies
from dcgan.files import read_json_lines

SHAPE = (8, 8, 3)
pytestmark = pytest.mark.usefixtures("quick_swd")


def noise(count: int, seed: int, shape=SHAPE) -> np.ndarray:
    """Of the kind that `learnt_run` has learnt from."""
    return np.random.default_rng(seed).integers(30, 90, (count, *shape)).astype(np.uint8)


def measured(run_root: Path, name: str = "fid-120-pixels.jsonl") -> list[dict]:
    return list(read_json_lines(run_root / "evaluation" / "images" / name))


def test_pictures_are_chosen_by_the_seed():
    all_of_them = pictures(range(50))
    for seed in (0, 3):
        few, first = as_generator(all_of_them, 20, seed=seed), first_seed(seed)
        parts = [few.sample(range(first + i, first + i + 10)) for i in (0, 10)]
        found = np.concatenate(parts)
        assert copies(found, all_of_them) == 20 and len(np.unique(found, axis=0)) == 20
        assert few.fingerprint == as_generator(all_of_them, 9, seed=1).fingerprint
    other = as_generator(all_of_them, 20, seed=4).sample(range(first_seed(4), first_seed(4) + 20))
    assert not np.array_equal(found, other)
    assert as_generator(all_of_them[::-1], 20, seed=0).fingerprint != few.fingerprint


def test_pictures_come_in_random_order_as_folders_are_sorted_by_class():
    """The inception score takes consecutive images: tenths of one class would score 1."""
    values = np.repeat(np.uint8([0, 255]), 1000).reshape(-1, 1, 1, 1)
    found = as_generator(values, 2000, seed=7).sample(range(first_seed(7), first_seed(7) + 2000))
    assert sorted(found.ravel()) == sorted(values.ravel())
    classes = np.eye(2)[found.ravel() // 255]
    assert inception_score(classes).value > 1.95


def test_copies_are_counted_pixel_for_pixel():
    known, others = pictures(range(10)), pictures(range(100, 103))
    some = np.concatenate([known[:2], known[:1], others, known[9:] ^ 1])
    assert copies(some, known) == 3 and copies(some, known, others[1:]) == 5


def test_the_command_measures_the_pictures_and_not_the_run(tmp_path, capsys):
    run_root = learnt_run(tmp_path, {"": 250}, shape=SHAPE)
    alike = write_pngs(tmp_path / "alike", noise(120, seed=5))
    before = content(run_root)
    assert evaluate(run_root, "--images", alike, "--metrics", "fid,swd") == 0
    output = capsys.readouterr()
    assert f"{alike}:" in output.out and "alike: 120 found, 120 used" in output.out
    assert f"120 images of {alike}, 120 real ones of train" in output.out
    assert "seeds" not in output.out and "real images of the data set" not in output.out
    [record] = measured(run_root)
    assert (record["real_count"], record["generated_count"], record["step"]) == (120, 120, None)
    assert record["low"] <= record["floor"]["high"] and record["floor"]["low"] <= record["high"]
    # Nothing that curve, report and compare take for the run's own.
    new = set(content(run_root)) - set(before)
    assert {Path(name).parts[:2] for name in new} == {("evaluation", "images")}
    darker = write_pngs(tmp_path / "darker", noise(120, seed=6) // 2)
    assert evaluate(run_root, "--images", darker, "--metrics", "fid") == 0
    first, worse = measured(run_root)
    assert first == record and worse["low"] > worse["floor"]["high"]


def test_as_many_pictures_and_reals_as_there_are(tmp_path, capsys):
    run_root = learnt_run(tmp_path, {"": 110}, shape=SHAPE)
    pictures = write_pngs(tmp_path / "p", noise(130, seed=5, shape=(20, 24, 3)))  # of another size
    (pictures / "broken.png").write_bytes(b"no picture")
    assert evaluate(run_root, "--images", pictures, "--metrics", "fid") == 0
    output = capsys.readouterr().out
    assert "Skipped 1: not an image (broken.png)" in output
    assert "There are 110 real images of train, fewer than the pictures: all are taken" in output
    [record] = measured(run_root, "fid-130-pixels.jsonl")
    assert (record["generated_count"], record["real_count"]) == (130, 110)
    assert evaluate(run_root, "--images", pictures, "--metrics", "fid", "--num_images", 105) == 0
    [record] = measured(run_root, "fid-105-pixels.jsonl")
    assert (record["generated_count"], record["real_count"]) == (105, 105)


def test_copies_of_another_split_are_said(tmp_path, capsys):
    pixels = np.random.default_rng(0).integers(0, 256, (240, 28, 28), np.uint8)
    for prefix, part in (("train", pixels[:120]), ("t10k", pixels[120:])):
        write_mnist(tmp_path / "mnist", prefix, pixels=part, labels=np.zeros(120, np.uint8))
    run_root = learnt_run(tmp_path, {}, shape=(28, 28, 1), dataset="mnist")
    test = write_pngs(tmp_path / "test", pixels[120:, :, :, np.newaxis])
    flags = ("--images", test, "--metrics", "precision", "--extractor", "pixels")
    assert evaluate(run_root, *flags) == 0
    assert "real images of the data set" not in capsys.readouterr().out
    assert evaluate(run_root, *flags, "--splits", "test") == 0
    output = capsys.readouterr().out
    assert "120 of the 120 pictures" in output
    assert "figures of copies say nothing about new images" in output
