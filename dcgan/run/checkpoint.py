"""Saves and restores a `GANState` exactly; each checkpoint is one file, whole or absent.

A checkpoint is an .npz (see `checkpoint_file`) of every variable under its name. It needs no
network to be read and does not depend on how many replicas wrote it.
"""

import hashlib
import json
import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import keras
import numpy as np

from dcgan import UserError
from dcgan.files import remove_temporaries
from dcgan.models import Discriminator, Generator
from dcgan.run import model_file
from dcgan.run.checkpoint_file import DamagedCheckpoint, read, read_meta, write
from dcgan.run.run_dir import RunDir

logger = logging.getLogger("dcgan")
BEST = "best.npz"  # beside the newest ones: the best by evaluation


class Variable(Protocol):
    """A variable of TensorFlow or Keras."""

    def numpy(self) -> np.ndarray: ...


class State(Protocol):
    """What is saved: `dcgan.training.state.GANState`, which stands on this file's level."""

    def variables(self) -> dict[str, "Variable"]: ...

    def assign(self, arrays: dict[str, np.ndarray]) -> None: ...


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
        found = [p for p in self.folder.glob("*.npz") if re.fullmatch("[0-9]{8,}", p.stem)]
        return sorted(filter(Path.is_file, found), key=lambda path: int(path.stem))

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
        write(path, _finite(state.variables()), meta)
        for old in self.paths()[: -self.max_to_keep]:
            old.unlink(missing_ok=True)
        return path

    def save_best(self, state: State, meta: dict) -> Path:
        """Writes `BEST` in place of the one before; arguments and errors of `save`."""
        path = self.folder / BEST
        write(path, _finite(state.variables()), meta)
        return path

    def best_meta(self) -> dict | None:
        """The meta of `BEST`, the only part that is read; None where there is none that is whole.

        Raises:
            OSError: it cannot be read.
        """
        return self._meta(self.folder / BEST)

    def newest_meta(self) -> dict | None:
        """The meta of the newest checkpoint, on the same terms as `best_meta`."""
        paths = self.paths()
        return self._meta(paths[-1]) if paths else None

    def _meta(self, path: Path) -> dict | None:
        if not path.is_file():
            return None
        try:
            return read_meta(path)
        except DamagedCheckpoint as damage:
            logger.warning("The checkpoint %s is damaged (%s); not used.", path, damage)
            return None

    def restore_newest(self, state: State) -> dict | None:
        """Restores the newest whole checkpoint; damaged ones are set aside as *.damaged.

        Returns:
            The checkpoint's meta, or None when there is no checkpoint.

        Raises:
            UserError: there are checkpoints but none is whole, or one is of another architecture.
            OSError: one cannot be read, which says nothing of what is in it: all stay as they are.
        """
        remove_temporaries(self.folder)
        for path in reversed(self.paths()):
            try:
                arrays, meta = read(path)
                _require_step(arrays)
            except DamagedCheckpoint as damage:
                aside = path.with_name(path.name + ".damaged")
                path.replace(aside)
                logger.warning("The checkpoint %s is damaged (%s); set aside.", path.name, damage)
                continue
            state.assign(arrays)
            return meta
        if list(self.folder.glob("*.damaged")):
            raise UserError(
                f"None of the checkpoints in {self.folder} is whole; restore one from a backup, or "
                "choose another --run_dir to start a new run."
            )
        return None


def state_fingerprint(state: State, config: dict, drawn: str) -> str:
    """`Checkpoint.fingerprint` of the generator that a state's samples come from.

    Only its variables are read, and one at a time.

    Args:
        state: is only read.
        config: the generator's `get_config`.
        drawn: see there.

    Raises:
        FloatingPointError: the named variable is not finite.
    """
    variables = state.variables()
    prefix = f"{_sampler(variables)}/"
    owned = {name: variables[name] for name in sorted(variables) if name.startswith(prefix)}
    arrays = ((name.removeprefix(prefix), array) for name, array in _finite(owned))
    return _fingerprint(config, drawn, arrays)


def _finite(variables: dict[str, Variable]) -> Iterator[tuple[str, np.ndarray]]:
    """Arrays by name, one at a time: all together would fill memory.

    Raises:
        FloatingPointError: the named variable is not finite.
    """
    for name, variable in variables.items():
        array = variable.numpy()
        if not np.isfinite(array).all():
            raise FloatingPointError(name)
        yield name, array


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
        return _owned(self.arrays, _sampler(self.arrays))

    def fingerprint(self, drawn: str) -> str:
        """Tells generators apart: those of one fingerprint give the same images for a seed.

        Args:
            drawn: what the random numbers are drawn from, see `sampling.sampled_from`.
        """
        arrays = sorted(self.generator_arrays().items())
        return _fingerprint(self.configs["generator"], drawn, arrays)

    def generator(self) -> Generator:
        """The generator that the run's samples come from.

        Raises:
            UserError: the checkpoint is of another architecture than model.json.
        """
        return self._rebuilt(Generator, self.generator_arrays())

    def discriminator(self) -> Discriminator:
        """The discriminator; see `generator`."""
        return self._rebuilt(Discriminator, _owned(self.arrays, "discriminator"))

    def _rebuilt(self, network: type, arrays: dict[str, np.ndarray]):
        """A network with its weights, always in float32, whatever the run was trained in."""
        made = model_file.make(
            network, self.configs.get(network.__name__.lower()), self.path.parent
        )
        for layer in made.layers:  # before it takes memory: a width is a few letters in a file
            kernel = arrays.get(f"{layer.name}/kernel")
            if hasattr(layer, "filters") and (
                kernel is None or layer.filters not in kernel.shape[2:]
            ):
                raise self._unlike(f"{layer.name}/kernel")
        if made.of_classes:
            kernel = arrays.get("classes/kernel")
            if kernel is None or kernel.shape != (sum(made.classes), made.of_classes.units):
                raise self._unlike("classes/kernel")
        made.build()
        for variable in made.variables:
            name = variable.path.partition("/")[2]
            if name not in arrays or arrays[name].shape != tuple(variable.shape):
                raise self._unlike(name)
            variable.assign(arrays[name])
        return made

    def _unlike(self, name: str) -> UserError:
        return UserError(
            f"The checkpoint {self.path} is of another architecture than the run's model.json (the "
            f"first difference: {name}); name one of the same run."
        )


def _owned(by_name: dict, owner: str) -> dict:
    """What belongs to one of a state's networks, by its name there."""
    prefix = f"{owner}/"
    return {n.removeprefix(prefix): one for n, one in by_name.items() if n.startswith(prefix)}


def _sampler(by_name: Iterable[str]) -> str:
    """The owner of the weights that samples come from."""
    averaged = any(name.startswith("averaged_generator/") for name in by_name)
    return "averaged_generator" if averaged else "generator"


def _fingerprint(config: dict, drawn: str, arrays: Iterable[tuple[str, np.ndarray]]) -> str:
    """The fingerprint of a generator, with its arrays in the order of their names.

    The config's `z_dist` is left out, as `drawn` tells of it: older files do not have it, and their
    generators keep their fingerprints.
    """
    config = {name: value for name, value in config.items() if name != "z_dist"}
    float32 = keras.dtype_policies.serialize(keras.DTypePolicy("float32"))  # see `_rebuilt`
    network = json.dumps([{**config, "dtype": float32}, drawn], sort_keys=True)
    digest = hashlib.sha256(network.encode())
    for name, array in arrays:
        digest.update(name.encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:32]


def open_checkpoint(run_root: Path, checkpoint: Path | None = None) -> Checkpoint:
    """Reads a checkpoint of a run, which may be training at the same time.

    Args:
        run_root: a run folder.
        checkpoint: one of its checkpoints; the newest whole one when None.

    Raises:
        UserError: the folder holds no whole checkpoint, or the given one is not whole.
        OSError: one cannot be read.
    """
    folder = RunDir(run_root).checkpoints
    tried: list[Path] = []
    # Listed anew each time: training may meanwhile have written newer ones and removed the oldest.
    while left := [p for p in _candidates(folder, checkpoint) if p not in tried]:
        tried.append(left[-1])
        try:
            arrays, _ = read(left[-1])
            _require_step(arrays)
        except FileNotFoundError:
            continue
        except DamagedCheckpoint as damage:
            logger.warning("The checkpoint %s is damaged (%s); not used.", left[-1], damage)
            continue
        return Checkpoint(left[-1], arrays, model_file.read(folder))
    raise UserError(
        f"{checkpoint or run_root} holds no whole checkpoint; train first, or name another run "
        "with --run_dir."
    )


def _require_step(arrays: dict[str, np.ndarray]) -> None:
    """Refuses arrays that no training has written."""
    step = arrays.get("step")
    if step is None or step.shape != () or step.dtype.kind not in "iu" or step < 0:
        raise DamagedCheckpoint("it does not say of which step it is")


def _candidates(folder: Path, checkpoint: Path | None) -> list[Path]:
    return [checkpoint] if checkpoint else Checkpointer(folder).paths()


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
