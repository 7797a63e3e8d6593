"""The run folder: its paths, its lock, and which run is the newest.

Training writes the folder. Other commands only read it, apart from the results that they add.
"""

import contextlib
import logging
import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePath

from dcgan import UserError, files
from dcgan.cli import data_names
from dcgan.files import read_json

logger = logging.getLogger("dcgan")


def _path_property(name: str) -> property:
    return property(lambda run: run.root / name)


@dataclass(frozen=True)
class RunDir:
    """The paths of one run; only `create` makes folders.

    Existing runs have these names: a renamed file or folder would not be found in them.
    """

    root: Path

    config = _path_property("config.json")
    environment = _path_property("environment.json")
    log = _path_property("log.txt")
    metrics = _path_property("metrics.jsonl")
    samples = _path_property("samples")
    reals = _path_property("samples/reals.png")
    checkpoints = _path_property("checkpoints")
    losses = _path_property("losses.png")
    animation = _path_property("training.gif")
    evaluation = _path_property("evaluation")  # one file per metric, number of images and extractor
    evaluation_curve = _path_property("evaluation.png")
    tensorboard = _path_property("tensorboard")

    def sample(self, step: int) -> Path:
        return self.samples / f"{step:08d}.png"

    def sample_grids(self) -> list[Path]:
        """Returns the paths of the grids of all steps, oldest first."""
        found = [p for p in self.samples.glob("*.png") if re.fullmatch("[0-9]{8,}", p.stem)]
        return sorted(found, key=lambda path: int(path.stem))

    def dataset_name(self, recorded: object) -> str:
        """Returns the name of the run's data set, for people: without its folders, as is private.

        `recorded` is the option dataset in config.json. Where it has no name, as "." for the folder
        in which training began, the run's own name stands in.
        """
        name = PurePath(str(recorded or "")).name
        return self.root.resolve().name if name in ("", "..") else name

    def create(self) -> bool:
        """Makes the run folder and those that training fills; returns whether it is a new one.

        Raises UserError if the folder cannot be written.
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
        """Removes what `create`, `lock` and the log made, if a start has written nothing else.

        Call it while the lock is held: another process may be about to use the folder.
        """
        made = (self.root / ".lock", self.log)
        if set(self.root.rglob("*")) <= {self.samples, self.checkpoints, *made}:
            with contextlib.suppress(OSError):  # Windows removes no open file
                self.samples.rmdir()
                self.checkpoints.rmdir()
                for path in made:
                    path.unlink(missing_ok=True)
                self.root.rmdir()

    def lock(self) -> contextlib.AbstractContextManager[None]:
        """Keeps other processes from training into the folder, see `files.lock_folder`."""
        return files.lock_folder(
            self.root,
            lambda process: (
                f"Process {process} is already training into {self.root}; wait for it, "
                "stop it, or choose another --run_dir."
            ),
        )


def damaged_error(path: Path, why: str) -> UserError:
    """Makes the error for a file of a run that is missing or not as training wrote it."""
    return UserError(f"{path} {why}; restore it, or name another run with --run_dir.")


def newest_run(root: Path, dataset: str | None = None) -> Path:
    """Finds the run folder that was written to last; skips those that cannot be read.

    Hidden folders are left out: a command still writes there, or was killed. `dataset` is a name or
    a path; None takes runs on any. Raises UserError if there is no run.
    """
    datasets = {path.parent: _dataset(path) for path in root.glob("[!.]*/config.json")}
    datasets = {run: named for run, named in datasets.items() if named is not None}
    runs = {run: _short_name(name) for run, (name, _) in datasets.items()}
    fitting = [run for run, name in runs.items() if dataset is None or name == _short_name(dataset)]
    if dataset is not None:  # runs on this very path come before others of the same name
        here = _possible_paths(dataset, "data")
        same = [run for run, named in datasets.items() if _possible_paths(*named) & here]
        fitting = same or fitting
    if fitting:
        return max(fitting, key=lambda run: _last_written(RunDir(run)))
    on = "" if dataset is None else f" on {dataset}"
    found = f" (there are runs on {', '.join(sorted(set(runs.values())))})" if runs else ""
    raise UserError(
        f"There is no run{on} in the folder {root}{found}: train one first, or name its folder "
        "with --run_dir."
    )


def _dataset(config: Path) -> tuple[str, str] | None:
    """Reads a run's data set and its folder of data sets; None if config.json is not a run's."""
    try:
        options = read_json(config)
        name, data_dir = options.get("dataset"), options.get("data_dir")
    except UserError as error:
        logger.warning("Skipped the run %s: %s", config.parent, error)
        return None
    if not isinstance(name, str):
        logger.warning("Skipped the run %s: %s names no data set.", config.parent, config)
        return None
    return name, data_dir if isinstance(data_dir, str) else "data"


def _short_name(dataset: str) -> str:
    """Returns the name common to a data set, its folder and its archive, for any spelling."""
    return data_names.stem(os.path.basename(os.path.realpath(dataset))).lower()


def _possible_paths(dataset: str, data_dir: str) -> set[str]:
    """Returns the existing paths that a data set's name may mean, links resolved; may be empty."""
    paths = (dataset, os.path.join(data_dir, dataset))
    return {os.path.realpath(path) for path in paths if dataset and os.path.exists(path)}


def _last_written(run: RunDir) -> float:
    paths = (run.config, run.metrics, run.checkpoints)
    return max(path.stat().st_mtime for path in paths if path.exists())
