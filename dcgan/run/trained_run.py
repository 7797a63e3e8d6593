"""A trained run, opened for reading: its generator as a sampler, and the images it learnt from.

It changes nothing in the run folder and takes no lock, so training may go on meanwhile.
"""

import contextlib
import functools
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from dcgan import UserError, images
from dcgan.cli import data_names
from dcgan.datasets import catalog, parts
from dcgan.datasets.cache_folder import cache_folder
from dcgan.datasets.prepare import PreparedData, prepare
from dcgan.datasets.source import ImageSpec, Source
from dcgan.distributed.devices import avoid_remapper
from dcgan.files import read_json, read_json_lines
from dcgan.latent import paths
from dcgan.latent.class_words import parse_classes
from dcgan.latent.noise import latents
from dcgan.latent.sampling import BATCH_SIZE, describe_source, in_batches, make_sampler
from dcgan.models.classes import one_hot
from dcgan.run import classes_file
from dcgan.run.checkpoint import Checkpoint, Checkpointer, find_checkpoint, open_checkpoint
from dcgan.run.run_dir import RunDir, damaged_error, newest_run
from dcgan.terminal.progress import Bar

logger = logging.getLogger("dcgan")

# The options that say which images a run learnt from, with their types. They are read from
# config.json by these names, so an option that is renamed must still be found by its old name.
DATA_OPTIONS = {
    **dict.fromkeys(("dataset", "data_dir", "input_fname_pattern", "splits"), str),
    **dict.fromkeys(("train_size", "input_height", "input_width"), int | None),
    **{"cache_dir": str | None, "crop": bool, "flip": bool},
}
MIN_HELD_OUT = 100  # pictures, as metrics need that many


def choose_run(run_dir: str | None, dataset: str | None, checkpoint: str) -> RunDir:
    """Chooses the named run, else that of the named checkpoint file, else the newest in runs/.

    With a data set, only runs on it count as newest. Raises UserError if there is no such run.
    """
    file = Path(checkpoint)
    if run_dir:
        root = Path(run_dir)
    elif file.suffix == ".npz" and not dataset:
        root = file.absolute().parent.parent
    else:
        root = newest_run(Path("runs"), dataset)
    if not RunDir(root).config.exists():
        raise UserError(
            f"{root} is not a run folder (there is no config.json in it); name one with --run_dir."
        )
    return RunDir(root)


class TrainedRun:
    """One checkpoint of a run, from which images are sampled in float32, as training does.

    Args:
        run: its folder.
        which: newest, best, a step, or a checkpoint file; raises UserError if there is none.
        data_dir: where the data are that the run learns from, if they have moved: the folder of
            data sets, or the data set; else None.

    Attributes:
        checkpoint: the checkpoint, from which `generator` and `z_dist` are taken.
        shape: (height, width, channels) of its images.
        table: the classes that the generator knows; None if it knows none.
        sample: function of seeds and optional labels that returns uint8 [N, height, width,
            channels], equal to the images in the run's sample grids. See `make_sampler`.
    """

    def __init__(self, run: RunDir, which: str = "newest", *, data_dir: str | None = None):
        self.run = run
        self._data_dir = data_dir
        self._sources: dict[str | None, Source] = {}
        self._config = read_json(run.config)
        self.checkpoint: Checkpoint = open_checkpoint(run.root, find_checkpoint(run.root, which))
        self.generator = self.checkpoint.generator()
        self.z_dist: str = self.generator.z_dist
        avoid_remapper()
        self.shape: tuple[int, int, int] = self.generator.image_shape
        self.table = classes_file.read(run.checkpoints, self.generator)
        self._z_options = {"z_dim": self.generator.z_dim, "z_dist": self.z_dist}
        self.sample = make_sampler(self.generator, **self._z_options, table=self.table)

    @property
    def name(self) -> str:
        return self.run.root.resolve().name

    @property
    def step(self) -> int:
        return self.checkpoint.step

    @functools.cached_property
    def epoch(self) -> float | None:
        """Passes over the data by this step, from metrics.jsonl; None if it has no line yet."""
        lines = read_json_lines(self.run.metrics)
        known = [one for one in lines if _is_above_0(one, "epoch") and _is_above_0(one, "step")]
        known = [one for one in known if one["step"] <= self.step]
        return round(known[-1]["epoch"] * self.step / known[-1]["step"], 4) if known else None

    @functools.cached_property
    def fingerprint(self) -> str:
        """Identifies the generator: equal fingerprints mean equal images for each seed."""
        return self.checkpoint.fingerprint(describe_source(self.z_dist, self.table))

    def latents(self, seeds: list[int]) -> np.ndarray:
        """Returns the latent vectors of seeds, float32 [N, z_dim]."""
        return latents(tf.constant(seeds, tf.int64), **self._z_options).numpy()

    def requested_classes(self, label: str | None) -> dict[str, list[str]]:
        """Parses --label, see `parse_classes`; raises UserError if the run knows no classes."""
        if label is None:
            return {}
        if self.table is None:
            raise UserError(
                f"--label {label} asks for a class, and {self.run.root} was trained without "
                "--conditional: leave it out, or name another run with --run_dir."
            )
        return parse_classes(label, self.table.names)

    def points(self, seeds: Sequence[int], asked: dict | None = None) -> np.ndarray:
        """Returns what the generator makes images of, float32 [N, z_dim + classes of all columns].

        These are the latent vectors of seeds and, if the run knows classes, those by `asked`, see
        `ClassTable.labels`, one-hot.
        """
        z = self.latents(seeds)
        if self.table is None:
            return z
        labels = self.table.labels(seeds, asked or {})
        return np.hstack([z, one_hot(labels, self.table.sizes).numpy()])

    def render(self, points: np.ndarray) -> np.ndarray:
        """Generates images of N >= 1 `points`, or others like them.

        Returns uint8 [N, height, width, channels]; the point of a seed gives the seed's image.
        """
        few = len(points) <= BATCH_SIZE
        with contextlib.nullcontext() if few else Bar("rendering", len(points)) as bar:
            done = bar.update if bar else lambda _: None
            made = in_batches(lambda z: [images.to_uint8(self._forward(z))], points, progress=done)
            return made[0]

    def walk(self, points: np.ndarray, frames: int, *, method: str, loop: bool = False):
        """Renders the way from point to point, see `paths.walk`; classes change linearly."""
        z, classes = np.split(points, [self.generator.z_dim], axis=1)
        way = paths.walk(z, frames, method=method, loop=loop)
        classes = paths.walk(classes, frames, method="linear", loop=loop)
        return self.render(np.hstack([way, classes]))

    @functools.cached_property
    def _forward(self) -> Callable:
        """The compiled generator of `points`."""
        z_dim, knows = self.generator.z_dim, self.generator.classes

        def forward(both):
            labels = both[:, z_dim:] if knows else None
            return self.generator(both[:, :z_dim], labels=labels, training=False)

        spec = tf.TensorSpec([BATCH_SIZE, z_dim + sum(knows)], tf.float32)
        return tf.function(forward, input_signature=[spec], autograph=False)

    def features(self) -> Callable[[np.ndarray], np.ndarray]:
        """Makes a function for the outputs of the discriminator's last convolution.

        It takes images, uint8 [N, height, width, channels], and returns float32 [N, D].
        """
        discriminator = self.checkpoint.discriminator()
        shape = (BATCH_SIZE, *self.shape)

        @tf.function(input_signature=[tf.TensorSpec(shape, tf.uint8)], autograph=False)
        def features_of_batch(pictures):
            last = discriminator.activations(images.to_float(tf.cast(pictures, tf.float32)))[-1]
            return tf.cast(tf.reshape(last, (BATCH_SIZE, -1)), tf.float32)

        return lambda pictures: in_batches(lambda part: [features_of_batch(part)], pictures)[0]

    def source(self, splits: str | None = None) -> Source:
        """Opens the data set of `reals` without decoding an image; arguments and errors as there.

        It is opened only once, as that unpacks an archive.
        """
        if splits not in self._sources:
            known = self._data_options(splits)
            place = _find_data(known["dataset"], self._data_dir, known["data_dir"])
            source = self._open(known, *place) if place else self._find_renamed(known)
            if source is None and self._data_dir is None:
                path = os.path.abspath(os.path.join(known["data_dir"], known["dataset"]))
                raise UserError(
                    f"The run's data are no longer at {path}: name their place with --data_dir."
                )
            if source is None:
                raise UserError(
                    f"The run's data are not at --data_dir {self._data_dir}: expected "
                    f"{Path(known['dataset']).name} by that or another name, or the folder that it "
                    "is in by that name."
                )
            self._sources[splits] = source
        return self._sources[splits]

    def _open(self, known: dict, dataset: str, data_dir: str) -> Source:
        pattern, splits = known["input_fname_pattern"], known["splits"].split(",")
        sheets = self.table is not None
        return catalog.find(dataset, data_dir, pattern=pattern, splits=splits, sheets=sheets)

    def _find_renamed(self, known: dict) -> Source | None:
        """Opens a data set that has another name; None if its images are not the run's."""
        place = self._data_dir
        if place is None or not os.path.exists(place):
            return None
        try:
            if known["splits"] != self.splits:
                self.source()
                return self._open(known, place, place)
            source = self._open(known, place, place)
            return source if self._has_learnt(self._prepare(source, known)) else None
        except UserError:
            return None

    def remark_on(self, prepared: PreparedData) -> str:
        """Says of images that the run has not learnt from them; empty if it has."""
        if self._has_learnt(prepared):
            return ""
        return (
            f"The images of {prepared.source.name} are not those that the run has learnt from; "
            "what follows is about these."
        )

    def _has_learnt(self, prepared: PreparedData) -> bool:
        """Tells whether the run has learnt from these images, as far as its checkpoints say."""
        meta = Checkpointer(self.run.checkpoints).newest_meta()
        return meta is None or prepared.is_same(meta)

    def count(self) -> int:
        """Returns the largest number of images that the run can learn from."""
        found = len(self.source())
        return min(found, self._option("train_size") or found)

    def _data_options(self, splits: str | None) -> dict:
        """Returns the values of `DATA_OPTIONS` for the run, or for other parts of its data set."""
        known = {name: self._option(name) for name in DATA_OPTIONS}
        if splits and splits != known["splits"]:
            known |= {"splits": splits, "train_size": None}
        return known

    def reals(self, splits: str | None = None) -> PreparedData:
        """Prepares, as in training, the images that the run learns from or other parts of its data.

        Warns if the run has learnt from other images.

        Args:
            splits: other parts of the data set, such as test, in full; None for the run's own.

        Raises:
            UserError: the data set is not there or has no such parts, or the run folder does not
                say which it is.
        """
        known = self._data_options(splits)
        prepared = self._prepare(self.source(splits), known)
        if known["splits"] == self.splits and (remark := self.remark_on(prepared)):
            logger.warning("%s", remark)
        return prepared

    def _prepare(self, source: Source, known: dict) -> PreparedData:
        spec = ImageSpec(
            *self.shape,
            crop=known["crop"],
            crop_height=known["input_height"],
            crop_width=known["input_width"],
        )
        return prepare(source, spec, cache_dir=self.cache_dir, limit=known["train_size"])

    def choose_held_out(self) -> str:
        """Chooses the part of the data to judge the run by: test, else val, else the run's own.

        Parts that the run learns from and parts of fewer than `MIN_HELD_OUT` files do not count.
        """
        own = {parts.part_of(word) for word in self.splits.split(",")}
        there = self.source().parts
        others = [part for part in ("test", "val") if there.get(part, 0) >= MIN_HELD_OUT]
        return next((part for part in others if part not in own), self.splits)

    def read_part(self, split: str, read: Callable | None = None):
        """Calls `reals`, or the method `read`, for `split`; its errors then name --splits."""
        try:
            return (read or self.reals)(split)
        except UserError as error:
            raise UserError(f"There are no images for --splits {split}: {error}") from error

    def read_pictures(self, place: str) -> PreparedData:
        """Reads pictures that the run has not learnt from, at the size of its images."""
        source = catalog.find(place, self._data_dir or self._option("data_dir"))
        return prepare(source, ImageSpec(*self.shape), cache_dir=self.cache_dir)

    @property
    def cache_dir(self) -> Path:
        return cache_folder(self._option("cache_dir"))

    @property
    def splits(self) -> str:
        """The parts of the data set that the run learns from, such as train."""
        return self._option("splits")

    @property
    def flips(self) -> bool:
        """Whether training mirrors images at random."""
        return self._option("flip")

    def _option(self, name: str):
        if name not in self._config:
            why = f"names no {name}, so it is not a run's configuration"
            raise damaged_error(self.run.config, why)
        value = self._config[name]
        if not isinstance(value, DATA_OPTIONS[name]):
            why = f"has a {name} that no run has, {str(value)[:80]!r}"
            raise damaged_error(self.run.config, why)
        return value


def _find_data(dataset: str, data_dir: str | None, recorded: str) -> tuple[str, str] | None:
    """Returns a run's data set and folder of data sets, where they are now; None if not found.

    `dataset` and `recorded` are the two as the run recorded them; for `data_dir` see `TrainedRun`.
    """
    if data_dir is None:
        return (dataset, recorded) if catalog.place(dataset, recorded) is not None else None
    name = data_names.stem(Path(dataset).name).lower()
    if catalog.place(dataset, data_dir) == dataset.lower():  # a built-in name, not a path
        return dataset, data_dir
    if data_names.stem(Path(data_dir).resolve().name).lower() == name:
        return data_dir, data_dir
    below = os.listdir(data_dir) if os.path.isdir(data_dir) else []
    if name in {data_names.stem(one).lower() for one in below}:
        return name, data_dir
    return (dataset, data_dir) if catalog.place(dataset, data_dir) is not None else None


def _is_above_0(line: dict, name: str) -> bool:
    value = line.get(name)
    return isinstance(value, (int, float)) and 0 < value < float("inf")
