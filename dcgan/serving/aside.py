"""Work beside the event loop, in processes of their own: JSON to arrays and back, PNG, GIF.

Threads would not do. Python's JSON parser, orjson and Pillow hold the interpreter's lock while they
work, so that nobody is answered meanwhile: a body of 8 MB of [] holds it for seconds. How much may
wait for these processes is the backlog's to say.
"""

import asyncio
import functools
import gc
import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from dcgan.serving.refusals import QueueFull

# So much JSON may be read or written on the event loop: the slowest known takes 0.1 microseconds a
# byte, hence less than 2 ms, about what it takes to ask a process.
INLINE_BYTES = 16 << 10
WORKERS = 2  # one alone would let a large body hold up every small one

logger = logging.getLogger("dcgan")


class Aside:
    """Worker processes, started when they are first needed, that end with this one.

    Args:
        nice: added to their niceness: 19 leaves the processors to everyone else.
    """

    def __init__(self, nice: int = 0):
        self._nice = nice
        self._pool: ProcessPoolExecutor | None = None
        self._starting = threading.Lock()

    async def run(self, function: Callable, *args, size: int | None = None) -> Any:
        """Calls a function, which must be importable by its name and quick to import.

        Args:
            args: picklable, as is the result.
            size: bytes of JSON that it reads or writes; up to `INLINE_BYTES` it is called here.
                None for what is never called here.

        Raises:
            QueueFull: a worker has ended early, as for want of memory; another takes its place.
        """
        if size is not None and size <= INLINE_BYTES:
            return function(*args)
        try:
            task = await asyncio.to_thread(self._submit, function, *args)
            return await asyncio.wrap_future(task)
        except BrokenProcessPool as error:
            raise QueueFull from error

    def start(self) -> None:
        """Starts the workers, so that the first request need not wait for them."""
        for _ in range(WORKERS):
            self._submit(_import_all)

    def close(self) -> None:
        """Ends the workers, when they have done what they are at."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _submit(self, function: Callable, *args) -> Future:
        with self._starting:
            pool = self._pool
            if pool is None:
                spawning = multiprocessing.get_context("spawn")  # a fork with TensorFlow may hang
                pool = ProcessPoolExecutor(
                    WORKERS, spawning, initializer=_settle, initargs=(self._nice,)
                )
                self._pool = pool
            try:
                task = pool.submit(_call, function, *args)
            except BrokenProcessPool:
                self._pool = None
                raise
        task.add_done_callback(functools.partial(self._forget, pool))
        return task

    def _forget(self, pool: ProcessPoolExecutor, task: Future) -> None:
        """The next task starts new workers when those of this one have died."""
        if not task.cancelled() and isinstance(task.exception(), BrokenProcessPool):
            with self._starting:
                if self._pool is pool:
                    logger.warning("A process that reads and draws has died; another is started.")
                    self._pool = None


def _settle(nice: int) -> None:
    os.nice(nice)
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # the server's to handle: it answers to the end
        if hasattr(signal, name):  # Windows hangs up nothing
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for its next task for ever."""
    multiprocessing.parent_process().join()
    os._exit(1)


def _call(function: Callable, *args) -> Any:
    """Without the collector, which walks through millions of lists again and again, for nothing."""
    gc.disable()
    try:
        return function(*args)
    finally:
        gc.enable()


def _import_all() -> None:
    import dcgan.serving.pictures
    import dcgan.serving.tfserving_json  # noqa: F401
