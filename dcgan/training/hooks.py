"""What looks on while the loop runs: numbers, progress, and the wish to stop.

Hooks are called after a step with (steps done, scalars). None of them changes the training.
"""

import signal
import sys
import time
from collections.abc import Callable

import numpy as np
import tqdm

# By their names, and all that ends a training before its time, the weightiest last.
SIGNALS = {"SIGTERM": signal.SIGTERM, "Ctrl-C": signal.SIGINT}
REASONS = ("time budget", *SIGNALS)


class Metrics:
    """Collects each step's scalars and turns them into lines: means over the steps since the last.

    Args:
        steps_per_epoch, images_per_step: to count epochs and images.
        seconds: trained before this start.
        listeners: called with each line, a dict as in metrics.jsonl.
    """

    def __init__(
        self,
        *,
        steps_per_epoch: int,
        images_per_step: int,
        seconds: float = 0.0,
        listeners: tuple[Callable[[dict], None], ...] = (),
    ):
        self.steps_per_epoch = steps_per_epoch
        self.images_per_step = images_per_step
        self.listeners = listeners
        self.extra: dict[str, float] = {}
        self._pending: list[dict] = []
        self._left_out = 0.0
        self._seconds_before = seconds
        self._started = self._line_started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds trained, earlier starts included."""
        return self._seconds_before + self.seconds_now

    @property
    def seconds_now(self) -> float:
        """Seconds trained since this start."""
        return time.monotonic() - self._started

    def start(self) -> None:
        """Starts the clock."""
        self._started = self._line_started = time.monotonic()

    def leave_out(self, seconds: float) -> None:
        """Seconds since the last line that say nothing of the training's speed."""
        self._left_out += seconds

    def collect(self, done: int, scalars: dict) -> None:
        """The hook of every call, with the scalars of a step or, in arrays, of several; leaves the
        numbers on the device."""
        self._pending.append(scalars)

    def flush(self, done: int, scalars: dict | None = None) -> None:
        """The hook of every line."""
        if not self._pending:
            return
        values = {
            k: np.concatenate([np.ravel(s[k]) for s in self._pending]) for k in self._pending[0]
        }
        self._pending.clear()
        means = {k: float(np.mean(v, dtype=np.float64)) for k, v in values.items()}
        steps, now = len(next(iter(values.values()))), time.monotonic()
        elapsed = now - self._line_started - self._left_out
        self._line_started, self._left_out = now, 0.0
        line = {
            "step": done,
            "epoch": round(done / self.steps_per_epoch, 4),
            "images": done * self.images_per_step,
            "seconds": round(self.seconds, 3),
            "images_per_second": round(steps * self.images_per_step / max(elapsed, 1e-9), 2),
            **{k: round(v, 6) for k, v in means.items()},
            **self.extra,
        }
        self.extra = {}
        for listen in self.listeners:
            listen(line)


class Progress:
    """A progress bar with epoch, step, images a second, time left, losses, D(x) and D(G(z))."""

    def __init__(self, *, start: int, until: int, epochs: float):
        self.epochs = epochs
        # Where no person watches (a log file), a line every half minute is enough.
        interval = 0.2 if sys.stderr.isatty() else 30.0
        self.bar = tqdm.tqdm(
            total=until, initial=start, unit="step", mininterval=interval, dynamic_ncols=True
        )

    def step(self, done: int, scalars: dict) -> None:
        """The hook of every step."""
        self.bar.update(done - self.bar.n)

    def line(self, line: dict) -> None:
        """A listener of `Metrics`."""
        self.bar.set_description_str(f"epoch {line['epoch']:.1f}/{self.epochs:.4g}", refresh=False)
        self.bar.set_postfix_str(
            f"{line['images_per_second']:.0f} images/s, D {line['d_loss']:.2f}, "
            f"G {line['g_loss']:.2f}, D(x) {line['d_real']:.2f}, D(G(z)) {line['d_fake']:.2f}",
            refresh=False,
        )

    def close(self) -> None:
        self.bar.close()


class StopSignals:
    """While it is entered, Ctrl-C and SIGTERM wait for the step to end; a second Ctrl-C does not.

    Attributes:
        received: the signal's number, or None.
    """

    def __init__(self):
        self.received: int | None = None
        self._before: dict = {}

    def __enter__(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_):
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number, frame):
        if self.received is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = self.received or number


def stop_reason(
    signals: StopSignals, metrics: Metrics, budget_seconds: float | None
) -> Callable[[], str | None]:
    """What the loop asks after each step."""

    def ask() -> str | None:
        if signals.received is not None:
            return "Ctrl-C" if signals.received == signal.SIGINT else "SIGTERM"
        if budget_seconds is not None and metrics.seconds_now >= budget_seconds:
            return "time budget"
        return None

    return ask
