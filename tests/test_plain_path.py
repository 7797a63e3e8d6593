"""Paths of every character that a file system allows: what trains there is exported and served."""

import os
from pathlib import Path

import numpy as np
import pytest
from idle import learn_nothing
from running import run, small_flags, write_pictures
from toy_run import toy_run

from dcgan import UserError
from dcgan.commands import compare
from dcgan.evaluation.network_formats import open_network
from dcgan.plain_path import PLAIN, plain
from dcgan.preparation import packages
from dcgan.serving.saved_model import SavedModel
from dcgan.serving.versions import UnusableVersion

NAMES = [
    *"[]*?{}%&;#!'\"\\$`~<>|:^()",
    "-x",
    " a b ",
    "line\nline",
    "\U0001f600",
    "e\u0301",
    "\x1b",
]
ODD = "-[a]*?{x}%&;#'\"\n\U0001f600 \udce9"  # the last one is a byte that is not UTF-8


@pytest.mark.parametrize("name", [*NAMES, ODD, "plain"])
def test_a_plain_path_leads_to_what_is_there_and_to_what_will_be(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    (folder / f"{name}.onnx").write_text("there")
    with plain(folder / "new") as path, plain(folder / f"{name}.onnx") as file:
        assert PLAIN.fullmatch(path) and PLAIN.fullmatch(file)
        assert path.endswith("/new") and file.endswith(".onnx")
        assert Path(file).read_text() == "there"
        os.mkdir(path)
    assert (folder / "new").is_dir()
    if not PLAIN.fullmatch(name):
        assert not os.path.lexists(path) and not os.path.lexists(file)  # the links are gone


def test_a_plain_path_is_itself(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with plain(Path("a/../b c")) as path:
        assert path == f"{tmp_path}/b c"


def test_where_no_link_can_be_made_the_path_is_itself(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError

    monkeypatch.setattr(os, "symlink", fail)
    with plain(tmp_path / "[x]") as path:
        assert path == f"{tmp_path}/[x]"


def test_odd_temporary_folders_are_not_used(tmp_path, monkeypatch):
    (tmp_path / "[tmp]").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "[tmp]"))
    with plain(tmp_path / "[x]") as path:
        assert PLAIN.fullmatch(path)


@pytest.mark.slow
def test_a_run_in_an_odd_folder_is_exported_and_served(tmp_path):
    root = toy_run(tmp_path / ODD / ODD)
    result = run("export", f"--run_dir={root}", "--format", "saved_model,keras", cwd=root.parent)
    assert result.returncode == 0, result.stderr
    version = root / "export" / "saved_model" / "1234"
    assert SavedModel(version).compute("generate", {"seed": np.array([7])})["images"].shape[0] == 1
    with pytest.raises(UserError, match="takes no images"):  # as an extractor it is read, too
        open_network(version)
    (version / "variables" / "variables.data-00000-of-00001").unlink()
    with pytest.raises(UnusableVersion) as refused:
        SavedModel(version)
    assert "variables/variables.data" in str(refused.value)
    assert "/tmp" not in str(refused.value) and str(tmp_path) not in str(refused.value)


def test_a_folder_without_an_export_is_answered_with_a_command_that_works(tmp_path):
    root = toy_run(tmp_path / "a '[b]")
    said = run("serve", f"--model_dir={root}/export/saved_model").stderr
    assert f"run: python main.py export --run_dir '{tmp_path}/a '\"'\"'[b]'" in said


def test_training_reads_and_writes_in_odd_folders(tmp_path):
    base = tmp_path / ODD
    pictures = write_pictures(base / ODD, 16)
    result = run(*small_flags(pictures, base), "--steps", 2, cwd=base, preexec_fn=learn_nothing)
    assert result.returncode == 0, result.stderr
    assert (base / "run" / "checkpoints" / "00000002.npz").is_file()


def test_shards_lie_in_odd_folders(tmp_path):
    from dcgan.datasets.tfrecord import TFRecordSource

    place = f"{tmp_path}/{ODD[:-1]}"
    picture = packages.PackedPicture("a.png", "train", b"\x89PNG", (8, 8, 3), "0" * 64, None)
    with packages.package(place, 1 << 20) as target:
        target.add(picture)
        target.close()
    for use in (lambda: packages.package(f"{place}\udce9", 1), lambda: TFRecordSource(ODD)):
        with pytest.raises(UserError, match=r"is not UTF-8.* \.zip"):
            use()
    assert len(TFRecordSource(place, "*", ("train",))) == 1


def test_a_comma_in_the_name_of_a_run_is_no_end(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a,b", "c"):
        Path(name).mkdir()
    assert list(compare._split("a,b,c,d")) == ["a,b", "c", "d"]
    assert list(compare._split("c, x,")) == ["c", " x", ""]
