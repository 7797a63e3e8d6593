"""Nothing that happens to the terminal costs a run its work: real signals, real terminals.

That what is saved is exact is in test_resume.py; here the processes learn nothing.
"""

import signal
import subprocess
import sys

import pytest
from idle import learn_nothing
from running import (
    ROOT,
    checkpoints,
    last_step,
    small_flags,
    started,
    wait_until,
    write_pictures,
)
from terminals import own_it, terminal

import main
from dcgan.training import hooks
from dcgan.training.trainer import Trainer

ENDLESS = ("--steps", "1000000", "--log_freq", "1", "--ckpt_freq", "1000000")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return write_pictures(tmp_path_factory.mktemp("data"), 32)


def saved_and_logged(folder, code: int, name: str) -> None:
    """That the run of this exit code saved its last step and said so where it lasts."""
    (step,) = checkpoints(folder / "run")
    assert step >= 5 and f"Stopped by {name} after {step} steps" in (
        folder / "run" / "log.txt"
    ).read_text("utf-8")
    assert code == 128 + hooks.SIGNALS[name]


def in_a_window() -> None:
    own_it()
    learn_nothing()


@pytest.fixture
def training(pictures, tmp_path):
    """A training in a window of its own, after its first steps, and the window."""
    flags = (*small_flags(pictures, tmp_path), *ENDLESS)
    with terminal() as window:
        with started(*flags, output=window.path, preexec_fn=in_a_window) as process:
            wait_until(lambda: last_step(tmp_path / "run") >= 5, process)
            yield process, window


def test_a_closed_terminal_saves(training, tmp_path):
    process, window = training
    window.close()
    saved_and_logged(tmp_path, process.wait(60), "SIGHUP")


def under_nohup() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    learn_nothing()


def test_under_nohup_a_hang_up_is_none(pictures, tmp_path):
    flags = (*small_flags(pictures, tmp_path), *ENDLESS)
    with started(*flags, preexec_fn=under_nohup) as process:
        wait_until(lambda: last_step(tmp_path / "run") >= 5, process)
        process.send_signal(signal.SIGHUP)
        before = last_step(tmp_path / "run")
        wait_until(lambda: last_step(tmp_path / "run") >= before + 5, process)
        process.send_signal(signal.SIGTERM)
        saved_and_logged(tmp_path, process.wait(60), "SIGTERM")


def test_ctrl_c_typed_twice_is_answered_at_once_and_saves(training, tmp_path):
    process, window = training
    window.type(b"\x03\x03")
    saved_and_logged(tmp_path, process.wait(60), "Ctrl-C")
    (answer,) = (line for line in window.lines() if line.startswith("Ctrl-C: "))
    assert "saving" in answer and "another Ctrl-C" in answer and "loses" in answer


def interrupted(done: int, seconds: float, monkeypatch) -> None:
    """From now on Ctrl-C is pressed twice after so many steps, so long apart."""
    clock = iter((1000.0, 1000.0 + seconds))

    def press(self, steps, scalars=None):
        if steps == done:
            with monkeypatch.context() as patched:
                patched.setattr(hooks.time, "monotonic", lambda: next(clock))
                signal.raise_signal(signal.SIGINT)
                signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Trainer, "sample", press)


@pytest.mark.parametrize(("freq", "lost", "saved"), [(5, "steps 6 to 8 are lost", 5), (8, "", 8)])
def test_a_later_ctrl_c_breaks_off_and_says_what_is_lost(
    pictures, idle, tmp_path, monkeypatch, capfd, freq, lost, saved
):
    flags = (*small_flags(pictures, tmp_path), "--steps", "60", "--ckpt_freq", str(freq))
    if not lost:  # pressed after the checkpoint of the same step
        at_checkpoint = Trainer.checkpoint
        monkeypatch.setattr(
            Trainer, "checkpoint", lambda *a: (at_checkpoint(*a), Trainer.sample(*a))
        )
    interrupted(8, 2.0, monkeypatch)
    assert main.main([*flags, "--sample_freq", str(8 if lost else 60)]) == 130
    assert checkpoints(tmp_path / "run") == [saved]
    said = (tmp_path / "run" / "log.txt").read_text("utf-8")
    expected = f"Aborted: {lost or 'no step is lost'}; the same command continues from step "
    assert f"{expected}{saved}." in said and "Ctrl-C: saving" in capfd.readouterr().err


def test_a_command_that_is_hung_up_ends_with_its_signal():
    code = (
        "import dcgan.__main__ as main, os, signal; signal.signal(signal.SIGHUP, main.hang_up);"
        "signal.signal(signal.SIGTERM, {}); os.kill(os.getpid(), signal.SIGHUP)"
    )
    for handler, ended in (("main.end", 129), ("lambda *_: os._exit(7)", 7)):
        words = [sys.executable, "-c", code.format(handler)]
        assert subprocess.run(words, cwd=ROOT, timeout=60).returncode == ended
