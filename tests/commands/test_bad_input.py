"""Whatever a user does wrong: one sentence, exit code 2, and nothing written or lost.

Each case runs inside this process (one start of TensorFlow for all of them), a few as a user starts
them. What a run or a data set refuses by itself is in test_refusals.py and in tests/datasets.
"""

import logging
import re
import shutil
import signal
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from idle import learning_nothing
from running import run, small_flags, write_pictures

import main
from dcgan.run.run_dir import RunDir

LOGGER = logging.getLogger("dcgan")


@dataclass(frozen=True)
class Case:
    """Something wrong.

    Attributes:
        prepare: makes what is needed below a folder; returns the flags behind `small_flags`.
        words: what the sentence must contain.
        early: refused before TensorFlow is loaded.
        trained: the run folder is one that has been trained.
    """

    prepare: Callable[[Path], list[str]]
    words: tuple[str, ...]
    early: bool = False
    trained: bool = False


CASES: dict[str, Case] = {}


def refused(*words: str, early: bool = False, trained: bool = False):
    def register(prepare):
        CASES[prepare.__name__] = Case(prepare, words, early, trained)
        return prepare

    return register


def refused_early(name: str, flags: str, *words: str) -> None:
    """A command line that is wrong whatever the files are."""
    CASES[name] = Case(lambda base: flags.split(), words, early=True)


# ---- the command line ----

refused_early("unknown_flag", "--epch 3", "--epch", "did you mean --epoch?")
refused_early("unknown_command", "trian", "'trian'", "did you mean train?")
refused_early("help_as_a_value", "--output_size help", "--output_size", "'help'")
refused_early("flag_of_another_command", "--tags hat", "--tags is a flag of crawl", "not of train")
refused_early("not_a_number", "--epoch many", "--epoch", "many")
refused_early("no_value", "--epoch", "Missing value", "--epoch")
refused_early("size_7", "--output_size 7", "at least 8", "received 7")
refused_early("two_ends", "--steps 3 --epoch 3", "--steps 3", "--epoch 3")


@refused("--train false", "leave the flag out")
def nothing_to_do(base):
    return ["--is_train", "False"]


# ---- pictures ----


@refused("There are no files", "expected pictures")
def empty_folder(base):
    (base / "empty").mkdir()
    return ["--dataset", str(base / "empty")]


@refused('"*.jpg"', ".png (16)", "--input_fname_pattern")
def no_file_of_the_pattern(base):
    return ["--input_fname_pattern", "*.jpg"]


@refused("There are 2 images", "a batch of 8", "--batch_size")
def fewer_whole_pictures_than_a_batch(base):
    folder = write_pictures(base / "cut", 12)
    for path in sorted(folder.iterdir())[2:]:
        path.write_bytes(path.read_bytes()[:-400])  # the headers are whole
    return ["--dataset", str(folder)]


@refused("no usable picture", "12 truncated", "0000.png")
def only_truncated_pictures(base):
    folder = write_pictures(base / "cut", 12)
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes()[:-400])
    return ["--dataset", str(folder)]


@refused("There is no data set", "/nowhere/", "expected", "a path")
def path_that_does_not_exist(base):
    return ["--dataset", str(base / "nowhere" / "pictures")]


@refused("'animee'", "did you mean anime?")
def unknown_data_set(base):
    return ["--dataset", "animee"]


@refused("celeba does not exist", "img_align_celeba.zip", "--data_dir")
def data_set_that_was_not_put_there(base):
    return ["--dataset", "celeba"]


@refused("expected", "''")
def empty_name(base):
    return ["--dataset", ""]


@refused("is not a complete zip file", "expected a folder or a zip file", "download it again")
def zip_cut_short(base):
    whole = base / "whole.zip"
    with zipfile.ZipFile(whole, "w") as archive:
        archive.write(next((base / "pictures").iterdir()))
    (base / "cut.zip").write_bytes(whole.read_bytes()[:-30])
    return ["--dataset", str(base / "cut.zip")]


@refused("--splits test", "mnist", "has no splits")
def splits_of_a_folder(base):
    return ["--splits", "test"]


@refused("train_32x32.mat", "expected a MATLAB 5 file", "received")
def mat_cut_short(base):
    path = base / "data" / "svhn" / "train_32x32.mat"
    path.parent.mkdir(parents=True)
    scipy.io.savemat(path, {"X": np.zeros((32, 32, 3, 12), np.uint8), "y": np.ones((12, 1))})
    path.write_bytes(path.read_bytes()[:-1000])
    return ["--dataset", "svhn"]


# ---- the run folder ----


@refused("cannot be written", "--run_dir")
def run_folder_below_a_file(base):
    (base / "file").write_text("of somebody")
    return ["--run_dir", str(base / "file" / "run")]


@refused("cannot be written", "--run_dir")
def run_folder_is_a_file(base):
    (base / "file").write_text("of somebody")
    return ["--run_dir", str(base / "file")]


@refused("/proc/x", "cannot be written", "--run_dir")
def run_folder_where_none_can_be(base):
    return ["--run_dir", "/proc/x"]


@refused("config.json", "--run_dir", trained=True)
def config_that_is_no_config(base):
    RunDir(base / "run").config.write_text("[1, 2]\n")
    return []


# ---- the tests ----


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A folder with pictures, the cache and the run folder of two steps."""
    base = tmp_path_factory.mktemp("trained")
    flags = small_flags(write_pictures(base / "pictures", 16), base)
    with learning_nothing():
        assert main.main([*flags, "--steps", "2"]) == 0
    return base


def snapshot(base: Path) -> dict[str, bytes | None]:
    """All that must stay as it is: every file and folder but the cache and the lock's text."""
    paths = [p for p in sorted(base.rglob("*")) if p.name != ".lock"]
    return {
        name: None if path.is_dir() else path.read_bytes()
        for path in paths
        if (name := str(path.relative_to(base))).split("/")[0] != "cache"
    }


def flags_of(case: Case, base: Path, request) -> list[str]:
    """Prepares a case; gives its whole command line."""
    if case.trained:
        trained = request.getfixturevalue("trained")
        pictures = trained / "pictures"
        shutil.copytree(trained / "run", base / "run")
    else:
        pictures = write_pictures(base / "pictures", 16)
    wrong = case.prepare(base)
    # A --run_dir of the case comes later and wins; so does any other flag.
    return [*small_flags(pictures, base), "--data_dir", str(base / "data"), *wrong]


def check_sentence(stderr: str, words: tuple[str, ...]) -> None:
    """One line that begins with "error:", the last one, a single sentence with these words."""
    assert "Traceback" not in stderr
    lines = [line for line in stderr.splitlines() if line.strip()]
    said = [line for line in lines if line.startswith("error: ")]
    assert len(said) == 1 and said[0] == lines[-1], stderr
    sentence = said[0].removeprefix("error: ")
    assert sentence[-1] in ".?" or ": python main.py " in sentence, sentence  # a command to type
    assert not re.search(r"[.!?] +[A-Z]", sentence), f"several sentences: {sentence}"
    assert [word for word in words if word not in sentence] == [], sentence


@pytest.mark.parametrize("name", CASES)
def test_refused(name, tmp_path, capsys, monkeypatch, request):
    case = CASES[name]
    flags = flags_of(case, tmp_path, request)
    if case.early:  # an attempt to load what loads TensorFlow would now be an ImportError
        monkeypatch.setitem(sys.modules, "dcgan.commands.train", None)
    before = snapshot(tmp_path)
    capsys.readouterr()
    code = main.main(flags)
    check_sentence(capsys.readouterr().err, case.words)
    assert code == 2
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("name", ["unknown_flag", "empty_folder", "mat_cut_short"])
def test_refused_in_a_process_of_its_own(name, tmp_path, request):
    """What main.py adds to main.main is the same for all."""
    case = CASES[name]
    flags = flags_of(case, tmp_path, request)
    before = snapshot(tmp_path)
    result = run(*flags)
    check_sentence(result.stderr, case.words)
    assert result.returncode == 2
    assert snapshot(tmp_path) == before


# ---- what main leaves behind in a process that goes on ----


def surroundings() -> tuple:
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    return handlers, list(LOGGER.handlers), LOGGER.level, LOGGER.propagate


@pytest.mark.parametrize(("steps", "code"), [("--steps=4", 0), ("--seed=9", 2)])
def test_main_leaves_logging_and_signals_as_they_were(
    trained, idle, tmp_path, monkeypatch, steps, code
):
    monkeypatch.setattr(LOGGER, "level", logging.WARNING)
    monkeypatch.setattr(LOGGER, "propagate", True)
    shutil.copytree(trained / "run", tmp_path / "run")
    before = surroundings()
    assert main.main([*small_flags(trained / "pictures", tmp_path), steps]) == code
    assert surroundings() == before
