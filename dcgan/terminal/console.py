"""What is shown on the terminal: text from outside cannot give it orders, nor can its end end us.

Names of files, tags and what a server says may hold control characters, which move the cursor,
change what was written before, or end a line and begin another that looks like ours. And standard
streams may be closed, full, of any encoding, or left by whoever read them: what is said is then
lost there, and nothing else.
"""

import atexit
import contextlib
import errno
import io
import logging
import os
import select
import sys
import threading

NAMES = ("stdin", "stdout", "stderr")  # by the numbers of their descriptors


def printable(text: str) -> str:
    """The text on one line, with escapes such as \\x1b for everything that is not plainly visible.

    Besides control characters these are marks that turn the direction of writing, and halves of
    characters, which no terminal can show.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class Formatter(logging.Formatter):
    """What is logged: its own lines, and `printable` all that is put into them."""

    def format(self, record: logging.LogRecord) -> str:
        shown = logging.makeLogRecord(record.__dict__)
        if isinstance(record.args, tuple):
            shown.args = tuple(  # as they are put into a line; numbers stay numbers
                one if isinstance(one, int | float) else printable(str(one)) for one in record.args
            )
        return "\n".join(map(printable, super().format(shown).split("\n")))


class _Output(io.FileIO):
    """A standard stream that never raises; `lost` says why it could not write."""

    def __init__(self, number: int):
        super().__init__(number, "w", closefd=False)
        self.lost: OSError | None = None

    def write(self, data) -> int:
        try:
            while (count := super().write(data)) is None:  # somebody has made it non-blocking
                select.select([], [self], [])
            return count
        except OSError as error:
            self.lost = self.lost or error
            return len(data)


def open_streams() -> None:
    """Makes the standard streams such that they are there and nothing that is said raises."""
    for number, name in enumerate(NAMES):
        stream = getattr(sys, name)
        if stream is None:  # else the next file that is opened would be taken for it
            _open_nothing(number)
        if number == 0:
            sys.stdin = stream or open(0, encoding="utf-8", closefd=False)
        elif os.name == "nt" and stream is not None and stream.isatty():
            stream.reconfigure(errors="backslashreplace")  # a console of Windows is no file
        else:
            setattr(sys, name, _text(number, getattr(stream, "encoding", None) or "utf-8"))


def _text(number: int, encoding: str) -> io.TextIOWrapper:
    file = io.BufferedWriter(_Output(number))
    return io.TextIOWrapper(file, encoding, errors="backslashreplace", line_buffering=True)


def _open_nothing(number: int) -> None:
    try:
        os.fstat(number)
    except OSError:
        file = os.open(os.devnull, os.O_RDWR)
        os.dup2(file, number)
        os.set_inheritable(number, True)
        if file != number:
            os.close(file)


def lost(name: str = "stdout") -> OSError | None:
    """Why something that was said on a standard stream is lost; None where nothing is."""
    raw = getattr(getattr(getattr(sys, name), "buffer", None), "raw", None)
    return raw.lost if isinstance(raw, _Output) else None


def failed() -> OSError | None:
    """Why standard output could not be written; None also where its reader has had enough."""
    error = lost()
    return None if error is None or error.errno in (errno.EPIPE, errno.EIO) else error


def at_once(text: str) -> None:
    """Writes a line to standard error past all buffers, as a signal's handler must."""
    try:
        os.write(2, f"\n{text}\n".encode("ascii", "backslashreplace"))
    except OSError:
        return  # nobody is there


def leave(code: int) -> None:
    """Ends the process as Python does, but for taking TensorFlow apart, which takes seconds."""
    threading._shutdown()  # first, as there: pools of processes wait for what they have begun
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, or there is none
            stream.flush()
    os._exit(code)
