"""Saves and restores a `GANState` exactly. Each checkpoint is one file, whole or absent.

A checkpoint is an .npz file (see `checkpoint_file`) with every variable under its name. It can be
read without a network, and does not depend on the number of replicas.
"""

import hashlib
import json
import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from dcgan import UserError
from dcgan.files import remove_temporaries
from dcgan.models import Discriminator, Generator
from dcgan.run import model_file
from dcgan.run.checkpoint_file import DamagedCheckpoint, read, read_meta, write
from dcgan.run.run_dir import RunDir

logger = logging.getLogger("dcgan")
# The best checkpoint by evaluation, beside the newest ones; runs are searched for this file name.
BEST = "best.npz"
State = Any  # a `dcgan.training.state.GANState`, which this module must not import


class Checkpointer:
    """The checkpoints of a run.

    Args:
        folder: `checkpoints/` of the run folder.
        max_to_keep: number of checkpoints to keep, the newest ones; at least 1.
    """

    def __init__(self, folder: Path, *, max_to_keep: int = 3):
        self.folder = folder
        self.max_to_keep = max_to_keep

    def paths(self) -> list[Path]:
        """Returns the paths of the checkpoints, oldest first; `BEST` is not among them."""
        found = [p for p in self.folder.glob("*.npz") if re.fullmatch("[0-9]{8,}", p.stem)]
        return sorted(filter(Path.is_file, found), key=lambda path: int(path.stem))

    def save(self, state: State, meta: dict) -> Path:
        """Writes a checkpoint named after its step, then removes the oldest beyond `max_to_keep`.

        Saves the meta with it as JSON, and returns the path. `paths`, `find_checkpoint` and
        `serving.follow` find checkpoints by the form of their names.

        Raises:
            FloatingPointError: the named variable is not finite. No file has changed.
            OSError: the disk is full. No file has changed.
        """
        path = self.folder / f"{int(state.variables()['step'].numpy()):08d}.npz"
        write(path, _finite(state.variables()), meta)
        for old in self.paths()[: -self.max_to_keep]:
            old.unlink(missing_ok=True)
        return path

    def save_best(self, state: State, meta: dict) -> Path:
        """Writes `BEST`, in place of an earlier one. For arguments and errors see `save`."""
        path = self.folder / BEST
        write(path, _finite(state.variables()), meta)
        return path

    def best_meta(self) -> dict | None:
        """Reads the meta of `BEST` alone; None if the file is absent or damaged."""
        return self._meta(self.folder / BEST)

    def newest_meta(self) -> dict | None:
        """Reads the meta of the newest checkpoint, as `best_meta` does."""
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
        """Restores the newest whole checkpoint. Damaged ones are renamed to *.damaged.

        Returns its meta, or None when there is no checkpoint.

        Raises:
            UserError: there are checkpoints but none is whole, or one is of another architecture.
            OSError: one cannot be read. It may still be whole, so no file is renamed.
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
                f"None of the checkpoints in {self.folder} is intact; restore one from a backup, "
                "or choose another --run_dir to start a new run."
            )
        return None


def state_fingerprint(state: State, config: dict, drawn: str) -> str:
    """Computes `Checkpoint.fingerprint` of a state in training, one variable at a time.

    `config` is the generator's `get_config`. Raises FloatingPointError with the name of a variable
    that is not finite.
    """
    variables = state.variables()
    prefix = f"{_sampler(variables)}/"
    owned = {name: variables[name] for name in sorted(variables) if name.startswith(prefix)}
    arrays = ((name.removeprefix(prefix), array) for name, array in _finite(owned))
    return _fingerprint(config, drawn, arrays)


def _finite(variables: dict[str, Any]) -> Iterator[tuple[str, np.ndarray]]:
    """Yields (name, array) one at a time; raises FloatingPointError(name) if one is not finite."""
    for name, variable in variables.items():
        array = variable.numpy()
        if not np.isfinite(array).all():
            raise FloatingPointError(name)
        yield name, array


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was read whole, from which networks are rebuilt."""

    path: Path
    arrays: dict[str, np.ndarray]  # the values of the variables by name
    configs: dict[str, dict]  # `get_config` of each network, by "generator" and "discriminator"

    @property
    def step(self) -> int:
        return int(self.arrays["step"])

    def generator_arrays(self) -> dict[str, np.ndarray]:
        """Returns the weights that samples come from: the averaged ones if the run has them."""
        return _select_owner(self.arrays, _sampler(self.arrays))

    def fingerprint(self, drawn: str) -> str:
        """Returns a hash. Generators with the same one give the same image for each seed.

        `drawn` is the distribution of the latent vectors, see `sampling.describe_source`.
        """
        arrays = sorted(self.generator_arrays().items())
        return _fingerprint(self.configs["generator"], drawn, arrays)

    def generator(self) -> Generator:
        """Rebuilds the generator that samples come from.

        Raises UserError if the checkpoint is of another architecture than model.json.
        """
        return self._rebuild(Generator, self.generator_arrays())

    def discriminator(self) -> Discriminator:
        """Rebuilds the discriminator; see `generator`."""
        return self._rebuild(Discriminator, _select_owner(self.arrays, "discriminator"))

    def _rebuild(self, network: type, arrays: dict[str, np.ndarray]):
        """Builds a network and sets its weights, in float32 whatever precision the run has."""
        made = model_file.make(
            network, self.configs.get(network.__name__.lower()), self.path.parent
        )
        for layer in made.layers:  # before `build` takes memory: model.json may name any width
            kernel = arrays.get(f"{layer.name}/kernel")
            if hasattr(layer, "filters") and (
                kernel is None or layer.filters not in kernel.shape[2:]
            ):
                raise self._mismatch_error(f"{layer.name}/kernel")
        for layer, inputs in (
            (made.of_classes, sum(made.classes)),
            (made.hidden, made.hidden_inputs),
        ):
            kernel = arrays.get(f"{layer.name}/kernel") if layer else None
            if layer and (kernel is None or kernel.shape != (inputs, layer.units)):
                raise self._mismatch_error(f"{layer.name}/kernel")
        made.build()
        for variable in made.variables:
            name = variable.path.partition("/")[2]
            if name not in arrays or arrays[name].shape != tuple(variable.shape):
                raise self._mismatch_error(name)
            variable.assign(arrays[name])
        return made

    def _mismatch_error(self, name: str) -> UserError:
        return UserError(
            f"The checkpoint {self.path} is of another architecture than the run's model.json (the "
            f"first difference: {name}); name one of the same run."
        )


def _select_owner(by_name: dict, owner: str) -> dict:
    """Returns the entries of one network, without its name at the beginning of theirs."""
    prefix = f"{owner}/"
    return {n.removeprefix(prefix): one for n, one in by_name.items() if n.startswith(prefix)}


def _sampler(by_name: Iterable[str]) -> str:
    """Returns the name of the network that samples come from, as it is in checkpoint files."""
    averaged = any(name.startswith("averaged_generator/") for name in by_name)
    return "averaged_generator" if averaged else "generator"


def _fingerprint(config: dict, drawn: str, arrays: Iterable[tuple[str, np.ndarray]]) -> str:
    """Computes the fingerprint of a generator from its arrays in the order of their names.

    Evaluation records and folders of samples hold fingerprints. If the same generator got another
    one, it would be measured again, and its folders of samples would be refused.
    `z_dist` is left out of the config, as `drawn` contains it: older files do not have it, and
    their generators keep their fingerprints.
    """
    config = {name: value for name, value in config.items() if name != "z_dist"}
    float32 = keras.dtype_policies.serialize(keras.DTypePolicy("float32"))  # see `_rebuild`
    network = json.dumps([{**config, "dtype": float32}, drawn], sort_keys=True)
    digest = hashlib.sha256(network.encode())
    for name, array in arrays:
        digest.update(name.encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:32]


def open_checkpoint(run_root: Path, checkpoint: Path | None = None) -> Checkpoint:
    """Reads the given checkpoint of a run, or the newest whole one, also while the run trains.

    Raises:
        UserError: the folder holds no intact checkpoint, or the given one is not whole.
        OSError: one cannot be read.
    """
    folder = RunDir(run_root).checkpoints
    tried: list[Path] = []
    # Listed again each time: training may have written newer ones and removed the oldest.
    paths = (lambda: [checkpoint]) if checkpoint else Checkpointer(folder).paths
    while left := [path for path in paths() if path not in tried]:
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
        f"{checkpoint or run_root} holds no intact checkpoint; train first, or name another run "
        "with --run_dir."
    )


def _require_step(arrays: dict[str, np.ndarray]) -> None:
    step = arrays.get("step")
    if step is None or step.shape != () or step.dtype.kind not in "iu" or step < 0:
        raise DamagedCheckpoint("it does not say of which step it is")


def find_checkpoint(run_root: Path, which: str) -> Path | None:
    """Finds the checkpoint that a user names: "newest", "best", a step, or the path of a file.

    Returns its path; None for "newest", which `open_checkpoint` looks for when it reads. Raises
    UserError if there is no such file.
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
