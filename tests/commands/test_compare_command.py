"""`compare`: on runs as training leaves them, on broken ones, and where it refuses."""

import re

import numpy as np
import pytest
from idle import learning_nothing, scramble
from report_pages import Page, pixels_of
from running import SMALL, content, write_pictures
from toy_run import toy_run

import main
from dcgan import images
from dcgan.run.run_dir import RunDir
from dcgan.run.trained_run import TrainedRun
from dcgan.training import trainer


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Three runs of a few steps of random networks: two seeds, and another batch."""
    base = tmp_path_factory.mktemp("runs")
    faces = write_pictures(base / "faces", 120)
    common = ["--dataset", faces, "--cache_dir", base / "cache", *SMALL, "--steps", 20]
    common += ["--evaluate_freq", 10, "--evaluate_metric", "fid", "--log_freq", 5]
    common += ["--evaluate_extractor", "pixels"]
    with learning_nothing(change=scramble), pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "draw_evaluations", lambda *_, **__: None)  # which takes a second
        for name, more in (("s0", ()), ("s1", ("--seed", 1)), ("b16", ("--batch_size", 16))):
            words = [*common, *more, "--run_dir", base / "runs" / name]
            assert main.main(list(map(str, words))) == 0
    return base / "runs"


def test_the_command_compares_runs_and_changes_none(trained, capsys, monkeypatch):
    monkeypatch.chdir(trained.parent)
    before = content(trained)
    words = ["compare", "--runs", "runs/s0", "runs/b16,runs/s1", "--seeds", "3-7,100"]
    assert main.main(words) == 0
    printed = capsys.readouterr().out
    after = content(trained)
    html = after.pop("comparison.html")
    assert after == before
    found = Page(html.decode())
    assert "Wrote runs/comparison.html" in printed
    assert re.search(r"^s +0\.\d+ +160 +[\d,.]+ +[\d,.]+", printed, re.M)
    assert re.search(r"^b16 +0\.\d+ +320 +[\d,.]+ +[\d,.]+", printed, re.M)
    assert "--batch_size Images per step, over all devices. 8 16" in found.words["options"]
    assert "--seed Seed of weights, order, flips and noise. 0, 1 0" in found.words["options"]
    assert found.words["options"].count("--") == 2
    assert "steps 20 20 images a second" in found.words["figures"]
    assert "After 160 images each" in found.words["verdict"]
    expected = [
        TrainedRun(RunDir(trained / name)).sample([*range(3, 8), 100])
        for name in ("s0", "s1", "b16")
    ]
    shown = found.all("img")[1:4]  # after the real images
    for address, samples in zip((one["src"] for one in shown), expected, strict=True):
        np.testing.assert_array_equal(pixels_of(address), images.grid(samples, columns=6))
    grids = found.all("img")[5:]
    for address, samples in zip((one["src"] for one in grids), expected, strict=True):
        np.testing.assert_array_equal(pixels_of(address), images.grid(samples))
    assert main.main(words) == 0  # its own file it replaces


def test_two_runs_of_one_name_are_told_apart(tmp_path):
    for name, batch in (("a", 8), ("b", 16)):
        toy_run(tmp_path / name / "run", seed=batch)
    to = tmp_path / "page.html"
    folders = [str(tmp_path / name / "run") for name in "ab"]
    assert main.main(["compare", "--runs", *folders, "--to", str(to)]) == 0
    words = Page(to.read_text("utf-8")).words
    assert "a/run" in words["runs"] and "b/run" in words["runs"]


def test_a_run_without_a_checkpoint_is_compared_all_the_same(tmp_path):
    for name in "ab":
        toy_run(tmp_path / name)
    for path in (tmp_path / "b" / "checkpoints").glob("*.npz"):
        path.unlink()
    to = tmp_path / "page.html"
    folders = f"{tmp_path / 'a'},{tmp_path / 'b'}"
    assert main.main(["compare", "--runs", folders, "--to", str(to)]) == 0
    found = Page(to.read_text("utf-8"))
    assert f"b is shown without images: {tmp_path / 'b'} holds no intact" in found.words["verdict"]
    assert len(found.all("img")) == 2  # of the other: strip and grid
