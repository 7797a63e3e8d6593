"""Extractors by name: the one place that knows which there are."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from dcgan import UserError
from dcgan.cli.option import did_you_mean, names_file
from dcgan.datasets.prepare import Prepared
from dcgan.datasets.source import Labels
from dcgan.evaluation import cache, network_file
from dcgan.evaluation.extractor import Extractor
from dcgan.evaluation.network_file import Looks, NetworkFile

NAMES = ("inception", "classifier", "self_supervised", "pixels")
LEARN = ("classifier", "self_supervised")  # from the data set's images, and judge the others only


def find_learnt(name: str, prepared: Prepared, *, seed: int) -> np.ndarray | None:
    """Which images an extractor learns from, known before it does; the others it may judge.

    Returns their `unseen.fingerprints`; None where it learns from none. A UserError where it could
    not learn from this data set.
    """
    if name == "classifier":
        from dcgan.evaluation import classifier

        return classifier.find_learnt(prepared.images, prepared.labels, seed=seed)
    if name == "self_supervised":
        from dcgan.evaluation import self_supervised

        return self_supervised.find_learnt(prepared.images, seed=seed)
    return None


def require(name: str, labels: Mapping[str, Labels], count: int) -> None:
    """Refuses to learn where there are no labels to train on, or too few of `count` images."""
    if name == "classifier":
        from dcgan.evaluation import classifier

        classifier.require(labels, count)
    if name == "self_supervised":
        from dcgan.evaluation import self_supervised

        self_supervised.require(count)


def fetch(name: str, *, cache_dir: Path) -> None:
    """Downloads what `make` needs and the cache has not, before an image is decoded."""
    if name == "inception":
        from dcgan.evaluation import inception

        inception.load(cache.evaluation_folder(cache_dir) / "inception")


def make(
    name: str, prepared: Prepared, *, cache_dir: Path, seed: int, looks: Looks | None = None
) -> Extractor:
    """An extractor for the images of a data set.

    Args:
        name: one of `NAMES`, or FILE[:OUTPUT], see `network_file`.
        prepared: the data set's images; what learns is trained on them unless the cache has it.
        cache_dir: the user's cache folder, where networks are kept.
        seed: of the training.
        looks: what a file does not say of its input.
    """
    if names_file(name):
        path, output = network_file.split_name(name)
        return NetworkFile(path, prepared.images.shape[1:], output=output, looks=looks)
    if looks not in (None, Looks()):
        raise UserError(
            "--extractor_size, --extractor_range and --extractor_layout say how to show images to "
            f"an extractor's file, and --extractor {name} is none: leave them out."
        )
    folder = cache.evaluation_folder(cache_dir)
    # TensorFlow takes seconds to load: only for those that need it.
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
