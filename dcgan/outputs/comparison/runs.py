"""The runs of a comparison, and which of them differ only in their seed."""

import functools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dcgan import UserError
from dcgan.files import read_json
from dcgan.outputs.plots import SMOOTHED_PART, moving_average
from dcgan.outputs.report import measurements, pictures
from dcgan.outputs.report.contents import CheckpointSummary, Option
from dcgan.outputs.report.history import History, read_history
from dcgan.outputs.report.measurements import Series
from dcgan.run.run_dir import RunDir

# Options, by their names in config.json. First, where files lie, which does not affect what is
# learnt; neither compared nor shown.
PLACES = ("run_dir", "cache_dir", "data_dir")
# The options that say which images a run learns from; flips are a choice of the training.
DATA = (
    *("dataset", "input_fname_pattern", "splits", "train_size", "channels", "crop"),
    *("output_height", "output_width", "input_height", "input_width"),
)
MACHINE = ("devices", "replicas", "cpus")  # in environment.json: what minutes depend on
COLOURS = 8  # in comparison.css
DASHES = ("", " dashed", " dotted")  # to tell lines of the same colour apart
MAX_RUNS = COLOURS * len(DASHES)


@dataclass(frozen=True, eq=False)
class Run:
    """One run of a comparison."""

    name: str  # tells it apart from the others
    folder: RunDir
    options: Mapping[str, Option]  # the choices of its config.json, by name
    # the newest checkpoint with its images, or a sentence that says why there is none
    model: CheckpointSummary | str

    def option(self, name: str) -> object:
        """Returns the value of an option; None if it is not recorded."""
        return self.options[name].value if name in self.options else None

    @property
    def dataset(self) -> str:
        """The name of its data set."""
        return self.folder.dataset_name(self.option("dataset"))

    @functools.cached_property
    def history(self) -> History:
        return read_history(self.folder)

    @functools.cached_property
    def series(self) -> list[Series]:
        return measurements.read_series(self.folder.evaluation)

    @property
    def can_be_evaluated(self) -> bool:
        """Whether it has a checkpoint and no measurements."""
        return isinstance(self.model, CheckpointSummary) and not self.series

    @functools.cached_property
    def reals(self) -> np.ndarray | None:
        """The grid of real images, uint8 [height, width, channels]."""
        return pictures.read_or_warn(self.folder.reals) if self.folder.reals.exists() else None

    @functools.cached_property
    def machine(self) -> str:
        """The machine that the run was trained on, from environment.json; empty if unknown."""
        try:
            found = read_json(self.folder.environment)
        except UserError:  # it is missing, or cannot be read
            return ""
        return str([found[name] for name in MACHINE if name in found] or "")

    def may_share_images(self, other: "Run") -> bool:
        """Tells whether two runs learn from the same images, as far as their folders say.

        Their options about data are the same, and so are their grids of real images, if both have
        one, of as many images.
        """
        differing = set(find_differing([self, other]))
        if differing & set(DATA):
            return False
        if "num_samples" in differing or self.reals is None or other.reals is None:
            return True
        return np.array_equal(self.reals, other.reals)

    def places(self, axis: str) -> np.ndarray:
        """Returns the place of each row of the history on an axis, float64 [N]; NaN if unknown.

        The axis is "minute", training time without evaluations, or "image", images learnt from.
        """
        if axis == "image":
            return self.history.column("images")
        evaluated = np.nan_to_num(self.history.column("evaluation_seconds"))
        return (self.history.column("seconds") - evaluated.cumsum()) / 60

    def place(self, steps: np.ndarray, axis: str) -> np.ndarray:
        """Interpolates the places of steps on an axis between rows; NaN beyond the last row."""
        places = self.places(axis)
        known = np.isfinite(places)
        if not known.any():
            return np.full(len(steps), np.nan)
        xs, ys = np.append(0.0, self.history.steps[known]), np.append(0.0, places[known])
        return np.interp(steps, xs, ys, right=np.nan)

    def last(self, axis: str) -> float | None:
        """Returns the last known place of the run on an axis; None if none is known."""
        known = measurements.finite(self.places(axis))
        return float(known[-1]) if known.size else None

    def smooth(self, key: str, axis: str) -> tuple[np.ndarray, np.ndarray]:
        """Computes a moving average of a quantity: (increasing places on the axis, values)."""
        x, values = self.places(axis), self.history.column(key)
        known = np.isfinite(x) & np.isfinite(values)
        x, values = x[known], values[known]
        later = x > np.append(-np.inf, np.maximum.accumulate(x)[:-1])
        x, values = x[later], values[later]
        if x.size < 2:
            return x, values
        return x, moving_average(x, values, float(x[-1] - x[0]) * SMOOTHED_PART)


@dataclass(frozen=True, eq=False)
class Setting:
    """Runs whose options differ only in the seed."""

    name: str  # tells it apart from the others
    css_class: str  # its class in comparison.css
    runs: Sequence[Run]  # at least one, each of another seed


def settings(runs: Sequence[Run]) -> list[Setting]:
    """Groups runs that differ only in their seeds, in the order in which they were named."""
    groups: list[list[Run]] = []
    for run in runs:
        for group in groups:
            # A repeated seed means that the runs differ in something else.
            is_repeated = any(run.option("seed") == other.option("seed") for other in group)
            if not is_repeated and set(find_differing([group[0], run])) <= {"seed"}:
                group.append(run)
                break
        else:
            groups.append([run])
    names = _names(groups)
    css_classes = [f"look{i % COLOURS}{DASHES[i // COLOURS]}" for i in range(len(groups))]
    return [Setting(*one) for one in zip(names, css_classes, groups, strict=True)]


def find_differing(runs: Sequence[Run]) -> list[str]:
    """Returns the names of options whose values differ, in the order of config.json."""
    names = dict.fromkeys(name for run in runs for name in run.options)
    return [
        name
        for name in names
        if name not in PLACES and len({str(value) for value in values_of(runs, name)}) > 1
    ]


def values_of(runs: Sequence[Run], name: str) -> list[object]:
    """Returns an option's value in each run; the default in runs older than the option."""
    default = next(run.options[name].default for run in runs if name in run.options)
    return [run.options[name].value if name in run.options else default for run in runs]


def _names(groups: Sequence[Sequence[Run]]) -> Iterator[str]:
    """Names each setting by what the names of its runs have in common, if that is unique."""
    common = [_trim(os.path.commonprefix([run.name for run in group])) for group in groups]
    single = [group[0].name for group in groups if len(group) == 1]
    for group, name in zip(groups, common, strict=True):
        if len(group) == 1:
            yield group[0].name
        elif name and common.count(name) == 1 and name not in single:
            yield name
        else:
            yield f"{group[0].name} and {len(group) - 1} more"


def _trim(start: str) -> str:
    """Shortens a common prefix: wide- to wide, and run1, of run10 and run11, to run."""
    bare = start.rstrip("-_. ")
    return bare if bare != start else start.rstrip("0123456789").rstrip("-_. ")


def by_data(runs: Sequence[Run]) -> list[list[Run]]:
    """Groups runs by their images, in the order in which they were named."""
    groups: list[list[Run]] = []
    for run in runs:
        for group in groups:
            if all(run.may_share_images(other) for other in group):
                group.append(run)
                break
        else:
            groups.append([run])
    return groups
