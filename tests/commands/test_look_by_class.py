"""`sample`, `interpolate`, `arithmetic` and `report` of a run by class: the classes asked for."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from running import command, content
from toy_run import Z_DIM, toy_run

from dcgan import images
from dcgan.latent.labels import ClassTable
from dcgan.run.run_dir import RunDir
from dcgan.run.trained_run import TrainedRun

HAIR, EYES = ("black", "blue", "light red"), ("green", "grey")
OF_Z = {"z_dim": Z_DIM, "z_dist": "normal01"}
TABLE = ClassTable.of(
    {"hair": HAIR, "eyes": EYES}, np.array([[0, 0], [0, 1], [1, 1], [2, 0]] * 2, np.int32), **OF_Z
)


@pytest.fixture(scope="module")
def toy(tmp_path_factory) -> Path:
    return toy_run(tmp_path_factory.mktemp("toy") / "run", table=TABLE)


@pytest.fixture(scope="module")
def trained(toy) -> TrainedRun:
    return TrainedRun(RunDir(toy))


def labels(*rows) -> np.ndarray:
    return np.array(rows, np.int32)


def pictures(folder: Path) -> np.ndarray:
    return np.stack([images.read_png(path) for path in sorted(folder.glob("seed*.png"))])


def test_a_sample_has_the_class_asked_for_or_its_seeds_own(toy, trained):
    own = TABLE.labels(range(3), {})
    line = ("sample", "--run_dir", toy, "--num_images", 3)
    assert command(*line) == 0
    np.testing.assert_array_equal(
        pictures(toy / "generated" / "00001234"), trained.sample([0, 1, 2])
    )
    assert command(*line, "--label", "hair=blue") == 0
    blue = labels(*([1, eyes] for eyes in own[:, 1]))
    folder = toy / "generated" / "00001234-hair=blue"
    np.testing.assert_array_equal(pictures(folder), trained.sample([0, 1, 2], blue))
    assert folder.with_name(f"{folder.name}-seeds-0-2.png").exists()
    assert command(*line, "--label", "hair=light red", "eyes=grey") == 0
    (folder,) = toy.glob("generated/*light_red*eyes=grey*/")
    red = labels([2, 1], [2, 1], [2, 1])
    np.testing.assert_array_equal(pictures(folder), trained.sample([0, 1, 2], red))


def test_images_of_another_class_do_not_come_among_them(toy, tmp_path, capsys):
    line = ("sample", "--run_dir", toy, "--num_images", 2, "--to", tmp_path / "a")
    assert command(*line, "--label", "hair=blue") == 0
    before = content(tmp_path)
    assert command(*line, "--label", "hair=black") == 2
    assert command(*line) == 2
    assert content(tmp_path) == before
    assert command(*line, "--label", "hair=blue") == 0


@pytest.mark.parametrize(
    ("label", "told"),
    [
        ("hair=bleu", "no class 'bleu' of hair (did you mean blue?)"),
        ("hair=blue,hair=black,hair=blue", "--label must name one class of hair"),
    ],
)
@pytest.mark.parametrize("name", ["sample", "interpolate"])
def test_what_there_is_not_is_refused_with_a_sentence(toy, tmp_path, capsys, label, told, name):
    line = (name, "--run_dir", toy, "--to", tmp_path / "a.gif", "--label", label)
    assert command(*line) == 2
    assert told in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_runs_without_classes_know_none(tmp_path, capsys):
    plain = toy_run(tmp_path / "run")
    assert command("sample", "--run_dir", plain, "--label", "7") == 2
    assert "was trained without --conditional" in capsys.readouterr().err


def test_a_walk_goes_from_class_to_class(toy, trained, tmp_path):
    to = tmp_path / "strip.png"
    line = ("interpolate", "--run_dir", toy, "--seeds", "7,7", "--frames", 4, "--scale", 1)
    assert command(*line, "--label", "hair=black,hair=blue", "eyes=grey", "--to", to) == 0
    cells = images.read_png(to)
    first, last = trained.sample([7, 7], labels([0, 1], [1, 1]))
    np.testing.assert_array_equal(cells[:16, :16], first)
    np.testing.assert_array_equal(cells[:16, 4 * 17 : 4 * 17 + 16], last)
    # One z all along: halfway the classes are half of each.
    half = np.array([[0.5, 0.5, 0, 0, 1]], np.float32)
    halfway = trained.render(np.hstack([trained.latents([7]), half]))[0]
    np.testing.assert_array_equal(cells[:16, 34:50], halfway)
    assert (halfway != first).any() and (halfway != last).any()


def test_without_asking_each_seed_keeps_its_class(toy, trained, tmp_path):
    to = tmp_path / "strip.png"
    assert command("interpolate", "--run_dir", toy, "--seeds", "3,5", "--frames", 2, "--scale", 1,
                 "--to", to) == 0  # fmt: skip
    cells, (three, five) = images.read_png(to), trained.sample([3, 5])
    np.testing.assert_array_equal(cells[:16, :16], three)
    np.testing.assert_array_equal(cells[:16, 34:50], five)


def test_sums_are_drawn_of_classes_too(toy, trained, tmp_path):
    to = tmp_path / "sum.png"
    assert command("arithmetic", "--run_dir", toy, "--terms", "+3 -4 +5", "--to", to) == 0
    assert to.exists()
    points = trained.points([3, 5])
    np.testing.assert_array_equal(trained.render(points), trained.sample([3, 5]))


def test_a_copy_of_a_checkpoint_has_the_classes_of_its_run(toy, trained, tmp_path):
    kept = tmp_path / "kept.npz"
    shutil.copy(trained.checkpoint.path, kept)
    assert TrainedRun(RunDir(toy), str(kept)).table.digest == TABLE.digest


def test_a_run_without_its_classes_is_refused(tmp_path, capsys):
    run = toy_run(tmp_path / "run", table=TABLE)
    (run / "checkpoints" / "classes.json").unlink()
    for line in ("sample", "interpolate", "arithmetic --terms +1,2"):
        assert command(*line.split(), "--run_dir", run) == 2
        assert "classes.json is missing" in capsys.readouterr().err
