"""Keeps TensorFlow's start-up chatter, which no setting turns off, off the screen.

Drops only lines that say nothing is wrong; everything else that is written to standard error while
TensorFlow loads is shown.
"""

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator

# Notes ("I0000 ..."), what TensorFlow says on every machine without an NVIDIA driver, and what its
# converter for LiteRT says of options that it sets itself.
CHATTER = re.compile(
    rb"(I\d{4} .*|WARNING: All log messages before absl::InitializeLog\(\) .*"
    rb"|To enable the following instructions: .*|E\d{4} .* failed call to cuInit: .*"
    rb"|W\d{4} .* Ignored (output_format|drop_control_dependency)\.)\n"
)


@contextlib.contextmanager
def quiet_start() -> Iterator[None]:
    """While it is entered, lines of `CHATTER` on standard error are dropped; others come after."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        shown = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(shown, 2)
            os.close(shown)
            held.seek(0)
            for line in held:
                if not CHATTER.fullmatch(line):
                    os.write(2, line)
