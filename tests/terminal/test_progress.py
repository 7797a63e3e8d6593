"""Progress: a bar on a terminal, and a line now and then where there is none."""

import re

import pytest
from running import ROOT, last_step, small_flags, started, wait_until, write_pictures
from terminals import terminal

import main
from dcgan.terminal import progress
from dcgan.terminal.progress import Bar, with_bar


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_where_there_is_no_terminal_a_line_comes_now_and_then(clock, capsys):
    with Bar("decoding a\nb", 11_418) as bar:
        for _ in range(64):
            bar.update(100)
            clock[0] += 1.0
    # 3,100 in the first 30 s: 8,318 more take 80.5 s; 6,200 in 61 s.
    assert capsys.readouterr().err.splitlines() == [
        "decoding a\\nb: 3,100 of 11,418 images, 0:30, 1:20 left",
        "decoding a\\nb: 6,100 of 11,418 images, 1:00, 0:52 left",
        "decoding a\\nb: 6,400 of 11,418 images, 1:04, 0:50 left",
    ]


def test_short_work_says_nothing_in_a_log(clock, capsys):
    assert list(with_bar("abc", "reading", 3, "letters")) == ["a", "b", "c"]
    assert tuple(capsys.readouterr()) == ("", "")


def test_downloads_of_unknown_length_and_notes(clock, capsys):
    bar = Bar("downloading x", None, "B", initial=5_000_000)
    clock[0] += 3670.0
    bar.note("slow\x1b[2J")
    bar.update(1_200_000)
    assert capsys.readouterr().err == "downloading x: 6.20MB, 1:01:10, slow\\x1b[2J\n"
    bar.close()
    assert capsys.readouterr().err == ""  # it has been said
    bar.update(100_000)
    bar.close()
    bar.close()
    assert capsys.readouterr().err == "downloading x: 6.30MB, 1:01:10, slow\\x1b[2J\n"


def test_nothing_but_progress_draws_bars():
    for path in (ROOT / "dcgan").rglob("*.py"):
        imports = re.search(r"^\s*(import|from) tqdm", path.read_text("utf-8"), re.MULTILINE)
        assert (imports is not None) == (path.name == "progress.py"), path


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return write_pictures(tmp_path_factory.mktemp("data") / "a set of pictures", 64)


def test_a_terminal_shows_what_to_watch(pictures, tmp_path):
    flags = (*small_flags(pictures, tmp_path), "--steps", "100000", "--log_freq", "5")
    with terminal() as window, started(*flags, output=window.path) as process:
        wait_until(lambda: last_step(tmp_path / "run") >= 50, process)
        process.terminate()
        assert process.wait(60) == 143
        lines = window.lines()
    steps = [line for line in lines if re.match(r"step \d", line)]
    assert len(steps) > 1 and max(map(len, steps)) < 80
    assert not [line for line in steps if " -" in line]  # nor is less than nothing left
    assert re.search(r"D\(x\) [\d.]+  D\(G\(z\)\) [\d.]+", steps[-1])
    assert "loss D" not in steps[-1] and "img/s" in steps[-1]
    assert [line for line in lines if line.startswith("decoding")]


def test_a_file_gets_a_line_of_the_log_each_and_no_bar(pictures, idle, tmp_path, capfd):
    assert main.main([*small_flags(pictures, tmp_path), "--steps", "20", "--log_freq", "5"]) == 0
    out, err = capfd.readouterr()
    assert "\r" not in out + err
    lines = err.splitlines()
    assert [line.split("  ")[0] for line in lines] == [f"step {n}/20" for n in (5, 10, 15, 20)]
