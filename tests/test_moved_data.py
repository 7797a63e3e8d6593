"""A run goes on with its data, however they are named and wherever they lie."""

import os
import shutil
from pathlib import Path

import pytest
from running import checkpoints, run, small_flags, write_pictures
from toy_run import toy_run

from dcgan import UserError
from dcgan.run_dir import RunDir, newest_run, read_json, write_json
from dcgan.trained import Trained

MOVED = "The run's data are no longer at {}: name their place with --data_dir."


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A folder with data in `data/imgs` and a run on them in `run`."""
    base = tmp_path_factory.mktemp("trained")
    pictures = write_pictures(base / "data" / "imgs", 16)
    result = run(*small_flags(pictures, base), "--steps", 2, cwd=base)
    assert result.returncode == 0, result.stderr
    return base


@pytest.fixture
def base(trained, tmp_path) -> Path:
    """A copy of it that a test may change, of the same times."""
    base = tmp_path / "base"
    shutil.copytree(trained, base, copy_function=shutil.copy2)
    config = read_json(base / "run" / "config.json")
    write_json(base / "run" / "config.json", config | {"dataset": str(base / "data" / "imgs")})
    (base / "link").symlink_to(base / "data" / "imgs")
    return base


def neighbours(base: Path, *words):
    return run(
        "neighbours", "--run_dir", base / "run", "--seeds", "1", "--k", "2", *words, cwd=base
    )


@pytest.mark.parametrize(
    "words",
    ["imgs", "imgs/", "IMGS", "data/imgs", "./data//imgs/", "link", "data/../link/.", "new"],
)
def test_the_same_data_in_other_words_go_on(base, words):
    if words == "new":
        (base / "data" / "imgs").rename(base / "new")
    flags = list(small_flags(Path(), base))
    flags[1] = words
    result = run(*flags, "--steps", 3, cwd=base)
    assert result.returncode == 0, result.stderr
    assert "Resuming from step 2" in result.stdout and "have changed" not in result.stdout
    assert checkpoints(base / "run") == [2, 3]


def test_other_data_of_that_name_are_refused(base):
    write_pictures(base / "other" / "imgs", 16, seed=1)
    result = run(*small_flags(Path("other/imgs"), base), "--steps", 3, cwd=base)
    assert result.returncode == 2 and "with other options (--dataset:" in result.stderr


def test_after_a_move_the_data_are_found_by_data_dir(base):
    (base / "data").rename(base / "moved")
    old = base / "data" / "imgs"
    for command in ("evaluate", "features", "neighbours"):
        result = run(command, "--run_dir", base / "run", cwd=base)
        assert result.returncode == 2 and MOVED.format(old) in result.stderr
    for place in ("moved", "moved/imgs", base / "moved"):
        result = neighbours(base, "--data_dir", place)
        assert result.returncode == 0, result.stderr
        assert "other names, sizes or times" not in result.stdout
    result = neighbours(base, "--data_dir", "run")
    assert result.returncode == 2
    assert "not at --data_dir run: expected the folder or zip imgs" in result.stderr


def test_other_files_in_their_place_are_named(base):
    os.utime(base / "data" / "imgs" / "0003.png", (1, 1))
    result = neighbours(base)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("The files of imgs have other names, sizes or times than those") == 1


def with_data(root: Path, **options) -> Path:
    config = {"input_fname_pattern": "*", "splits": "train", "train_size": None, **options}
    config |= {"input_height": None, "input_width": None, "crop": True, "flip": True}
    config |= {"cache_dir": None}
    write_json(root / "config.json", read_json(root / "config.json") | config)
    return root


def test_a_zip_and_a_relative_place_move_likewise(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = with_data(toy_run(tmp_path / "run"), dataset="faces.zip", data_dir="data")
    opened = Trained(RunDir(root))
    with pytest.raises(UserError) as refused:
        opened.source()
    assert str(refused.value) == MOVED.format(tmp_path / "data" / "faces.zip")
    for place in ("there", "there/faces"):
        write_pictures(tmp_path / "there" / "faces", 2)
        assert len(opened.source(place)) == 2


def test_built_in_data_have_no_place(tmp_path):
    root = with_data(toy_run(tmp_path / "run"), dataset="avatars", data_dir="data")
    assert Trained(RunDir(root)).source(str(tmp_path / "avatars")).name == "avatars"


def test_the_newest_run_is_found_by_any_name_of_its_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for place in ("a", "b"):
        write_pictures(tmp_path / place / "imgs", 1)
    for number, place in enumerate("ab"):
        root = tmp_path / "runs" / place
        root.mkdir(parents=True)
        write_json(root / "config.json", {"dataset": f"{place}/imgs"})
        os.utime(root / "config.json", (number + 1, number + 1))
    (tmp_path / "link").symlink_to("a/imgs")
    names = {"imgs": "b", "a/imgs": "a", "a/imgs/": "a", "link": "a", str(tmp_path / "b/imgs"): "b"}
    for name, place in names.items():
        assert newest_run(Path("runs"), name).name == place
    monkeypatch.chdir(tmp_path / "a" / "imgs")
    assert newest_run(tmp_path / "runs", ".").name in ("a", "b")
