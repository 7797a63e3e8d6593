"""Extractors by name: the only place that lists them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from dcgan import UserError
from dcgan.cli.option import did_you_mean, is_file_name
from dcgan.datasets.prepare import PreparedData
from dcgan.datasets.source import Labels
from dcgan.evaluation import cache, classifier, inception, network_file, self_supervised
from dcgan.evaluation.extractor import Extractor
from dcgan.evaluation.network_file import InputOptions, NetworkFile
from dcgan.evaluation.pixels import Pixels

# Records and their files' names have these names.
NAMES = ("inception", "classifier", "self_supervised", "pixels")
# These learn from some of the images, and judge the others.
LEARN = {"classifier": classifier, "self_supervised": self_supervised}


def find_learnt(name: str, prepared: PreparedData, *, seed: int) -> np.ndarray | None:
    """Finds the images that an extractor learns from, before it is trained.

    Returns their `unseen.fingerprints`; None if it learns from none. Raises UserError if it cannot
    learn from this data set.
    """
    return LEARN[name].find_learnt(prepared, seed=seed) if name in LEARN else None


def require(name: str, labels: Mapping[str, Labels], count: int) -> None:
    """Raises UserError if an extractor lacks labels to learn from, or `count` is too small."""
    if name in LEARN:
        LEARN[name].require(labels, count)


def fetch(name: str, *, cache_dir: Path) -> None:
    """Downloads what `make` needs, unless it is cached; called before images are decoded."""
    if name == "inception":
        inception.load(cache.evaluation_folder(cache_dir) / name)


def make(
    name: str,
    prepared: PreparedData,
    *,
    cache_dir: Path,
    seed: int,
    looks: InputOptions | None = None,
) -> Extractor:
    """Makes an extractor for the images of a data set.

    `name` is one of `NAMES`, or FILE[:OUTPUT], see `network_file`; `looks` are options of such a
    file. Extractors of `LEARN` are trained by the seed, unless they are cached. Raises UserError
    if there is no such extractor, or it cannot be made.
    """
    if is_file_name(name):
        path, output = network_file.split_name(name)
        return NetworkFile(path, prepared.images.shape[1:], output=output, looks=looks)
    if looks not in (None, InputOptions()):
        raise UserError(
            "--extractor_size, --extractor_range and --extractor_layout say how to show images to "
            f"an extractor's file, and --extractor {name} is none: leave them out."
        )
    folder = cache.evaluation_folder(cache_dir)
    if name == "pixels":
        return Pixels(prepared.images.shape[1:])
    if name == "inception":
        return inception.load(folder / name)
    if name in LEARN:
        return LEARN[name].load(prepared, folder=folder, seed=seed)
    raise UserError(
        f"There is no extractor {name!r}{did_you_mean(name, NAMES)}: expected --extractor "
        f"{', '.join(NAMES)}, or a file."
    )
