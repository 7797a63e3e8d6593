"""A server process under bodies of 8 MB: what others notice, and what it holds."""

import contextlib
import gzip
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import requests
from test_serving import exported, put, serving  # noqa: F401, the first is a fixture

# Lists without end, which take Python's parser longest, and 64 images as a client may send them.
HOSTILE = b'{"inputs": [' + b"[]," * 2_700_000 + b"1]}"
PREDICT = "/v1/models/dcgan:predict"

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}

pytestmark = pytest.mark.slow


def memory(server, peak: str) -> float:
    """Megabytes of a server process: VmRSS now, or VmHWM at most."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(rf"{peak}:\s+(\d+)", status)[1]) / 1024


def latencies(server, count: int) -> list[float]:
    """Seconds of so many pictures, one after another."""
    taken = []
    with requests.Session() as session:
        for seed in range(count):
            start = time.perf_counter()
            assert session.get(f"{server.address}/image/{seed}.png", timeout=60).status_code == 200
            taken.append(time.perf_counter() - start)
    return taken


POSTER = """
import os, sys
import requests
from test_serving_large import HOSTILE, PREDICT
os.nice(10)  # as a client on another machine, it takes little of this one's cores
while True:
    print(requests.post(sys.argv[1] + PREDICT, data=HOSTILE, timeout=60).status_code, flush=True)
"""


@contextlib.contextmanager
def posting(address: str) -> Iterator[list[int]]:
    """While it is entered, another process sends one large body after another.

    Yields:
        a list that has the answers' statuses afterwards.
    """
    command = [sys.executable, "-c", POSTER, address]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
    told = [int(process.stdout.readline())]  # it is at it
    try:
        yield told
    finally:
        process.terminate()
        told += [int(line) for line in process.communicate()[0].split()]


def test_large_bodies_do_not_double_the_time_of_others(exported, tmp_path):  # noqa: F811
    """By turns, quiet and not; the median of the turns' ratios: other work disturbs one."""
    put(exported, 1, tmp_path)
    statuses, ratios = [], []
    with serving(tmp_path) as server:
        latencies(server, 100)
        assert requests.post(server.address + PREDICT, data=HOSTILE, timeout=60).status_code == 413

        for _ in range(3):
            quiet = latencies(server, 200)
            with posting(server.address) as told:
                busy = latencies(server, 200)
            statuses += told
            ratios.append(float(np.percentile(busy, 99) / np.percentile(quiet, 99)))
    print(f"p99 under 8 MB bodies / quiet, of three turns: {ratios}; {len(statuses)} bodies")
    assert set(statuses) == {413} and len(statuses) >= 3
    assert statistics.median(ratios) < 2


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_memory_is_bounded_under_a_hundred_large_bodies(
    exported,  # noqa: F811
    tmp_path,
    encoding,
):
    """As they are, and as 8 KB of gzip each."""
    body = HOSTILE if encoding == "identity" else gzip.compress(HOSTILE)
    put(exported, 1, tmp_path)
    with serving(tmp_path) as server, ThreadPoolExecutor(32) as clients:
        before = memory(server, "VmRSS")

        def post(_: int) -> requests.Response:
            headers = {"Content-Encoding": encoding}
            return requests.post(server.address + PREDICT, body, headers=headers, timeout=300)

        answers = list(clients.map(post, range(100)))
        peak, after = memory(server, "VmHWM"), memory(server, "VmRSS")
        assert server.get("/healthz").json()["status"] == "ok"
    print(f"{before:.0f} MB before, {peak:.0f} MB at most, {after:.0f} MB after")
    found = {answer.status_code for answer in answers}
    assert found <= {413, 503} and 413 in found
    assert {a.headers.get("retry-after") for a in answers if a.status_code == 503} <= {"1"}
    # The budget, once as it arrives and once on its way to the processes, and what is on the wire.
    assert peak - before < 400
