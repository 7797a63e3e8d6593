"""The run folder: files are whole or absent, numbers survive a crash, one process trains."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dcgan import UserError
from dcgan.files import (
    append_json_line,
    read_json_lines,
    remove_temporaries,
    replace_atomically,
    write_bytes,
)
from dcgan.run import run_dir
from dcgan.run.run_dir import RunDir

ROOT = Path(__file__).parents[2]

# Locks the folder, says so and waits for its end.
HOLDER = """
import sys, time
from pathlib import Path
from dcgan.run.run_dir import RunDir
with RunDir(Path(sys.argv[1])).lock():
    print("locked", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def run(tmp_path) -> RunDir:
    made = RunDir(tmp_path / "deep" / "run")
    made.create()
    return made


@pytest.fixture
def holder(run):
    """Another process that holds the lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(run.root)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "locked\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


# ---- whole or absent ----


def test_a_new_content_replaces_the_old_one(tmp_path):
    path = tmp_path / "made" / "too" / "a.bin"
    write_bytes(path, b"old")
    write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert os.listdir(path.parent) == ["a.bin"]


def fail_to_flush(descriptor):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("existed", [True, False])
@pytest.mark.parametrize("moment", ["writing", "flushing", "renaming", "interrupt"])
def test_a_failed_write_leaves_what_was_there(tmp_path, monkeypatch, existed, moment):
    path = tmp_path / "a.bin"
    if existed:
        path.write_bytes(b"old")
    if moment == "flushing":
        monkeypatch.setattr(run_dir.os, "fsync", fail_to_flush)
    if moment == "renaming":
        monkeypatch.setattr(run_dir.os, "replace", lambda *_: fail_to_flush(0))
    kind = KeyboardInterrupt if moment == "interrupt" else OSError
    with pytest.raises(kind), replace_atomically(path) as temporary:
        temporary.write_bytes(b"half of the n")
        if moment in ("writing", "interrupt"):
            raise kind(errno.ENOSPC, "full")
    assert [p.name for p in tmp_path.iterdir()] == (["a.bin"] if existed else [])
    assert not existed or path.read_bytes() == b"old"


def test_the_content_is_on_the_disk_before_the_name_is(tmp_path, monkeypatch):
    calls = []
    flush, rename = os.fsync, os.replace
    monkeypatch.setattr(run_dir.os, "fsync", lambda fd: (calls.append("flush"), flush(fd)))
    monkeypatch.setattr(run_dir.os, "replace", lambda *a: (calls.append("rename"), rename(*a)))
    write_bytes(tmp_path / "a.bin", b"x")
    assert calls == ["flush", "rename", "flush"]  # the last one is the folder's


def test_several_may_write_a_shared_file_at_once(tmp_path):
    path = tmp_path / "a.json"
    with (
        replace_atomically(path, shared=True) as one,
        replace_atomically(path, shared=True) as other,
    ):
        one.write_bytes(b"1")
        other.write_bytes(b"2")
    assert path.read_bytes() == b"1"  # the last to end
    assert os.listdir(tmp_path) == ["a.json"]


def test_only_what_killed_writers_left_is_removed(tmp_path):
    with replace_atomically(tmp_path / "a.json") as temporary:
        temporary.write_bytes(b"1")
        left = temporary.name
    for name in (left, "a.tmp", ".hidden", ".lock", "b.npz"):
        (tmp_path / name).write_bytes(b"x")
    remove_temporaries(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [".hidden", ".lock", "a.json", "a.tmp", "b.npz"]


# ---- JSON ----


def test_a_line_cut_by_a_crash_is_left_out_and_harms_no_other(tmp_path):
    path = tmp_path / "metrics.jsonl"
    append_json_line(path, {"step": 1})
    append_json_line(path, {"step": 2})
    cut = path.read_bytes() + b'{"step": 3, "d_lo'
    path.write_bytes(cut)
    assert list(read_json_lines(path)) == [{"step": 1}, {"step": 2}]
    append_json_line(path, {"step": 4})
    assert path.read_bytes() == cut + b'\n{"step": 4}\n'  # never rewritten
    assert [line["step"] for line in read_json_lines(path)] == [1, 2, 4]


# ---- the folder ----


def test_create_makes_folders_and_nothing_else_and_may_be_repeated(run):
    run.create()
    made = sorted(str(p.relative_to(run.root)) for p in run.root.rglob("*"))
    assert made == ["checkpoints", "samples"]


def test_grids_come_in_the_order_of_their_steps_beyond_eight_digits(run):
    steps = [100_000_000, 7, 99_999_999, 0, 1200]  # by letters 100000000 comes before 99999999
    for step in steps:
        run.sample(step).touch()
    for other in ("reals.png", "7.png", "00000001.jpg", "0000000a.png", ".00000009.png.1.tmp"):
        (run.samples / other).touch()
    assert [int(p.stem) for p in run.sample_grids()] == sorted(steps)


@pytest.mark.parametrize(
    ("recorded", "name"),
    [
        *(("mnist", "mnist"), ("/home/somebody/faces/", "faces"), ("gs://bucket/anime", "anime")),
        *((".", "run"), ("..", "run"), ("/", "run"), (None, "run"), (7, "7")),
    ],
)
def test_a_data_set_without_a_name_has_that_of_the_run(run, monkeypatch, recorded, name):
    monkeypatch.chdir(run.root)
    assert run.dataset_name(recorded) == RunDir(Path()).dataset_name(recorded) == name


# ---- the lock ----


def test_a_second_process_is_refused_and_told_which_one_trains(run, holder):
    for _ in range(2):  # being refused changes nothing
        with pytest.raises(UserError, match=rf"Process {holder.pid} .*--run_dir"):
            with run.lock():
                pass


def test_the_lock_goes_with_a_killed_process(run, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with run.lock():
        assert (run.root / ".lock").read_text() == str(os.getpid())


def test_the_lock_is_let_go_when_the_block_ends_or_raises(run):
    with pytest.raises(ZeroDivisionError), run.lock():
        raise ZeroDivisionError
    with run.lock():
        with pytest.raises(UserError, match=f"Process {os.getpid()} "), run.lock():
            pass
    with run.lock():
        pass


def test_a_line_in_another_encoding_keeps_its_numbers(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes('{"step": 1, "from": "Zürich"}\n'.encode("latin-1"))
    assert list(read_json_lines(path)) == [{"step": 1, "from": "Z\N{REPLACEMENT CHARACTER}rich"}]
