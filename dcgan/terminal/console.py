"""Safe output to the terminal: no control characters from outside, and no errors when it fails.

File names, tags and answers of servers may hold control characters, which move the cursor, change
earlier text, or begin a new line that looks like ours. Standard streams may be closed, full, of any
encoding, or left by their reader: then only the text is lost, and the program continues.
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

NAMES = ("stdin", "stdout", "stderr")  # indexed by file descriptor


def printable(text: str) -> str:
    """Returns the text on one line, with escapes such as \\x1b for what is not plainly visible.

    Besides control characters these are marks that change the direction of writing, and lone
    surrogates, which no terminal can show.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class Formatter(logging.Formatter):
    """Formats log messages: keeps their own line breaks, and makes their arguments `printable`."""

    def format(self, record: logging.LogRecord) -> str:
        shown = logging.makeLogRecord(record.__dict__)
        if isinstance(record.args, tuple):
            shown.args = tuple(  # numbers stay numbers, for formats such as %d
                one if isinstance(one, int | float) else printable(str(one)) for one in record.args
            )
        return "\n".join(map(printable, super().format(shown).split("\n")))


class _Output(io.FileIO):
    """A standard stream that never raises; `error` says why it could not write."""

    def __init__(self, number: int):
        super().__init__(number, "w", closefd=False)
        self.error: OSError | None = None

    def write(self, data) -> int:
        try:
            while (count := super().write(data)) is None:  # another process made it non-blocking
                select.select([], [self], [])
            return count
        except OSError as error:
            self.error = self.error or error
            return len(data)


def open_streams() -> None:
    """Replaces the standard streams, so that all three exist and no output raises an error."""
    for number, name in enumerate(NAMES):
        stream = getattr(sys, name)
        if stream is None:  # else the next opened file would get its descriptor
            _open_nothing(number)
        if number == 0:
            sys.stdin = stream or open(0, encoding="utf-8", closefd=False)
        elif os.name == "nt" and stream is not None and stream.isatty():
            stream.reconfigure(errors="backslashreplace")  # a Windows console is not a file
        else:
            encoding = getattr(stream, "encoding", None) or "utf-8"
            how = {"errors": "backslashreplace", "line_buffering": True}
            file = io.BufferedWriter(_Output(number))
            setattr(sys, name, io.TextIOWrapper(file, encoding, **how))


def _open_nothing(number: int) -> None:
    try:
        os.fstat(number)
    except OSError:
        file = os.open(os.devnull, os.O_RDWR)
        os.dup2(file, number)
        os.set_inheritable(number, True)
        if file != number:
            os.close(file)


def output_error(name: str = "stdout") -> OSError | None:
    """Returns the error that kept text from a standard stream; None if no text was lost."""
    raw = getattr(getattr(getattr(sys, name), "buffer", None), "raw", None)
    return raw.error if isinstance(raw, _Output) else None


def output_failure() -> OSError | None:
    """Returns the error that standard output failed with; None as well if only its reader left."""
    error = output_error()
    return None if error is None or error.errno in (errno.EPIPE, errno.EIO) else error


def write_unbuffered(text: str) -> None:
    """Writes a line to standard error past all buffers, as a signal handler must."""
    try:
        os.write(2, f"\n{text}\n".encode("ascii", "backslashreplace"))
    except OSError:
        return  # nobody can read it


def exit_quickly(code: int) -> None:
    """Ends the process as Python does, without tearing down TensorFlow, which takes seconds."""
    threading._shutdown()  # first, as in Python: process pools wait for the work they have begun
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # closed or absent
            stream.flush()
    os._exit(code)
