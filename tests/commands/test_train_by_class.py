"""`--conditional` as a user meets it: what it learns, where it goes on, what it refuses."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from arrays import numbers
from idle import draw_nothing
from mnist_files import write_mnist
from running import SMALL, arrays_of, checkpoints, copy_as_of, grids, logged, write_pictures

import main
from dcgan.cli.recorded import to_dict
from dcgan.commands import train
from dcgan.datasets import folder
from dcgan.files import read_json, read_json_lines, write_json
from dcgan.images import even_indices
from dcgan.run.run_dir import RunDir
from dcgan.run.trained_run import TrainedRun
from dcgan.training.health import relative_diversity
from dcgan.training.trainer import make_networks

STEPS = 20
CADENCE = ("--ckpt_freq", 10, "--sample_freq", 10, "--log_freq", 5, "--max_to_keep", 9)
HAIR = ["red", "blue", "red", "green"]


def faces(base: Path) -> Path:
    """Pictures with a sheet of three kinds of labels, one of which cannot be learnt."""
    write_pictures(base, 24)
    rows = [f"{i:04d}.png,{HAIR[i % 4]},{'grey' if i % 3 else 'hazel'},{i}" for i in range(24)]
    (base / "labels.csv").write_text("\n".join(["file,hair,eyes,person", *rows]) + "\n", "utf-8")
    return base


def flags(pictures: Path, base: Path, *more) -> list[str]:
    folders = ("--dataset", pictures, "--cache_dir", base / "cache", "--run_dir", base / "run")
    small = (*folders, *SMALL, "--conditional", "--label_columns", "hair,eyes", *CADENCE)
    return list(map(str, (*small, "--steps", STEPS, *more)))


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """The pictures and an uninterrupted run; only to be read."""
    base = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        draw_nothing(patch.setattr)
        assert main.main(flags(faces(base / "faces"), base)) == 0
    return base


def test_a_run_knows_its_classes(whole):
    found = read_json(whole / "run" / "checkpoints" / "classes.json")
    assert found["names"] == {"hair": ["blue", "green", "red"], "eyes": ["grey", "hazel"]}
    assert sum(found["counts"]) == 24
    networks = read_json(whole / "run" / "checkpoints" / "model.json")
    assert networks["generator"]["classes"] == networks["discriminator"]["classes"] == [3, 2]
    config = read_json(whole / "run" / "config.json")
    assert config["conditional"] is True and config["label_columns"] == "hair,eyes"
    assert "Labels are read from labels.csv" in (whole / "run" / "log.txt").read_text("utf-8")


def test_images_of_one_seed_do_not_pass_for_a_collapse(whole):
    trained = TrainedRun(RunDir(whole / "run"))
    reals = trained.reals().images
    samples = trained.sample(range(3))  # as many as the grid has, which are all of seed 0
    expected = relative_diversity(samples, reals[even_indices(len(reals), len(samples))])
    *_, last = read_json_lines(whole / "run" / "metrics.jsonl")
    assert last["step"] == STEPS and last["diversity"] == pytest.approx(expected, abs=1e-4)


def test_a_run_goes_on_to_the_same_bytes(whole, tmp_path, capfd, monkeypatch):
    """Kills are in test_resume.py."""
    draw_nothing(monkeypatch.setattr)
    run_dir = copy_as_of(whole / "run", tmp_path / "run", 10)
    assert main.main(flags(whole / "faces", tmp_path)) == 0
    said = "".join(capfd.readouterr())
    assert "Resuming from step 10" in said and "have changed" not in said
    expected, found = arrays_of(whole / "run", STEPS), arrays_of(run_dir, STEPS)
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
    assert grids(run_dir) == grids(whole / "run")
    assert logged(run_dir) == logged(whole / "run")


def test_it_goes_on_with_the_same_classes_only(whole, idle, tmp_path, capfd):
    shutil.copytree(whole / "run", tmp_path / "run")
    pictures = tmp_path / "faces"
    shutil.copytree(whole / "faces", pictures)
    sheet = pictures / "labels.csv"
    text = sheet.read_text("utf-8")

    def go(*more) -> tuple[int, str]:
        code = main.main(flags(pictures, tmp_path, "--steps", STEPS + 5, *more))
        said = capfd.readouterr()
        return code, said.out + said.err

    sheet.write_text(text.replace("blue", "black"), "utf-8")
    code, said = go()
    assert code == 2 and "its 'hair' are blue, green, red, those of the data now black" in said
    code, said = go("--label_columns", "hair")
    assert code == 2 and "--label_columns" in said
    words = [word for word in flags(pictures, tmp_path) if word not in ("--conditional",)]
    at = words.index("--label_columns")
    assert main.main(words[:at] + words[at + 2 :]) == 2
    assert "--conditional: true in the run, false now" in capfd.readouterr().err
    assert checkpoints(tmp_path / "run")[-1] == STEPS
    sheet.write_text(text.replace("0001.png,blue", "0001.png,red"), "utf-8")
    code, said = go()
    assert code == 0 and "The labels of the data set have changed" in said


def refused(capfd, words, told: str) -> None:
    assert main.main(list(map(str, words))) == 2
    error = capfd.readouterr().err
    assert told in error
    assert "\n" not in error.strip()


def test_what_cannot_be_learnt_is_refused_before_a_picture_is_decoded(tmp_path, capfd, monkeypatch):
    def fail(*_, **__):
        raise AssertionError("a picture was decoded")

    monkeypatch.setattr(folder.FolderSource, "decode", fail)
    plain = write_pictures(tmp_path / "plain", 10)
    refused(capfd, flags(plain, tmp_path), "--conditional needs labels, and plain has none")
    pictures = faces(tmp_path / "faces")
    refused(capfd, flags(pictures, tmp_path, "--label_columns", "person"), "fewer than 2 pictures")
    assert not (tmp_path / "run").exists()


def test_columns_without_by_class_are_refused(tmp_path, capfd):
    words = [*flags(faces(tmp_path / "faces"), tmp_path), "--noconditional"]
    refused(capfd, words, "--label_columns hair,eyes is for --conditional")


def test_a_dry_run_shows_the_classes(tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(train, "_estimate", lambda *_: None)  # which takes a second
    assert main.main(flags(faces(tmp_path / "faces"), tmp_path, "--dry_run")) == 0
    said = capfd.readouterr().out
    assert "Classes of hair: blue, green, red." in said
    assert not (tmp_path / "run").exists()


@pytest.fixture
def layouts(monkeypatch) -> dict[str, str]:
    """In place of training, the layout of the networks that would be trained, by run."""
    found = {}

    def make_trainer(config, run_dir, prepared, workers, columns):
        generator, _ = make_networks(config, [len(names) for names in columns.values()])
        found[run_dir.root.name] = generator.layout
        return SimpleNamespace(run=lambda: write_json(run_dir.config, to_dict(config)) or 0)

    monkeypatch.setattr(train, "_make_trainer", make_trainer)
    return found


def test_the_best_preset_says_once_that_labels_are_not_learnt(layouts, tmp_path, capfd):
    for name in ("cats", "dogs"):
        write_pictures(tmp_path / "pets" / name, 8)
    words = ["--dataset", tmp_path / "pets", "--cache_dir", tmp_path / "cache", *SMALL]
    found = []
    for name, more in (
        ("best", ["--preset", "best", "--steps", 1]),
        ("best", ["--preset", "best", "--steps", 2]),
        ("silva", ["--preset", "silva", "--steps", 1]),
        ("by_class", ["--preset", "best", "--steps", 1, "--conditional"]),
    ):
        given = [*words, "--run_dir", tmp_path / name, *more]
        assert main.main(list(map(str, given))) == 0
        found.append("labels of 2 classes: with --conditional" in capfd.readouterr().out)
    assert found == [True, False, False, False]


@pytest.mark.parametrize("preset", ["best", "carpedm20"])
def test_a_preset_learns_the_labels_of_digits_where_it_can(layouts, tmp_path, capfd, preset):
    digits = np.repeat(np.arange(10, dtype=np.uint8), 4)
    write_mnist(tmp_path / "data" / "mnist", pixels=numbers(40, 28, 28), labels=digits)
    folders = ["--data_dir", tmp_path / "data", "--cache_dir", tmp_path / "cache"]
    words = [*folders, "--dataset", "mnist", "--preset", preset, *SMALL]

    def train(name: str, *more) -> tuple[bool, str]:
        given = [*words, "--run_dir", tmp_path / name, *more]
        assert main.main(list(map(str, given))) == 0
        return read_json(tmp_path / name / "config.json")["conditional"], capfd.readouterr().out

    learnt, said = train("all", "--steps", 1)
    assert learnt and "--conditional" in said
    learnt, said = train("few", "--steps", 1, "--train_size", 30)  # no 8 and no 9
    assert not learnt and "Trains without labels" in said and "8 (0), 9 (0)" in said
    assert train("few", "--steps", 2, "--train_size", 30)[0] is False
    old = train("old", "--steps", 1, "--noconditional", "--layout", "radford")[0]
    assert (old, train("old", "--steps", 2)[0]) == (False, False)
    own = "carpedm20" if preset == "carpedm20" else "radford"
    assert layouts == {"all": own, "few": "radford", "old": "radford"}
