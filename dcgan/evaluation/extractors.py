"""Extractors by name: the only place that lists them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from dcgan import UserError
from dcgan.cli.option import did_you_mean, is_file_name
from dcgan.datasets.prepare import Prepared
from dcgan.datasets.source import Labels
from dcgan.evaluation import cache, network_file
from dcgan.evaluation.extractor import Extractor
from dcgan.evaluation.network_file import Looks, NetworkFile

NAMES = ("inception", "classifier", "self_supervised", "pixels")
LEARN = ("classifier", "self_supervised")  # learn from some of the images, and judge the others


def find_learnt(name: str, prepared: Prepared, *, seed: int) -> np.ndarray | None:
    """Finds the images that an extractor learns from, before it is trained.

    Returns their `unseen.fingerprints`; None if it learns from none. Raises UserError if it cannot
    learn from this data set.
    """
    if name == "classifier":
        from dcgan.evaluation import classifier

        return classifier.find_learnt(prepared.images, prepared.labels, seed=seed)
    if name == "self_supervised":
        from dcgan.evaluation import self_supervised

        return self_supervised.find_learnt(prepared.images, seed=seed)
    return None


def require(name: str, labels: Mapping[str, Labels], count: int) -> None:
    """Raises UserError if an extractor lacks labels to learn from, or `count` is too small."""
    if name == "classifier":
        from dcgan.evaluation import classifier

        classifier.require(labels, count)
    if name == "self_supervised":
        from dcgan.evaluation import self_supervised

        self_supervised.require(count)


def fetch(name: str, *, cache_dir: Path) -> None:
    """Downloads what `make` needs, unless it is cached; called before images are decoded."""
    if name == "inception":
        from dcgan.evaluation import inception

        inception.load(cache.evaluation_folder(cache_dir) / "inception")


def make(
    name: str, prepared: Prepared, *, cache_dir: Path, seed: int, looks: Looks | None = None
) -> Extractor:
    """Makes an extractor for the images of a data set.

    Args:
        name: one of `NAMES`, or FILE[:OUTPUT], see `network_file`.
        prepared: the data set; those of `LEARN` are trained on it unless they are cached.
        cache_dir: the user's cache folder, where networks are kept.
        seed: seed of training.
        looks: the user's options for the input of a network file.

    Raises:
        UserError: there is no such extractor, or it cannot be made.
    """
    if is_file_name(name):
        path, output = network_file.split_name(name)
        return NetworkFile(path, prepared.images.shape[1:], output=output, looks=looks)
    if looks not in (None, Looks()):
        raise UserError(
            "--extractor_size, --extractor_range and --extractor_layout say how to show images to "
            f"an extractor's file, and --extractor {name} is none: leave them out."
        )
    folder = cache.evaluation_folder(cache_dir)
    # TensorFlow takes seconds to load, so only extractors that need it import it.
    if name == "inception":
        from dcgan.evaluation import inception

        return inception.load(folder / "inception")
    if name == "classifier":
        from dcgan.evaluation import classifier

        return classifier.load(prepared.images, prepared.labels, folder=folder, seed=seed)
    if name == "self_supervised":
        from dcgan.evaluation import self_supervised

        return self_supervised.load(prepared.images, folder=folder, seed=seed)
    if name == "pixels":
        from dcgan.evaluation import pixels

        return pixels.Pixels(prepared.images.shape[1:])
    raise UserError(
        f"There is no extractor {name!r}{did_you_mean(name, NAMES)}: expected --extractor "
        f"{', '.join(NAMES)}, or a file."
    )
