"""Runs a task over chunks of a source, in order, on all cores if there is enough to do.

Processes are spawned, not forked, as a fork of a process in which TensorFlow has started threads
may hang. If they cannot run, this process does the rest. Keep the imports of workers few.
"""

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import Any

from dcgan.datasets.source import Decoded, ImageSpec, Source

CHUNKS_IN_FLIGHT = 4  # per worker; limits the memory of results that wait for their turn
# Seconds. Workers take about one to start, and results take time to send back, so this process does
# short work itself. It estimates the rest of the work after the first half second.
WORTH_WORKERS, PROBATION = 4.0, 0.5

logger = logging.getLogger("dcgan")
_source: Source | None = None  # in a worker, the source that it was started for


def cores() -> int:
    """Returns the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def map_in_order(
    task: Callable[[Source, Any], Any],
    source: Source,
    chunks: Sequence[Any],
    *,
    workers: int | None = None,
) -> Iterator[Any]:
    """Yields `task(source, chunk)` for every chunk, in the order of the chunks.

    Task, source (sent once to each worker), chunks and results must be picklable. With `workers` 1
    this process does everything. With None it begins, and workers on all cores take over if the
    rest would take long and the source is `parallel`.
    """
    done = 0
    if workers is None:
        workers = cores() if source.parallel else 1
        for result in _as_long_as_quick(task, source, chunks) if workers > 1 else ():
            yield result
            done += 1
    left = chunks[done:]
    workers = min(workers, len(left))
    if workers > 1:
        try:
            for result in _in_processes(task, source, left, workers):
                yield result
                done += 1
        except BrokenProcessPool:
            logger.warning(
                "The worker processes cannot start or ended early (out of memory, no writable "
                '/dev/shm, or a script without if __name__ == "__main__"): going on in one process.'
            )
    for chunk in islice(chunks, done, None):
        yield task(source, chunk)


def _as_long_as_quick(task: Callable, source: Source, chunks: Sequence) -> Iterator:
    """Yields results until starting workers for the rest is worth it."""
    start = time.monotonic()
    for done, chunk in enumerate(chunks, 1):
        yield task(source, chunk)
        elapsed = time.monotonic() - start
        if elapsed > PROBATION and elapsed / done * (len(chunks) - done) > WORTH_WORKERS:
            break


def decode(source: Source, indices: range, *, spec: ImageSpec) -> Decoded:
    """Decodes some pictures; a task for `map_in_order`."""
    return source.decode(indices, spec)


def _in_processes(task: Callable, source: Source, chunks: Sequence, workers: int) -> Iterator:
    context = multiprocessing.get_context("spawn")
    try:
        pool = ProcessPoolExecutor(workers, context, initializer=_start_worker, initargs=(source,))
    except (ImportError, OSError) as error:  # its semaphores are files in /dev/shm
        raise BrokenProcessPool(str(error)) from error
    waiting: deque = deque()
    try:
        for chunk in chunks:
            waiting.append(pool.submit(_run, task, chunk))
            if len(waiting) >= CHUNKS_IN_FLIGHT * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:  # also if the caller stops early, or Ctrl-C was pressed
        pool.shutdown(wait=True, cancel_futures=True)


def _start_worker(source: Source) -> None:
    global _source
    _source = source
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Ends a worker whose parent was killed, as it would wait for its next chunk for ever."""
    multiprocessing.parent_process().join()
    os._exit(1)


def _run(task: Callable, chunk: Any) -> Any:
    return task(_source, chunk)
