"""Keeps TensorFlow's chatter off the screen while it starts.

No setting turns the chatter off, so known lines that report no problem are dropped. All else that
is written to standard error while TensorFlow loads is shown at once, so that its last message is on
the screen if it aborts.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

from dcgan import surroundings

# Notes ("I0000 ..."), what TensorFlow says on every machine without an NVIDIA driver, and what its
# converter for LiteRT says about options that it sets itself.
CHATTER = (
    rb"(I\d{4} .*|WARNING: All log messages before absl::InitializeLog\(\) .*"
    rb"|To enable the following instructions: .*|E\d{4} .* failed call to cuInit: .*"
    rb"|W\d{4} .* Ignored (output_format|drop_control_dependency)\.)\n"
)
# A separate process, as a thread would end when TensorFlow aborts.
_FILTER = f"""
import os, re, sys
for line in sys.stdin.buffer:
    if not re.fullmatch({CHATTER!r}, line):
        os.write(2, line)
"""


@contextlib.contextmanager
def quiet_start() -> Iterator[None]:
    """Context manager that drops lines of `CHATTER` from standard error, if possible.

    It also hides the settings of other projects from TensorFlow and Keras, see `surroundings`.
    """
    surroundings.isolate_networks()
    process = _start_filter()
    if process is None:
        yield
        return
    sys.stderr.flush()
    shown = os.dup(2)
    with process:
        os.dup2(process.stdin.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(shown, 2)
            os.close(shown)  # the filter ends when no process can write to it any more


def _start_filter() -> subprocess.Popen | None:
    """Starts the filter; None if Python cannot be started, as in a program that embeds it."""
    try:
        return subprocess.Popen(
            [sys.executable or "", "-I", "-S", "-c", _FILTER],
            stdin=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for this process alone
        )
    except OSError:
        return None
