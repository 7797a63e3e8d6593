"""The one home of writing: whole files or none, temporary names, JSON lines, locks.

A file is written under a temporary name beside it, flushed to the disk and renamed: whoever reads
it finds the old content or the new. What killed writers leave is known by its name and removed.
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

MOST_BYTES = 1 << 24  # of a JSON file of ours, which has a few thousand
MOST_OF_A_LINE = 1 << 20  # bytes, likewise


@contextlib.contextmanager
def name_errors(path: Path) -> Iterator[None]:
    """Adds the file's name to errors of the system that lack one, such as a full disk."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


@contextlib.contextmanager
def replacing(path: Path, *, shared: bool = False) -> Iterator[Path]:
    """Gives a temporary path beside `path` to write to; renames it when the block ends well.

    The content is on the disk before the name is. When the block raises, nothing stays.

    Args:
        path: of the file.
        shared: whether others, on other machines too, may write it at once (see `temporary_name`).
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
    """Gives a whole folder its name; a folder that has the name already is removed.

    Where Linux can exchange two names in one step, nobody ever finds `path` absent or half.

    Args:
        new: the folder, on the same disk and written to it (see `flush_tree`).
        path: its name from now on.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with name_errors(path):
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


def temporary_name(path: Path) -> Path:
    """A name beside `path` that is this process's own: <name>.<random>.<process>.<machine>.tmp."""
    return path.with_name(
        f"{path.name}.{secrets.token_hex(4)}.{os.getpid()}.{socket.gethostname()}.tmp"
    )


def remove_stale(folder: Path) -> None:
    """Removes the temporary files of processes of this machine that are no more."""
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
        return True  # another user's
    return True


def write_bytes(path: Path, data: bytes, *, shared: bool = False) -> None:
    """Writes a file that is whole or absent; for the arguments see `replacing`."""
    with replacing(path, shared=shared) as temporary:
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
            raise ValueError("it is not a regular file")  # to open a pipe would be to wait for ever
        with open(path, "rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise ValueError(f"expected at most {MOST_BYTES:,} bytes")
        value = _parse(data.decode("utf-8"))
        if not isinstance(value, dict):
            raise ValueError(f"expected an object, received {type(value).__name__}")
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"{path} is not readable as JSON of this project ({reason}); restore it, or choose "
            "another --run_dir."
        ) from error
    return value


def _parse(text: str):
    """A JSON value; whole numbers beyond every float are infinite, as others are.

    Raises:
        ValueError: it is none.
        RecursionError: it is nested too deeply.
    """
    return json.loads(text, parse_int=lambda text: int(text) if len(text) < 300 else float(text))


def append_json_line(path: Path, value: dict) -> None:
    """Adds one line to a JSON-lines file; a line cut by a crash is ended first, never rewritten."""
    with name_errors(path), open(path, "ab+") as file:
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
                value = _parse(part.decode("utf-8", "replace")) if begins else None
            except (ValueError, RecursionError):
                continue  # what a crash has cut is not data
            if isinstance(value, dict):
                yield value


@contextlib.contextmanager
def hold(folder: Path, refusal: Callable[[str], str]) -> Iterator[None]:
    """Holds a folder for this process by a lock in it, where the file system can (`disk.lock`).

    Args:
        folder: there must be one.
        refusal: the sentence for a second process, from the number of the first.

    Raises:
        UserError: another process holds it.
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
def hold_target(state: Path, to: Path, doing: str) -> Iterator[None]:
    """Holds the folder that a command writes to for this process.

    Args:
        state: the command's own folder in it, made when absent, where the lock lies.
        to: the folder, as the user named it.
        doing: what the command does into it, such as "cropping".

    Raises:
        UserError: another process holds it.
        OSError: it cannot be written.
    """
    state.mkdir(parents=True, exist_ok=True)
    said = f"Another process is {doing} into {to}: wait for it, stop it, or choose another --to."
    with hold(state, lambda process: said):
        yield
