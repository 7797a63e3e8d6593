"""The run folder: the one home of its paths, of atomic writes, of JSON lines and of the lock.

Training writes the folder, everything after it only reads. A file is either whole or absent: it is
written under a temporary name, flushed to the disk and renamed.
"""

import contextlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dcgan import UserError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt


@dataclass(frozen=True)
class RunDir:
    """Where the parts of one run lie; makes no folder by itself."""

    root: Path

    @property
    def config(self) -> Path:
        return self.root / "config.json"

    @property
    def environment(self) -> Path:
        return self.root / "environment.json"

    @property
    def log(self) -> Path:
        return self.root / "log.txt"

    @property
    def metrics(self) -> Path:
        return self.root / "metrics.jsonl"

    @property
    def samples(self) -> Path:
        return self.root / "samples"

    @property
    def reals(self) -> Path:
        return self.samples / "reals.png"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    @property
    def losses(self) -> Path:
        return self.root / "losses.png"

    @property
    def animation(self) -> Path:
        return self.root / "training.gif"

    @property
    def tensorboard(self) -> Path:
        return self.root / "tensorboard"

    def sample(self, step: int) -> Path:
        """The grid of one step."""
        return self.samples / f"{step:08d}.png"

    def sample_grids(self) -> list[Path]:
        """The grids of all steps, oldest first."""
        found = [p for p in self.samples.glob("*.png") if re.fullmatch(r"\d{8,}", p.stem)]
        return sorted(found, key=lambda path: int(path.stem))

    def create(self) -> bool:
        """Makes the folder and those inside that training fills.

        Returns:
            whether the folder was not there before.

        Raises:
            UserError: the folder cannot be written.
        """
        new = not self.root.exists()
        try:
            for folder in (self.samples, self.checkpoints):
                folder.mkdir(parents=True, exist_ok=True)
            probe = self.root / f".writable-{os.getpid()}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise UserError(
                f"The run folder {self.root} cannot be written ({error.strerror}); "
                "choose another with --run_dir."
            ) from error
        return new

    def remove_if_unused(self) -> None:
        """Takes back what `create` and `lock` made when a start came to nothing.

        Call it while the lock is held: another process may be about to use the folder.
        """
        made = (self.samples, self.checkpoints, self.root / ".lock")
        if set(self.root.rglob("*")) <= set(made):
            with contextlib.suppress(OSError):  # Windows removes no open file
                self.samples.rmdir()
                self.checkpoints.rmdir()
                made[-1].unlink()
                self.root.rmdir()

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Holds the folder for this process; the system lets go of it however the process ends.

        Raises:
            UserError: another process trains into this folder.
        """
        with open(self.root / ".lock", "a+") as file:
            try:
                _lock(file)
            except (BlockingIOError, PermissionError) as error:
                file.seek(0)
                raise UserError(
                    f"Process {file.read().strip() or '(unknown)'} is already training into "
                    f"{self.root}; wait for it, stop it, or choose another --run_dir."
                ) from error
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield


def _lock(file) -> None:
    if fcntl:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    else:
        file.seek(1 << 20)  # a byte far behind the text, which others can then still read
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """Adds the file's name to errors of the system that lack one, such as a full disk."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a temporary path beside `path` to write to; renames it when the block ends well.

    The content is on the disk before the name is. When the block raises, nothing stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with _named(path):
            yield temporary
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
            _flush_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _flush_folder(folder: Path) -> None:
    """Puts a rename on the disk, where the system can (Windows opens no folders)."""
    if fcntl:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_temporaries(folder: Path) -> None:
    """Removes what killed writers left in a folder that this process has locked."""
    for path in folder.glob(".*.tmp"):
        path.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a file that is whole or absent."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_json(path: Path, value) -> None:
    """Writes a value as indented JSON."""
    write_bytes(path, (json.dumps(value, indent=2) + "\n").encode())


def read_json(path: Path) -> dict:
    """Reads a JSON file of ours: an object.

    Raises:
        UserError: the file was changed into something else.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path} is not readable as JSON ({error}); restore it, or choose another --run_dir."
        ) from error
    if not isinstance(value, dict):
        raise UserError(
            f"{path} is not readable as JSON of this project (expected an object, received "
            f"{type(value).__name__}); restore it, or choose another --run_dir."
        )
    return value


def append_json_line(path: Path, value: dict) -> None:
    """Adds one line to a JSON-lines file; a line cut by a crash is ended first, never rewritten."""
    with _named(path), open(path, "ab+") as file:
        if file.tell() > 0:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write((json.dumps(value) + "\n").encode())


def read_json_lines(path: Path) -> Iterator[dict]:
    """The lines of a JSON-lines file, those left out that a crash has cut."""
    if not path.exists():
        return
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                value = json.loads(line)
            except json.JSONDecodeError:
                continue  # what a crash has cut is not data
            if isinstance(value, dict):
                yield value
