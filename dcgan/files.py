"""Reads and writes files: whole or not at all, as JSON or JSON lines, and under locks.

A file is written under a temporary name beside it, flushed to the disk and renamed, so that readers
find either the old content or the new. Killed writers leave temporary files, under two kinds of
names, each with a function that removes them; call the one that fits the writer:

* `.<name>.<process>.tmp` of writers that have the file to themselves: `remove_temporaries`
* `<name>.<random>.<process>.<machine>.tmp` of `shared` files: `remove_stale`
"""

import contextlib
import json
import os
import re
import secrets
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

from dcgan import UserError, disk

MAX_BYTES = 1 << 24  # of a JSON file that is read; the project's own have a few thousand
MAX_LINE_BYTES = 1 << 20  # bytes of a line of JSON


@contextlib.contextmanager
def name_errors(path: Path) -> Iterator[None]:
    """Context manager that adds a path to an OSError without one, such as that of a full disk."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


@contextlib.contextmanager
def replace_atomically(path: Path, *, shared: bool = False) -> Iterator[Path]:
    """Context manager that gives a temporary path to write to, and renames it to `path` at the end.

    If the block raises, the temporary file is removed and `path` stays unchanged. `shared` is for
    files that other processes, even on other machines, may write at the same time.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    own = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary = temporary_name(path) if shared else own
    try:
        with name_errors(path):
            yield temporary
            with open(temporary, "rb+") as file:
                disk.flush(file.fileno(), path)
            os.replace(temporary, path)
            disk.flush_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def replace_folder(new: Path, path: Path) -> None:
    """Renames a folder to `path` and removes the folder that had this name, if there was one.

    On Linux, if the disk can exchange two names in one step, `path` always exists and is whole.
    `new` must be on the same disk, and flushed to it (see `flush_tree`).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with name_errors(path):
        if not path.exists():
            os.rename(new, path)
        else:
            if not disk.swap(new, path):
                _swap_in_steps(new, path)
            shutil.rmtree(new)  # after the exchange this is the old folder
    disk.flush_folder(path.parent)


def _swap_in_steps(one: Path, other: Path) -> None:
    """Exchanges names where `disk.swap` cannot. `other` does not exist for a moment.

    If a step fails, the names are as before.
    """
    aside = one.with_name(f"{one.name}.old")
    os.rename(other, aside)
    try:
        os.rename(one, other)
    except OSError:
        os.rename(aside, other)
        raise
    os.rename(aside, one)


def flush_tree(folder: Path) -> None:
    """Flushes all files and folders below a folder to the disk."""
    for path in folder.rglob("*"):
        if path.is_dir():
            disk.flush_folder(path)
        else:
            with open(path, "rb+") as file:
                disk.flush(file.fileno(), path)


def remove_temporaries(folder: Path, name: str | None = None) -> None:
    """Removes what killed writers left of files that are not `shared` (see `replace_atomically`).

    No other process may be writing these files: of `name`, or all in the folder if it is None.
    """
    left = re.compile(rf"\.{re.escape(name) if name else '.+'}\.\d+\.tmp")
    for path in folder.glob(".*.tmp"):
        if left.fullmatch(path.name):
            path.unlink(missing_ok=True)


def temporary_name(path: Path) -> Path:
    """Returns a name beside `path` for this process: <name>.<random>.<process>.<machine>.tmp."""
    return path.with_name(
        f"{path.name}.{secrets.token_hex(4)}.{os.getpid()}.{socket.gethostname()}.tmp"
    )


def remove_stale(folder: Path) -> None:
    """Removes what killed writers left of `shared` files (see `temporary_name`).

    Files of other machines, and of processes that still run, stay: other processes may be writing
    to the folder.
    """
    for path in folder.glob(f"*.{socket.gethostname()}.tmp"):
        process = path.name.removesuffix(f".{socket.gethostname()}.tmp").rpartition(".")[2]
        if process.isdecimal() and not _is_running(int(process)):
            path.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    if os.name != "posix":
        return True  # Windows has no harmless way to ask
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # another user's process
    return True


def write_bytes(path: Path, data: bytes, *, shared: bool = False) -> None:
    """Writes a file, whole or not at all; for the arguments see `replace_atomically`."""
    with replace_atomically(path, shared=shared) as temporary:
        temporary.write_bytes(data)


def write_json(path: Path, value) -> None:
    """Writes a value as indented JSON."""
    write_bytes(path, (json.dumps(value, indent=2) + "\n").encode())


def read_json(path: Path) -> dict:
    """Reads a JSON file that holds an object; raises UserError if it cannot be read or does not."""
    try:
        if path.exists() and not path.is_file():
            raise ValueError("it is not a regular file")  # opening a pipe would block
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ValueError(f"expected at most {MAX_BYTES:,} bytes")
        value = _parse_json(data.decode("utf-8"))
        if not isinstance(value, dict):
            raise ValueError(f"expected an object, received {type(value).__name__}")
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"{path} is not readable as JSON of this project ({reason}); restore it, or choose "
            "another --run_dir."
        ) from error
    return value


def _parse_json(text: str):
    """Parses a JSON value. Integers beyond the range of float become infinite, as floats do.

    Raises:
        ValueError: the text is not JSON.
        RecursionError: it is nested too deeply.
    """
    return json.loads(text, parse_int=lambda text: int(text) if len(text) < 300 else float(text))


def append_json_line(path: Path, value: dict) -> None:
    """Appends a line to a JSON-lines file. A line that a crash cut short is ended first."""
    with name_errors(path), open(path, "ab+") as file:
        if file.tell() > 0:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write((json.dumps(value) + "\n").encode())


def read_json_lines(path: Path) -> Iterator[dict]:
    """Yields the objects in a JSON-lines file; none if it does not exist.

    Skips lines that are cut short by a crash, longer than `MAX_LINE_BYTES`, or no objects.
    """
    if not path.is_file():
        return
    with open(path, "rb") as file:
        whole = True  # whether the next part begins a line
        while part := file.readline(MAX_LINE_BYTES):
            begins, whole = whole, part.endswith(b"\n")
            try:
                value = _parse_json(part.decode("utf-8", "replace")) if begins else None
            except (ValueError, RecursionError):
                continue  # cut short by a crash
            if isinstance(value, dict):
                yield value


@contextlib.contextmanager
def lock_folder(folder: Path, refusal: Callable[[str], str]) -> Iterator[None]:
    """Context manager that holds the lock of a folder for this process.

    On a disk without locks it only warns, see `disk.lock`. If another process holds the lock, this
    raises UserError, with the message that `refusal` makes from the id of that process.
    """
    with open(folder / ".lock", "a+") as file:
        try:
            disk.lock(file, folder)
        except (BlockingIOError, PermissionError) as error:
            file.seek(0)
            raise UserError(refusal(file.read().strip() or "(unknown)")) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


@contextlib.contextmanager
def lock_target(state: Path, to: Path, doing: str) -> Iterator[None]:
    """Context manager that lets only this process write to the folder of a command.

    Args:
        state: the command's own folder in `to`, with the lock; created if it does not exist.
        to: the folder as the user named it.
        doing: what the command does there, such as "cropping".

    Raises UserError if another process holds the lock, or the folder cannot be written.
    """
    said = f"Another process is {doing} into {to}: wait for it, stop it, or choose another --to."
    with contextlib.ExitStack() as stack:
        try:
            state.mkdir(parents=True, exist_ok=True)
            stack.enter_context(lock_folder(state, lambda process: said))
        except OSError as error:
            raise UserError(
                f"The folder {to} cannot be written ({error.strerror or error}): choose another "
                "with --to."
            ) from error
        yield
