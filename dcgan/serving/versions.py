"""The versions of a model in its folder: looks for new ones, loads them, lets old ones finish.

Only folders whose name is a whole number count, as for TensorFlow Serving. A folder must look the
same twice before it is loaded, as it may still be being copied. If loading fails, with whatever
error, the folder is refused once, with the reason. The module does not import TensorFlow.
"""

import contextlib
import itertools
import logging
import os
import re
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

logger = logging.getLogger("dcgan")

POLL_SECONDS = 1.0
MAX_ENTRIES = 10_000  # of a version folder: an export has about ten
REASON_LENGTH = 300  # characters

Servable = Any  # a loaded version; its close() answers what is waiting, then frees it


class UnusableVersion(Exception):
    """A version folder is not whole, or not of this project; the message says why."""


class VersionNotLoaded(Exception):
    """No such version is loaded."""


# The content of a folder: path, type, size in bytes and modification time of every entry. If an
# entry cannot be read, its type is the negative number of the error.
Listing = frozenset[tuple[str, int, int, int]]


class Versions:
    """The newest versions of a folder, which holds one folder per version.

    Args:
        load: loads and warms up a version folder; any exception refuses the folder.
        keep: how many versions to keep loaded, the newest ones.
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
        self._refused: dict[int, tuple[Listing, str]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="versions", daemon=True)

    def start(self) -> int | None:
        """Loads the newest version that is whole, then looks for newer ones in a thread.

        Returns its number; None if there is none, and then no thread is started.
        """
        self.refresh(first=True)
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
        """Returns the state of each version, AVAILABLE or LOADING, as TensorFlow Serving does."""
        with self._changed:
            loading = {} if self._loading is None else {self._loading: "LOADING"}
            return {**loading, **dict.fromkeys(self._loaded, "AVAILABLE")}

    def refusals(self) -> dict[int, str]:
        """Returns the reasons for refusing versions, by version, until their folders change."""
        with self._changed:
            return {version: reason for version, (_, reason) in sorted(self._refused.items())}

    @contextlib.contextmanager
    def lease(self, version: int | None = None) -> Iterator[Servable]:
        """Context manager that keeps a version, or the newest, loaded.

        Raises VersionNotLoaded if it is not.
        """
        with self._changed:
            chosen = version if version is not None else max(self._loaded, default=None)
            if chosen not in self._loaded:
                raise VersionNotLoaded
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
            self.refresh()

    def refresh(self, *, first: bool = False) -> None:
        """Loads versions that are new and whole, then unloads those no longer among the newest.

        `first` loads only one version, without waiting until its folder looks the same twice.
        """
        found = self._listings()
        settled = {v for v, listing in found.items() if first or self._seen.get(v) == listing}
        self._seen = found
        with self._changed:  # a folder that is gone or has changed is no longer refused
            kept = {v: r for v, r in self._refused.items() if found.get(v) == r[0]}
            self._refused = kept
        good: list[int] = []
        for version in sorted(found, reverse=True):
            if len(good) == (1 if first else self._keep):
                break
            is_known = version in self._refused or found[version] == self._read.get(version)
            if version in settled and not is_known:
                self._try(version)
            if version in self._loaded:
                good.append(version)
        # If all folders are gone, the loaded versions continue to answer.
        for version in [v for v in self._loaded if good and v not in good]:
            self._unload(version)
            logger.info("Unloaded version %d.", version)

    def _listings(self) -> dict[int, Listing]:
        found = {}
        with contextlib.suppress(OSError):  # the folder is away for now: an unmounted disk
            for path in self._folder.iterdir():
                is_number = re.fullmatch("[1-9][0-9]{0,17}", path.name)
                # An entry that cannot be read, such as a link to itself, is refused with its error.
                if is_number and (os.path.isdir(path) or not os.path.exists(path)):
                    found[int(path.name)] = _listing(path)
        return found

    def _try(self, version: int) -> None:
        """Loads a version, in place of one with the same number if there is one."""
        listing = self._seen[version]
        self._loading = version
        try:
            servable = self._load_folder(self._folder / str(version), listing)
        except UnusableVersion as error:
            reason = str(error).rstrip(".")
            with self._changed:
                self._refused[version] = (listing, reason)
            logger.warning("Version %d is not loaded: %s.", version, reason)
            return
        finally:
            self._loading = None
        with self._changed:
            old = self._loaded.get(version)
            self._users[servable] = 0
            self._loaded[version] = servable
            self._read[version] = listing
        # `benchmarks.serving` looks for the words "version N answers".
        logger.info("Loaded version %d; version %d answers now.", version, self.newest)
        if old is not None:
            self._finish(old)

    def _load_folder(self, folder: Path, listing: Listing) -> Servable:
        """Loads a folder; raises UnusableVersion with a reason that does not show its path."""
        try:
            _check(listing)
            return self._load(folder)
        except Exception as error:
            known = isinstance(error, UnusableVersion)
            text = f"{error}" if known else f"{type(error).__name__}: {error}"
            text = " ".join(text.replace(f"{folder}{os.sep}", "").split())
            reason = text.encode("ascii", "backslashreplace").decode()[:REASON_LENGTH]
            raise UnusableVersion(reason) from error

    def _unload(self, version: int) -> None:
        """Takes a version away from new requests, then closes it."""
        with self._changed:
            servable = self._loaded.pop(version)
            del self._read[version]
        self._finish(servable)

    def _finish(self, servable: Servable) -> None:
        """Closes a version that gets no new requests, once its last request is done."""
        with self._changed:
            self._changed.wait_for(lambda: self._users[servable] == 0)
            del self._users[servable]
        servable.close()


def _listing(folder: Path) -> Listing:
    """Lists a folder and the folders in it; links to folders are not followed."""
    found, left = {_entry(".", folder)}, [""]
    while left and len(found) <= MAX_ENTRIES:
        inside = left.pop()
        # Loading reports what cannot be read; once it can be read, the listing changes.
        with contextlib.suppress(OSError), os.scandir(folder / inside) as entries:
            for entry in itertools.islice(entries, MAX_ENTRIES):
                path = os.path.join(inside, entry.name)
                found.add(_entry(path, entry))
                if entry.is_dir(follow_symlinks=False):
                    left.append(path)
    return frozenset(found)


def _entry(path: str, entry: os.DirEntry | Path) -> tuple[str, int, int, int]:
    """Returns the entry of a file or folder in a listing, with links followed."""
    try:
        found = entry.stat()
    except OSError as error:  # such as a link to itself
        return path, -(error.errno or 1), 0, 0
    return path, stat.S_IFMT(found.st_mode), found.st_size, found.st_mtime_ns


def _check(listing: Listing) -> None:
    """Refuses what would block or flood its reader: a pipe, a device, too many files."""
    if len(listing) > MAX_ENTRIES:
        raise UnusableVersion(f"it holds more than {MAX_ENTRIES:,} files")
    for path, kind, _, _ in sorted(listing):
        if kind > 0 and kind not in (stat.S_IFREG, stat.S_IFDIR):
            raise UnusableVersion(f"it holds {path}, which is neither a file nor a folder")
