"""What reaches the screen while TensorFlow starts: none of its chatter.

Of the chatter, which no setting turns off, only lines that say nothing is wrong are dropped.
Everything else that is written to standard error while TensorFlow loads is shown at once, so that
its last words are on the screen when it aborts.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

from dcgan import surroundings

# Notes ("I0000 ..."), what TensorFlow says on every machine without an NVIDIA driver, and what its
# converter for LiteRT says of options that it sets itself.
CHATTER = (
    rb"(I\d{4} .*|WARNING: All log messages before absl::InitializeLog\(\) .*"
    rb"|To enable the following instructions: .*|E\d{4} .* failed call to cuInit: .*"
    rb"|W\d{4} .* Ignored (output_format|drop_control_dependency)\.)\n"
)
# A process of its own: a thread could not go on when TensorFlow aborts.
_FILTER = f"""
import os, re, sys
for line in sys.stdin.buffer:
    if not re.fullmatch({CHATTER!r}, line):
        os.write(2, line)
"""


@contextlib.contextmanager
def quiet_start() -> Iterator[None]:
    """While it is entered, lines of `CHATTER` on standard error are dropped, if possible.

    And TensorFlow and Keras, when they are imported, find no settings of other projects.
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
            os.close(shown)  # the filter ends with the last who can write to it


def _start_filter() -> subprocess.Popen | None:
    """None where Python cannot be started, such as in a program that only embeds it."""
    try:
        return subprocess.Popen(
            [sys.executable or "", "-I", "-S", "-c", _FILTER],
            stdin=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for this process alone
        )
    except OSError:
        return None
