"""Hooks of the training loop: metrics, progress and signals to stop.

A hook is called after a step with (steps done, scalars). None of them changes the training.
"""

import math
import signal
import sys
import time
from collections.abc import Callable

import numpy as np

from dcgan.terminal import console, progress

# The signals that stop a training, by the names that messages give them.
SIGNALS = {"SIGTERM": signal.SIGTERM, "Ctrl-C": signal.SIGINT}
if hasattr(signal, "SIGHUP"):  # absent on Windows
    SIGNALS = {"SIGHUP": signal.SIGHUP, **SIGNALS}  # the terminal was closed
REASONS = ("time budget", *SIGNALS)  # reasons to stop, the most important last
REPEAT_SECONDS = 1.0  # in which a second Ctrl-C counts as the first one


class MetricsLog:
    """Collects the scalars of each step and averages them into the lines of metrics.jsonl.

    A line holds the means over the steps since the line before.

    Args:
        steps_per_epoch, images_per_step: to count epochs and images.
        seconds: training time of earlier starts of the run.

    Attributes:
        listeners: called with each line, a dict as in metrics.jsonl, in this order.
    """

    def __init__(self, *, steps_per_epoch: int, images_per_step: int, seconds: float = 0.0):
        self.steps_per_epoch = steps_per_epoch
        self.images_per_step = images_per_step
        self.listeners: list[Callable[[dict], None]] = []
        self._noted: dict[str, float] = {}
        self._pending: list[dict] = []
        self._left_out = 0.0
        self._seconds_before = seconds
        self.start()

    @property
    def seconds(self) -> float:
        """Seconds of training, those of earlier starts included."""
        return self._seconds_before + self.seconds_now

    @property
    def seconds_now(self) -> float:
        return time.monotonic() - self._started

    def start(self) -> None:
        self._started = self._line_started = time.monotonic()

    def note(self, **values: float) -> None:
        """Adds numbers to the next line, such as those that are measured more rarely."""
        self._noted |= values

    def leave_out(self, seconds: float) -> None:
        """Leaves seconds out of the next line's speed, such as those of an evaluation."""
        self._left_out += seconds

    def collect(self, done: int, scalars: dict) -> None:
        """Keeps the scalars of one step or, as arrays, of several; a hook for every call.

        The numbers stay on the device until `flush`.
        """
        self._pending.append(scalars)

    def flush(self, done: int, scalars: dict | None = None) -> None:
        """Makes a line of the steps since the last one, if there are any; a hook for every line."""
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
        # metrics.jsonl of every run has these keys: reports, plots and exports read them.
        line = {
            "step": done,
            "epoch": round(done / self.steps_per_epoch, 4),
            "images": done * self.images_per_step,
            "seconds": round(self.seconds, 3),
            "images_per_second": round(steps * self.images_per_step / max(elapsed, 1e-9), 2),
            **{k: round(v, 6) for k, v in means.items()},
            **self._noted,
        }
        self._noted = {}
        for listen in self.listeners:
            listen(line)


class Progress:
    """Shows the progress of a training, with the numbers to watch: D(x) and D(G(z)).

    On a terminal it keeps one line up to date, as wide as the terminal; elsewhere it prints a line
    for each line of metrics.jsonl.

    Args:
        start: number of steps done before this start; the attribute `done` counts on from it.
        until, epochs: the length of the whole training, in steps and in epochs.
        seconds: the time after which training ends at the latest; None for no such limit.
    """

    def __init__(self, *, start: int, until: int, epochs: float, seconds: float | None = None):
        self.done = start
        self._until, self._epochs = until, epochs
        self._ends = time.monotonic() + seconds if seconds else math.inf
        self._line: dict = {}
        # The time left is estimated without the first step, which includes compilation.
        self._first: tuple[int, float] | None = None
        self._bar = None
        if progress.is_interactive():
            self._bar = progress.StatusLine(self.text, total=until, initial=start, mininterval=0.2)

    def step(self, done: int, scalars: dict) -> None:
        """Counts the steps; a hook for every call."""
        if self._first is None:
            self._first = (done, time.monotonic())
        new, self.done = done - self.done, done  # before the bar draws it
        if self._bar is not None:
            self._bar.update(new)

    def line(self, line: dict) -> None:
        """Shows a line of metrics; a listener of `MetricsLog`."""
        self._line = line
        if self._bar is None:
            progress.print_line(self.text())

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()

    def text(self, width: int = 1000) -> str:
        """Returns the line in at most `width` columns, without the least important parts."""
        line, (left, is_by_steps) = self._line, self._time_left()
        all_steps, all_epochs = f"/{self._until}", f"/{self._epochs:.4g}"
        if not is_by_steps:
            all_steps = all_epochs = ""
        parts = {"step": f"step {self.done}{all_steps}", "left": left}
        if line:
            rate = line["images_per_second"]
            parts |= {
                "D(x)": f"D(x) {_format_share(line['d_real'])}",
                "D(G(z))": f"D(G(z)) {_format_share(line['d_fake'])}",
                "speed": f"{rate:.{0 if rate >= 10 else 1}f} img/s",
                "epoch": f"epoch {line['epoch']:.1f}{all_epochs}",
                "loss": f"loss D {line['d_loss']:.2f} G {line['g_loss']:.2f}",
            }
        shorter = ("loss", "epoch", "speed", "left", "step", "none")
        for name in shorter:
            text = "  ".join(filter(None, parts.values()))
            if len(text) <= width:
                break
            parts[name] = f"step {self.done}" if name == "step" else ""
        return text[:width]

    def _time_left(self) -> tuple[str, bool]:
        """Returns (the time left at the present speed, whether the step count ends the training).

        The time is empty while it is unknown. The flag is False if the time limit comes first.
        """
        now = time.monotonic()
        rest, by_steps = self._ends - now, math.inf
        steps = self.done - self._first[0] if self._first else 0
        if steps:
            by_steps = (now - self._first[1]) / steps * (self._until - self.done)
        is_by_steps = self._ends == math.inf or by_steps <= rest
        seconds = max(min(rest, by_steps), 0.0)
        is_known = seconds < math.inf and self.done < self._until
        return f"{progress.format_duration(seconds)} left" if is_known else "", is_by_steps


def _format_share(value: float) -> str:
    return f"{value:.2f}".removeprefix("0")


class StopSignals:
    """Context manager that lets a signal end the training after the current step.

    A message acknowledges the signal at once, as a step may take seconds. A second Ctrl-C raises
    KeyboardInterrupt, unless it follows the first within `REPEAT_SECONDS` seconds.

    Attributes:
        received: the number of the first signal, or None.
        is_broken_off: whether a second Ctrl-C came. Python drops the exception of a handler that no
            caller can receive, as in a weak reference's callback, so the loop raises it again.
    """

    def __init__(self):
        self.received: int | None = None
        self.is_broken_off = False
        self._since = 0.0
        self._before: dict = {}
        self._unraisable = sys.unraisablehook

    def __enter__(self):
        for name, number in SIGNALS.items():
            if name == "SIGHUP" and signal.getsignal(number) == signal.SIG_IGN:
                continue  # nohup ignores it, and so does the training
            self._before[number] = signal.signal(number, self._handle)
        self._unraisable, sys.unraisablehook = sys.unraisablehook, self._drop
        return self

    def __exit__(self, *_):
        sys.unraisablehook = self._unraisable
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number, frame):
        now = time.monotonic()
        if self.received is not None:
            if number == signal.SIGINT and now - self._since >= REPEAT_SECONDS:
                self.is_broken_off = True
                raise KeyboardInterrupt
            return
        self.received, self._since = number, now
        name = next(name for name, one in SIGNALS.items() if one == number)
        console.write_unbuffered(
            f"{name}: saving, then stopping; another Ctrl-C stops at once and loses the steps "
            "since the last checkpoint."
        )

    def _drop(self, unraisable) -> None:
        """Hides the traceback of a Ctrl-C that the loop raises again."""
        if not (self.is_broken_off and unraisable.exc_type is KeyboardInterrupt):
            self._unraisable(unraisable)


def stop_reason(
    signals: StopSignals, metrics: MetricsLog, budget_seconds: float | None
) -> Callable[[], str | None]:
    """Makes the `stop` of `training.loop.train`: a function that returns one of `REASONS` or None.

    `budget_seconds` limits this start; None for no limit. The function raises KeyboardInterrupt
    after a second Ctrl-C whose own exception Python has dropped.
    """

    def ask() -> str | None:
        if signals.is_broken_off:
            raise KeyboardInterrupt
        for name, number in SIGNALS.items():
            if signals.received == number:
                return name
        if budget_seconds is not None and metrics.seconds_now >= budget_seconds:
            return "time budget"
        return None

    return ask
