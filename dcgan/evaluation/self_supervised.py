"""An extractor trained on the data set's own images, without labels: trained once, then cached.

It learns to tell images apart and to recognize faults in them. So its features depend on content
and quality, and their distances mean something for any folder of images.
"""

import functools
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from dcgan import UserError
from dcgan.datasets.cached import is_count
from dcgan.datasets.prepare import PreparedData
from dcgan.datasets.source import Labels
from dcgan.evaluation import resizing, self_supervised_network, trunk, unseen
from dcgan.evaluation.cache import Arrays, data_fingerprint, digest, remember
from dcgan.evaluation.extractor import FEWEST_LEARNT, Extracted
from dcgan.evaluation.kept_results import are_weights, holds, is_seconds

VERSION = 1  # increase it when the same recipe and images give other features
MAX_TRAINING_IMAGES = 20_000  # bounds memory
LEAST = 1e-3  # least deviation to divide by, as a share of the largest one

logger = logging.getLogger("dcgan")


class SelfSupervised:
    """The trained network as an `Extractor`.

    Features are standardized by their mean and deviation on the data set, then arsinh is applied,
    so that rare large values do not dominate distances.
    """

    name = "self_supervised"

    def __init__(self, shape: tuple[int, int, int], weights: Arrays):
        """`weights` are the network's, in its order, then mean and deviation of the features."""
        self.classes: dict[str, tuple[str, ...]] = {}
        self.fingerprint = digest(self.name, VERSION, shape, *weights.values())
        *arrays, self._mean, self._deviation = weights.values()
        model = _build(shape)
        model.set_weights(arrays)
        self.resize = resizing.in_words(shape[:2], model.input_shape[1:3])
        self._run = _compile_features(model)

    def __call__(self, images: np.ndarray) -> Extracted:
        """uint8 images [N, height, width, channels] -> features [N, D], no probabilities."""
        (features,) = self._run(images)
        return Extracted(np.arcsinh((features - self._mean) / self._deviation))


def _build(shape: tuple[int, ...], seed: int = 0):
    return self_supervised_network.build(trunk.input_shape(shape), seed=seed)


def _compile_features(model) -> Callable[[np.ndarray], list[np.ndarray]]:
    """Compiles images -> [the network's features], not standardized."""
    return trunk.compile_outputs(model, lambda levels: model(levels, training=False)[:1])


def load(data: PreparedData, *, folder: Path, seed: int) -> SelfSupervised:
    """Loads the extractor of a data set from the cache, or trains it.

    The seed decides which images are left for judging, the initial weights and the order of
    training. Raises UserError if there are too few different images.
    """
    images = data.images
    # The key has the network's module by name: if it were moved, all would be trained again.
    network = self_supervised_network
    recipe = (VERSION, trunk.LONGEST, MAX_TRAINING_IMAGES, unseen.SHARE, network.RECIPE)
    key = digest(network.__name__, recipe, seed, data_fingerprint(images))
    fits = functools.partial(_is_extractor, images.shape[1:])
    make = functools.partial(_train, images, seed=seed)
    weights, facts = remember(folder, f"self-supervised-{key}", make, fits=fits)
    logger.info(
        "The self-supervised extractor learnt from %s images of this data set in %.1f minutes "
        "(kept in %s).",
        f"{facts['learnt']:,}",
        facts["seconds"] / 60,
        folder,
    )
    return SelfSupervised(images.shape[1:], weights)


def _is_extractor(shape: tuple[int, ...], weights: Arrays, facts: dict) -> bool:
    """Tells whether a file of the cache holds a result of `_train`."""
    model = _build(shape)
    features = (model.outputs[0].shape[-1],)
    shapes = [*(tuple(variable.shape) for variable in model.weights), features, features]
    facts_fit = holds(facts, {"learnt": is_count, "seconds": is_seconds})
    return facts_fit and are_weights(weights, shapes)


def find_learnt(data: PreparedData, *, seed: int) -> np.ndarray:
    """Returns `unseen.fingerprints` of the images that `load` learns from.

    Raises UserError as `load` does.
    """
    return unseen.fingerprints(data.images[_rows(data.images, seed)])


def require(labels: Mapping[str, Labels], different: int) -> None:
    """Raises UserError if this number of different images is too small, with or without labels."""
    if different < FEWEST_LEARNT:
        raise UserError(
            f"The self-supervised extractor needs at least {FEWEST_LEARNT} different images, there "
            f"are {different:,}: choose --extractor inception or pixels, or another data set."
        )


def _rows(images: np.ndarray, seed: int) -> np.ndarray:
    """Returns the rows of the images to learn from."""
    require({}, len(np.unique(unseen.fingerprints(images))))
    return unseen.split(images, seed=seed, most=MAX_TRAINING_IMAGES)[1]


def _train(images: np.ndarray, *, seed: int) -> tuple[Arrays, dict]:
    """Trains on a part of the images; returns weights, features' mean and deviation, and facts."""
    rows = _rows(images, seed)
    start = time.perf_counter()
    logger.info("Training an extractor on the data set's images, without labels, once.")
    model = _build(images.shape[1:], seed)
    pictures = trunk.small(images, rows, model.input_shape[1:3])
    self_supervised_network.train(model, pictures, seed=seed)
    (known,) = _compile_features(model)(pictures)
    deviation = known.std(0)
    arrays = [*model.get_weights(), known.mean(0), np.maximum(deviation, LEAST * deviation.max())]
    weights = {f"{i:03d}": array for i, array in enumerate(arrays)}
    return weights, {"learnt": len(rows), "seconds": time.perf_counter() - start}
