"""The loop: how often, in which order, and when it ends."""

import itertools

import pytest

from dcgan.training.loop import PeriodicHook, train


class Recorder:
    """Endless batches, a step and hooks that note what happens."""

    def __init__(self):
        self.events = []

    def batches(self):
        for i in itertools.count():
            self.events.append(f"batch {i}")
            yield i

    def call(self, batches, count):
        taken = [next(batches) for _ in range(count)]
        self.events.append(f"step {'-'.join(map(str, taken))}")
        return {"d_loss": taken[-1] / 2}

    def hook(self, name):
        return lambda done, scalars: self.events.append(f"{name} {done} {scalars['d_loss']}")


def test_each_batch_is_a_step_then_the_hooks_in_order():
    seen = Recorder()
    hooks = [seen.hook("one"), seen.hook("two")]
    done, reason = train(seen.batches(), seen.call, start=0, until=2, hooks=hooks)
    assert (done, reason) == (2, None)
    assert seen.events == [
        "batch 0",
        "step 0",
        "one 1 0.0",
        "two 1 0.0",
        "batch 1",
        "step 1",
        "one 2 0.5",
        "two 2 0.5",
    ]  # and no batch is taken that no step uses


def test_it_counts_from_the_start():
    seen = Recorder()
    assert train(seen.batches(), seen.call, start=7, until=9, hooks=[seen.hook("h")]) == (9, None)
    assert [e for e in seen.events if e.startswith("h")] == ["h 8 0.0", "h 9 0.5"]


@pytest.mark.parametrize("start", [5, 6])
def test_nothing_is_touched_when_all_is_done(start):
    seen = Recorder()
    asked = []
    result = train(
        seen.batches(),
        seen.call,
        start=start,
        until=5,
        hooks=[seen.hook("h")],
        stop=lambda: asked.append(1),
    )
    assert result == (start, None)
    assert seen.events == asked == []


def test_it_stops_when_asked_after_the_hooks_of_that_step():
    seen = Recorder()
    answers = iter([None, "SIGTERM"])

    def stop():
        seen.events.append("asked")
        return next(answers)

    result = train(seen.batches(), seen.call, start=3, until=100, hooks=[seen.hook("h")], stop=stop)
    assert result == (5, "SIGTERM")
    assert seen.events[-3:] == ["step 1", "h 5 0.5", "asked"]
    assert seen.events.count("asked") == 2


def test_a_wish_to_stop_at_the_last_step_is_told():
    seen = Recorder()
    stop = iter([None, "SIGINT"]).__next__
    assert train(seen.batches(), seen.call, start=0, until=2, hooks=[], stop=stop) == (2, "SIGINT")


def test_batches_that_end_are_a_mistake():
    seen = Recorder()
    with pytest.raises(RuntimeError, match="ended after 3 of 5 steps"):
        train(range(3), seen.call, start=0, until=5, hooks=[])


def test_an_error_of_a_hook_ends_the_training():
    def hook(done, scalars):
        raise FloatingPointError("generator/project/kernel")

    seen = Recorder()
    with pytest.raises(FloatingPointError):
        train(seen.batches(), seen.call, start=0, until=5, hooks=[hook, seen.hook("later")])
    assert seen.events == ["batch 0", "step 0"]


@pytest.mark.parametrize(
    ("period", "start", "acted"),
    [(1, 0, [1, 2, 3, 4, 5, 6, 7]), (3, 0, [3, 6]), (3, 4, [6]), (7, 0, [7]), (8, 0, [])],
)
def test_every_acts_at_multiples_whatever_the_start(period, start, acted):
    seen, done = Recorder(), []
    hook = PeriodicHook(period, lambda step, scalars: done.append((step, scalars["d_loss"])))
    train(seen.batches(), seen.call, start=start, until=7, hooks=[hook])
    assert [step for step, _ in done] == acted
    assert [loss for _, loss in done] == [(step - start - 1) / 2 for step in acted]


@pytest.mark.parametrize(("period", "acted"), [(3, [3, 6, 7]), (7, [7]), (8, [7])])
def test_every_acts_once_at_the_end_where_it_shall(period, acted):
    seen, done = Recorder(), []
    hook = PeriodicHook(period, lambda step, scalars: done.append(step), extra_step=7)
    train(seen.batches(), seen.call, start=0, until=7, hooks=[hook])
    assert done == acted


@pytest.mark.parametrize(
    ("start", "until", "ends"),
    [(0, 11, [3, 5, 6, 9, 10, 11]), (4, 10, [5, 6, 9, 10])],
)
def test_a_call_of_several_steps_ends_where_a_hook_acts(start, until, ends):
    seen, fives, threes = Recorder(), [], []
    hooks = [
        PeriodicHook(5, lambda done, scalars: fives.append(done)),
        PeriodicHook(3, lambda done, scalars: threes.append(done)),
        seen.hook("h"),
    ]
    train(seen.batches(), seen.call, start=start, until=until, hooks=hooks, steps_per_call=4)
    assert [int(e.split()[1]) for e in seen.events if e.startswith("h")] == ends
    assert fives == [n for n in ends if n % 5 == 0] and threes == [n for n in ends if n % 3 == 0]
    assert sum(e.startswith("batch") for e in seen.events) == until - start
