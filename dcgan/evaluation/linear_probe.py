"""Measures what a discriminator has learnt without labels, by classifying with few labels.

Radford et al. 2015, section 5 (arXiv 1511.06434); docs/evaluation.md says what differs.
The same classifier on other features, such as raw pixels, shows how much the network adds.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, StratifiedShuffleSplit
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler
from sklearn.svm import LinearSVC

from dcgan import UserError, images
from dcgan.evaluation.extractor import BLOCK
from dcgan.evaluation.intervals import Estimate, of_groups
from dcgan.latent.sampling import in_batches
from dcgan.models import Discriminator
from dcgan.terminal.progress import Bar

VERSION = 2  # increase it when the same networks and images give other numbers
BATCH = 64  # images; always the same, so that features do not depend on the number of images
SIDE = 4  # side of the pooled maps
FARTHEST = 2  # pixels, the largest shift
# Shifts (down, right) in pixels.
SHIFTS = ((0, 0), (1, 1), (1, -1), (-1, 1), (-1, -1), (0, 2), (0, -2), (2, 0), (-2, 0))
SETTLING = 50  # batches that make up 1 - 0.9^50 = 99.5 % of an untrained network's statistics
# Values of C for the classifier on features of length 1; the smallest regularizes most.
PENALTIES = (0.1, 0.3, 1.0, 3.0)
HELD_OUT = 0.2  # share of the labelled images on which C is chosen

# uint8 images [N, height, width, channels] -> float32 [N, D]
Features = Callable[[np.ndarray], np.ndarray]


def pool(maps: tf.Tensor) -> tf.Tensor:
    """Max-pools maps [N, h, w, channels] to 4x4 parts; sides of at most 4 stay as they are.

    Parts overlap if 4 does not divide the side.
    """
    for axis in (1, 2):
        side = maps.shape[axis]
        if side > SIDE:
            parts = [range(i * side // SIDE, math.ceil((i + 1) * side / SIDE)) for i in range(SIDE)]
            most = [tf.reduce_max(tf.gather(maps, part, axis=axis), axis) for part in parts]
            maps = tf.stack(most, axis)
    return maps


def pooled_features(discriminator: Discriminator) -> Features:
    """Makes a function from images to the pooled outputs of all layers, averaged over `SHIFTS`."""
    shape = (BATCH, *discriminator.image_shape)
    edges = ((0, 0), (FARTHEST, FARTHEST), (FARTHEST, FARTHEST), (0, 0))

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.uint8)], autograph=False)
    def of_shifted(pictures):
        layers = discriminator.activations(images.to_float(tf.cast(pictures, tf.float32)))
        flat = [tf.reshape(tf.cast(pool(maps), tf.float32), (BATCH, -1)) for maps in layers]
        return tf.concat(flat, 1)

    def of_batch(pictures):
        padded = np.pad(pictures, edges, "symmetric")
        seen = 0.0
        for down, right in SHIFTS:
            top, left = FARTHEST - down, FARTHEST - right
            seen += of_shifted(padded[:, top : top + shape[1], left : left + shape[2]]).numpy()
        return [seen / len(SHIFTS)]

    return lambda pictures: in_batches(of_batch, pictures, size=BATCH)[0]


def pixels(pictures: np.ndarray) -> np.ndarray:
    """Flattens images, scaled to [-1, 1]: uint8 [N, h, w, c] -> float32 [N, h * w * c]."""
    return images.to_float(pictures.reshape(len(pictures), -1).astype(np.float32))


def make_untrained(discriminator: Discriminator, reals: np.ndarray, *, seed: int) -> Discriminator:
    """Makes an untrained discriminator of the same architecture, to compare with.

    Only its batch normalization gets moving statistics, from real images, as without them signals
    would fade from layer to layer. The seed decides the weights, and chooses these images.
    """
    made = Discriminator.from_config({**discriminator.get_config(), "seed": seed})
    made.build()
    for norm in made.norms:
        norm.moving_variance.assign(tf.zeros_like(norm.moving_variance))  # 1 would be too large
    random = np.random.default_rng(seed)
    for _ in range(SETTLING if made.norms else 0):
        rows = np.sort(random.integers(0, len(reals), BATCH))
        made.activations(images.to_float(tf.constant(reals[rows], tf.float32)), training=True)
    return made


def make_probe(labels_per_class: int, *, seed: int) -> Pipeline:
    """Makes a linear support vector machine (squared hinge, L2), one class against the others.

    Features are standardized, so that no layer outweighs the others, and each image's are scaled to
    length 1, so that one range of C suits all kinds. C is chosen on a fifth of the images, drawn by
    the seed; then all images are learnt from.
    """
    held_out = max(HELD_OUT, 1 / labels_per_class)  # at least one image of each class
    split = StratifiedShuffleSplit(1, test_size=held_out, random_state=seed)
    # The primal problem, by Newton's method, as the dual problem is very slow if C is large. PCA
    # rotates the features so that dimensions in which no points lie are left out.
    machine = GridSearchCV(LinearSVC(dual=False, random_state=0), {"C": PENALTIES}, cv=split)
    return make_pipeline(StandardScaler(), Normalizer(), PCA(), machine)


@dataclass(frozen=True)
class Trials:
    """The images that are learnt from in each repeat, and those that are classified."""

    # int [labels_per_class * classes] for each repeat, rows of the set to learn from
    learnt: list[np.ndarray]
    classified: np.ndarray  # int [M], rows of the set to classify, which may be the same
    scored: np.ndarray  # bool [repeats, M], which of them count: not those the repeat learns from
    count: int  # number of scored images, the same in each repeat


def draw_trials(
    labels: np.ndarray,
    names: Sequence[str],
    *,
    labels_per_class: int,
    repeats: int,
    among: int | None,
    at_most: int,
    seed: int,
) -> Trials:
    """Chooses by a seed the images to learn from and those to classify.

    Raises UserError if a class has too few images, or none are left to classify.

    Args:
        labels: int [N], the labels of the set to learn from; `names` are those of the classes.
        labels_per_class: images to learn from, per class and repeat.
        among: size of the set to classify; None to classify the images that are not learnt from.
        at_most: the most images to classify.
    """
    random = np.random.default_rng(seed)
    rows = [np.flatnonzero(labels == label) for label in range(len(names))]
    fewest = min(range(len(names)), key=lambda label: len(rows[label]))
    needed = labels_per_class * len(names)
    if len(rows[fewest]) < labels_per_class or (among is None and len(labels) <= needed):
        raise UserError(
            f"--labels_per_class {labels_per_class} needs as many images of each class"
            f"{' and others to classify' if among is None else ''}; there are {len(labels):,}, of "
            f"them {len(rows[fewest]):,} of the class {names[fewest]}: use a smaller number."
        )
    learnt = [
        np.sort(np.concatenate([random.choice(r, labels_per_class, replace=False) for r in rows]))
        for _ in range(repeats)
    ]
    if among is not None:
        classified = np.sort(random.permutation(among)[:at_most])
        scored = np.ones((repeats, len(classified)), bool)
        return Trials(learnt, classified, scored, len(classified))
    # `needed` more, as each repeat leaves out those that it learns from.
    classified = random.permutation(len(labels))[: at_most + needed]
    count = min(at_most, len(labels) - needed)
    others = np.stack([~np.isin(classified, rows) for rows in learnt])
    return Trials(learnt, classified, others & (others.cumsum(1) <= count), count)


@dataclass(frozen=True)
class Images:
    """uint8 images [N, height, width, channels] and one label each, int [N]."""

    pixels: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class ProbeResult:
    """The accuracy with one kind of features."""

    accuracy: Estimate  # the mean over the repeats, with its interval
    dimensions: int  # number of features of an image
    penalties: tuple[float, ...]  # C in each repeat


def compare(
    kinds: Mapping[str, Features], known: Images, asked: Images, trials: Trials, *, seed: int
) -> dict[str, ProbeResult]:
    """Fits and scores one classifier per repeat on each kind of features.

    `known` are the images to learn from, `asked` those to classify, which are read in blocks. The
    seed draws the images held out to choose C. Raises UserError if features are not finite.
    """
    results = {}
    of_kind = sum(map(len, trials.learnt)) + len(trials.classified)
    with Bar("classifying", len(kinds) * of_kind) as bar:
        for name, features in kinds.items():
            fitted = []
            for repeat, rows in enumerate(trials.learnt):
                found = _finite(features(known.pixels[rows]), name)
                labels = known.labels[rows]
                probe = make_probe(np.bincount(labels).min(), seed=seed + repeat)
                fitted.append(probe.fit(found, labels))
                bar.update(len(rows))
            right = np.zeros(len(fitted))
            for start in range(0, len(trials.classified), BLOCK):
                rows = trials.classified[start : start + BLOCK]
                found = _finite(features(asked.pixels[rows]), name)
                for i, classifier in enumerate(fitted):
                    correct = classifier.predict(found) == asked.labels[rows]
                    right[i] += (correct & trials.scored[i, start : start + BLOCK]).sum()
                bar.update(len(rows))
            penalties = tuple(classifier[-1].best_params_["C"] for classifier in fitted)
            results[name] = ProbeResult(mean(right / trials.count), found.shape[1], penalties)
    return results


def mean(values: np.ndarray) -> Estimate:
    """Computes the mean of two or more values, and its 95 % interval by Student's t."""
    words = f"Student's t over {len(values)} draws of the labelled images"
    return replace(of_groups(np.mean(values), values), interval=words)


def _finite(features: np.ndarray, name: str) -> np.ndarray:
    if not np.isfinite(features).all():
        raise UserError(
            f"The features of the {name} are not finite: expected numbers, received NaN or "
            "infinity; name an earlier checkpoint with --checkpoint."
        )
    return features
