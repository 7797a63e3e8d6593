"""What reaches the screen while TensorFlow loads, and of what files say."""

import os
import subprocess
import sys
from types import SimpleNamespace

from running import ROOT, run

import main
from dcgan import UserError, commands, console, quiet

# Writes as TensorFlow's own libraries do, and aborts as they do without AVX or with a broken CUDA.
STUB = """
import os
os.write(2, b"I0000 00:00:1.0 1 port.cc:153] oneDNN custom operations are on.\\n")
os.write(2, b"E0000 00:00:1.0 1 cuda.cc:1] failed call to cuInit: no driver\\n")
os.write(2, b"The TensorFlow library was compiled to use AVX instructions.\\nAbor")
os.write(2, b"ted")
os.abort()
"""
SPEAKER = """
import os, sys, time
sys.path.insert(0, {root!r})
from dcgan import quiet
with quiet.quiet_start():
    os.write(2, b"I0000 00:00:1.0 1 port.cc:153] dropped\\n")
    os.write(2, b"shown\\n")
    sys.stderr.write("shown too\\n")
    {more}
os.write(2, b"I0000 shown, as it comes after\\n")
"""


def test_the_last_words_before_an_abort_are_shown(tmp_path):
    (tmp_path / "tensorflow").mkdir()
    (tmp_path / "tensorflow" / "__init__.py").write_text(STUB)
    env = {"PYTHONPATH": str(tmp_path)}
    result = run("train", "--dry_run", warm=False, env=env)
    assert result.returncode == -6  # SIGABRT
    assert result.stderr == "The TensorFlow library was compiled to use AVX instructions.\nAborted"


def speak(more: str) -> subprocess.CompletedProcess:
    code = SPEAKER.format(root=str(ROOT), more=more)
    words = [sys.executable, "-c", code]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)


def test_only_chatter_is_dropped_in_the_order_of_writing():
    result = speak("pass")
    assert result.returncode == 0
    assert result.stderr == "shown\nshown too\nI0000 shown, as it comes after\n"


def test_an_error_while_it_loads_is_shown_as_it_is():
    result = speak('raise ImportError("a library is missing")')
    assert result.returncode == 1
    assert result.stderr.startswith("shown\nshown too\nTraceback")
    assert result.stderr.endswith("ImportError: a library is missing\n")


def test_standard_error_is_as_it_was_afterwards(capfd):
    before = os.fstat(2), os.listdir("/proc/self/fd")
    with quiet.quiet_start():
        assert os.fstat(2) != before[0]
    assert (os.fstat(2), os.listdir("/proc/self/fd")) == before


STEERING = "a\x1b]0;title\x07\x1b[2J\r\x9b1mb\x7f\udc80\tc\nd\u00e9\u6f22"
PLAIN = "a\\x1b]0;title\\x07\\x1b[2J\\r\\x9b1mb\\x7f\\udc80\\tc\\nd\u00e9\u6f22"


def test_what_would_steer_a_terminal_is_written_out(monkeypatch, capsys):
    assert console.printable(STEERING) == PLAIN

    def refuse(*_):
        commands.logger.warning("%s\n%d", STEERING, 7)
        raise UserError(STEERING)

    monkeypatch.setattr(commands, "_load", lambda name: SimpleNamespace(run=refuse))
    assert main.main(["sample"]) == 2
    output = capsys.readouterr()
    assert output.out == PLAIN + "\n7\n" and output.err == f"\nerror: {PLAIN}\n"
