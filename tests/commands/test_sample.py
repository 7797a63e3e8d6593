"""`sample`: the training's own images, a file a seed; stopped anywhere, it goes on."""

import os
from pathlib import Path

import numpy as np
import pytest
from idle import learning_nothing, scramble
from running import command, content, small_flags, write_pictures
from toy_run import toy_run

from dcgan import images
from dcgan.run.run_dir import RunDir
from dcgan.run.trained_run import choose_run


@pytest.fixture(scope="module")
def toy(tmp_path_factory) -> Path:
    return toy_run(tmp_path_factory.mktemp("toy") / "run")


def sample(*words) -> int:
    return command("sample", *words)


def pictures(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.png")}


# --- the same picture everywhere


@pytest.mark.parametrize(
    "own",
    [
        ("--preset", "best", "--precision", "bfloat16"),
        pytest.param(("--ema_decay", "0", "--precision", "float16"), marks=pytest.mark.slow),
    ],
    ids=["best-bfloat16", "float16"],
)
def test_a_sample_is_the_cell_of_the_trainings_grid(tmp_path, capsys, own):
    """And the picture of an export: see `test_export`."""
    write_pictures(tmp_path / "data", 16)
    flags = ("--steps", "2", "--sample_freq", "2", *own)
    with learning_nothing(change=scramble):
        assert command(*small_flags(tmp_path / "data", tmp_path), *flags) == 0
    root = tmp_path / "run"
    before = content(root)
    capsys.readouterr()
    assert sample("--run_dir", root, "--num_images", "4") == 0
    folder = root / "generated" / "00000002"
    assert f"Wrote 4 images into {folder}." in capsys.readouterr().out
    trained_grid = images.read_png(root / "samples" / "00000002.png")
    assert trained_grid.std() > 30  # not all grey
    np.testing.assert_array_equal(
        images.read_png(folder.with_name("00000002-seeds-0-3.png")), trained_grid
    )
    for seed, corner in enumerate([(0, 0), (0, 9), (9, 0), (9, 9)]):  # 8x8 and a margin of 1
        cell = trained_grid[corner[0] : corner[0] + 8, corner[1] : corner[1] + 8]
        path = folder / f"seed{seed:08d}.png"
        assert path.read_bytes() == images.png_bytes(cell)
    assert before == {k: v for k, v in content(root).items() if "generated/" not in k}


def test_a_file_depends_on_its_seed_only(tmp_path):
    shape = (10, 24, 1)
    run_root = toy_run(tmp_path / "run", shape=shape)
    assert (
        sample("--run_dir", run_root, "--num_images", 70, "--seed", 5, "--to", tmp_path / "a") == 0
    )
    many = pictures(tmp_path / "a")
    assert set(many) == {f"seed{seed:08d}.png" for seed in range(5, 75)}
    assert len(set(many.values())) == 70
    line = ("--run_dir", run_root, "--to", tmp_path / "b")
    assert sample(*line, "--seeds", "74,5-6,74,123456789012") == 0
    few = pictures(tmp_path / "b")
    assert len(few) == 4 and "seed123456789012.png" in few
    assert all(many[name] == few[name] for name in few.keys() & many.keys())
    assert images.read_png(tmp_path / "b" / "seed00000005.png").shape == shape
    assert images.read_png(tmp_path / "a-seeds-5-68.png").shape == (
        *(8 * (side + 1) - 1 for side in shape[:2]),  # a grid of the first 64
        shape[2],
    )


def test_the_folder_may_be_this_one(toy, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert sample("--run_dir", toy, "--num_images", 2, "--to", ".") == 0
    assert len(pictures(tmp_path / "here")) == 2
    assert (tmp_path / "here-seeds-0-1.png").exists()


# --- going on


def test_whole_files_stay_and_broken_ones_are_made_again(toy, tmp_path, capsys):
    line = ("--run_dir", toy, "--to", tmp_path / "out")
    assert sample(*line, "--num_images", 5) == 0
    whole = pictures(tmp_path / "out")
    paths = [tmp_path / "out" / f"seed{seed:08d}.png" for seed in range(5)]
    paths[1].write_bytes(whole[paths[1].name][:-7])
    paths[2].write_bytes(b"")
    paths[3].write_bytes(bytes(500))
    os.utime(paths[4], (1, 1))
    assert sample(*line, "--num_images", 6) == 0
    assert "Wrote 6 images (2 were there)" in capsys.readouterr().out
    assert paths[4].stat().st_mtime == 1
    after = pictures(tmp_path / "out")
    assert {name: after[name] for name in whole} == whole and len(after) == 6


def test_it_works_while_the_run_is_locked(toy, tmp_path):
    with RunDir(toy).lock():
        assert sample("--run_dir", toy, "--num_images", 1, "--to", tmp_path / "out") == 0


# --- whose files they are


def test_checkpoints_have_folders_of_their_own_and_are_never_mixed(tmp_path, capsys):
    root = toy_run(tmp_path / "run", step=100, seed=1)
    toy_run(tmp_path / "run", step=200, seed=2)
    for which, step in (("newest", 200), (100, 100), (root / "checkpoints/00000100.npz", 100)):
        assert sample("--run_dir", root, "--checkpoint", which, "--num_images", 2) == 0
        assert f"step {step}." in capsys.readouterr().out
    old, new = (root / "generated" / name for name in ("00000100", "00000200"))
    assert len(pictures(old)) == len(pictures(new)) == 2
    assert not set(pictures(old).values()) & set(pictures(new).values())
    before = content(root)
    assert sample("--run_dir", root, "--num_images", 3, "--to", old) == 2
    message = capsys.readouterr().err
    assert "images of another checkpoint (step 100 of run; received step 200 of run)" in message
    assert content(root) == before


def test_one_step_of_other_weights_is_another_checkpoint(toy, tmp_path, capsys):
    other = toy_run(tmp_path / "run", seed=5)  # of the same step
    assert sample("--run_dir", toy, "--num_images", 1, "--to", tmp_path / "out") == 0
    assert sample("--run_dir", other, "--num_images", 1, "--to", tmp_path / "out") == 2
    assert "another checkpoint" in capsys.readouterr().err


def test_a_checkpoint_file_names_its_run(toy, monkeypatch, tmp_path):
    file = toy / "checkpoints" / "00001234.npz"
    assert choose_run(None, None, str(file)).root == toy
    monkeypatch.chdir(tmp_path)
    toy_run(tmp_path / "runs" / "one", dataset="one")
    two = toy_run(tmp_path / "runs" / "two", dataset="two")
    os.utime(two / "metrics.jsonl", (9e9, 9e9))
    assert choose_run(None, None, "newest").root == Path("runs/two")
    assert choose_run(None, "one", "newest").root == Path("runs/one")


@pytest.mark.parametrize("name", ["holiday.jpg", "seed00000000.png", "generated.json"])
def test_nothing_is_written_among_other_peoples_files(toy, tmp_path, capsys, name):
    to = tmp_path / "mine"
    to.mkdir()
    (to / name).write_bytes(b"mine")
    assert sample("--run_dir", toy, "--to", to) == 2
    assert "choose another --to" in capsys.readouterr().err
    assert content(tmp_path) == {f"mine/{name}": b"mine"}


# --- refusals


def test_a_grid_of_other_seeds_leaves_the_earlier_one(toy, tmp_path):
    line = ("--run_dir", toy, "--to", tmp_path / "out")
    assert sample(*line) == 0
    grid = (tmp_path / "out.png").read_bytes()
    for words in (("--seeds", "1-3"), ("--num_images", 3), ("--seeds", ",".join(map(str, ODD)))):
        assert sample(*line, *words) == 0
    assert (tmp_path / "out.png").read_bytes() == grid
    names = {path.name for path in tmp_path.glob("out-*.png")}
    assert len(names) == 3 and {"out-seeds-1-3.png", "out-seeds-0-2.png"} < names
    assert max(map(len, names)) <= len("out-seeds-.png") + 60


ODD = range(1, 99, 2)  # no two in a row: a long list
