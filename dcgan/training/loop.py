"""The training loop: takes steps and calls hooks. It knows neither epochs nor files."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

Hook = Callable[[int, dict], None]
# (iterator over batches, number of steps) -> the scalars of these steps, by name
Call = Callable[[Iterator, int], dict]


@dataclass(frozen=True)
class PeriodicHook:
    """A hook that acts every `period` steps.

    A call of several steps is shortened so that it ends where the hook acts.
    """

    period: int  # steps between two actions, at least 1
    action: Hook  # the hook to call
    # one more step at which it acts, such as the last one; None for no other
    extra_step: int | None = None

    def __call__(self, done: int, scalars: dict) -> None:
        if done % self.period == 0 or done == self.extra_step:
            self.action(done, scalars)


def train(
    batches: Iterable,
    call: Call,
    *,
    start: int,
    until: int,
    hooks: Iterable[Hook],
    stop: Callable[[], str | None] = lambda: None,
    steps_per_call: int = 1,
) -> tuple[int, str | None]:
    """Trains until `until` steps are done or `stop` asks to stop.

    Args:
        batches: endless; the first batch is that of step `start`.
        call: takes a number of steps and returns their scalars.
        start, until: number of steps done before, and in total when training ends.
        hooks: called after each call, in this order, with the number of steps done and the scalars.
        stop: called after the hooks; the loop ends when it returns a reason.
        steps_per_call: the most steps in one call, at least 1. A call is shorter where a
            `PeriodicHook` acts earlier.

    Returns:
        (number of steps done, the reason that `stop` returned or None).
    """
    done = start
    if done >= until:
        return done, None
    hooks, iterator = tuple(hooks), iter(batches)
    periods = [hook.period for hook in hooks if isinstance(hook, PeriodicHook)]
    while True:
        count = min(steps_per_call, until - done, *(p - done % p for p in periods))
        try:
            scalars = call(iterator, count)
        except StopIteration:
            raise RuntimeError(
                f"The batches ended after {done} of {until} steps; they must be endless."
            ) from None
        done += count
        for hook in hooks:
            hook(done, scalars)
        reason = stop()
        if reason or done >= until:
            return done, reason
