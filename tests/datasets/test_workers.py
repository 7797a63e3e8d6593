"""The worker processes: in order, without TensorFlow, and gone with their parent."""

import errno
import os
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from running import ROOT, is_running

from dcgan.datasets import workers

ORPHANS = r"""
import os, time
from dcgan.datasets import workers

def wait(source, chunk):
    os.write(1, b"%d\n" % os.getpid())  # whole: two workers write at once
    time.sleep(chunk)

if __name__ == "__main__":
    for _ in workers.map_in_order(wait, None, [0, 0, 0, 0, 600, 600], workers=2):
        pass
"""


def test_workers_end_when_their_parent_is_killed(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(ORPHANS)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, env=environment) as run:
        children = {int(run.stdout.readline()) for _ in range(6)}
        run.kill()
    ended = time.monotonic() + 10
    while any(map(is_running, children)):
        assert time.monotonic() < ended
        time.sleep(0.05)


def test_order_is_that_of_the_chunks():
    found = list(workers.map_in_order(str_of, None, list(range(50)), workers=2))
    assert found == [str(i) for i in range(50)]


def test_workers_start_when_the_rest_would_take_long(monkeypatch):
    """By a clock that goes on by 10 ms a chunk of this process."""
    monkeypatch.setattr(workers, "cores", lambda: 2)
    monkeypatch.setattr(workers, "PROBATION", 0.055)
    monkeypatch.setattr(workers, "WORTH_WORKERS", 0.2)
    monkeypatch.setattr(workers, "time", SimpleNamespace(monotonic=lambda: 0.01 * len(DONE)))
    here = os.getpid()

    def homes(count: int, *, parallel: bool = True) -> list[bool]:
        """Whether each chunk was done in this process."""
        source = SimpleNamespace(parallel=parallel)
        found = list(workers.map_in_order(process_of, source, list(range(count))))
        assert [chunk for _, chunk in found] == list(range(count))
        return [process == here for process, _ in found]

    assert homes(60) == [True] * 6 + [False] * 54
    assert all(homes(25))  # the other 19 take 0.19 s
    assert not all(homes(28))
    assert all(homes(60, parallel=False))


@pytest.mark.parametrize(
    "error",
    [OSError(errno.EROFS, "read-only"), OSError(errno.ENOSPC, "full"), ImportError("no sem_open")],
)
def test_where_no_process_can_be_started_this_one_does_all(error, monkeypatch, caplog):
    def no_semaphores(*_, **__):
        raise error

    monkeypatch.setattr(workers, "ProcessPoolExecutor", no_semaphores)
    found = list(workers.map_in_order(process_of, None, [1, 2, 3], workers=2))
    assert found == [(os.getpid(), chunk) for chunk in (1, 2, 3)]
    assert "no writable /dev/shm" in caplog.text


DONE: list[int] = []


def process_of(_, chunk) -> tuple[int, int]:
    DONE.append(chunk)
    return os.getpid(), chunk


def str_of(_, chunk) -> str:
    time.sleep(0.002 * (chunk % 3))
    return str(chunk)
