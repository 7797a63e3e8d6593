"""A classifier of the data set's own labels as an extractor: trained once, then cached.

On small images such as digits, its features are better than those of a network trained on
photographs, and its classes tell which kinds of images a generator makes.

`extractors` calls `load`, `require` and `find_learnt` of this module and of `self_supervised`, so
these take the same arguments in both.
"""

import functools
import logging
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from dcgan import UserError
from dcgan.datasets.cached import is_count
from dcgan.datasets.prepare import PreparedData
from dcgan.datasets.source import Labels
from dcgan.evaluation import classifier_network, resizing, trunk, unseen
from dcgan.evaluation.cache import Arrays, data_fingerprint, digest, remember
from dcgan.evaluation.extractor import FEWEST_LABELLED, Extracted, pieces
from dcgan.evaluation.kept_results import are_weights, holds, is_seconds, is_share
from dcgan.evaluation.spill import collect

VERSION = 2  # raised when the same recipe and images give another network
# The accuracy must exceed the share of the largest class by this many standard deviations of that
# share, as measured on the held-out images, and at least by `MIN_GAIN`.
SIGMAS, MIN_GAIN = 3.0, 0.02
MAX_TRAINING_IMAGES = 60_000  # bounds memory and time

logger = logging.getLogger("dcgan")


class Classifier:
    """The trained network as an `Extractor`."""

    name = "classifier"

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: dict[str, tuple[str, ...]],
        weights: Arrays,
        *,
        facts: Mapping,
    ):
        """`shape` is (height, width, channels); `weights` are in the order of the network."""
        self.classes = classes
        # The accuracy on held-out images, by labelling; and the number of these images.
        self.accuracy, self.test_count = dict(facts["accuracy"]), facts["test_count"]
        self.fingerprint = digest(self.name, VERSION, shape, classes, *weights.values())
        model = _build(shape, classes)
        model.set_weights(list(weights.values()))
        self.resize = resizing.in_words(shape[:2], model.input_shape[1:3])

        def outputs(levels: tf.Tensor) -> list[tf.Tensor]:
            features, *logits = model(levels, training=False)
            return [features, *map(tf.nn.softmax, logits)]

        self._run = trunk.compile_outputs(model, outputs)

    def __call__(self, images: np.ndarray) -> Extracted:
        """uint8 images [N, height, width, channels] -> features [N, D] and probabilities."""
        features, *probabilities = self._run(images)
        return Extracted(features, dict(zip(self.classes, probabilities, strict=True)))


def _build(shape: tuple[int, ...], classes: dict[str, tuple[str, ...]], seed: int = 0):
    counts = {name: len(names) for name, names in classes.items()}
    return classifier_network.build(trunk.input_shape(shape), counts, seed=seed)


def load(data: PreparedData, *, folder: Path, seed: int) -> Classifier:
    """Loads the classifier of a data set from the cache, or trains it; logs its accuracy.

    Each labelling of `learnable` gets a head. The seed decides the held-out images, the
    initial weights and the order of training. Raises UserError if there are no such labels or too
    few images, or if nothing was learnt.
    """
    images, labels = data.images, require(data.labels, len(data.images))
    classes = {name: tuple(one.names) for name, one in labels.items()}
    values = [np.asarray(one.values, np.int32) for one in labels.values()]
    recipe = (trunk.LONGEST, unseen.SHARE, MAX_TRAINING_IMAGES, classifier_network.RECIPE)
    key = digest(VERSION, *recipe, seed, data_fingerprint(images), classes, *values)

    make = functools.partial(_train, images, values, classes, seed=seed)
    fits = functools.partial(_is_classifier, images.shape[1:], classes)
    weights, facts = remember(folder, f"classifier-{key}", make, fits=fits)
    classifier = Classifier(images.shape[1:], classes, weights, facts=facts)
    logger.info(
        "The classifier of this data set is right on %s of %s held-out images (trained in %.0f s, "
        "kept in %s).",
        ", ".join(f"{share:.1%} ({name})" for name, share in classifier.accuracy.items()),
        f"{classifier.test_count:,}",
        facts["seconds"],
        folder,
    )
    _require_knowledge(classifier, dict(zip(classes, values, strict=True)))
    return classifier


def _require_knowledge(classifier: Classifier, labels: Mapping[str, np.ndarray]) -> None:
    """Raises UserError if no labelling is classified better than by naming its largest class."""
    largest = {name: np.bincount(values).max() / len(values) for name, values in labels.items()}
    for name, share in largest.items():
        chance = np.sqrt(share * (1 - share) / classifier.test_count)
        if classifier.accuracy[name] > share + max(SIGMAS * chance, MIN_GAIN):
            return
    name = max(largest, key=lambda one: classifier.accuracy[one] - largest[one])
    raise UserError(
        f"The classifier of this data set is right on {classifier.accuracy[name]:.1%} of held-out "
        f'images, and always naming the largest class of the labels "{name}" would be right on '
        f"{largest[name]:.1%}: it has not learnt to tell the classes apart, so its features say "
        "nothing of the images. "
        "Take --extractor self_supervised or inception, or see whether the folders are classes."
    )


def _is_classifier(
    shape: tuple[int, ...], classes: dict[str, tuple[str, ...]], weights: Arrays, facts: dict
) -> bool:
    """Tells whether a file of the cache holds a result of `_train`."""
    return (
        are_weights(weights, [tuple(one.shape) for one in _build(shape, classes).weights])
        and holds(facts, {"test_count": is_count, "seconds": is_seconds})
        and holds(facts.get("accuracy"), dict.fromkeys(classes, is_share))
        and len(facts["accuracy"]) == len(classes)
    )


def find_learnt(data: PreparedData, *, seed: int) -> np.ndarray:
    """Returns `unseen.fingerprints` of the images that `load` learns from; raises as `require`."""
    require(data.labels, len(data.images))
    return unseen.fingerprints(
        data.images[unseen.split(data.images, seed=seed, most=MAX_TRAINING_IMAGES)[1]]
    )


def require(labels: Mapping[str, Labels], count: int) -> dict[str, Labels]:
    """Returns the labels that can be learnt, see `learnable`.

    Raises UserError if there are none, or if `count`, the number of images, is too small.
    """
    labels = learnable(labels)
    if not labels:
        raise UserError(
            "The classifier needs labels with two or more classes, and the data set has none: put "
            "the pictures of each class into a folder of their own, or choose --extractor "
            "self_supervised, inception or pixels, or another data set."
        )
    if count < FEWEST_LABELLED:
        raise UserError(
            f"The classifier needs at least {FEWEST_LABELLED} labelled images, received {count}: "
            "choose --extractor inception or pixels, or another data set."
        )
    return labels


def learnable(labels: Mapping[str, Labels]) -> dict[str, Labels]:
    """Returns the labels with two classes or more, and two images of a class on average.

    A column with a value of its own for each picture, such as its address, has no classes.
    """
    counts = {name: len(np.unique(one.values)) for name, one in labels.items()}
    return {name: one for name, one in labels.items() if 2 <= counts[name] <= len(one.values) // 2}


def _train(
    images: np.ndarray,
    values: list[np.ndarray],
    classes: dict[str, tuple[str, ...]],
    *,
    seed: int,
) -> tuple[Arrays, dict]:
    """Trains on a part of the images and measures on the rest; returns weights and facts.

    The facts are stored in the cache's files, so their keys must not change.
    """
    start = time.perf_counter()
    shape = images.shape[1:]
    held_out, rows = unseen.split(images, seed=seed, most=MAX_TRAINING_IMAGES)
    if not len(held_out):
        raise UserError(
            "The classifier needs more different images, so that some are left to test it on, "
            f"received only {len(rows)} among {len(images):,}: choose --extractor inception or "
            "pixels, or another data set."
        )
    logger.info("Training a classifier on the data set's labels, once.")
    model = _build(shape, classes, seed)
    pictures = trunk.small(images, rows, model.input_shape[1:3])
    classifier_network.train(model, pictures, [one[rows] for one in values], seed=seed)
    weights = {f"{i:03d}": array for i, array in enumerate(model.get_weights())}
    # `Classifier` wants an accuracy, which only it can measure.
    facts = {"test_count": len(held_out), "accuracy": {}}
    classifier = Classifier(shape, classes, weights, facts=facts)
    probabilities = collect(map(classifier, pieces(images, held_out))).probabilities
    facts["accuracy"] = {
        name: float((probabilities[name].argmax(1) == labels[held_out]).mean())
        for name, labels in zip(classes, values, strict=True)
    }
    return weights, facts | {"seconds": time.perf_counter() - start}
