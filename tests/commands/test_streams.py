"""Standard streams that are closed, full, left or of another encoding cost their text alone."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from idle import learn_nothing
from running import ROOT, checkpoints, python, small_flags, started, write_pictures

from dcgan.terminal import console

FEW = ("--steps", "20", "--log_freq", "1")
# A name that is not UTF-8, one that no other encoding has, and one that forges a line.
NAMES = (b"broken_\xe9.jpg", "gebrochen_ß_漢.jpg".encode(), b"broken\n2026-01-01 forged.jpg")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = write_pictures(tmp_path_factory.mktemp("data"), 32)
    for name in NAMES:
        with open(os.path.join(os.fsencode(folder), name), "wb") as file:
            file.write(b"words")
    return folder


def is_whole(folder: Path) -> bool:
    """Whether a run came to its end, and its log says all of it."""
    log = (folder / "run" / "log.txt").read_text("utf-8").splitlines()
    said = [line.split(" ", 2)[2] for line in log]
    beginnings = ("Skipped 3: ", "Training into ", "Trained 20 steps ", "Wrote checkpoint ")
    return checkpoints(folder / "run") == [20] and all(
        any(line.startswith(words) for line in said) for words in beginnings
    )


def test_a_reader_that_goes_away_ends_no_run(pictures, tmp_path):
    """As in `2>&1 | head -1`."""
    os.mkfifo(tmp_path / "pipe")
    flags = (*small_flags(pictures, tmp_path), *FEW)
    with started(*flags, output=tmp_path / "pipe", preexec_fn=learn_nothing) as process:
        with open(tmp_path / "pipe", "rb") as reader:
            reader.readline()
        assert process.wait(60) == 0
    assert is_whole(tmp_path)
    assert "Standard output cannot be written to any more (Broken pipe)." in (
        tmp_path / "run" / "log.txt"
    ).read_text("utf-8")


def without_streams() -> None:
    """As Python starts where all three are closed."""
    for number, name in enumerate(console.NAMES):
        os.close(number)
        setattr(sys, name, None)
    learn_nothing()


@pytest.mark.parametrize(
    ("output", "begin"), [(Path("/dev/full"), learn_nothing), (None, without_streams)]
)
def test_a_full_disk_under_the_output_or_closed_streams_end_no_run(
    pictures, tmp_path, output, begin
):
    """As in `<&- >&- 2>&-`: a file that got the number 2 would get what libraries say, too."""
    flags = (*small_flags(pictures, tmp_path), *FEW)
    with started(*flags, output=output, preexec_fn=begin) as process:
        assert process.wait(60) == 0
    assert is_whole(tmp_path)


def inspect(pictures: Path, cwd: Path, **kwargs) -> subprocess.CompletedProcess:
    words = [sys.executable, ROOT / "main.py", "inspect", "--dataset", pictures]
    env = {**os.environ, **kwargs.pop("env", {})}
    return subprocess.run(words, cwd=cwd, timeout=100, env=env, **kwargs)


def test_a_report_that_could_not_be_written_is_an_error(pictures, tmp_path):
    with open("/dev/full", "wb") as full:
        ended = inspect(pictures, tmp_path, stdout=full, stderr=subprocess.PIPE)
    assert ended.returncode == 2
    assert b"error: Standard output could not be written: No space left on device." in ended.stderr


def test_a_report_whose_reader_had_enough_is_none(pictures, tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    ended = inspect(pictures, tmp_path, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_names_are_escaped_where_there_is_only_ascii(pictures, tmp_path):
    env = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    ended = inspect(pictures, tmp_path, env=env, capture_output=True)
    assert (ended.returncode, ended.stderr) == (0, b"")
    for shown in (
        rb"gebrochen_\udcc3\udc9f_\udce6\udcbc\udca2.jpg",
        rb"broken_\udce9.jpg",
        rb"broken\n2026-01-01 forged.jpg",
    ):
        assert shown in ended.stdout


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("ascii", rb"\xdf_\u6f22 \udce9"),
        ("cp1252", b"\xdf_\\u6f22 \\udce9"),
        ("utf-8", "ß_漢 ".encode() + rb"\udce9"),
    ],
)
def test_what_an_encoding_lacks_is_escaped(encoding, shown):
    code = (
        "from dcgan.terminal import console; console.open_streams();"
        r"print('\xdf_\u6f22 \udce9')"
    )
    ended = python("-c", code, env={"PYTHONIOENCODING": encoding}, text=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, shown + b"\n", b"")


def test_a_stream_that_is_not_ready_is_waited_for():
    """Another program at the same terminal may have made it non-blocking: nothing is lost."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    text = "x" * 1_000_000  # more than a pipe holds
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); from dcgan.terminal import console;"
        "console.open_streams(); print('x' * 1_000_000)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=writer) as process:
        os.close(writer)
        with open(reader) as file:
            assert file.read() == text + "\n"
    assert process.returncode == 0


def test_no_stream_of_a_library_is_taken_for_ours(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert console.output_error() is None and console.output_failure() is None
