"""Saves and restores a `GANState` exactly; each checkpoint is one file, whole or absent.

A checkpoint is an uncompressed .npz of every variable under its name. The format checks itself
(CRC-32 of each array), needs no network to be read and does not depend on how many replicas wrote
it.
"""

import hashlib
import json
import logging
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import keras
import numpy as np

from dcgan import UserError
from dcgan.models import Discriminator, Generator
from dcgan.run_dir import RunDir, read_json, remove_temporaries, replacing, write_json

logger = logging.getLogger("dcgan")
_META = "meta.json"
BEST = "best.npz"  # beside the newest ones: the best by evaluation


class Variable(Protocol):
    """What has a value."""

    def numpy(self) -> np.ndarray: ...


class State(Protocol):
    """What is saved: `dcgan.state.GANState`, which stands on this file's level."""

    def variables(self) -> dict[str, "Variable"]: ...

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
            FloatingPointError: the named variable is not finite; nothing is changed.
            OSError: the disk is full; likewise.
        """
        path = self.folder / f"{int(state.variables()['step'].numpy()):08d}.npz"
        _write(path, state, meta)
        for old in self.paths()[: -self.max_to_keep]:
            old.unlink(missing_ok=True)
        return path

    def save_best(self, state: State, meta: dict) -> Path:
        """Writes `BEST` in place of the one before; arguments and errors of `save`."""
        path = self.folder / BEST
        _write(path, state, meta)
        return path

    def best_meta(self) -> dict | None:
        """The meta of `BEST`; None where there is none that is whole."""
        path = self.folder / BEST
        if not path.exists():
            return None
        try:
            return read(path)[1]
        except DamagedCheckpoint as damage:
            logger.warning("The checkpoint %s is damaged (%s); not used.", path, damage)
            return None

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


def finite_arrays(state: State) -> Iterator[tuple[str, np.ndarray]]:
    """A state's arrays by name, one at a time: all together would fill memory.

    Raises:
        FloatingPointError: the named variable is not finite.
    """
    for name, variable in state.variables().items():
        array = variable.numpy()
        if not np.isfinite(array).all():
            raise FloatingPointError(name)
        yield name, array


def _write(path: Path, state: State, meta: dict) -> None:
    """As `numpy.savez` does, which would want all variables in memory at once."""
    note = np.frombuffer(json.dumps(meta).encode(), np.uint8)
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as file:
        for name, array in finite_arrays(state):
            _add(file, name, array)
        _add(file, _META, note)


def _add(file: zipfile.ZipFile, name: str, array: np.ndarray) -> None:
    with file.open(f"{name}.npy", "w", force_zip64=True) as entry:
        np.lib.format.write_array(entry, np.asarray(array), allow_pickle=False)


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


@dataclass(frozen=True)
class Checkpoint:
    """A whole checkpoint that was read, from which networks are rebuilt.

    Attributes:
        path: of the file.
        arrays: its content by name.
        configs: both networks' `get_config`, by network.
    """

    path: Path
    arrays: dict[str, np.ndarray]
    configs: dict[str, dict]

    @property
    def step(self) -> int:
        return int(self.arrays["step"])

    def generator_arrays(self) -> dict[str, np.ndarray]:
        """The weights that samples come from: the averaged ones where there are any."""
        averaged = self._owned("averaged_generator")
        return averaged or self._owned("generator")

    def fingerprint(self, z_dist: str) -> str:
        """Tells generators apart: those of one fingerprint give the same images for a seed.

        Args:
            z_dist: what their latent vectors are drawn from.
        """
        float32 = keras.dtype_policies.serialize(keras.DTypePolicy("float32"))  # see `_rebuilt`
        config = {**self.configs["generator"], "dtype": float32}
        network = json.dumps([config, z_dist], sort_keys=True)
        digest = hashlib.sha256(network.encode())
        for name, array in sorted(self.generator_arrays().items()):
            digest.update(name.encode() + np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:32]

    def generator(self) -> Generator:
        """The generator that the run's samples come from.

        Raises:
            UserError: the checkpoint is of another architecture than model.json.
        """
        return self._rebuilt(Generator, self.generator_arrays())

    def discriminator(self) -> Discriminator:
        """The discriminator; see `generator`."""
        return self._rebuilt(Discriminator, self._owned("discriminator"))

    def _owned(self, owner: str) -> dict[str, np.ndarray]:
        prefix = f"{owner}/"
        return {n.removeprefix(prefix): a for n, a in self.arrays.items() if n.startswith(prefix)}

    def _rebuilt(self, network: type, arrays: dict[str, np.ndarray]):
        """In float32 always: what a run shows does not depend on what it was trained in."""
        config = self.configs[network.__name__.lower()]
        made = network.from_config({**config, "dtype": "float32"})
        made.build()
        for variable in made.variables:
            name = variable.path.partition("/")[2]
            if name not in arrays or arrays[name].shape != tuple(variable.shape):
                raise UserError(
                    f"The checkpoint {self.path} is of another architecture than the run's "
                    f"model.json (the first difference: {name}); name one of the same run."
                )
            variable.assign(arrays[name])
        return made


def open_checkpoint(run_root: Path, checkpoint: Path | None = None) -> Checkpoint:
    """Reads a checkpoint of a run, which may be training at the same time.

    Args:
        run_root: a run folder.
        checkpoint: one of its checkpoints; the newest whole one when None.

    Raises:
        UserError: the folder holds no whole checkpoint, or the given one is not whole.
    """
    folder = RunDir(run_root).checkpoints
    tried: list[Path] = []
    # Listed anew each time: training may meanwhile have written newer ones and removed the oldest.
    while left := [p for p in _candidates(folder, checkpoint) if p not in tried]:
        tried.append(left[-1])
        try:
            arrays, _ = read(left[-1])
        except DamagedCheckpoint as damage:
            if left[-1].exists():
                logger.warning("The checkpoint %s is damaged (%s); not used.", left[-1], damage)
            continue
        return Checkpoint(left[-1], arrays, _models(folder))
    raise UserError(
        f"{checkpoint or run_root} holds no whole checkpoint; train first, or name another run "
        "with --run_dir."
    )


def _candidates(folder: Path, checkpoint: Path | None) -> list[Path]:
    return [checkpoint] if checkpoint else Checkpointer(folder).paths()


def _models(folder: Path) -> dict:
    """The networks that checkpoints of a folder are of."""
    path = folder / "model.json"
    if not path.exists():
        raise UserError(
            f"{path} is missing, which says what networks the checkpoints are of; restore it, or "
            "name the checkpoint's run with --run_dir."
        )
    return read_json(path)


def find_checkpoint(run_root: Path, which: str) -> Path | None:
    """The file that a user names.

    Args:
        run_root: a run folder.
        which: newest, best, a step, or the path of a file.

    Returns:
        None for newest: `open_checkpoint` looks for it when it reads.

    Raises:
        UserError: there is no such file.
    """
    if which == "newest":
        return None
    folder = RunDir(run_root).checkpoints
    path = Path(which)
    if which == "best":
        path = folder / BEST
    elif which.isdecimal():
        path = folder / f"{int(which):08d}.npz"
    if path.is_file():
        return path
    there = [str(int(p.stem)) for p in Checkpointer(folder).paths()]
    there += ["best"] * (folder / BEST).exists()
    raise UserError(
        f"There is no checkpoint {path}; expected newest, a file, or of {run_root} one of "
        f"{', '.join(there) or 'those that training will write'}; received {which!r}."
    )


def load_generator(run_root: Path, checkpoint: Path | None = None) -> Generator:
    """The generator that a run's samples come from; arguments and errors of `open_checkpoint`."""
    return open_checkpoint(run_root, checkpoint).generator()
