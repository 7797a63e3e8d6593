"""What reaches the screen while TensorFlow loads, and of what files say."""

import os
import select
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from running import ROOT, run

from dcgan.terminal import console, quiet

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
import os, signal, sys, time
sys.path.insert(0, {root!r})
from dcgan.terminal import quiet
{before}
with quiet.quiet_start():
    os.write(2, b"I0000 00:00:1.0 1 port.cc:153] dropped\\n")
    os.write(2, b"shown\\n")
    sys.stderr.write("shown too\\n")
    {more}
os.write(2, b"I0000 shown, as it comes after\\n")
"""
AFTERWARDS = "I0000 shown, as it comes after\n"
# Lines that TensorFlow and its converter write on every machine, from their logs.
CHATTER = (
    "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
    "I0000 00:00:1795847897.753303    2980 port.cc:153] oneDNN custom operations are on.",
    "I0000 00:00:1795847897.753643    2980 cudart_stub.cc:31] Could not find cuda drivers.",
    "To enable the following instructions: AVX2 FMA, in other operations, rebuild TensorFlow.",
    "E0000 00:00:1795847897.75 1 cuda_platform.cc:51] failed call to cuInit: INTERNAL: CUDA error",
    "W0000 00:00:1795847897.75 1 tf_tfl_flatbuffer.cc:364] Ignored output_format.",
    "W0000 00:00:1795847897.75 1 tf_tfl_flatbuffer.cc:367] Ignored drop_control_dependency.",
)
# Near to them, but a user needs them.
NEWS = (
    "WARNING: You are using pip version 1.0",
    "E0000 00:00:1795847897.75 1 cuda_dnn.cc:522] Loaded runtime CuDNN library: 8.0, too old",
    "W0000 00:00:1795847897.75 1 gpu_device.cc:2400] Cannot dlopen some GPU libraries.",
    "W0000 00:00:1795847897.75 1 cache.cc:1] Ignored the lock.",
    "F0000 00:00:1795847897.75 1 port.cc:1] what follows is an abort",
    "ImportError: of this line I0000 00:00:1.0 1 port.cc:153] is only a part",
    "In this directory there is no such file",
    "To use it, install the library",
)


def test_the_last_words_before_an_abort_are_shown(tmp_path):
    (tmp_path / "tensorflow").mkdir()
    (tmp_path / "tensorflow" / "__init__.py").write_text(STUB)
    env = {"PYTHONPATH": str(tmp_path)}
    result = run("train", "--dry_run", warm=False, env=env)
    assert result.returncode == -6  # SIGABRT
    assert result.stderr == "The TensorFlow library was compiled to use AVX instructions.\nAborted"


def speaker(more: str, *, before: str = "", python: str = sys.executable) -> list[str]:
    """A command; it is of Python alone (-I), whose standard error is buffered."""
    return [python, "-I", "-c", SPEAKER.format(root=str(ROOT), before=before, more=more)]


def speak(more: str, *, before: str = "", **kwargs) -> subprocess.CompletedProcess:
    kwargs |= {"capture_output": True, "text": True, "timeout": 60}
    return subprocess.run(speaker(more, before=before), check=False, **kwargs)


def test_what_no_setting_turns_off_is_dropped_and_whatever_is_like_it_is_shown():
    lines = [line for pair in zip(CHATTER, NEWS, strict=False) for line in pair] + [NEWS[-1]]
    result = speak(f"os.write(2, {chr(10).join([*lines, '']).encode()!r})")
    assert result.stderr.splitlines()[2:-1] == [*NEWS]


def test_a_line_is_shown_while_tensorflow_goes_on_loading():
    """Else nobody would know why it takes so long, such as a download."""
    pipes = {name: subprocess.PIPE for name in ("stdin", "stderr")}
    with subprocess.Popen(speaker("sys.stdin.read()"), **pipes) as process:
        seen = b""
        while seen != b"shown\nshown too\n" and select.select([process.stderr], [], [], 30)[0]:
            seen += os.read(process.stderr.fileno(), 100)
        process.stdin.close()  # only now it goes on
        assert seen == b"shown\nshown too\n"
        assert process.stderr.read().decode() == AFTERWARDS


def test_halves_of_lines_stay_in_the_order_of_writing():
    result = speak("sys.stderr.write('the rest ')")
    assert result.stderr == f"shown\nshown too\nthe rest {AFTERWARDS}"
    result = speak("pass", before="sys.stderr.write('half a line ')")
    assert result.stderr == f"half a line shown\nshown too\n{AFTERWARDS}"


def test_ctrl_c_while_it_loads_takes_no_words_away():
    """It reaches all processes that the terminal started; here the one that loads goes on."""
    ignoring = "signal.signal(signal.SIGINT, lambda *_: sys.stderr.write('stopping\\n'))"
    result = speak(f"{ignoring}; os.killpg(0, signal.SIGINT)", start_new_session=True)
    assert result.returncode == 0
    assert result.stderr == f"shown\nshown too\nstopping\n{AFTERWARDS}"


def test_nothing_of_the_users_python_is_started_for_it(tmp_path):
    """Neither modules that lie in the folder, nor what each start of an environment runs."""
    (tmp_path / "re.py").write_text("raise SystemExit('not the module that was meant')")
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.symlink_to(Path(sys.executable).resolve())
    (tmp_path / "pyvenv.cfg").write_text(f"home = {Path(sys.executable).resolve().parent}\n")
    base = {"base": str(tmp_path), "platbase": str(tmp_path)}
    site = Path(sysconfig.get_path("purelib", "venv", base))
    site.mkdir(parents=True)
    (site / "sitecustomize.py").write_text("with open('starts', 'a') as file: file.write('1')")
    words = speaker("pass", python=str(python))
    result = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert result.stderr == f"shown\nshown too\n{AFTERWARDS}"
    assert (tmp_path / "starts").read_text() == "1"


@pytest.mark.parametrize("python", [None, "/nowhere/python", "/dev/null"])
def test_without_a_python_to_start_all_is_shown(python):
    """As in a program that embeds Python."""
    before = f"sys.executable = {python!r}"
    result = speak("pass", before=before)
    assert result.returncode == 0
    chatter = "I0000 00:00:1.0 1 port.cc:153] dropped\n"
    assert result.stderr == f"{chatter}shown\nshown too\n{AFTERWARDS}"
    error = speak('raise ImportError("x")', before=before).stderr
    assert error.count("Traceback") == 1 and error.endswith("ImportError: x\n")


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


def test_what_would_steer_a_terminal_is_written_out():
    assert console.printable(STEERING) == PLAIN
