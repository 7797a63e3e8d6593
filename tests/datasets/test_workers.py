"""The worker processes: in order, without TensorFlow, and gone with their parent."""

import os
import subprocess
import sys
import time
from pathlib import Path

from dcgan.datasets import workers

ROOT = Path(__file__).parents[2]


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
    while any(is_running(child) for child in children) and time.monotonic() < ended:
        time.sleep(0.05)
    assert not any(is_running(child) for child in children)


def is_running(process: int) -> bool:
    """Whether it exists and is no zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_order_is_that_of_the_chunks():
    assert list(workers.map_in_order(str_of, None, list(range(50)), workers=2)) == [
        str(i) for i in range(50)
    ]


class Parallel:
    parallel = True


class Alone:
    parallel = False


def test_workers_start_when_the_rest_would_take_long(monkeypatch):
    monkeypatch.setattr(workers, "cores", lambda: 2)
    monkeypatch.setattr(workers, "PROBATION", 0.05)
    monkeypatch.setattr(workers, "WORTH_WORKERS", 0.2)
    here = os.getpid()

    def homes(source, count: int) -> list[bool]:
        """Whether each chunk was done in this process."""
        found = list(workers.map_in_order(process_of, source, list(range(count))))
        assert [chunk for _, chunk in found] == list(range(count))
        return [process == here for process, _ in found]

    at_home = homes(Parallel(), 60)  # of 10 ms each
    assert at_home[0] and not at_home[-1]
    assert at_home == sorted(at_home, reverse=True)  # none comes back
    assert 5 <= sum(at_home) < 60
    assert all(homes(Parallel(), 8))  # over before it is worth it
    assert all(homes(Alone(), 60))


def process_of(_, chunk) -> tuple[int, int]:
    time.sleep(0.01)
    return os.getpid(), chunk


def str_of(_, chunk) -> str:
    time.sleep(0.002 * (chunk % 3))
    return str(chunk)
