"""Saves and restores a `GANState` exactly; each checkpoint is one file, whole or absent.

A checkpoint is an uncompressed .npz of every variable under its name. The format checks itself
(CRC-32 of each array), needs no network to be read and does not depend on how many replicas wrote
it.
"""

import json
import logging
import re
import zipfile
from pathlib import Path
from typing import Protocol

import numpy as np

from dcgan import UserError
from dcgan.models import Discriminator, Generator
from dcgan.run_dir import RunDir, read_json, remove_temporaries, replacing, write_json

logger = logging.getLogger("dcgan")
_META = "meta.json"


class State(Protocol):
    """What is saved: `dcgan.state.GANState`, which stands on this file's level."""

    def arrays(self) -> dict[str, np.ndarray]: ...

    def assign(self, arrays: dict[str, np.ndarray]) -> None: ...


class DamagedCheckpoint(Exception):
    """A checkpoint file that is not whole."""


class Checkpointer:
    """The checkpoints of a run.

    Args:
        folder: `checkpoints/` of the run folder.
        max_to_keep: how many to keep, the newest ones.
    """

    def __init__(self, folder: Path, *, max_to_keep: int = 3):
        self.folder = folder
        self.max_to_keep = max_to_keep

    def paths(self) -> list[Path]:
        """The checkpoints, oldest first."""
        found = [p for p in self.folder.glob("*.npz") if re.fullmatch(r"\d{8,}", p.stem)]
        return sorted(found, key=lambda path: int(path.stem))

    def save(self, state: State, meta: dict) -> Path:
        """Writes a checkpoint named by its step, then removes the oldest beyond `max_to_keep`.

        Args:
            state: is only read.
            meta: what JSON can hold and belongs to this moment, such as seconds trained.

        Raises:
            FloatingPointError: the named variable is not finite; nothing is written.
            OSError: the disk is full; nothing is changed.
        """
        arrays = state.arrays()
        for name, array in arrays.items():
            if not np.isfinite(array).all():
                raise FloatingPointError(name)
        path = self.folder / f"{int(arrays['step']):08d}.npz"
        arrays[_META] = np.frombuffer(json.dumps(meta).encode(), np.uint8)
        with replacing(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, **arrays)
        for old in self.paths()[: -self.max_to_keep]:
            old.unlink(missing_ok=True)
        return path

    def restore_newest(self, state: State) -> dict | None:
        """Restores the newest whole checkpoint; damaged ones are set aside as *.damaged.

        Returns:
            The checkpoint's meta, or None when there is no checkpoint.

        Raises:
            UserError: there are checkpoints but none is whole, or one is of another architecture.
        """
        remove_temporaries(self.folder)
        paths = self.paths()
        for path in reversed(paths):
            try:
                arrays, meta = read(path)
            except DamagedCheckpoint as damage:
                aside = path.with_name(path.name + ".damaged")
                path.replace(aside)
                logger.warning("The checkpoint %s is damaged (%s); set aside.", path.name, damage)
                continue
            state.assign(arrays)
            return meta
        if paths or list(self.folder.glob("*.damaged")):
            raise UserError(
                f"None of the checkpoints in {self.folder} is whole; restore one from a backup, or "
                "choose another --run_dir to start anew."
            )
        return None

    def write_models(self, generator: Generator, discriminator: Discriminator) -> None:
        """Writes model.json, from which `load_generator` rebuilds the networks."""
        configs = {
            "generator": generator.get_config(),
            "discriminator": discriminator.get_config(),
        }
        write_json(self.folder / "model.json", configs)


def read(path: Path) -> tuple[dict[str, np.ndarray], dict]:
    """A checkpoint's arrays by name, and its meta.

    Raises:
        DamagedCheckpoint: the file is not whole.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        meta = json.loads(arrays.pop(_META).tobytes())
    except PermissionError:
        raise  # says nothing of what is in the file
    except (
        zipfile.BadZipFile,
        RuntimeError,  # a header that claims a password or another compression
        ValueError,
        EOFError,
        KeyError,
        OSError,
    ) as error:
        raise DamagedCheckpoint(str(error) or type(error).__name__) from error
    return arrays, meta


def load_generator(run_root: Path, checkpoint: Path | None = None) -> Generator:
    """The generator that a run's samples come from.

    Args:
        run_root: a run folder.
        checkpoint: one of its checkpoints; the newest whole one when None.

    Raises:
        UserError: the folder holds no whole checkpoint.
    """
    folder = RunDir(run_root).checkpoints
    candidates = [checkpoint] if checkpoint else reversed(Checkpointer(folder).paths())
    for path in candidates:
        try:
            arrays, _ = read(path)
        except DamagedCheckpoint as damage:
            logger.warning("The checkpoint %s is damaged (%s); not used.", path.name, damage)
            continue
        generator = Generator.from_config(read_json(folder / "model.json")["generator"])
        generator.build()
        averaged = "averaged_generator/project/kernel" in arrays
        owner = "averaged_generator" if averaged else "generator"
        for variable in generator.variables:
            variable.assign(arrays[f"{owner}/{variable.path.partition('/')[2]}"])
        return generator
    raise UserError(
        f"{run_root} holds no whole checkpoint; train first, or name another run with --run_dir."
    )
