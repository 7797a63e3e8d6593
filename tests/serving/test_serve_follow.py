"""`serve --follow`: checkpoints of a training become versions, one after the other."""

import logging
import os
import sys
import threading
from pathlib import Path

import pytest
from running import TIMEOUT, started, wait_until
from test_serving import Server
from toy_run import toy_run

from dcgan.serving import follow
from dcgan.serving.follow import Follower

# Stands for the export: the checkpoint's content says what becomes of it.
EXPORT = """
import pathlib, sys, time
run, step = pathlib.Path(sys.argv[1]), sys.argv[2]
text = (run / "checkpoints" / f"{int(step):08d}.npz").read_text()
if text == "damaged":
    print("a line\\n\\nerror: it is damaged; give another.\\nmore", file=sys.stderr)
    sys.exit(2)
if text == "dead":
    sys.exit(7)
if text == "slow":
    (run / "slow").touch()
    time.sleep(600)
(run / "export" / step).mkdir(parents=True)
"""


@pytest.fixture
def follower(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "export.py").write_text(EXPORT)
    words = [sys.executable, "-S", str(tmp_path / "export.py"), str(tmp_path)]
    folders = (tmp_path / "checkpoints", tmp_path / "export")
    one = Follower(*folders, words, env=dict(os.environ), keep=2)
    yield one
    one.close()


def write(root: Path, step: int, text: str = "whole") -> None:
    (root / "checkpoints" / f"{step:08d}.npz").write_text(text)


def look_until_settled(follower) -> None:
    """A checkpoint is believed when it is seen a second time."""
    follower.export_new()
    follower.export_new()


def exported(root: Path) -> list[int]:
    return sorted(int(path.name) for path in (root / "export").glob("*"))


def test_only_the_newest_settled_checkpoint_is_exported_and_once(follower, tmp_path):
    write(tmp_path, 500)
    write(tmp_path, 1000)
    (tmp_path / "checkpoints" / "best.npz").touch()
    (tmp_path / "checkpoints" / "00009000.npz.tmp").touch()
    follower.export_new()
    assert exported(tmp_path) == []  # it may still be being copied
    write(tmp_path, 1000, "whole and longer")
    follower.export_new()
    assert exported(tmp_path) == [500]
    follower.export_new()
    assert exported(tmp_path) == [500, 1000]
    look_until_settled(follower)
    write(tmp_path, 700)  # older than what is exported
    look_until_settled(follower)
    assert exported(tmp_path) == [500, 1000]


def test_a_bad_checkpoint_is_said_once_and_passed_over(follower, tmp_path, caplog):
    write(tmp_path, 1000)
    write(tmp_path, 2000, "damaged")
    write(tmp_path, 3000, "dead")
    with caplog.at_level(logging.INFO, "dcgan"):
        for _ in range(4):
            follower.export_new()
    assert exported(tmp_path) == [1000]
    assert [record.getMessage() for record in caplog.records] == [
        "The checkpoint of step 3000 is not exported: the export ended with code 7.",
        "The checkpoint of step 2000 is not exported: it is damaged; give another.",
    ]
    write(tmp_path, 2000, "now it is whole")
    look_until_settled(follower)
    assert exported(tmp_path) == [1000, 2000]


def test_its_own_exports_do_not_fill_the_disk(follower, tmp_path):
    (tmp_path / "export" / "3").mkdir(parents=True)  # somebody's own
    for step in (10, 20, 30, 40):
        write(tmp_path, step)
        look_until_settled(follower)
    assert exported(tmp_path) == [3, 30, 40]


def test_an_export_under_way_ends_with_the_server(follower, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(follow, "POLL_SECONDS", 0.01)
    write(tmp_path, 10, "slow")
    follower.start()
    end = threading.Event()
    while not (tmp_path / "slow").exists():
        end.wait(0.01)
    follower.close()
    assert exported(tmp_path) == [] and caplog.records == []


def test_the_first_checkpoint_is_waited_for(follower, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(follow, "POLL_SECONDS", 0.01)
    with caplog.at_level(logging.INFO, "dcgan"):
        waiting = threading.Thread(target=follower.export_first)
        waiting.start()
        while not caplog.records:
            pass
        assert "has no checkpoint yet: waiting for the first." in caplog.text
        write(tmp_path, 10)
        waiting.join(TIMEOUT)
    assert exported(tmp_path) == [10]


@pytest.mark.slow  # three exports
def test_the_wall_sharpens_while_another_process_trains(tmp_path):
    root = toy_run(tmp_path / "run")
    words = ("serve", f"--run_dir={root}", "--port", 0, "--follow", "--keep_versions", 1)
    with started(*words, warm=False, cwd=tmp_path) as process:
        server = Server(process)
        assert any("has no exported checkpoint yet: exporting it" in line for line in server.said)

        def step() -> int:
            info = server.get("/model.json").json()
            assert info["follow"] is True
            return info["step"]

        assert step() == 1234
        before = server.image(7)
        whole = root / "checkpoints" / "00001234.npz"
        half = root / "checkpoints" / "00003000.npz"
        half.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
        for line in process.stdout:
            if "step 3000 is not exported" in line:
                break
        assert step() == 1234
        toy_run(root, step=4000, seed=2)
        wait_until(lambda: step() == 4000, process)
        assert (server.image(7) != before).any()
        versions = sorted(path.name for path in (root / "export" / "saved_model").glob("*"))
        assert versions == ["1234", "4000"]
