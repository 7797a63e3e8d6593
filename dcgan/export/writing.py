"""Writes exports: to a temporary folder, where they are checked, then renamed, all or none."""

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dcgan import UserError
from dcgan.export import parity
from dcgan.export.format import Format, Subject
from dcgan.files import flush_tree, lock_target, replace_folder, write_json
from dcgan.terminal.progress import with_bar

STATE = ".export"  # folder inside the target, for the lock and for unchecked models


@dataclass(frozen=True)
class Exported:
    """One exported model."""

    form: Format
    path: Path
    weights: str  # float32 or float16
    differences: dict[str, float]  # largest difference from the Keras model, by signature


def export(
    subject: Subject, forms: Sequence[Format], to: Path, *, weights: str = "float32"
) -> list[Exported]:
    """Exports a model in several formats; exports of other steps in the folder stay.

    Args:
        to: the target folder.
        weights: float32; or float16, for the formats that can hold them.

    Raises:
        UserError: a format differs from the Keras model; or `to` is not a folder, holds other files
            in the place of an export, or another process exports into it. Nothing was written.
    """
    if any(path.is_file() for path in (to, *to.parents)):
        raise UserError(f"--to {to} is a file, or lies in one: expected a folder, or a new name.")
    for form in forms:
        _refuse_foreign(form, form.path(to, subject.step))
    cases = parity.make_cases(subject)
    done = []
    with _staging(to) as staging:
        for form in with_bar(forms, "exporting", len(forms), "formats"):
            chosen = weights if form.halves else "float32"
            staged = form.path(staging, subject.step)
            staged.parent.mkdir(parents=True, exist_ok=True)
            form.write(subject, staged, chosen)
            differences = parity.check(form, staged, cases, weights=chosen)
            description = {
                **subject.description,
                "versions": {**subject.description["versions"], **form.versions()},
                "format": form.name,
                "weights": chosen,
                "differences": differences,
            }
            write_json(form.description(staged), description)
            done.append(Exported(form, form.path(to, subject.step), chosen, differences))
        flush_tree(staging)
        for one in done:
            _publish(one.form, one.form.path(staging, subject.step), one.path)
    return done


def _refuse_foreign(form: Format, path: Path) -> None:
    description = form.description(path)
    mark = f'"format": "{form.name}"'.encode()  # as `export` and `write_json` write it
    ours = description.is_file() and mark in description.read_bytes()
    there = [p for p in (path, description) if p.exists() and not ours]
    there += [path.parent] if path.parent.is_file() else []
    if there:
        raise UserError(
            f"{there[0]} exists and was not written by export: nothing is overwritten; choose "
            "another --to, or move it away."
        )


@contextlib.contextmanager
def _staging(to: Path) -> Iterator[Path]:
    """Locks `to` for this process and yields an empty folder inside it, removed afterwards."""
    state, new = to / STATE, not to.exists()
    staging = state / "unfinished"
    with lock_target(state, to, "exporting"):
        try:
            shutil.rmtree(staging, ignore_errors=True)  # left by a killed process
            staging.mkdir()
            yield staging
        finally:
            shutil.rmtree(staging, ignore_errors=True)
            if new and os.listdir(to) == [STATE]:  # nothing was written
                shutil.rmtree(to, ignore_errors=True)


def _publish(form: Format, staged: Path, path: Path) -> None:
    """Moves a checked model to its place; it never lies there with another model's description."""
    if staged.is_dir():
        replace_folder(staged, path)
        return
    path.unlink(missing_ok=True)
    os.replace(form.description(staged), form.description(path))
    os.replace(staged, path)
