"""The versions of a model in its folder: looks for new ones, loads them, lets old ones finish.

Only folders whose name is a whole number count, as for TensorFlow Serving. A folder that is still
being copied is not loaded: it must look the same twice, and load. The module knows no TensorFlow.
"""

import contextlib
import logging
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

logger = logging.getLogger("dcgan")

POLL_SECONDS = 1.0


class Unusable(Exception):
    """A version folder that is not whole, or not of this project; says why."""


class NotThere(Exception):
    """No such version is loaded."""


class Servable(Protocol):
    """A loaded version."""

    version: int

    def close(self) -> None:
        """Answers what is waiting, then lets go of everything."""
        ...


# What a folder holds: path, bytes and time of change of every file.
Listing = frozenset[tuple[str, int, int]]


class Versions:
    """The newest versions of a folder.

    Args:
        folder: holds one folder a version.
        load: loads and warms a version folder; raises Unusable.
        keep: how many versions to hold, the newest ones.
    """

    def __init__(self, folder: Path, load: Callable[[Path], Servable], *, keep: int = 2):
        self._folder = folder
        self._load = load
        self._keep = keep
        self._loaded: dict[int, Servable] = {}
        self._loading: int | None = None
        self._users: dict[Servable, int] = {}
        self._changed = threading.Condition()
        self._seen: dict[int, Listing] = {}
        self._read: dict[int, Listing] = {}
        self._refused: dict[int, Listing] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="versions", daemon=True)

    def start(self) -> int | None:
        """Loads the newest version that is whole, then goes on looking in a thread.

        Returns:
            its number; None when there is none, and then no thread runs.
        """
        self.look(first=True)
        if not self._loaded:
            return None
        self._thread.start()
        return self.newest

    def close(self) -> None:
        """Ends the thread and lets every version finish."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        for version in list(self._loaded):
            self._unload(version)

    @property
    def newest(self) -> int:
        """The version that answers when none is named."""
        with self._changed:
            return max(self._loaded)

    def states(self) -> dict[int, str]:
        """AVAILABLE or LOADING, by version."""
        with self._changed:
            loading = {} if self._loading is None else {self._loading: "LOADING"}
            return {**loading, **dict.fromkeys(self._loaded, "AVAILABLE")}

    @contextlib.contextmanager
    def lease(self, version: int | None = None) -> Iterator[Servable]:
        """A version that stays loaded while the block runs; the newest when None.

        Raises:
            NotThere: it is not loaded.
        """
        with self._changed:
            chosen = version if version is not None else max(self._loaded, default=None)
            if chosen not in self._loaded:
                raise NotThere
            servable = self._loaded[chosen]
            self._users[servable] += 1
        try:
            yield servable
        finally:
            with self._changed:
                self._users[servable] -= 1
                self._changed.notify_all()

    def _watch(self) -> None:
        while not self._stop.wait(POLL_SECONDS):
            self.look()

    def look(self, *, first: bool = False) -> None:
        """Loads what is new and whole, then unloads what is no longer among the newest.

        Args:
            first: load one version only, and at once: nothing is there to compare with.
        """
        found = self._listings()
        settled = {v for v, listing in found.items() if first or self._seen.get(v) == listing}
        self._seen = found
        good: list[int] = []
        for version in sorted(found, reverse=True):
            if len(good) == (1 if first else self._keep):
                break
            if version in settled and self._is_new(version):
                self._try(version)
            if version in self._loaded:
                good.append(version)
        # Where all folders are gone, what is loaded goes on answering.
        for version in [v for v in self._loaded if good and v not in good]:
            self._unload(version)
            logger.info("Unloaded version %d.", version)

    def _listings(self) -> dict[int, Listing]:
        found = {}
        with contextlib.suppress(OSError):  # the folder is away for now: an unmounted disk
            for path in self._folder.iterdir():
                if re.fullmatch(r"[1-9]\d{0,17}", path.name):
                    found[int(path.name)] = _listing(path)
        return {version: listing for version, listing in found.items() if listing}

    def _is_new(self, version: int) -> bool:
        """Whether a folder is neither what is loaded nor what was refused."""
        listing = self._seen[version]
        return listing not in (self._read.get(version), self._refused.get(version))

    def _try(self, version: int) -> None:
        """Loads a version, in the place of another of its number if there is one."""
        listing = self._seen[version]
        self._loading = version
        try:
            servable = self._load(self._folder / str(version))
        except Unusable as error:
            self._refused[version] = listing
            logger.warning("Version %d is not loaded: %s.", version, str(error).rstrip("."))
            return
        finally:
            self._loading = None
        with self._changed:
            old = self._loaded.get(version)
            self._users[servable] = 0
            self._loaded[version] = servable
            self._read[version] = listing
        logger.info("Loaded version %d; version %d answers now.", version, self.newest)
        if old is not None:
            self._finish(old)

    def _unload(self, version: int) -> None:
        """Takes a version away from new requests, then closes it."""
        with self._changed:
            servable = self._loaded.pop(version)
            del self._read[version]
        self._finish(servable)

    def _finish(self, servable: Servable) -> None:
        """Closes what gets no new requests, when the others are done."""
        with self._changed:
            self._changed.wait_for(lambda: self._users[servable] == 0)
            del self._users[servable]
        servable.close()


def _listing(folder: Path) -> Listing:
    """What a folder holds; nothing when it vanishes meanwhile, or is no folder."""
    files = set()
    with contextlib.suppress(OSError):
        for path in folder.rglob("*"):
            stat = path.stat()
            files.add((str(path.relative_to(folder)), stat.st_size, stat.st_mtime_ns))
        return frozenset(files)
    return frozenset()
