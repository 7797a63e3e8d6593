"""The run folder: the one home of its paths, of atomic writes, of JSON lines and of the lock.

Training writes the folder, everything after it only reads. A file is either whole or absent: it is
written under a temporary name, flushed to the disk and renamed.
"""

import contextlib
import json
import logging
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dcgan import UserError, data_names, disk

MOST_BYTES = 1 << 24  # of a JSON file of ours, which has a few thousand
MOST_OF_A_LINE = 1 << 20  # bytes, likewise

logger = logging.getLogger("dcgan")


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
    def evaluation(self) -> Path:
        """The folder of the measurements, a file a protocol."""
        return self.root / "evaluation"

    @property
    def evaluation_curve(self) -> Path:
        return self.root / "evaluation.png"

    @property
    def tensorboard(self) -> Path:
        return self.root / "tensorboard"

    def sample(self, step: int) -> Path:
        """The grid of one step."""
        return self.samples / f"{step:08d}.png"

    def sample_grids(self) -> list[Path]:
        """The grids of all steps, oldest first."""
        found = [p for p in self.samples.glob("*.png") if re.fullmatch("[0-9]{8,}", p.stem)]
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
        """Holds the folder for this process, where the file system can, see `disk.lock`.

        Raises:
            UserError: another process trains into this folder.
        """
        with open(self.root / ".lock", "a+") as file:
            try:
                disk.lock(file, self.root)
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


@contextlib.contextmanager
def held(state: Path, to: Path, doing: str) -> Iterator[None]:
    """Holds the folder that a command writes to for this process, as `RunDir.lock` does a run.

    Args:
        state: the command's own folder in it, made when absent, where the lock lies.
        to: the folder, as the user named it.
        doing: what the command does into it, such as "cropping".

    Raises:
        UserError: another process holds it.
        OSError: it cannot be written.
    """
    state.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(RunDir(state).lock())
        except UserError as error:
            raise UserError(
                f"Another process is {doing} into {to}: wait for it, stop it, or choose another "
                "--to."
            ) from error
        yield


def newest_run(root: Path, dataset: str | None = None) -> Path:
    """The run folder that was written to last; one that cannot be read is passed over.

    Args:
        root: the folder of the runs.
        dataset: its name, or its path; None takes runs on any.

    Raises:
        UserError: there is no such run.
    """
    datasets = {path.parent: _dataset(path) for path in root.glob("*/config.json")}
    datasets = {run: named for run, named in datasets.items() if named is not None}
    runs = {run: _short(name) for run, (name, _) in datasets.items()}
    fitting = [run for run, name in runs.items() if dataset is None or name == _short(dataset)]
    if dataset is not None:  # those on this very place, before others of its name
        here = _places(dataset, "data")
        fitting = [run for run, named in datasets.items() if _places(*named) & here] or fitting
    if fitting:
        return max(fitting, key=lambda run: _last_written(RunDir(run)))
    on = "" if dataset is None else f" on {dataset}"
    found = f" (there are runs on {', '.join(sorted(set(runs.values())))})" if runs else ""
    raise UserError(
        f"There is no run{on} in the folder {root}{found}: train one first, or name its folder "
        "with --run_dir."
    )


def _dataset(config: Path) -> tuple[str, str] | None:
    """What a run is on, and its folder of data sets; None where its config.json is no run's."""
    try:
        options = read_json(config)
        name, data_dir = options.get("dataset"), options.get("data_dir")
    except UserError as error:
        logger.warning("The run %s is passed over: %s", config.parent, error)
        return None
    if not isinstance(name, str):
        logger.warning("The run %s is passed over: %s names no data set.", config.parent, config)
        return None
    return name, data_dir if isinstance(data_dir, str) else "data"


def _short(dataset: str) -> str:
    """One name for a data set, the folder of it, however it is written, and an archive of it."""
    return data_names.stem(os.path.basename(os.path.realpath(dataset))).lower()


def _places(dataset: str, data_dir: str) -> set[str]:
    """Where a data set may lie, links followed; none where it is not on this disk."""
    paths = (dataset, os.path.join(data_dir, dataset))
    return {os.path.realpath(path) for path in paths if dataset and os.path.exists(path)}


def _last_written(run: RunDir) -> float:
    """When, in seconds."""
    paths = (run.config, run.metrics, run.checkpoints)
    return max(path.stat().st_mtime for path in paths if path.exists())


@contextlib.contextmanager
def named(path: Path) -> Iterator[None]:
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
        with named(path):
            yield temporary
            with open(temporary, "rb+") as file:
                disk.flush(file.fileno(), path)
            os.replace(temporary, path)
            disk.flush_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def replace_folder(new: Path, path: Path) -> None:
    """Gives a whole folder its name; a folder that has the name already is removed.

    Where Linux can exchange two names in one step, nobody ever finds `path` absent or half.

    Args:
        new: the folder, on the same disk and written to it (see `flush_tree`).
        path: its name from now on.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with named(path):
        if not path.exists():
            os.rename(new, path)
        else:
            if not disk.swap(new, path):
                _swap_in_steps(new, path)
            shutil.rmtree(new)
    disk.flush_folder(path.parent)


def _swap_in_steps(one: Path, other: Path) -> None:
    """Where `disk.swap` cannot: `other` is absent for a moment, and back when a step fails."""
    aside = one.with_name(f"{one.name}.old")
    os.rename(other, aside)
    try:
        os.rename(one, other)
    except OSError:
        os.rename(aside, other)
        raise
    os.rename(aside, one)


def flush_tree(folder: Path) -> None:
    """Puts the files of a folder, and of those in it, on the disk."""
    for path in folder.rglob("*"):
        if path.is_dir():
            disk.flush_folder(path)
        else:
            with open(path, "rb+") as file:
                disk.flush(file.fileno(), path)


def remove_temporaries(folder: Path, name: str | None = None) -> None:
    """Removes what killed writers left (see `replacing`).

    Args:
        folder: where; other processes must not write what is meant.
        name: of the file that they wrote; None in a folder that this process has locked: of all.
    """
    left = re.compile(rf"\.{re.escape(name) if name else '.+'}\.\d+\.tmp")
    for path in folder.glob(".*.tmp"):
        if left.fullmatch(path.name):
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
        UserError: the file cannot be read, or was changed into something else.
    """
    try:
        if path.exists() and not path.is_file():
            raise ValueError("it is no plain file")  # to open a pipe would be to wait for ever
        with open(path, "rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise ValueError(f"expected at most {MOST_BYTES:,} bytes")
        value = _parsed(data.decode("utf-8"))
        if not isinstance(value, dict):
            raise ValueError(f"expected an object, received {type(value).__name__}")
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"{path} is not readable as JSON of this project ({reason}); restore it, or choose "
            "another --run_dir."
        ) from error
    return value


def _parsed(text: str):
    """A JSON value; whole numbers beyond every float are infinite, as others are.

    Raises:
        ValueError: it is none.
        RecursionError: it is nested too deeply.
    """
    return json.loads(text, parse_int=lambda text: int(text) if len(text) < 300 else float(text))


def append_json_line(path: Path, value: dict) -> None:
    """Adds one line to a JSON-lines file; a line cut by a crash is ended first, never rewritten."""
    with named(path), open(path, "ab+") as file:
        if file.tell() > 0:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write((json.dumps(value) + "\n").encode())


def read_json_lines(path: Path) -> Iterator[dict]:
    """The objects in a JSON-lines file; what a crash has cut, or is far too long, is left out."""
    if not path.is_file():
        return
    with open(path, "rb") as file:
        whole = True  # whether the part that comes is the beginning of a line
        while part := file.readline(MOST_OF_A_LINE):
            begins, whole = whole, part.endswith(b"\n")
            try:
                value = _parsed(part.decode("utf-8", "replace")) if begins else None
            except (ValueError, RecursionError):
                continue  # what a crash has cut is not data
            if isinstance(value, dict):
                yield value
