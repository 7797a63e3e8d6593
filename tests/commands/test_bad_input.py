"""Whatever a user does wrong: one sentence, exit code 2, and nothing written or lost.

Each case runs inside this process (one start of TensorFlow for all of them); a few, and marked slow
all others too, as a user starts them.
"""

import logging
import os
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
from mnist_files import idx
from running import run, small_flags, write_pictures

import main
from dcgan.files import read_json, write_json
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
refused_early("size_257", "--output_size 257", "at most 256", "received 257")
refused_early("size_0", "--output_size 0", "at least 8", "received 0")
refused_early("crop_0", "--image_size 0", "at least 1", "received 0")
refused_early("sizes", "--output_height 48", "--output_size 8", "--output_height 48", "contradict")
refused_early("boxes", "--image_size 9 --input_width 8", "--image_size 9", "--input_width 8")
refused_early("box_without_crop", "--image_size 9 --crop False", "--crop false", "9x9")
refused_early("batch_0", "--batch_size 0", "at least 2", "received 0")
refused_early("precision", "--precision bfloat61", "float32, bfloat16", "did you mean bfloat16?")
refused_early("preset", "--preset fsat", "silva", "did you mean fast?")
refused_early("time_budget", "--time_budget soon", "10m", "'soon'")
refused_early("two_ends", "--steps 3 --epoch 3", "--steps 3", "--epoch 3")
refused_early("update", "--update simultaneous --g_steps 2", "--g_steps 2", "--update alternating")


@refused("--train false", "leave the flag out")
def nothing_to_do(base):
    return ["--is_train", "False"]


# ---- pictures ----


@refused("There are no files", "expected pictures")
def empty_folder(base):
    (base / "empty").mkdir()
    return ["--dataset", str(base / "empty")]


@refused("There are no files", "expected pictures")
def bfloat16_on_an_empty_folder(base):
    return [*empty_folder(base), "--precision", "bfloat16"]


@refused('"*.jpg"', ".png (16)", "--input_fname_pattern")
def no_file_of_the_pattern(base):
    return ["--input_fname_pattern", "*.jpg"]


@refused("no usable picture", "3 not an image", "a.txt", "expected JPEG, PNG")
def folder_of_texts(base):
    (base / "texts").mkdir()
    for name in ("a.txt", "b.png", "c"):
        (base / "texts" / name).write_text("no picture at all")
    return ["--dataset", str(base / "texts")]


@refused("There are 16 images", "a batch of 64", "--batch_size 8")
def fewer_images_than_a_batch(base):
    return ["--batch_size", "64"]


@refused("There are 5 images", "a batch of 8", "--batch_size")
def fewer_images_asked_for_than_a_batch(base):
    return ["--train_size", "5"]


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


@refused("is not a whole zip file", "expected a folder or a zip file", "download it again")
def zip_cut_short(base):
    whole = base / "whole.zip"
    with zipfile.ZipFile(whole, "w") as archive:
        archive.write(next((base / "pictures").iterdir()))
    (base / "cut.zip").write_bytes(whole.read_bytes()[:-30])
    return ["--dataset", str(base / "cut.zip")]


@refused("--splits test", "mnist", "has no splits")
def splits_of_a_folder(base):
    return ["--splits", "test"]


# ---- arrays ----


def mnist(base: Path, images: bytes) -> list[str]:
    folder = base / "data" / "mnist"
    folder.mkdir(parents=True)
    (folder / "train-images-idx3-ubyte").write_bytes(images)
    (folder / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(12, np.uint8)))
    return ["--dataset", "mnist"]


def svhn(base: Path, side: int = 32) -> Path:
    path = base / "data" / "svhn" / "train_32x32.mat"
    path.parent.mkdir(parents=True)
    pixels = np.zeros((side, side, 3, 12), np.uint8)
    scipy.io.savemat(path, {"X": pixels, "y": np.ones((12, 1), np.uint8)})
    return path


@refused("train-images-idx3-ubyte", "expected 9,408 bytes", "received 9,308")  # 12 * 28 * 28
def idx_cut_short(base):
    return mnist(base, idx(np.zeros((12, 28, 28), np.uint8))[:-100])


@refused("train-images-idx3-ubyte", "expected images of 28x28", "received 32x32")
def idx_of_another_shape(base):
    return mnist(base, idx(np.zeros((12, 32, 32), np.uint8)))


@refused("train_32x32.mat", "expected a MATLAB 5 file", "received")
def mat_cut_short(base):
    path = svhn(base)
    path.write_bytes(path.read_bytes()[:-1000])
    return ["--dataset", "svhn"]


@refused("train_32x32.mat", "[32, 32, 3, N]", "[28, 28, 3, 12]")
def mat_of_another_shape(base):
    svhn(base, side=28)
    return ["--dataset", "svhn"]


@refused("data_batch_3.bin", "expected", "received")
def cifar_cut_short(base):
    folder = base / "data" / "cifar10"
    folder.mkdir(parents=True)
    for i in range(1, 6):
        (folder / f"data_batch_{i}.bin").write_bytes(bytes(3073 * 4 - (100 if i == 3 else 0)))
    return ["--dataset", "cifar10"]


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


@refused(
    *("other options", "--z_dim: 8 in the run, 16 now", "--beta1: 0.5 in the run, 0.25 now"),
    trained=True,
)
def run_of_another_config(base):
    return ["--z_dim", "16", "--beta1", "0.25"]


@refused("config.json is not readable as JSON", "--run_dir", trained=True)
def config_that_is_no_json(base):
    path = RunDir(base / "run").config
    path.write_bytes(path.read_bytes()[:-40])
    return []


@refused("config.json", "--run_dir", trained=True)
def config_that_is_no_config(base):
    RunDir(base / "run").config.write_text("[1, 2]\n")
    return []


@refused("another architecture", "16) instead of", "24)", "--run_dir", trained=True)
def checkpoint_of_another_architecture(base):
    path = RunDir(base / "run").config
    write_json(path, {**read_json(path), "g_width": 24})
    return ["--g_width", "24"]


@refused("None of the checkpoints", "is whole", "--run_dir", trained=True)
def checkpoints_all_gone_bad(base):
    for path in RunDir(base / "run").checkpoints.glob("*.npz"):
        path.rename(path.with_name(path.name + ".damaged"))
    return []


# ---- the tests ----


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A folder with pictures, the cache and the run folder of two steps."""
    base = tmp_path_factory.mktemp("trained")
    flags = small_flags(write_pictures(base / "pictures", 16), base)
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


def refused_in_a_process(name, tmp_path, request):
    case = CASES[name]
    flags = flags_of(case, tmp_path, request)
    before = snapshot(tmp_path)
    result = run(*flags)
    check_sentence(result.stderr, case.words)
    assert result.returncode == 2
    assert snapshot(tmp_path) == before


# Of the command line and of data: what main.py adds to main.main is the same for all.
AS_PROCESSES = ("unknown_flag", "size_7", "two_ends", "empty_folder", "mat_cut_short")


@pytest.mark.parametrize("name", AS_PROCESSES)
def test_refused_in_a_process_of_its_own(name, tmp_path, request):
    refused_in_a_process(name, tmp_path, request)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in CASES if name not in AS_PROCESSES])
def test_every_other_is_refused_in_a_process_of_its_own(name, tmp_path, request):
    refused_in_a_process(name, tmp_path, request)


def test_a_second_process_is_refused_and_the_first_one_named(trained, tmp_path):
    shutil.copytree(trained / "run", tmp_path / "run")
    before = snapshot(tmp_path)
    with RunDir(tmp_path / "run").lock():
        result = run(*small_flags(trained / "pictures", tmp_path), "--steps", "4")
    check_sentence(result.stderr, (f"Process {os.getpid()} ", "--run_dir"))
    assert result.returncode == 2
    assert snapshot(tmp_path) == before


# ---- what main leaves behind in a process that goes on ----


def surroundings() -> tuple:
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    return handlers, list(LOGGER.handlers), LOGGER.level, LOGGER.propagate


@pytest.mark.parametrize(("steps", "code"), [("--steps=4", 0), ("--seed=9", 2)])
def test_main_leaves_logging_and_signals_as_they_were(trained, tmp_path, monkeypatch, steps, code):
    monkeypatch.setattr(LOGGER, "level", logging.WARNING)
    monkeypatch.setattr(LOGGER, "propagate", True)
    shutil.copytree(trained / "run", tmp_path / "run")
    before = surroundings()
    assert main.main([*small_flags(trained / "pictures", tmp_path), steps]) == code
    assert surroundings() == before
