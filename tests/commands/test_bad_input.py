"""Whatever a user does wrong: one sentence, exit code 2, and nothing written or lost.

Each case runs inside this process (one start of TensorFlow for all of them), one as a user starts
it. What a run or a data set refuses by itself is in test_refusals.py and in tests/datasets.
"""

import logging
import re
import signal
import sys
from pathlib import Path

import pytest
from running import run, small_flags, snapshot, write_pictures

import main

LOGGER = logging.getLogger("dcgan")

# Lines that are wrong whatever the files are, of flags and of their values; others in tests/cli.
EARLY = {
    "--epch 3": ("--epch", "did you mean --epoch?"),
    "--steps 3 --epoch 3": ("--steps 3", "--epoch 3"),
}
# Lines in a folder of `base`.
WRONG = {
    "--is_train False": ("--train false", "leave the flag out"),
    "--dataset {base}/empty": ("There are no files", "expected pictures"),
    "--dataset {base}/cut": ("There are 2 images", "a batch of 8", "--batch_size"),
    "--dataset {base}/nowhere/pictures": ("no data set", "/nowhere/", "expected", "a path"),
    f"--dataset {300 * 'a'}": ("name too long", "aaaa"),
    "--dataset animee": ("'animee'", "did you mean anime?"),
    "--dataset celeba": ("celeba does not exist", "img_align_celeba.zip", "--data_dir"),
    "--dataset=": ("expected", "''"),
    "--run_dir {base}/file": ("cannot be written", "--run_dir"),
    "--run_dir /proc/x": ("/proc/x", "cannot be written", "--run_dir"),
}


@pytest.fixture
def base(tmp_path) -> Path:
    """Good pictures, an empty folder, a file, and pictures of which two are whole."""
    write_pictures(tmp_path / "pictures", 16)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("of somebody")
    for path in sorted(write_pictures(tmp_path / "cut", 12).iterdir())[2:]:
        path.write_bytes(path.read_bytes()[:-400])  # the headers are whole
    return tmp_path


def flags_of(base: Path, line: str) -> list[str]:
    """A whole command line; the last flag of a name wins."""
    small = small_flags(base / "pictures", base)
    return [*small, "--data_dir", str(base / "data"), *line.format(base=base).split()]


def kept(base: Path) -> dict[str, bytes | None]:
    """All that must stay as it is: every file and folder but the cache and the lock's text."""
    found = snapshot(base).items()
    return {n: data for n, data in found if n[:5] != "cache" and n[-5:] != ".lock"}


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


@pytest.mark.parametrize("line", EARLY)
def test_refused_before_tensorflow_is_loaded(line, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "dcgan.commands.train", None)  # to import it is an error
    assert main.main(flags_of(tmp_path, line)) == 2
    check_sentence(capsys.readouterr().err, EARLY[line])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("line", WRONG)
def test_refused(line, base, capsys):
    before = kept(base)
    assert main.main(flags_of(base, line)) == 2
    check_sentence(capsys.readouterr().err, WRONG[line])
    assert kept(base) == before


def test_refused_in_a_process_of_its_own(base):
    """What main.py adds to main.main is the same for all."""
    line, before = "--dataset {base}/empty", kept(base)
    result = run(*flags_of(base, line))
    check_sentence(result.stderr, WRONG[line])
    assert result.returncode == 2
    assert kept(base) == before


# ---- what main leaves behind in a process that goes on ----


def surroundings() -> tuple:
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    return handlers, list(LOGGER.handlers), LOGGER.level, LOGGER.propagate


def test_main_leaves_logging_and_signals_as_they_were(idle, tmp_path, monkeypatch):
    monkeypatch.setattr(LOGGER, "level", logging.WARNING)
    monkeypatch.setattr(LOGGER, "propagate", True)
    flags = small_flags(write_pictures(tmp_path / "pictures", 16), tmp_path)
    before = surroundings()
    for words, code in (("--steps=2", 0), ("--seed=9", 2)):
        assert main.main([*flags, words]) == code
        assert surroundings() == before
