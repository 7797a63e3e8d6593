"""Slow work in separate processes, beside the event loop: JSON to arrays and back, PNG, GIF.

Threads are not enough: Python's JSON parser, orjson and Pillow hold the interpreter's lock, for
seconds if a body is 8 MB of []. `memory` limits how much may wait for these processes.
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

from dcgan import UserError
from dcgan.serving.errors import QueueFull

# Up to this much JSON is read or written on the event loop. The slowest known takes 0.1
# microseconds per byte, so less than 2 ms, about as long as a call to another process.
INLINE_BYTES = 16 << 10
WORKERS = 2  # one alone would let a large body hold up every small one

logger = logging.getLogger("dcgan")


class WorkerPool:
    """Worker processes that start when they are first needed, and end with this process.

    Args:
        nice: added to their niceness; 19 leaves the processors to all other processes.
    """

    def __init__(self, nice: int = 0):
        self._nice = nice
        self._pool: ProcessPoolExecutor | None = None
        self._starting = threading.Lock()

    async def run(self, function: Callable, *args, size: int | None = None) -> Any:
        """Calls a function, which must be importable by its name and quick to import.

        Args:
            args: must be picklable, and so must the result.
            size: bytes of JSON that it reads or writes; up to `INLINE_BYTES` it is called on the
                event loop. None means always in a worker.

        Raises:
            QueueFull: a worker has died, perhaps for lack of memory; another one replaces it.
            UserError: the system cannot start workers.
        """
        if size is not None and size <= INLINE_BYTES:
            return function(*args)
        try:
            task = await asyncio.to_thread(self._submit, function, *args)
            return await asyncio.wrap_future(task)
        except BrokenProcessPool as error:
            raise QueueFull from error

    def start(self) -> None:
        """Starts the workers, so that the first request need not wait for them.

        Raises UserError if the system cannot start workers.
        """
        for _ in range(WORKERS):
            self._submit(_import_all)

    def close(self) -> None:
        """Ends the workers when they have finished their present tasks."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _submit(self, function: Callable, *args) -> Future:
        with self._starting:
            pool = self._pool
            if pool is None:
                spawning = multiprocessing.get_context("spawn")  # a fork with TensorFlow may hang
                try:
                    pool = ProcessPoolExecutor(
                        WORKERS, spawning, initializer=_initialize, initargs=(self._nice,)
                    )
                except (ImportError, OSError) as error:  # its semaphores are files in /dev/shm
                    raise UserError(
                        f"The server cannot start processes of its own ({error}): it needs a "
                        "/dev/shm that it may write to."
                    ) from error
                self._pool = pool
            try:
                task = pool.submit(_call, function, *args)
            except BrokenProcessPool:
                self._pool = None
                raise
        task.add_done_callback(functools.partial(self._forget, pool))
        return task

    def _forget(self, pool: ProcessPoolExecutor, task: Future) -> None:
        """Drops a pool whose workers have died, so that the next task starts new ones."""
        if not task.cancelled() and isinstance(task.exception(), BrokenProcessPool):
            with self._starting:
                if self._pool is pool:
                    logger.warning("A process that reads and draws has died; another is started.")
                    self._pool = None


def _initialize(nice: int) -> None:
    if hasattr(os, "nice"):  # Windows has no niceness
        os.nice(nice)
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # the server handles them, and answers to the end
        if hasattr(signal, name):  # Windows has no SIGHUP
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Ends a worker whose parent was killed: it would wait for its next task forever."""
    multiprocessing.parent_process().join()
    os._exit(1)


def _call(function: Callable, *args) -> Any:
    """Calls a function without garbage collection, which would visit millions of lists in vain."""
    gc.disable()
    try:
        return function(*args)
    finally:
        gc.enable()


def _import_all() -> None:
    import dcgan.serving.pictures
    import dcgan.serving.tfserving_json  # noqa: F401
