"""An extractor that the data set's own images teach, without labels: trained once, then cached.

It learns to tell pictures apart and to say what is wrong with spoilt ones. Its features follow what
is shown as well as how clean it is, so that Frechet and kernel distances, precision and recall mean
something for any folder of pictures. Numbers compare only with numbers of the same extractor, whose
fingerprint is in every record. It judges only images that it has not learnt from, see `unseen`.
Refused are too few images.
"""

import logging
import time
from pathlib import Path

import numpy as np
import tensorflow as tf

from dcgan import UserError
from dcgan.datasets.cached import is_count
from dcgan.evaluation import resizing, self_supervised_network, trunk, unseen
from dcgan.evaluation.cache import Arrays, data_fingerprint, digest, remember
from dcgan.evaluation.extractor import FEWEST_LEARNT, Extracted, pieces
from dcgan.evaluation.kept_results import are_weights, holds, is_seconds
from dcgan.images import to_float
from dcgan.latent.sampling import in_batches

VERSION = 1  # raised when the same recipe and images give another network
LONGEST = 64  # pixels; larger images are made smaller
BATCH = 128
MOST = 20_000  # images that are learnt from, so that memory has a bound
LEAST = 1e-3  # of the largest deviation: below, a feature counts as constant

logger = logging.getLogger("dcgan")


class SelfSupervised:
    """The trained network; see `Extractor`.

    Each feature is given in deviations of the data set's own, x, as arsinh(x): rare large values
    would else decide over distances alone.
    """

    name = "self_supervised"

    def __init__(self, shape: tuple[int, int, int], weights: Arrays):
        """Takes the network's weights in its order, then the mean and the deviation of features."""
        self.classes: dict[str, tuple[str, ...]] = {}
        self.size = resizing.shrink(*shape[:2], LONGEST)
        self.resize = resizing.in_words(tuple(shape[:2]), self.size)
        self.fingerprint = digest(self.name, VERSION, tuple(shape), *weights.values())
        *arrays, self._mean, self._deviation = weights.values()
        model = _build(shape)
        model.set_weights(arrays)
        self._run = _compile(model)

    def __call__(self, images: np.ndarray) -> Extracted:
        """uint8 images [N, height, width, channels] -> features [N, D], no probabilities."""

        def of_batch(part: np.ndarray) -> list[tf.Tensor]:
            return [self._run(tf.constant(resizing.resize(part, *self.size)))]

        (features,) = in_batches(of_batch, images, size=BATCH)
        return Extracted(np.arcsinh((features - self._mean) / self._deviation))


def _build(shape: tuple[int, ...], seed: int = 0):
    size = resizing.shrink(*shape[:2], LONGEST)
    return self_supervised_network.build((*size, shape[2]), seed=seed)


def _compile(model):
    """float32 levels [BATCH, H, W, C] -> features, as the network has them."""

    @tf.function(input_signature=[tf.TensorSpec((BATCH, *model.input_shape[1:]), tf.float32)])
    def run(levels):
        return model(to_float(levels), training=False)[0]

    return run


def load(images: np.ndarray, *, folder: Path, seed: int) -> SelfSupervised:
    """The extractor of a data set of uint8 images, from the cache or trained now.

    The seed is of the images left for judging, the first weights and the order of training. A
    UserError where there are too few different images.
    """
    recipe = (VERSION, LONGEST, MOST, unseen.SHARE, self_supervised_network.RECIPE)
    key = digest(self_supervised_network.__name__, recipe, seed, data_fingerprint(images))

    def fits(weights: Arrays, facts: dict) -> bool:
        return _is_extractor(weights, facts, images.shape[1:])

    def make() -> tuple[Arrays, dict]:
        return _train(images, seed=seed)

    weights, facts = remember(folder, f"self-supervised-{key}", make, fits=fits)
    logger.info(
        "The self-supervised extractor learnt from %s images of this data set in %.1f minutes "
        "(kept in %s).",
        f"{facts['learnt']:,}",
        facts["seconds"] / 60,
        folder,
    )
    return SelfSupervised(images.shape[1:], weights)


def _is_extractor(weights: Arrays, facts: dict, shape: tuple[int, ...]) -> bool:
    """Whether a file of the cache holds what `_train` gives."""
    model = _build(shape)
    features = (model.outputs[0].shape[-1],)
    shapes = [*(tuple(variable.shape) for variable in model.weights), features, features]
    facts_fit = holds(facts, {"learnt": is_count, "seconds": is_seconds})
    return facts_fit and are_weights(weights, shapes)


def find_learnt(images: np.ndarray, *, seed: int) -> np.ndarray:
    """`unseen.fingerprints` of the images that `load` learns from; for errors see there."""
    return unseen.fingerprints(images[_rows(images, seed)])


def require(different: int) -> None:
    """Raises UserError where so many different images are too few."""
    if different < FEWEST_LEARNT:
        raise UserError(
            f"The self-supervised extractor needs at least {FEWEST_LEARNT} different images, there "
            f"are {different:,}: choose --extractor inception or pixels, or another data set."
        )


def _rows(images: np.ndarray, seed: int) -> np.ndarray:
    """Of the images to learn from."""
    require(len(np.unique(unseen.fingerprints(images))))
    return unseen.split(images, seed=seed, most=MOST)[1]


def _train(images: np.ndarray, *, seed: int) -> tuple[Arrays, dict]:
    """Trains on a part of the images: weights, mean and deviation of features, and facts."""
    rows = _rows(images, seed)
    start = time.perf_counter()
    logger.info("Training an extractor on the data set's images, without labels, once.")
    model = _build(images.shape[1:], seed)
    pictures = trunk.small(images, rows, model.input_shape[1:3])
    self_supervised_network.train(model, pictures, seed=seed)
    run = _compile(model)
    known = np.concatenate(
        [
            in_batches(lambda part: [run(tf.constant(part, tf.float32))], block, size=BATCH)[0]
            for block in pieces(pictures)
        ]
    )
    deviation = known.std(0)
    arrays = [*model.get_weights(), known.mean(0), np.maximum(deviation, LEAST * deviation.max())]
    weights = {f"{i:03d}": array for i, array in enumerate(arrays)}
    return weights, {"learnt": len(rows), "seconds": time.perf_counter() - start}
