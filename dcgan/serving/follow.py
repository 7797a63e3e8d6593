"""Follows a training: exports its checkpoints as they come, which `versions` then loads.

Training is another process, which is not involved. A checkpoint is exported once, when its file has
looked the same twice. If that fails, the reason is logged, and the next checkpoint is awaited.
"""

import contextlib
import logging
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path

logger = logging.getLogger("dcgan")

POLL_SECONDS = 1.0
NICENESS = 5  # of all exports but the first: training then gets three times as much time
REASON_LENGTH = 300  # characters
# Names of files and folders; the former are those of `run.checkpoint`, which is not imported here.
CHECKPOINT, EXPORT = r"[0-9]{8,}\.npz", "[1-9][0-9]*"

FileState = tuple[int, int]  # size in bytes and modification time of a file


class Follower:
    """Exports the checkpoints of a run while it trains.

    Args:
        checkpoints: folder of the files that training writes, named by their steps.
        exports: folder of the exported versions, named by their steps too.
        command: command that exports a checkpoint; the step is added as its last word.
        env: environment variables of the command.
        keep: how many of the exports made here to keep, the newest ones.
    """

    def __init__(
        self,
        checkpoints: Path,
        exports: Path,
        command: Sequence[str],
        *,
        env: dict[str, str],
        keep: int,
    ):
        self._checkpoints = checkpoints
        self._exports = exports
        self._command = list(command)
        self._env = env
        self._keep = keep
        self._seen: dict[int, FileState] = {}
        self._attempted: dict[int, FileState] = {}  # exported or refused: the file's state then
        self._exported: list[int] = []
        self._child: subprocess.Popen | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="follow", daemon=True)

    def export_first(self) -> None:
        """Exports checkpoints until there is an exported version."""
        if self._newest_export() is None:
            known = "no exported checkpoint yet: exporting it"
            if not _states(self._checkpoints, CHECKPOINT):
                known = "no checkpoint yet: waiting for the first"
            logger.info("%s has %s.", self._checkpoints.parent, known)
        while self._newest_export() is None:
            self.export_new()
            self._stop.wait(POLL_SECONDS)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Ends the thread and a running export, which leaves nothing half-written."""
        self._stop.set()
        if self._child is not None:
            self._child.terminate()
        if self._thread.is_alive():
            self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(POLL_SECONDS):
            self.export_new()

    def export_new(self) -> None:
        """Exports the newest checkpoint that is settled and newer than what is exported."""
        found = _states(self._checkpoints, CHECKPOINT)
        settled = dict(found.items() & self._seen.items())
        self._seen = found
        newest = self._newest_export() or 0
        for step, state in sorted(settled.items(), reverse=True):
            if step <= newest:
                return
            if self._attempted.get(step) != state:
                self._attempted[step] = state
                if self._export(step):
                    return

    def _export(self, step: int) -> bool:
        """Exports a checkpoint; returns whether that succeeded, and warns if not."""
        words = [*self._command, str(step)]
        pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
        with subprocess.Popen(words, env=self._env, errors="replace", **pipes) as child:
            self._child = child
            if self._newest_export() is not None:
                with contextlib.suppress(OSError, AttributeError):  # Windows has no niceness
                    os.setpriority(os.PRIO_PROCESS, child.pid, NICENESS)
            _, said = child.communicate()
        self._child = None
        if child.returncode == 0:
            self._exported.append(step)
            for old in self._exported[: -self._keep]:
                shutil.rmtree(self._exports / str(old), ignore_errors=True)
            self._exported = self._exported[-self._keep :]
            return True
        if not self._stop.is_set() and step in _states(self._checkpoints, CHECKPOINT):
            # `dcgan.__main__` begins the sentence of a refusal with "error: ".
            reason = said.rpartition("error: ")[2].split("\n")[0].rstrip(".")[:REASON_LENGTH]
            reason = reason or f"the export ended with code {child.returncode}"
            logger.warning("The checkpoint of step %d is not exported: %s.", step, reason)
        return False

    def _newest_export(self) -> int | None:
        return max(_states(self._exports, EXPORT), default=None)


def _states(folder: Path, names: str) -> dict[int, FileState]:
    """Returns what lies in a folder under such names, by the steps in them; {} if unreadable."""
    found = {}
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if re.fullmatch(names, path.name):
                with contextlib.suppress(OSError):  # removed since the folder was listed
                    state = path.stat()
                    found[int(path.stem)] = (state.st_size, state.st_mtime_ns)
    return found
