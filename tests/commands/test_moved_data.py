"""A run goes on with its data, however they are named and wherever they lie."""

import os
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from idle import learning_nothing
from learnt import write_config
from PIL import Image
from running import checkpoints, command, small_flags, write_pictures
from toy_run import toy_run

from dcgan import UserError
from dcgan.files import read_json, write_json
from dcgan.run.checkpoint_file import read, write
from dcgan.run.run_dir import RunDir, newest_run
from dcgan.run.trained_run import TrainedRun
from dcgan.training import trainer

OTHERS = "The images of imgs are not those that the run has learnt from"
MOVED = "The run's data are no longer at {}: name their place with --data_dir."


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A folder with data in `data/imgs` and a run on them in `run`."""
    base = tmp_path_factory.mktemp("trained")
    pictures = write_pictures(base / "data" / "imgs", 16)
    with learning_nothing():
        assert command(*small_flags(pictures, base), "--steps", 2) == 0
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


@pytest.fixture
def start(base, monkeypatch, capfd):
    """Runs a command in the folder; gives its exit code and all that it says."""
    monkeypatch.chdir(base)

    def start(*words) -> tuple[int, str]:
        capfd.readouterr()
        code = command(*words)
        return code, "".join(capfd.readouterr())

    return start


NEIGHBOURS = ("neighbours", "--run_dir", "run", "--seeds", "1", "--k", "2")


@pytest.mark.parametrize("words", ["imgs/", "data/../link/.", "new"])
def test_the_same_data_in_other_words_go_on(base, start, idle, words):
    if words == "new":
        (base / "data" / "imgs").rename(base / "new")
    flags = list(small_flags(Path(), base))
    flags[1] = words
    code, said = start(*flags, "--steps", 3)
    assert code == 0 and "Resuming from step 2" in said and "have changed" not in said, said
    assert checkpoints(base / "run") == [2, 3]


def test_other_data_of_that_name_are_refused(base, start):
    write_pictures(base / "other" / "imgs", 16, seed=1)
    code, said = start(*small_flags(Path("other/imgs"), base), "--steps", 3)
    assert code == 2 and "with other options (--dataset:" in said


def test_after_a_move_the_data_are_found_by_data_dir(base, start):
    (base / "data").rename(base / "moved")
    old = base / "data" / "imgs"
    for name in ("evaluate", "features", "neighbours"):
        code, said = start(name, "--run_dir", base / "run")
        assert code == 2 and MOVED.format(old) in said
    for place in ("moved", "moved/imgs", base / "moved"):
        code, said = start(*NEIGHBOURS, "--data_dir", place)
        assert code == 0 and OTHERS not in said, said
    for place in ("run", "nowhere"):
        code, said = start(*NEIGHBOURS, "--data_dir", place)
        assert code == 2
        assert f"not at --data_dir {place}: expected imgs by that or another name" in said


def copied(base: Path) -> Path:
    """The data by `cp -r` under another name and with other times; those that were are removed."""
    shutil.copytree(base / "data" / "imgs", base / "copy" / "faces", copy_function=shutil.copyfile)
    shutil.rmtree(base / "data")
    return base / "copy" / "faces"


def test_a_copy_under_another_name_goes_on_with_the_same_batches(base, start, idle):
    """To the same bytes, then: see test_resume.py."""
    make_step, seen = trainer.make_step, []

    def watched(*words):
        take = make_step(*words)
        return lambda batch: (seen.append(np.asarray(batch)), take(batch))[1]

    shutil.copytree(base / "run", base / "straight")
    flags = small_flags(base / "data" / "imgs", base)
    with pytest.MonkeyPatch.context() as patch:  # within `idle`, which patches the same
        patch.setattr(trainer, "make_step", watched)
        assert start(*flags, "--run_dir", base / "straight", "--steps", 4)[0] == 0
        code, said = start(*small_flags(copied(base), base), "--steps", 4)
    assert code == 0 and "Resuming from step 2" in said and "have changed" not in said, said
    assert len(seen) == 4 and (seen[0] != seen[1]).any()
    np.testing.assert_array_equal(seen[:2], seen[2:])


def test_a_copy_under_another_name_is_found_by_data_dir(base, start):
    place = copied(base)
    code, said = start(*NEIGHBOURS, "--data_dir", place)
    assert code == 0 and OTHERS not in said, said
    Image.new("RGB", (16, 16)).save(place / "0003.png")
    code, said = start(*NEIGHBOURS, "--data_dir", place)
    assert code == 2 and "not at --data_dir" in said


def test_other_images_in_their_place_are_named(base, start, idle):
    picture = base / "data" / "imgs" / "0003.png"
    os.utime(picture, (1, 1))
    assert OTHERS not in start(*NEIGHBOURS)[1]
    Image.new("RGB", (16, 16)).save(picture)
    code, said = start(*NEIGHBOURS)
    assert code == 0 and said.count(OTHERS) == 1, said
    flags = small_flags(base / "data" / "imgs", base)
    assert "have changed since" in start(*flags, "--steps", 3)[1]


def before_images_were_told_apart(base: Path) -> None:
    """Makes checkpoint and cache those of a version that knew files alone."""
    path = base / "run" / "checkpoints" / "00000002.npz"
    arrays, meta = read(path)
    write(path, arrays.items(), {name: value for name, value in meta.items() if name != "images"})
    for entry in (base / "cache").glob("*.json"):
        write_json(entry, {k: v for k, v in read_json(entry).items() if k != "content"})


def test_a_run_of_before_knows_its_files(base, start, idle):
    before_images_were_told_apart(base)
    (base / "data" / "imgs").rename(base / "new")
    code, said = start(*NEIGHBOURS, "--data_dir", "new")
    assert code == 0 and OTHERS not in said, said
    code, said = start(*small_flags(base / "new", base), "--steps", 3)
    assert code == 0 and "Resuming from step 2" in said, said
    assert "have changed" not in said  # the cache, which knew less, is made again
    _, meta = read(base / "run" / "checkpoints" / "00000003.npz")
    assert meta["images"] in [
        read_json(entry).get("content") for entry in (base / "cache").glob("*.json")
    ]


@pytest.mark.parametrize("suffix", [".tar.gz", ".TGZ", ""])
def test_an_archive_of_any_kind_is_found_by_its_name(tmp_path, monkeypatch, suffix):
    monkeypatch.chdir(tmp_path)
    root = write_config(
        toy_run(tmp_path / "runs" / "a"), Path("data"), dataset=f"gone/Faces{suffix}"
    )
    for name in ("faces", "FACES.zip", "x/faces.tar"):
        assert newest_run(Path("runs"), name) == Path("runs/a")
    (tmp_path / "there").mkdir()
    with tarfile.open(tmp_path / "there" / "faces.tar.gz", "w:gz") as archive:
        archive.add(write_pictures(tmp_path / "pictures", 2), "faces")
    for place in ("there", "there/faces.tar.gz"):
        assert len(TrainedRun(RunDir(root), data_dir=place).source()) == 2


def test_a_zip_and_a_relative_place_move_likewise(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = write_config(toy_run(tmp_path / "run"), Path("data"), dataset="faces.zip")
    with pytest.raises(UserError) as refused:
        TrainedRun(RunDir(root)).source()
    assert str(refused.value) == MOVED.format(tmp_path / "data" / "faces.zip")
    for place in ("there", "there/faces"):
        write_pictures(tmp_path / "there" / "faces", 2)
        assert len(TrainedRun(RunDir(root), data_dir=place).source()) == 2


def test_built_in_data_have_no_place(tmp_path):
    root = write_config(toy_run(tmp_path / "run"), Path("data"), dataset="avatars")
    trained = TrainedRun(RunDir(root), data_dir=str(tmp_path / "avatars"))
    assert trained.source().name == "avatars"


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
