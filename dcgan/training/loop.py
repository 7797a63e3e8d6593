"""The loop: steps until an end, and hooks that look on. It knows neither epochs nor files."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

Hook = Callable[[int, dict], None]
# (iterator over batches, number of steps) -> the scalars of these steps
Call = Callable[[Iterator, int], dict]


@dataclass(frozen=True)
class Every:
    """A hook that acts at multiples of `period` only, and at the end where `also` is that.

    A call of several steps ends where it acts.
    """

    period: int
    action: Hook
    also: int | None = None

    def __call__(self, done: int, scalars: dict) -> None:
        """Acts, or not."""
        if done % self.period == 0 or done == self.also:
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
    """Trains until a number of steps is done or something asks to stop.

    Args:
        batches: endless; the first one is step `start`'s.
        call: does steps and gives their scalars.
        start: steps done before.
        until: steps to be done in total.
        hooks: called after each call, in this order, with the number of steps done and the scalars.
        stop: asked after each call; a text ends the loop.
        steps_per_call: the most steps of a call, at least 1; fewer where a hook of `Every` acts
            before.

    Returns:
        (steps done, what `stop` said or None).
    """
    done = start
    if done >= until:
        return done, None
    hooks, iterator = tuple(hooks), iter(batches)
    periods = [hook.period for hook in hooks if isinstance(hook, Every)]
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
