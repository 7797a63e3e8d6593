"""The worker processes: in order, without TensorFlow, and gone with their parent."""

import os
import subprocess
import sys
import time
from pathlib import Path

from dcgan.datasets import workers

ROOT = Path(__file__).parents[1]


ORPHANS = """
import os, sys, time
from dcgan.datasets import workers

def wait(source, chunk):
    print(os.getpid(), flush=True)
    time.sleep(chunk)

if __name__ == "__main__":
    for _ in workers.ordered(wait, None, [0, 0, 0, 0, 600, 600], workers=2):
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


def test_workers_import_no_tensorflow():
    code = "import dcgan.datasets.folder, sys; print('tensorflow' in sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code], **{"capture_output": True, "text": True, "cwd": ROOT}
    )
    assert run.stdout == "False\n", run.stderr


def test_order_is_that_of_the_chunks():
    assert list(workers.ordered(str_of, None, list(range(50)), workers=2)) == [
        str(i) for i in range(50)
    ]


def str_of(_, chunk) -> str:
    time.sleep(0.002 * (chunk % 3))
    return str(chunk)
