"""`python -m dcgan.benchmarks.serving`: the server under load, beside the bare SavedModel.

Both do the same work, seeds to PNG bytes, on the same machine by turns: the bare model in this
process, the server in one of its own that is asked over HTTP from here. A long load follows, for
errors and memory; with --swap a new version appears in its middle. Not part of the command line;
Linux only, for the memory.
"""

import argparse
import asyncio
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

from dcgan.benchmarks.turns import PairedFigures, in_turn

BATCH = 64
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


@dataclass
class LoadResult:
    """What the clients saw."""

    # of every answer, from the request's first byte to the answer's last
    seconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)  # what went wrong, each as a sentence
    took: float = 0.0  # seconds altogether


class Client(asyncio.Protocol):
    """Asks for one picture after another on one connection.

    Args:
        outcome: where the times and errors go.
        next_seed: gives the seeds; None ends it.
    """

    def __init__(self, outcome: LoadResult, next_seed: Callable[[], int | None]):
        self._outcome = outcome
        self._next_seed = next_seed
        self._received = bytearray()
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Takes an answer, or a part of one, and asks on when it is whole."""
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        if not found or not length or len(body) < int(length[1]):
            return
        self._outcome.seconds.append(time.perf_counter() - self._asked)
        if not head.startswith(b"HTTP/1.1 200") or not body.startswith(PNG_MAGIC):
            self._outcome.errors.append(bytes(self._received[:200]).decode("latin-1"))
        self._received.clear()
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        """The server has closed: an error, unless this client is done."""
        if not self.done.done():
            self._outcome.errors.append(f"the connection was lost: {exc}")
            self.done.set_result(None)

    def _ask(self) -> None:
        seed = self._next_seed()
        if seed is None:
            self.done.set_result(None)
            self._transport.close()
            return
        self._asked = time.perf_counter()
        self._transport.write(b"GET /image/%d.png HTTP/1.1\r\nHost: localhost\r\n\r\n" % seed)


async def load(port: int, clients: int, more: Callable[[], bool]) -> LoadResult:
    """So many clients at once, each asking again when it is answered, while `more()`."""
    outcome, seeds, loop = LoadResult(), iter(range(1 << 62)), asyncio.get_running_loop()
    start = time.perf_counter()

    def next_seed() -> int | None:
        return next(seeds) if more() else None

    made = [
        await loop.create_connection(lambda: Client(outcome, next_seed), "127.0.0.1", port)
        for _ in range(clients)
    ]
    await asyncio.gather(*[client.done for _, client in made])
    outcome.took = time.perf_counter() - start
    return outcome


class Bare:
    """The SavedModel's own `png` signature, called as one would without a server."""

    def __init__(self, version: Path):
        import tensorflow as tf

        self._tf = tf
        self._model = tf.saved_model.load(str(version))
        self._png = self._model.signatures["png"]
        self._seed = 0
        for count in (1, BATCH):
            self.call(count)

    def call(self, count: int) -> float:
        seeds = np.arange(self._seed, self._seed + count, dtype=np.int64)
        self._seed += count
        start = time.perf_counter()
        next(iter(self._png(seed=self._tf.constant(seeds)).values())).numpy()
        return time.perf_counter() - start

    def pictures_per_second(self, seconds: float) -> float:
        end, times = time.perf_counter() + seconds, []
        while time.perf_counter() < end or not times:
            times.append(self.call(BATCH))
        return BATCH * len(times) / sum(times)


class Server:
    def __init__(self, folder: Path, flags: list[str]):
        command = [
            sys.executable,
            "-m",
            "dcgan",
            "serve",
            "--model_dir",
            str(folder),
            "--port",
            "0",
        ]
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
        """SIGTERM; the exit code, and what it still said."""
        self._process.terminate()
        said, _ = self._process.communicate(timeout=60)
        return self._process.returncode, said


def single(bare: Bare, server: Server, rounds: int = 10, calls: int = 30) -> dict:
    """One picture at a time, bare and served by turns, in milliseconds."""
    alone, served = [], []
    for _ in range(rounds):
        alone += [bare.call(1) for _ in range(calls)]
        left = iter(range(calls))
        outcome = asyncio.run(load(server.port, 1, lambda left=left: next(left, None) is not None))
        if outcome.errors:
            raise SystemExit(outcome.errors[0])
        served += outcome.seconds
    bare_ms, served_ms = 1e3 * statistics.median(alone), 1e3 * statistics.median(served)
    return {
        "bare_p50_ms": round(bare_ms, 3),
        "served_p50_ms": round(served_ms, 3),
        "ratio": round(served_ms / bare_ms, 3),
    }


def throughput(bare: Bare, server: Server, options: argparse.Namespace) -> dict:
    """Pictures a second, served to all clients and bare in batches, by turns."""

    def served() -> float:
        end = time.perf_counter() + options.turn_seconds
        outcome = asyncio.run(load(server.port, options.clients, lambda: time.perf_counter() < end))
        if outcome.errors:
            raise SystemExit(outcome.errors[0])
        return len(outcome.seconds) / outcome.took

    def alone() -> float:
        return bare.pictures_per_second(options.turn_seconds)

    turns = in_turn(served, alone, pairs=options.turns, name="throughput")
    found = PairedFigures("throughput", "pictures/s", *turns, f"the bare model, batches of {BATCH}")
    return found.record()


async def sustained(server: Server, clients: int, seconds: float, swap: Callable) -> dict:
    """Full load for a while, with the memory every so often and a swap in the middle."""
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
    outcome = await load(server.port, clients, lambda: time.perf_counter() - start < seconds)
    watcher.cancel()
    times = np.array(outcome.seconds) * 1e3
    return {
        "clients": clients,
        "seconds": round(outcome.took, 1),
        "requests": len(times),
        "errors": len(outcome.errors),
        "first_errors": outcome.errors[:5],
        "pictures_per_second": round(len(times) / outcome.took, 1),
        **{f"p{p}_ms": round(float(np.percentile(times, p)), 1) for p in (50, 99)},
        "memory_mb": [(round(at), round(mb, 1)) for at, mb in memory],
    }


def measure(options: argparse.Namespace, folder: Path) -> dict:
    """Everything, with versions in a folder that this may write to."""
    numbers = [int(p.name) for p in Path(options.model_dir).iterdir() if p.name.isdecimal()]
    newest = max(numbers)
    source = Path(options.model_dir) / str(newest)
    shutil.copytree(source, folder / str(newest))

    def swap() -> None:
        if options.swap:
            shutil.copytree(source, folder / "copying")
            (folder / "copying").rename(folder / str(newest + 1))

    server, bare = Server(folder, options.flags), Bare(source)
    one = single(bare, server)
    rates = throughput(bare, server, options)
    many = asyncio.run(sustained(server, options.clients, options.seconds, swap))
    code, said = server.end()
    return {
        "machine": f"{platform.processor() or platform.machine()}, Python "
        f"{platform.python_version()}, TensorFlow {bare._tf.__version__}",
        "single": one,
        "throughput": rates,
        "load": many,
        "swapped": f"version {newest + 1} answers" in said,
        "exit_code": code,
    }


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
    """Measures, prints a table, and writes the numbers as JSON where asked."""
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
