"""The batcher: who shares a batch, who waits, and that everybody gets the own rows back."""

import asyncio
import queue
import threading
import time

import numpy as np
import pytest

from dcgan.serving.batching import Batcher, ModelFailure, batch_sizes
from dcgan.serving.refusals import Busy


class Model:
    """Doubles x, as slowly as it is told; remembers its batches."""

    def __init__(self, gate: threading.Event | None = None):
        self.calls: list[tuple[str, int]] = []
        self.gate = gate

    def __call__(self, signature, inputs):
        self.calls.append((signature, len(inputs["x"])))
        if self.gate:
            self.gate.wait(10)
        return {"y": inputs["x"] * 2}


def column(*values) -> dict:
    return {"x": np.float32(values)}


def ask(batcher: Batcher, *jobs, between=lambda: None) -> list:
    """Runs jobs (signature, values): one, then the others; `between` is called after that."""

    async def all_jobs():
        tasks = []
        for name, values in jobs:
            tasks.append(asyncio.ensure_future(batcher.run(name, column(*values))))
            if len(tasks) == 1:
                await asyncio.sleep(0.05)  # until the model has it
        await asyncio.sleep(0.05)
        between()
        return await asyncio.gather(*tasks)

    return [list(answer["y"]) for answer in asyncio.run(all_jobs())]


def test_sizes_are_powers_of_two():
    assert batch_sizes(1) == [1]
    assert batch_sizes(64) == [1, 2, 4, 8, 16, 32, 64]
    assert batch_sizes(65)[-1] == 128


def test_what_arrives_meanwhile_is_the_next_batch():
    gate = threading.Event()
    model = Model(gate)
    batcher = Batcher(model, row_limit=8)
    jobs = [("f", [1]), ("f", [2]), ("f", [3, 4]), ("f", [5])]
    assert ask(batcher, *jobs, between=gate.set) == [[2], [4], [6, 8], [10]]
    # The first found the model idle; the other four rows fill a batch of their own.
    assert model.calls == [("f", 1), ("f", 4)]
    batcher.close()


def test_batches_are_filled_up_or_cut_to_a_fixed_size():
    for rows, sizes in {
        3: [1, 4],
        5: [1, 4, 1],
        6: [1, 8],
        11: [1, 8, 4],
        20: [1, 8, 8, 4],
    }.items():
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


def test_signatures_do_not_mix():
    gate = threading.Event()
    model = Model(gate)
    batcher = Batcher(model)
    jobs = [("f", [1]), ("f", [2]), ("g", [3]), ("f", [4])]
    assert ask(batcher, *jobs, between=gate.set) == [[2], [4], [6], [8]]
    assert model.calls == [("f", 1), ("f", 2), ("g", 1)]
    batcher.close()


def test_a_lone_client_never_waits():
    batcher = Batcher(Model(), max_delay=5.0)

    async def one_after_another():
        for i in range(20):
            await batcher.run("f", column(i))

    start = time.monotonic()
    asyncio.run(one_after_another())
    assert time.monotonic() - start < 2.0
    batcher.close()


def test_a_batch_waits_for_those_who_were_just_answered():
    calls = []

    def compute(signature, inputs):
        calls.append(len(inputs["x"]))
        time.sleep(0.4)  # a quarter of it is the patience
        return {"y": inputs["x"]}

    batcher = Batcher(compute, max_delay=5.0)

    async def client(number):
        for _ in range(2):
            await asyncio.sleep(number / 100)  # they come one after another
            await batcher.run("f", column(number))

    async def four():
        await asyncio.gather(*[client(number) for number in range(4)])

    asyncio.run(four())
    # One alone, then the other three, while that one is back; it waits until they are as well.
    assert calls == [1, 4, 4]
    batcher.close()


def test_no_job_waits_longer_than_the_delay():
    batcher = Batcher(Model(), max_delay=0.2)

    async def three_then_one():
        await asyncio.gather(*[batcher.run("f", column(i)) for i in range(3)])
        await asyncio.gather(*[batcher.run("f", column(i)) for i in range(3)])
        start = time.monotonic()
        await batcher.run("f", column(9))  # waits for the other two, which do not come back
        return time.monotonic() - start

    assert asyncio.run(three_then_one()) < 5.0
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


def test_too_much_is_refused():
    gate = threading.Event()
    batcher = Batcher(Model(gate), row_limit=4, max_waiting=8)

    async def flood():
        tasks = [asyncio.ensure_future(batcher.run("f", column(0, 0, 0, 0))) for _ in range(4)]
        await asyncio.sleep(0.05)  # until the first is with the model, or waits with another
        gate.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    refused = [isinstance(answer, Busy) for answer in asyncio.run(flood())]
    assert 1 <= sum(refused) <= 2 and not refused[0]  # one may run while two wait
    batcher.close()


def test_closing_answers_what_waits_and_refuses_the_rest():
    gate = threading.Event()
    batcher = Batcher(Model(gate))
    closing = threading.Thread(target=batcher.close)

    def close():
        closing.start()
        gate.set()

    assert ask(batcher, *[("f", [i]) for i in range(9)], between=close) == [
        [2 * i] for i in range(9)
    ]
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
