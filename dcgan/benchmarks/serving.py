"""`python -m dcgan.benchmarks.serving`: the server under load, beside the bare SavedModel.

Both do the same work, seeds to PNG bytes, on the same machine by turns: the bare model in this
process, the server in one of its own that is asked over HTTP from here. A long load follows, for
errors and memory; with --swap a new version appears in its middle. It works on Linux only.
"""

import argparse
import asyncio
import itertools
import json
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tensorflow as tf

from dcgan.benchmarks.turns import PairedFigures, measure_in_turn, seconds_of

BATCH = 64
ROUNDS, CALLS = 10, 30  # of single images, bare and served in turn
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


@dataclass
class LoadResult:
    """The results of all clients."""

    # seconds of every answer, from the request's first byte to the answer's last
    seconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)  # bad answers and lost connections, in words
    took: float = 0.0  # seconds of the whole load


async def _ask(port: int, result: LoadResult, next_seed: Callable[[], int | None]) -> None:
    """Requests one image after another on one connection, until `next_seed` returns None."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        while (seed := next_seed()) is not None:
            start = time.perf_counter()
            writer.write(b"GET /image/%d.png HTTP/1.1\r\nHost: localhost\r\n\r\n" % seed)
            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readexactly(int(re.search(rb"content-length: (\d+)", head)[1]))
            result.seconds.append(time.perf_counter() - start)
            if not head.startswith(b"HTTP/1.1 200") or not body.startswith(PNG_MAGIC):
                result.errors.append((head + body)[:200].decode("latin-1"))
    except (OSError, EOFError) as error:
        result.errors.append(f"the connection was lost: {error}")
    finally:
        writer.close()


async def load(port: int, clients: int, more: Callable[[], bool]) -> LoadResult:
    """Runs `clients` clients, each of which sends requests one after another while `more()`."""
    result, seeds = LoadResult(), iter(range(1 << 62))
    start = time.perf_counter()

    def next_seed() -> int | None:
        return next(seeds) if more() else None

    await asyncio.gather(*[_ask(port, result, next_seed) for _ in range(clients)])
    result.took = time.perf_counter() - start
    return result


def open_bare(version: Path) -> Callable[[int], float]:
    """Returns a function that makes N new PNG images without a server, and returns the seconds."""
    model, seeds = tf.saved_model.load(str(version)), itertools.count()

    def seconds(count: int) -> float:
        batch = tf.constant(list(itertools.islice(seeds, count)), tf.int64)
        png = model.signatures["png"]  # without the model it would lose its variables
        return seconds_of(lambda: next(iter(png(seed=batch).values())).numpy())

    for count in (1, BATCH):
        seconds(count)  # compiles
    return seconds


class Server:
    """The command serve in a process of its own."""

    def __init__(self, folder: Path, flags: list[str]):
        command = [sys.executable, "-m", "dcgan", "serve", "--port=0", f"--model_dir={folder}"]
        self._process = subprocess.Popen([*command, *flags], stdout=subprocess.PIPE, text=True)
        for line in self._process.stdout:
            if found := re.search(r"http://\S+:(\d+)", line):
                self.port = int(found[1])
                return
        raise SystemExit("The server did not start; its reason is above.")

    def megabytes(self) -> float:
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024

    def end(self) -> tuple[int, str]:
        """Sends SIGTERM; returns the exit code and the rest of the output."""
        self._process.terminate()
        said, _ = self._process.communicate(timeout=60)
        return self._process.returncode, said


def serve(server: Server, clients: int, more: Callable[[], bool]) -> LoadResult:
    """Runs `load`; a bad answer ends the benchmark."""
    result = asyncio.run(load(server.port, clients, more))
    if result.errors:
        raise SystemExit(result.errors[0])
    return result


def single(bare: Callable[[int], float], server: Server) -> dict:
    """Measures single images, bare and served in turn; returns median milliseconds."""
    alone, served = [], []
    for _ in range(ROUNDS):
        alone += [bare(1) for _ in range(CALLS)]
        left = iter(range(CALLS))
        served += serve(server, 1, lambda left=left: next(left, None) is not None).seconds
    bare_ms, served_ms = 1e3 * statistics.median(alone), 1e3 * statistics.median(served)
    return {
        "bare_p50_ms": round(bare_ms, 3),
        "served_p50_ms": round(served_ms, 3),
        "ratio": round(served_ms / bare_ms, 3),
    }


def throughput(bare: Callable[[int], float], server: Server, options: argparse.Namespace) -> dict:
    """Measures images per second, served to all clients and bare in batches, in turn."""

    def measure_served() -> float:
        end = time.perf_counter() + options.turn_seconds
        result = serve(server, options.clients, lambda: time.perf_counter() < end)
        return len(result.seconds) / result.took

    def measure_alone() -> float:
        end, times = time.perf_counter() + options.turn_seconds, []
        while time.perf_counter() < end or not times:
            times.append(bare(BATCH))
        return BATCH * len(times) / sum(times)

    turns = measure_in_turn(measure_served, measure_alone, pairs=options.turns, name="throughput")
    found = PairedFigures("throughput", "pictures/s", *turns, f"the bare model, batches of {BATCH}")
    return found.record()


async def measure_under_load(server: Server, clients: int, seconds: float, swap: Callable) -> dict:
    """Puts the server under full load, records its memory, and calls `swap` in the middle."""
    start, memory = time.perf_counter(), []

    async def watch() -> None:
        swapped = False
        while True:
            await asyncio.sleep(min(5.0, seconds / 20))
            memory.append((time.perf_counter() - start, server.megabytes()))
            if not swapped and memory[-1][0] > seconds / 2:
                swapped = True
                await asyncio.to_thread(swap)

    watcher = asyncio.create_task(watch())
    result = await load(server.port, clients, lambda: time.perf_counter() - start < seconds)
    watcher.cancel()
    times = np.array(result.seconds) * 1e3
    return {
        "clients": clients,
        "seconds": round(result.took, 1),
        "requests": len(times),
        "errors": len(result.errors),
        "first_errors": result.errors[:5],
        "pictures_per_second": round(len(times) / result.took, 1),
        **{f"p{p}_ms": round(float(np.percentile(times, p)), 1) for p in (50, 99)},
        "memory_mb": [(round(at), round(mb, 1)) for at, mb in memory],
    }


def measure(options: argparse.Namespace, folder: Path) -> dict:
    """Measures everything; copies the newest version to `folder`, where it may add another."""
    numbers = [int(p.name) for p in Path(options.model_dir).iterdir() if p.name.isdecimal()]
    newest = max(numbers)
    source = Path(options.model_dir) / str(newest)
    shutil.copytree(source, folder / str(newest))

    def swap() -> None:
        if options.swap:
            shutil.copytree(source, folder / "copying")
            (folder / "copying").rename(folder / str(newest + 1))

    server, bare = Server(folder, options.flags), open_bare(source)
    found = {
        "machine": f"{platform.processor() or platform.machine()}, Python "
        f"{platform.python_version()}, TensorFlow {tf.__version__}",
        "single": single(bare, server),
        "throughput": throughput(bare, server, options),
        "load": asyncio.run(measure_under_load(server, options.clients, options.seconds, swap)),
    }
    code, said = server.end()
    return found | {"swapped": f"version {newest + 1} answers" in said, "exit_code": code}


def table(found: dict) -> str:
    one, rates, many = found["single"], found["throughput"], found["load"]
    low, high = rates["ratio_quartiles"]
    memory = [mb for _, mb in many["memory_mb"]] or [0.0]
    half = memory[len(memory) // 2 :]
    rows = [
        ("one picture, bare", f"{one['bare_p50_ms']} ms"),
        ("one picture, served", f"{one['served_p50_ms']} ms, {one['ratio']} x"),
        (f"bare, batches of {BATCH}", f"{rates['baseline_median']:.1f} a second"),
        (
            f"served, {many['clients']} clients",
            f"{rates['ours_median']:.1f} a second, {rates['ratio']:.3f} x ({low:.3f}-{high:.3f})",
        ),
        ("latency under load", f"p50 {many['p50_ms']} ms, p99 {many['p99_ms']} ms"),
        ("requests", f"{many['requests']:,} in {many['seconds']} s, {many['errors']} errors"),
        ("memory", f"{memory[0]} MB first, {half[0]} MB at half-time, {memory[-1]} MB last"),
        ("new version took over", str(found["swapped"])),
    ]
    return "\n".join(f"{name:24} {value}" for name, value in rows)


def main() -> None:
    """Measures, prints a table, and writes the numbers as JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model_dir", required=True, help="folder of exported versions")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60.0, help="of the long load")
    parser.add_argument("--turns", type=int, default=10, help="of throughput, served and bare")
    parser.add_argument("--turn_seconds", type=float, default=5.0, help="of each")
    parser.add_argument("--swap", action="store_true", help="a new version in the middle")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    parser.add_argument("flags", nargs="*", help="for serve, behind --")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(options, Path(folder))
    print(table(found))
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
