"""Shows progress: a bar on a terminal; elsewhere, as in a log file, a line now and then."""

import logging
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator

from tqdm import tqdm

from dcgan.terminal import console

LINE_SECONDS = 30.0  # between two lines without a terminal


def is_interactive() -> bool:
    """Whether a person may be watching: standard error is a terminal, or a notebook's cell."""
    return sys.stderr.isatty() or type(sys.stderr).__module__.startswith("ipykernel.")


class Bar:
    """Progress of one piece of work; as a context manager it ends with the block.

    Args:
        description: what is done, such as "decoding faces"; unprintable characters are escaped.
        total: the amount of work; None if unknown.
        unit: what is counted, in the plural; "B" for bytes.
        initial: how much was done before. The attribute `n` is how much is done now.
        kept: whether the full bar stays on the screen; None: only if it is not below another.
    """

    def __init__(
        self,
        description: str,
        total: int | None,
        unit: str = "images",
        *,
        initial: int = 0,
        kept: bool | None = True,
    ):
        self.n, self.total = initial, total
        self._description, self._unit, self._note = console.printable(description), unit, ""
        self._initial, self._started = initial, time.monotonic()
        self._printed_at, self._printed_n = self._started, initial
        self._bar = None
        if is_interactive():
            self._bar = tqdm(
                desc=self._description,
                total=total,
                initial=initial,
                unit=unit,
                unit_scale=unit == "B",
                leave=kept,
                dynamic_ncols=True,
            )

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def update(self, count: int = 1) -> None:
        self.n += count
        if self._bar is not None:
            self._bar.update(count)
        elif time.monotonic() - self._printed_at >= LINE_SECONDS:
            self._print()

    def note(self, text: str) -> None:
        """Sets the text that is shown behind the numbers; it is made printable."""
        changed, self._note = console.printable(text) != self._note, console.printable(text)
        if self._bar is not None and changed:
            self._bar.set_postfix_str(self._note)

    def close(self) -> None:
        """Ends the bar, or prints a last line if others were printed; further calls do nothing."""
        if self._bar is not None:
            self._bar.close()
        elif self._printed_at > self._started and self.n != self._printed_n:
            self._print()

    def _print(self) -> None:
        now = time.monotonic()
        self._printed_at, self._printed_n = now, self.n
        print_line(self.line(now - self._started))

    def line(self, seconds: float) -> str:
        """Returns the line after so many seconds.

        For example `decoding faces: 4,200 of 11,418 images, 0:30, 0:52 left`.
        """
        is_bytes = self._unit == "B"
        count = tqdm.format_sizeof if is_bytes else "{:,}".format
        unit = "B" if is_bytes else f" {self._unit}"
        of = "" if self.total is None else f" of {count(self.total)}"
        parts = [f"{self._description}: {count(self.n)}{of}{unit}", format_duration(seconds)]
        done = self.n - self._initial
        if self.total is not None and done and self.n < self.total:
            parts.append(f"{format_duration(seconds / done * (self.total - self.n))} left")
        return ", ".join(filter(None, (*parts, self._note)))


def with_bar(items: Iterable, description: str, total: int, unit: str, **options) -> Iterator:
    """Yields the items, with a bar that shows how many are done; see `Bar` for the arguments."""
    with Bar(description, total, unit, **options) as bar:
        for item in items:
            yield item
            bar.update()


class StatusLine(tqdm):
    """A line that is updated on a terminal; `text` returns it, given the number of columns."""

    def __init__(self, text: Callable[[int], str], **options):
        self._text = text
        super().__init__(**options)

    def __str__(self) -> str:
        return self._text(columns() - 1)  # some terminals wrap after the last column


def columns() -> int:
    """Returns the width of the terminal on standard error, in columns; 80 if it is unknown."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def format_duration(seconds: float) -> str:
    """Formats a duration as 1:10, or from an hour on as 3:01:10."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def format_estimate(seconds: float) -> str:
    """Formats an estimated duration, such as about 40 seconds, 3 minutes or 2 hours."""
    for unit, size in (("hour", 3600), ("minute", 60)):
        if seconds >= 1.5 * size:
            return f"about {round(seconds / size):,} {unit}s"
    if seconds > 50:
        return "about a minute"
    return f"about {round(seconds)} seconds" if seconds >= 1.5 else "about a second"


def print_line(text: str) -> None:
    """Prints a line to standard error, above the bars."""
    tqdm.write(text, file=sys.stderr)


class BarHandler(logging.Handler):
    """Prints log messages to standard output, above the bars."""

    def __init__(self):
        super().__init__()
        self.setFormatter(console.Formatter())
        self._has_warned = console.output_error() is not None

    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(self.format(record), file=sys.stdout)
        sys.stdout.flush()
        error = console.output_error()
        if error is not None and not self._has_warned:
            # For the log file: on standard output the warning is lost too.
            self._has_warned = True
            logging.getLogger("dcgan").warning(
                "Standard output cannot be written to any more (%s).", error.strerror
            )
