"""The loop: steps until an end, and hooks that look on. It knows neither epochs nor files."""

from collections.abc import Callable, Iterable

Hook = Callable[[int, dict], None]


def train(
    batches: Iterable,
    step: Callable,
    *,
    start: int,
    until: int,
    hooks: Iterable[Hook],
    stop: Callable[[], str | None] = lambda: None,
) -> tuple[int, str | None]:
    """Trains until a number of steps is done or something asks to stop.

    Args:
        batches: endless; the first one is step `start`'s.
        step: does a step and gives its scalars.
        start: steps done before.
        until: steps to be done in total.
        hooks: called after each step, in this order, with the number of steps done and the scalars.
        stop: asked after each step; a text ends the loop.

    Returns:
        (steps done, what `stop` said or None).
    """
    done = start
    if done >= until:
        return done, None
    for images in batches:
        scalars = step(images)
        done += 1
        for hook in hooks:
            hook(done, scalars)
        reason = stop()
        if reason or done >= until:
            return done, reason
    raise RuntimeError(f"The batches ended after {done} of {until} steps; they must be endless.")


def every(period: int, action: Hook) -> Hook:
    """A hook that acts at multiples of `period` only."""

    def hook(done: int, scalars: dict) -> None:
        if done % period == 0:
            action(done, scalars)

    return hook
