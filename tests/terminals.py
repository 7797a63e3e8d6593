"""A terminal for a process to run in, of any width, that can be typed on and closed."""

import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import termios
import threading
from collections.abc import Iterator
from pathlib import Path


class Terminal:
    """A pseudo-terminal, read all the time as a screen would.

    Attributes:
        path: of the side that a process writes to.
    """

    def __init__(self, columns: int):
        self._screen, self._side = pty.openpty()
        self.path = Path(os.ttyname(self._side))
        fcntl.ioctl(self._side, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self._read = bytearray()
        self._closing = threading.Event()
        self._reader = threading.Thread(target=self._look, daemon=True)
        self._reader.start()

    def type(self, keys: bytes) -> None:
        os.write(self._screen, keys)

    def text(self) -> str:
        """What was written so far."""
        return self._read.decode("utf-8", "replace")

    def lines(self) -> list[str]:
        """What stood on a line at any time, as it was seen."""
        lines = re.split(r"[\r\n]+", self.text().replace("\x1b[A", ""))
        return [line.rstrip() for line in lines if line.strip()]

    def close(self) -> None:
        """Closes the window: whoever runs in it is hung up."""
        if not self._closing.is_set():
            self._closing.set()
            self._reader.join()
            os.close(self._side)
            os.close(self._screen)

    def _look(self) -> None:
        """While a thread reads a descriptor, closing it would not close the terminal."""
        while not self._closing.is_set():
            if select.select([self._screen], [], [], 0.02)[0]:
                self._read += os.read(self._screen, 1 << 16)


@contextlib.contextmanager
def terminal(columns: int = 80) -> Iterator[Terminal]:
    opened = Terminal(columns)
    try:
        yield opened
    finally:
        opened.close()


def own_it() -> None:
    """As a shell in a new window does: what is typed there, and its end, reach this process."""
    os.setsid()
    fcntl.ioctl(1, termios.TIOCSCTTY, 0)
