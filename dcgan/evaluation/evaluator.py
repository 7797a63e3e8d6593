"""Measures a generator: samples it, looks at real and generated images, writes the numbers down.

One path for the command and for training: images -> features -> numbers -> records. Images pass by
in batches and features lie on the disk, so memory does not grow with the number of images. Too few
images are refused before anything is computed. The generator is only asked for images.
"""

import collections
import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dcgan import UserError
from dcgan.datasets.source import Labels
from dcgan.evaluation import cache, extractors
from dcgan.evaluation.extractor import (
    BLOCK,
    FEWEST_LABELLED,
    FEWEST_LEARNT,
    Extracted,
    Extractor,
    extract,
    pieces,
)
from dcgan.evaluation.histograms import class_histogram
from dcgan.evaluation.intervals import Estimate, of_trials
from dcgan.evaluation.kept_results import is_floors, is_histogram, is_score
from dcgan.evaluation.metrics import (
    CLASSES,
    FACES,
    METRICS,
    NEEDS,
    VERSIONS,
    ImageSample,
    measure_all,
)
from dcgan.evaluation.protocol import Protocol, first_seed, newest, write
from dcgan.evaluation.reals import Reals
from dcgan.evaluation.spill import Table, held, noted

if TYPE_CHECKING:
    from dcgan.evaluation.face_share import FaceFinder

# In place of an extractor's name where the metric looks at the images itself.
OF_IMAGES = "laplacian"
SEED = 0  # of classifiers, whichever images are compared; and of evaluations during training


@dataclass(frozen=True)
class EvaluatedGenerator:
    """A generator, as evaluation knows it.

    Attributes:
        sample: seeds -> uint8 [N, height, width, channels].
        fingerprint: tells generators apart.
        step, epoch: of its training; None where they are not known.
        asked: seeds -> by labelling, the names of the classes that their images shall show; None
            where the generator knows no classes.
    """

    sample: Callable[[Sequence[int]], np.ndarray]
    fingerprint: str
    step: int | None
    epoch: float | None
    asked: Callable[[Sequence[int]], dict[str, list[str]]] | None = None


def default_extractor(
    labels: Mapping[str, Labels], count: int, metrics: Sequence[str] = METRICS
) -> str:
    """classifier where there is something that it can learn, else self_supervised.

    pixels where the `count` images are too few to learn from, or no metric looks at features.
    """
    values = [one.values for one in labels.values()]
    learnable = any(len(one) >= FEWEST_LABELLED and len(np.unique(one)) > 1 for one in values)
    if learnable:
        return "classifier"
    looks = any(metric in NEEDS and NEEDS[metric].kind != "images" for metric in metrics)
    return "self_supervised" if looks and count >= FEWEST_LEARNT else "pixels"


def possible_metrics(extractor: str, labels: Mapping[str, Labels]) -> tuple[str, ...]:
    """What can be measured with an extractor; an inception score is of one kind of classes."""
    has_classes = extractor == "inception" or (extractor == "classifier" and len(labels) == 1)
    return tuple(m for m in METRICS if has_classes or NEEDS[m].kind != "probabilities")


def require(
    metrics: Sequence[str],
    extractor: str,
    labels: Mapping[str, Labels],
    *,
    real: int,
    generated: int,
) -> None:
    """Refuses what cannot be measured, before anything expensive begins.

    Args:
        metrics: that are wanted.
        extractor: its name.
        labels: of the real images.
        real, generated: how many images there would be.

    Raises:
        UserError: says of a metric what it lacks.
    """
    new = f" that the {extractor} has not learnt from" if extractor in extractors.LEARN else ""
    for metric in metrics:
        if metric == FACES:
            continue
        if metric not in possible_metrics(extractor, labels):
            several = f" of one kind, not {', '.join(labels)}" if extractor == "classifier" else ""
            raise UserError(
                f"The metric {metric} needs probabilities of classes{several}, which the extractor "
                f"{extractor} does not give here: choose another metric, or the extractor "
                f"inception."
            )
        need = NEEDS[metric]
        counts = {"generated": generated} | ({"real": real} if need.reals else {})
        for whose, count in counts.items():
            if count < need.fewest:
                which = f"{whose} images{new if whose == 'real' else ''}"
                raise UserError(
                    f"The metric {metric} needs at least {need.fewest} {which}, there are {count}: "
                    f"take more images, another metric or another extractor."
                )


class Evaluator:
    """Compares generators with the same real images in the same way.

    Args:
        extractor: looks at the images.
        reals: to compare with.
        count: generated images.
        seed: chooses them, and the subsets and directions of metrics.
        cache_dir: the user's cache folder, where features of the reals are kept.
        finder: finds faces; needed for the metric `FACES` only.
    """

    def __init__(
        self,
        extractor: Extractor,
        reals: Reals,
        *,
        count: int,
        seed: int,
        cache_dir: Path,
        finder: "FaceFinder | None" = None,
    ):
        self.extractor = extractor
        self.reals = reals
        self.count = count
        self.seed = seed
        self.finder = finder
        self.measured: set[str] = set()  # the metrics of which `evaluate` has added records
        self._folder = cache.folder_in(cache_dir)
        self._labellings = [  # a part of the data set may have other classes, or none
            name
            for name, classes in extractor.classes.items()
            if name in reals.labels and reals.labels[name].names == tuple(classes)
        ]

    def protocol(self, metric: str) -> Protocol:
        """How a metric, or `CLASSES`, is measured."""
        looks = self.finder if metric == FACES else self.extractor
        of_images = metric != FACES and self._kind(metric) == "images"
        return Protocol(
            extractor=OF_IMAGES if of_images else looks.name,
            extractor_fingerprint="" if of_images else looks.fingerprint,
            resize="none" if of_images else looks.resize,
            real_count=self.reals.count,
            generated_count=self.count,
            split=self.reals.split,
            data=self.reals.fingerprint,
            seed=self.seed,
            unseen=self.reals.unseen,
        )

    def what(self, metric: str) -> dict:
        """What a record must say to be of a metric, or `CLASSES`, as it is measured now."""
        protocol = asdict(self.protocol(metric))
        return {"metric": metric, "version": VERSIONS[metric], **protocol}

    def evaluate(
        self,
        metrics: Sequence[str],
        generated: EvaluatedGenerator,
        folder: Path,
        *,
        again: bool = False,
    ) -> list[dict]:
        """Measures what the folder has no record of yet, and adds the records to it.

        Args:
            metrics: of `METRICS`; class histograms are made too where `CLASSES` is among them and
                the extractor tells classes of the real images' labels.
            generated: what to measure.
            folder: of records, made when absent.
            again: whether to measure also what is there.

        Returns:
            one record a metric in their order, then one a labelling.

        Raises:
            UserError: see `measures` and `extractor`.
        """
        wanted = self._wanted(metrics, generated)
        found = {} if again else self._found(wanted, folder)
        missing = [key for key in wanted if found.get(key) is None]
        if missing:
            start = time.monotonic()
            results = self._measure({metric for metric, _ in missing}, generated)
            seconds = time.monotonic() - start
            when = {"step": generated.step, "epoch": generated.epoch}
            for key in missing:
                path = folder / self.protocol(key[0]).file_name(key[0])
                found[key] = write(path, wanted[key], when | results[key], seconds)
                self.measured.add(key[0])
        return [found[key] for key in wanted]

    def _wanted(self, metrics: Sequence[str], generated: EvaluatedGenerator) -> dict[tuple, dict]:
        """What is to be measured, by (metric, labelling or None), as the records say it."""
        wanted = {}
        for metric in metrics:
            what = self.what(metric) | {"generator": generated.fingerprint}
            if metric == CLASSES:
                wanted |= {(metric, n): {**what, "labelling": n} for n in self._labellings}
            else:
                wanted[metric, None] = what
        return wanted

    def _found(self, wanted: dict[tuple, dict], folder: Path) -> dict[tuple, dict | None]:
        return {
            key: newest(
                folder / self.protocol(key[0]).file_name(key[0]),
                what,
                fits=is_histogram if key[0] == CLASSES else is_score,
            )
            for key, what in wanted.items()
        }

    def _measure(self, metrics: set[str], generated: EvaluatedGenerator) -> dict[tuple, dict]:
        kinds = {self._kind(metric) for metric in metrics}
        fake_images, fakes = self._look_at_generated(generated.sample, kinds)
        reals = self._look_at_reals() if kinds & {"features", "probabilities"} else None
        numbers = [metric for metric in METRICS if metric in metrics]
        real_images = self._real_images() if "images" in kinds else None
        known = _sample(real_images, reals)
        compared = known.part(0, self.reals.count)
        estimates = measure_all(numbers, compared, _sample(fake_images, fakes), seed=self.seed)
        floors = self._floors(numbers, known) if numbers else {}
        results = {
            (metric, None): _result(metric, found) | {"floor": floors[metric]}
            for metric, found in estimates.items()
        }
        if FACES in metrics:
            results[FACES, None] = self._faces(fake_images, real_images)
        for name in self._labellings if CLASSES in metrics else ():
            results[CLASSES, name] = self._histogram(name, reals, fakes)
            results[CLASSES, name] |= self._asked(name, fakes, generated)
        return results

    def _floors(self, metrics: Collection[str], known: ImageSample) -> dict[str, dict | None]:
        """What the real images score by themselves; None where they are too few.

        Two halves are compared; where a metric looks at one kind of images only, it is the score
        of the real images that generated ones are judged beside. Kept in the cache, as it is the
        same for all generators.
        """
        reals, extractor = self.reals, self.extractor.fingerprint
        versions = [(metric, VERSIONS[metric]) for metric in metrics]
        key = cache.digest("floors", extractor, reals.fingerprint, self.seed, *versions)

        def make() -> tuple[dict, dict]:
            halves = known.part(0, reals.half), known.part(reals.half, 2 * reals.half)
            compared = [m for m in metrics if NEEDS[m].reals and reals.half >= NEEDS[m].fewest]
            alone = [m for m in metrics if not NEEDS[m].reals and reals.count >= NEEDS[m].fewest]
            found = measure_all(compared, *halves, seed=self.seed)
            found |= measure_all(alone, ImageSample(), known.part(0, reals.count), seed=self.seed)
            counts = dict.fromkeys(compared, reals.half) | dict.fromkeys(alone, reals.count)
            return {}, {m: _floor(m, counts[m], one) for m, one in found.items()}

        _, floors = cache.remember(self._folder, f"floors-{key}", make, fits=is_floors)
        return {metric: floors.get(metric) for metric in metrics}

    def _kind(self, metric: str) -> str:
        """What is looked at."""
        own = {CLASSES: "probabilities", FACES: "images"}
        return own[metric] if metric in own else NEEDS[metric].kind

    def _look_at_generated(
        self, sample: Callable, kinds: set[str]
    ) -> tuple[np.ndarray | None, Extracted | None]:
        images, batches = Table(), self._batches(sample)
        if "images" in kinds:
            batches = noted(batches, images)
        found = None
        if kinds == {"images"}:
            collections.deque(batches, maxlen=0)
        else:
            doing = "features of generated"
            found = held(extract(self.extractor, batches, total=self.count, doing=doing))
        return images.array() if "images" in kinds else None, found

    def _seeds(self) -> range:
        first = first_seed(self.seed)
        return range(first, first + self.count)

    def _batches(self, sample: Callable) -> Iterator[np.ndarray]:
        seeds = self._seeds()
        for start in range(0, self.count, BLOCK):
            yield sample(seeds[start : start + BLOCK])

    def _look_at_reals(self) -> Extracted:
        """At all rows, also those that only the floor needs."""
        reals = self.reals
        return cache.real_features(
            self.extractor, reals.images, reals.rows, data=reals.data, folder=self._folder
        )

    def _real_images(self) -> np.ndarray:
        table = Table()
        for block in pieces(self.reals.images, self.reals.rows):
            table.append(block)
        return table.array()

    def _faces(self, fakes: np.ndarray, reals: np.ndarray) -> dict:
        """The share of images with a face; its floor is that of the real images."""
        from dcgan.evaluation.face_share import face_share  # OpenCV takes a while to load

        key = cache.digest("faces", self.finder.fingerprint, self.reals.fingerprint)

        def make() -> tuple[dict, dict]:
            return {"found": self.finder(reals[: self.reals.count])}, {}

        def fits(arrays: dict, facts: dict) -> bool:
            found = arrays.get("found", np.zeros(0))
            return found.shape == (self.reals.count,) and found.dtype == bool

        of_reals = cache.remember(self._folder, f"faces-{key}", make, fits=fits)[0]["found"]
        found = face_share(self.finder(fakes))
        floor = {"of": "reals", "count": len(of_reals), **_numbers(face_share(of_reals))}
        return {**_numbers(found), "interval": found.interval, "better": "higher", "floor": floor}

    def _asked(self, name: str, fakes: Extracted, generated: EvaluatedGenerator) -> dict:
        """In how many images the extractor sees the class that was asked for, if any was."""
        asked = generated.asked(self._seeds()) if generated.asked else {}
        if name not in asked:
            return {}
        known = np.array(self.reals.labels[name].names)
        seen = known[fakes.probabilities[name].argmax(1)]
        return {"asked": _numbers(of_trials(int((seen == asked[name]).sum()), self.count))}

    def _histogram(self, name: str, reals: Extracted, fakes: Extracted) -> dict:
        """How often the classes of a labelling occur, beside the labels of all real images."""
        labels = self.reals.labels[name]
        truth = np.bincount(labels.values, minlength=len(labels.names))
        found = class_histogram(fakes.probabilities[name], truth)
        seen = class_histogram(reals.probabilities[name][: self.reals.count], truth)
        accuracy = getattr(self.extractor, "accuracy", {}).get(name)
        numbers = ("entropy", "true_entropy", "sure", "total_variation", "by_chance", "p_value")
        return {
            "names": list(labels.names),
            "real": found.truth.tolist(),
            "generated": found.shares.tolist(),
            **{number: getattr(found, number) for number in numbers},
            "chi_square": found.chi_square if math.isfinite(found.chi_square) else None,
            # What the classifier says of real images: how much of a difference is its own error.
            "real_classified": seen.shares.tolist(),
            "real_sure": seen.sure,
            "real_total_variation": seen.total_variation,
            "accuracy": accuracy,
        }


def _sample(images: np.ndarray | None, found: Extracted | None) -> ImageSample:
    """Probabilities only where they are of one labelling."""
    if found is None:
        return ImageSample(images)
    only = found.probabilities.values() if len(found.probabilities) == 1 else ()
    return ImageSample(images, found.features, next(iter(only), None))


def _result(metric: str, found: Estimate) -> dict:
    better = "higher" if NEEDS[metric].higher_is_better else "lower"
    parts = {"parts": dict(found.parts)} if found.parts else {}
    return {**_numbers(found), "interval": found.interval, "better": better, **parts}


def _floor(metric: str, count: int, found: Estimate) -> dict:
    """As a record has it; `count` images of each side, or of the only one."""
    return {"of": "halves" if NEEDS[metric].reals else "reals", "count": count, **_numbers(found)}


def _numbers(found: Estimate) -> dict:
    return {"value": found.value, "low": found.low, "high": found.high}
