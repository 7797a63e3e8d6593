"""Puts the rows of many clients into one call of the model.

A thread runs the model; requests that arrive meanwhile form the next batch. Batches have a few
fixed sizes, powers of two: TensorFlow prepares for each size once, and an image is the same to the
last bit in all of them. The module depends on neither HTTP nor TensorFlow.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dcgan.serving.errors import QueueFull

Arrays = dict[str, np.ndarray]

MAX_WAITING = 4096  # rows that may wait
CALL_ROWS = 2  # a further call takes about as long as two rows (DCGANs of 32 and 48 pixels)


class ModelFailure(Exception):
    """The model could not compute a batch; the fault is not in a request."""


@dataclass(eq=False)
class _Job:
    """The rows of one request, and the future for their results."""

    signature: str
    inputs: Arrays
    rows: int
    arrived: float
    answer: asyncio.Future


def batch_sizes(row_limit: int) -> list[int]:
    """Returns the powers of two from 1 to the first that is at least `row_limit`."""
    return [1 << i for i in range((row_limit - 1).bit_length() + 1)]


class Batcher:
    """Runs jobs of one event loop on one thread, those with the same signature together.

    A job that finds the model idle runs at once. Right after a batch, the thread waits for the
    clients it has just answered, since they are likely to come back; but it waits no longer than
    `max_delay`, and no longer than a quarter of the time that the batch took.

    Args:
        compute: (signature, inputs) -> outputs, arrays with rows first; may raise ModelFailure.
        row_limit: rows of the largest job, at least 1.
        max_delay: longest wait for further jobs, in seconds.
        observe: called with the number of rows and the size of every batch.
        clock, wait: `time.monotonic` and `threading.Condition.wait_for`; tests replace them.
    """

    def __init__(
        self,
        compute: Callable[[str, Arrays], Arrays],
        *,
        row_limit: int = 64,
        max_delay: float = 0.02,
        observe: Callable[[int, int], None] = lambda rows, size: None,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable = threading.Condition.wait_for,
    ):
        self._compute = compute
        self._sizes = batch_sizes(row_limit)
        self._max_delay = max_delay
        self._observe = observe
        self._clock, self._wait = clock, wait
        self._changed = threading.Condition()
        self._waiting: list[_Job] = []
        self._closing = False
        self._expected = 1
        self._ended = 0.0
        self._patience = 0.0
        self._thread = threading.Thread(target=self._run_batches, name="batcher", daemon=True)
        self._thread.start()

    async def run(self, signature: str, inputs: Arrays) -> Arrays:
        """Computes the outputs of a signature for a request's rows.

        The inputs have the signature's dtypes and shapes, and the same number of rows, at least 1.

        Raises:
            QueueFull: too much is waiting.
            ModelFailure: the model failed, or the batcher is closed.
        """
        rows = len(next(iter(inputs.values())))
        answer = asyncio.get_running_loop().create_future()
        job = _Job(signature, inputs, rows, self._clock(), answer)
        with self._changed:
            if self._closing:
                raise ModelFailure("The model is closed.")
            if self._waiting and self._waiting_rows() + rows > MAX_WAITING:
                raise QueueFull
            self._waiting.append(job)
            self._changed.notify()
        return await answer

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def close(self) -> None:
        """Answers what is waiting, then ends the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _waiting_rows(self) -> int:
        return sum(job.rows for job in self._waiting)

    def _run_batches(self) -> None:
        jobs: list[_Job] = []
        try:
            while jobs := self._next():
                self._run(jobs)
        finally:  # even after an error of our own, nobody may wait forever
            with self._changed:
                self._closing = True
                left, self._waiting = jobs + self._waiting, []
            _deliver(left, [ModelFailure("The model has stopped.")] * len(left))

    def _next(self) -> list[_Job]:
        """Waits for the jobs of the next batch; returns none when closed and done."""
        with self._changed:
            self._wait(self._changed, lambda: self._waiting or self._closing, None)
            if not self._waiting:
                return []
            now = self._clock()
            if now - self._ended < self._patience:
                left = max(self._waiting[0].arrived, self._ended) + self._patience - now
                self._wait(self._changed, self._has_enough, max(left, 0.0))
            return self._take()

    def _has_enough(self) -> bool:
        """Tells whether to stop waiting for more jobs."""
        full = self._waiting_rows() >= self._sizes[-1]
        return self._closing or full or len(self._waiting) >= self._expected

    def _take(self) -> list[_Job]:
        """Takes the jobs of the oldest one's signature that fill a fixed size well."""
        signature = self._waiting[0].signature
        fitting = [job for job in self._waiting if job.signature == signature]
        room = self._batch_size(sum(job.rows for job in fitting))
        taken: list[_Job] = []
        for job in fitting:
            if taken and job.rows > room:
                break
            taken.append(job)
            room -= job.rows
        chosen = set(taken)
        self._waiting = [job for job in self._waiting if job not in chosen]
        return taken

    def _batch_size(self, rows: int) -> int:
        """Chooses the fixed size for a batch: the next one above, or the one below if cheaper.

        With the one below, `rows` takes as many calls as it has ones in binary, instead of one.
        """
        rows = min(rows, self._sizes[-1])
        above = next(size for size in self._sizes if size >= rows)
        saved_calls = rows.bit_count() - 1
        return above if above - rows <= CALL_ROWS * saved_calls else above // 2

    def _run(self, jobs: list[_Job]) -> None:
        rows = sum(job.rows for job in jobs)
        size = next(size for size in self._sizes if size >= rows)
        inputs = {name: _join([job.inputs[name] for job in jobs], size) for name in jobs[0].inputs}
        started = self._clock()
        try:
            outputs = self._compute(jobs[0].signature, inputs)
        except ModelFailure as failure:
            results = [failure] * len(jobs)
        else:
            results = _split(outputs, [job.rows for job in jobs])
        # Before any answer, as a client that comes back at once would be counted twice.
        self._expected, self._ended = len(jobs) + len(self._waiting), self._clock()
        self._patience = min(self._max_delay, (self._ended - started) / 4)
        _deliver(jobs, results)
        self._observe(rows, size)


def _join(parts: list[np.ndarray], size: int) -> np.ndarray:
    """Joins the rows of all parts, and repeats the last row up to `size`."""
    missing = size - sum(map(len, parts))
    return (
        np.concatenate([*parts, *[parts[-1][-1:]] * missing]) if size > len(parts[0]) else parts[0]
    )


def _split(outputs: Arrays, counts: list[int]) -> list[Arrays]:
    """Splits the outputs by job, without the rows that filled up the batch."""
    ends = np.cumsum(counts)
    return [
        {name: rows[end - count : end] for name, rows in outputs.items()}
        for end, count in zip(ends, counts, strict=True)
    ]


def _deliver(jobs: list[_Job], results: list[Arrays | ModelFailure]) -> None:
    """Hands all results to the event loop at once, as waking it takes time."""

    def set_all() -> None:
        for job, result in zip(jobs, results, strict=True):
            if job.answer.done():  # the request was cancelled
                continue
            if isinstance(result, ModelFailure):
                job.answer.set_exception(result)
            else:
                job.answer.set_result(result)

    if jobs:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any longer
            jobs[0].answer.get_loop().call_soon_threadsafe(set_all)
