"""The batcher: who shares a batch, who waits, and that everybody gets the own rows back."""

import asyncio
import queue
import threading

import numpy as np
import pytest

from dcgan.serving import batching
from dcgan.serving.batching import Batcher, ModelFailure, batch_sizes
from dcgan.serving.errors import QueueFull


class Model:
    """Doubles x, as slowly as it is told, by the time of a clock too; remembers its batches."""

    def __init__(self, gate: threading.Event | None = None, clock=None, seconds: float = 40.0):
        self.calls: list[tuple[str, int]] = []
        self.gate, self.clock, self.seconds = gate, clock, seconds

    def __call__(self, signature, inputs):
        self.calls.append((signature, len(inputs["x"])))
        if self.gate:
            self.gate.wait(10)
        if self.clock:
            self.clock.now += self.seconds
        return {"y": inputs["x"] * 2}


def column(*values) -> dict:
    return {"x": np.float32(values)}


def ask(batcher: Batcher, *jobs, between=lambda: None) -> list:
    """Runs jobs (signature, values): one, then the others; `between` is called after that."""

    async def all_jobs():
        tasks = []
        for name, values in jobs:
            tasks.append(asyncio.ensure_future(batcher.run(name, column(*values))))
            await asyncio.sleep(0)
            while len(tasks) == 1 and not batcher._compute.calls and not tasks[0].done():
                await asyncio.sleep(0)  # until the model has it
        between()
        return await asyncio.gather(*tasks)

    return [list(answer["y"]) for answer in asyncio.run(all_jobs())]


def test_sizes_are_powers_of_two():
    assert batch_sizes(1) == [1]
    assert batch_sizes(64) == [1, 2, 4, 8, 16, 32, 64]
    assert batch_sizes(65)[-1] == 128


def test_batches_are_filled_up_or_cut_to_a_fixed_size():
    cases = {3: [1, 4], 5: [1, 4, 1], 6: [1, 8], 11: [1, 8, 4], 20: [1, 8, 8, 4]}
    for rows, sizes in cases.items():
        gate = threading.Event()
        model, observed = Model(gate), queue.SimpleQueue()
        batcher = Batcher(
            model, row_limit=8, max_delay=0.0, observe=lambda *seen, to=observed: to.put(seen)
        )
        answers = ask(batcher, *[("f", [i]) for i in range(rows + 1)], between=gate.set)
        assert answers == [[2 * i] for i in range(rows + 1)]
        assert [size for _, size in model.calls] == sizes
        batcher.close()
        seen = [observed.get_nowait() for _ in sizes]
        assert [size for _, size in seen] == sizes and observed.empty()
        assert sum(count for count, _ in seen) == rows + 1


def test_what_arrives_meanwhile_is_the_next_batch_of_its_signature():
    gate = threading.Event()
    model = Model(gate)
    batcher = Batcher(model, row_limit=8)
    jobs = [("f", [1]), ("f", [2]), ("f", [3, 4]), ("g", [5]), ("f", [6])]
    assert ask(batcher, *jobs, between=gate.set) == [[2], [4], [6, 8], [10], [12]]
    # The first found the model idle; the other four rows of f fill a batch of their own.
    assert model.calls == [("f", 1), ("f", 4), ("g", 1)]
    batcher.close()


class Clock:
    """Time that only the test moves, and what the batcher has waited for.

    Attributes:
        asked: (seconds, whether it was enough at once) of every wait for more jobs.
        idle: an item whenever it begins to wait for a first job.
    """

    def __init__(self):
        self.now = 1000.0
        self.asked, self.idle = queue.SimpleQueue(), queue.SimpleQueue()
        self._is_over = False
        self._condition = None

    def __call__(self) -> float:
        return self.now

    def wait(self, condition, predicate, seconds) -> None:
        """Ends when the predicate is true, or when the test lets the seconds pass."""
        if seconds is None:
            if not predicate():
                self.idle.put(None)
            condition.wait_for(predicate)
            return
        self._condition, self._is_over = condition, False
        self.asked.put((seconds, bool(predicate())))
        assert condition.wait_for(lambda: self._is_over or predicate(), 10), "it waits for ever"
        if self._is_over:
            self.now += seconds

    def pass_by(self) -> None:
        with self._condition:
            self._is_over = True
            self._condition.notify()


def after_a_batch_of_three(scenario, *, seconds=40.0, max_delay=2.0):
    """Runs `scenario(batcher, clock, next_wait)` when three clients have just been answered.

    Args:
        seconds: that a batch takes; a quarter of it bounds the delay too.

    Returns:
        the rows of every batch from then on.
    """
    clock, gate, patience = Clock(), threading.Event(), min(max_delay, seconds / 4)
    model = Model(gate, clock, seconds)
    batcher = Batcher(model, max_delay=max_delay, clock=clock, wait=clock.wait)

    async def next_wait():
        return await asyncio.to_thread(clock.asked.get, True, 10)

    async def play():
        clock.idle.get(timeout=10)
        first = asyncio.ensure_future(batcher.run("f", column(0)))
        while not model.calls:
            await asyncio.sleep(0)
        three = [asyncio.ensure_future(batcher.run("f", column(i))) for i in range(3)]
        await asyncio.sleep(0)  # now all three wait behind the first
        gate.set()
        assert await next_wait() == (patience, False)  # the three, for the first to come back
        clock.pass_by()
        await asyncio.gather(first, *three)
        clock.idle.get(timeout=10)
        assert model.calls == [("f", 1), ("f", 4)] and clock.asked.empty()
        await scenario(batcher, clock, next_wait)
        return [rows for _, rows in model.calls[2:]]

    try:
        return asyncio.run(play())
    finally:
        gate.set()
        batcher.close()


def test_a_batch_waits_for_all_who_were_just_answered_and_no_longer():
    async def all_come_back(batcher, clock, next_wait):
        one = asyncio.ensure_future(batcher.run("f", column(1)))
        assert await next_wait() == (2.0, False)  # one of three is not enough
        two = asyncio.ensure_future(batcher.run("f", column(2)))
        await asyncio.sleep(0)
        with batcher._changed:
            assert len(batcher._waiting) == 2 and not batcher._has_enough()
        await asyncio.gather(one, two, batcher.run("f", column(3)))
        assert clock.asked.empty()

    assert after_a_batch_of_three(all_come_back) == [4]  # three rows, filled up


@pytest.mark.parametrize(
    ("seconds", "max_delay", "patience"),
    [(40.0, 2.0, 2.0), (4.0, 2.0, 1.0)],
    ids=["no longer than max_delay", "no longer than a quarter of a batch"],
)
def test_a_job_waits_for_those_who_do_not_come_back_only_so_long(seconds, max_delay, patience):
    async def one_comes_back(batcher, clock, next_wait):
        clock.now += patience / 2
        job = asyncio.ensure_future(batcher.run("f", column(1)))
        assert await next_wait() == (patience, False)
        clock.pass_by()
        assert list((await job)["y"]) == [2]

    assert after_a_batch_of_three(one_comes_back, seconds=seconds, max_delay=max_delay) == [1]


def test_who_comes_when_the_time_has_passed_does_not_wait_and_nor_does_a_lone_client():
    async def one_comes_late(batcher, clock, next_wait):
        clock.now += 2.0
        await batcher.run("f", column(1))
        assert clock.asked.empty()
        for i in range(5):
            await batcher.run("f", column(i))
            # It was enough at once: one client is as many as were answered before.
            assert await next_wait() == (2.0, True)

    assert after_a_batch_of_three(one_comes_late) == [1] * 6


def test_who_comes_back_at_once_is_counted_once():
    clock, is_back = Clock(), threading.Event()
    options = {"clock": clock, "wait": clock.wait, "observe": lambda *_: is_back.wait(10)}
    batcher = Batcher(Model(clock=clock), max_delay=2.0, **options)

    async def come_back():
        await batcher.run("f", column(1))
        again = asyncio.ensure_future(batcher.run("f", column(2)))
        await asyncio.sleep(0)  # it waits, and the batcher has not yet looked
        is_back.set()
        assert await asyncio.to_thread(clock.asked.get, True, 10) == (2.0, True)
        await again

    asyncio.run(come_back())
    batcher.close()


def test_without_delay_nobody_waits():
    clock = Clock()
    batcher = Batcher(Model(clock=clock), max_delay=0.0, clock=clock, wait=clock.wait)

    async def two_then_one():
        await asyncio.gather(batcher.run("f", column(1)), batcher.run("f", column(2)))
        await batcher.run("f", column(3))

    asyncio.run(two_then_one())
    assert clock.asked.empty()
    batcher.close()


def test_a_failure_reaches_every_client_of_its_batch_and_no_other():
    def compute(signature, inputs):
        if signature == "bad":
            raise ModelFailure("no")
        return {"y": inputs["x"]}

    batcher = Batcher(compute)

    async def both():
        jobs = [batcher.run(name, column(1)) for name in ("bad", "good", "bad")]
        return await asyncio.gather(*jobs, return_exceptions=True)

    first, second, third = asyncio.run(both())
    assert isinstance(first, ModelFailure) and isinstance(third, ModelFailure)
    assert list(second["y"]) == [1]
    batcher.close()


def test_too_much_is_refused(monkeypatch):
    monkeypatch.setattr(batching, "MAX_WAITING", 8)
    gate = threading.Event()
    batcher = Batcher(Model(gate), row_limit=4)

    async def flood():
        tasks = [asyncio.ensure_future(batcher.run("f", column(0, 0, 0, 0))) for _ in range(4)]
        await asyncio.sleep(0)  # all four have asked; the first may be with the model
        gate.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    refused = [isinstance(answer, QueueFull) for answer in asyncio.run(flood())]
    assert 1 <= sum(refused) <= 2 and not refused[0]  # one may run while two wait
    batcher.close()


def test_closing_answers_what_waits_and_refuses_the_rest():
    gate = threading.Event()
    batcher = Batcher(Model(gate))
    closing = threading.Thread(target=batcher.close)

    def close():
        closing.start()
        gate.set()

    answers = ask(batcher, *[("f", [i]) for i in range(9)], between=close)
    assert answers == [[2 * i] for i in range(9)]
    closing.join()
    with pytest.raises(ModelFailure, match="closed"):
        ask(batcher, ("f", [1]))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_error_of_ours_leaves_nobody_waiting():
    def compute(signature, inputs):
        raise ZeroDivisionError

    batcher = Batcher(compute)

    with pytest.raises(ModelFailure, match="stopped"):
        asyncio.run(asyncio.wait_for(batcher.run("f", column(1)), 10))
    batcher.close()
