"""Extractors by name: the one place that knows which there are."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from dcgan import UserError
from dcgan.datasets.prepare import Prepared
from dcgan.datasets.source import Labels
from dcgan.evaluation import cache
from dcgan.evaluation.extractor import Extractor
from dcgan.option import did_you_mean

NAMES = ("inception", "classifier", "pixels")
LEARN = ("classifier",)  # from the data set's images, and judge the others only


def learnt(name: str, prepared: Prepared, *, seed: int) -> np.ndarray | None:
    """Which images an extractor learns from, known before it does; the others it may judge.

    Args:
        name: one of `NAMES`.
        prepared: the data set's images.
        seed: of the choice; as of `make`.

    Returns:
        their `unseen.fingerprints`; None where it learns from none.

    Raises:
        UserError: it could not learn from this data set.
    """
    if name == "classifier":
        from dcgan.evaluation import classifier

        return classifier.learnt(prepared.images, prepared.labels, seed=seed)
    return None


def require(name: str, labels: Mapping[str, Labels], count: int) -> None:
    """Refuses to learn from what nothing can be learnt from, before an image is decoded.

    Args:
        name: one of `NAMES`.
        labels: of the images.
        count: how many of these there are, at most.

    Raises:
        UserError: there are no labels to train on, or too few images.
    """
    if name == "classifier":
        from dcgan.evaluation import classifier

        classifier.require(labels, count)


def fetch(name: str, *, cache_dir: Path) -> None:
    """Downloads what `make` needs and the cache has not, before an image is decoded.

    Raises:
        UserError: it cannot be downloaded.
    """
    if name == "inception":
        from dcgan.evaluation import inception

        inception.load(cache.folder_in(cache_dir) / "inception")


def make(name: str, prepared: Prepared, *, cache_dir: Path, seed: int) -> Extractor:
    """An extractor for the images of a data set.

    Args:
        name: one of `NAMES`.
        prepared: the data set's images; a classifier is trained on their labels unless the cache
            has it.
        cache_dir: the user's cache folder, where networks are kept.
        seed: of the classifier's training.

    Raises:
        UserError: there is no such extractor, the network cannot be downloaded, or there are no
            labels to train on.
    """
    folder = cache.folder_in(cache_dir)
    # TensorFlow takes seconds to load: only for those that need it.
    if name == "inception":
        from dcgan.evaluation import inception

        return inception.load(folder / "inception")
    if name == "classifier":
        from dcgan.evaluation import classifier

        return classifier.load(prepared.images, prepared.labels, folder=folder, seed=seed)
    if name == "pixels":
        from dcgan.evaluation import pixels

        return pixels.Pixels(prepared.images.shape[1:])
    raise UserError(
        f"There is no extractor {name!r}{did_you_mean(name, NAMES)}: expected --extractor "
        f"{', '.join(NAMES[:-1])} or {NAMES[-1]}."
    )
