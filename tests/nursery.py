"""Starts `main.py` in a process that has imported TensorFlow already: real, and seconds sooner.

Python's fork server imports what training needs once and forks from there, before TensorFlow has
started any thread. What the process is told, prints, is sent and ends with are as a user's.
"""

import atexit
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

# TensorFlow reads this when it is imported, once for all that are forked: what `main.py` asks for.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
PRELOADED = ["dcgan.commands.train", "dcgan.trained"]
_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload(PRELOADED)


class Nursling:
    """The process, with the methods of `subprocess.Popen` that the tests use."""

    def __init__(
        self,
        command: list[str],
        *,
        cwd: Path,
        env: dict[str, str],
        preexec_fn: Callable,
        output: Path | None = None,
    ):
        """
        Args:
            command: a script and its words.
            cwd, env, preexec_fn: see `subprocess.Popen`; the last one picklable.
            output: what both standard output and error are, such as a terminal, instead of files
                that `communicate` reads.
        """
        self.args = command
        self._folder = tempfile.TemporaryDirectory()
        self._files = [Path(self._folder.name, name) for name in ("stdout", "stderr")]
        self._outputs = [output, output] if output else self._files
        self._process = _server.Process(
            target=_be, args=(command, self._outputs, cwd, env, preexec_fn)
        )
        self._process.start()
        atexit.register(self.kill)  # Python would wait for it
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(self.args, timeout)
        return self._process.exitcode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        self.wait(timeout)
        output, errors = (p.read_text() if p in self._outputs else "" for p in self._files)
        return output, errors

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def send_signal(self, number: int) -> None:
        if self._process.exitcode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _be(command, outputs, cwd, env, preexec_fn) -> None:
    """Becomes what the shell would have started."""
    for number, path in zip((1, 2), outputs, strict=True):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(file, number)
        os.close(file)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    preexec_fn()
    sys.argv = command
    sys.path[0] = str(Path(command[0]).parent)
    runpy.run_path(command[0], run_name="__main__")
