"""Measures a generator on its samples and on real images, and records the numbers.

Images are read in batches and features are kept on the disk, so memory does not grow with the
number of images.
"""

import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dcgan import UserError
from dcgan.datasets.source import Labels
from dcgan.evaluation import cache, classifier, extractors
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
from dcgan.evaluation.spill import Table, collect, join_blocks

if TYPE_CHECKING:
    from dcgan.evaluation.face_share import FaceFinder

# The extractor's name in records of metrics that use the images themselves, and in their files'
# names.
OF_IMAGES = "laplacian"
SEED = 0  # of extractors that learn, and of evaluations during training; in records


@dataclass(frozen=True)
class Candidate:
    """A generator to evaluate, or images in its place (`as_generator`)."""

    sample: Callable[[Sequence[int]], np.ndarray]  # seeds -> their images, uint8 [N, H, W, C]
    fingerprint: str  # the same for generators that make the same images
    step: int | None  # the step of training it was taken from; None if unknown
    epoch: float | None  # that of this step; None if unknown
    # seeds -> the names of the classes that the images should show, by labelling; None if the
    # generator has no classes
    asked: Callable[[Sequence[int]], dict[str, list[str]]] | None = None


def as_generator(images: np.ndarray, count: int, *, seed: int) -> Candidate:
    """Makes a candidate whose samples are `count` of the images, chosen by a seed.

    They are in random order, as the inception score takes consecutive ones, and folders are often
    sorted by class. The fingerprint says so: in earlier records they were in the folder's order.
    """
    chosen = np.random.default_rng(seed).permutation(len(images))[:count]
    first = first_seed(seed)
    return Candidate(
        lambda seeds: images[chosen[np.asarray(seeds) - first]],
        cache.digest("in random order", cache.data_fingerprint(images)),
        step=None,
        epoch=None,
    )


def default_extractor(
    labels: Mapping[str, Labels], count: int, metrics: Sequence[str] = METRICS
) -> str:
    """Chooses "classifier" if the labels suffice to train one, else "self_supervised".

    Without such labels it chooses "pixels" if `count`, the number of images, is too small to learn
    from, or if no metric uses features.
    """
    learnable = classifier.learnable(labels).values()
    if any(len(one.values) >= FEWEST_LABELLED for one in learnable):
        return "classifier"
    looks = any(metric in NEEDS and NEEDS[metric].kind != "images" for metric in metrics)
    return "self_supervised" if looks and count >= FEWEST_LEARNT else "pixels"


def possible_metrics(extractor: str, labels: Mapping[str, Labels]) -> tuple[str, ...]:
    """Returns the metrics that an extractor allows; "is" needs classes of exactly one labelling."""
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
    """Raises UserError if a metric lacks images or probabilities, before expensive work begins.

    `real` and `generated` are the numbers of images.
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
        count: number of generated images.
        seed: seed of the generated images, and of the subsets and directions of metrics.
        cache_dir: the user's cache folder, where features of the real images are kept.
        finder: finds faces; only the metric `FACES` needs it.
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
        self._seeds = range(first_seed(seed), first_seed(seed) + count)
        self._folder = cache.evaluation_folder(cache_dir)
        self._labellings = [  # part of a data set may have other classes, or none
            name
            for name, classes in extractor.classes.items()
            if name in reals.labels and reals.labels[name].names == tuple(classes)
        ]

    def protocol(self, metric: str) -> Protocol:
        """Returns the protocol of a metric, or of `CLASSES`."""
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

    def identify(self, metric: str) -> dict:
        """Returns the fields of a record that identify a metric, or `CLASSES`, as measured now.

        If a field were renamed or added, no stored record would fit any more.
        """
        protocol = asdict(self.protocol(metric))
        return {"metric": metric, "version": VERSIONS[metric], **protocol}

    def evaluate(
        self, metrics: Sequence[str], generated: Candidate, folder: Path, *, again: bool = False
    ) -> list[dict]:
        """Measures the metrics that have no record in the folder yet, and adds their records.

        Metrics are names from `METRICS`, `FACES` and `CLASSES`; the last stands for a class
        histogram of each labelling of the real images whose classes the extractor knows. `again`
        measures metrics that have a record too. Returns the records in the order of the metrics,
        for `CLASSES` one per labelling.
        """
        wanted = self._list_wanted(metrics, generated)
        paths = {key: folder / self.protocol(key[0]).file_name(key[0]) for key in wanted}
        fits = {CLASSES: is_histogram}
        found = {
            key: None if again else newest(paths[key], what, fits=fits.get(key[0], is_score))
            for key, what in wanted.items()
        }
        missing = [key for key, record in found.items() if record is None]
        if missing:
            start = time.monotonic()
            results = self._measure({metric for metric, _ in missing}, generated)
            seconds = time.monotonic() - start
            when = {"step": generated.step, "epoch": generated.epoch}
            for key in missing:
                found[key] = write(paths[key], wanted[key], when | results[key], seconds)
                self.measured.add(key[0])
        return list(found.values())

    def _list_wanted(self, metrics: Sequence[str], generated: Candidate) -> dict[tuple, dict]:
        """Returns the identifying fields of each record by (metric, labelling or None)."""
        wanted = {}
        for metric in metrics:
            what = self.identify(metric) | {"generator": generated.fingerprint}
            if metric == CLASSES:
                wanted |= {(metric, n): {**what, "labelling": n} for n in self._labellings}
            else:
                wanted[metric, None] = what
        return wanted

    def _measure(self, metrics: set[str], generated: Candidate) -> dict[tuple, dict]:
        kinds = {self._kind(metric) for metric in metrics}
        fake_images, fakes = self._extract_generated(generated.sample, kinds)
        real_images, reals = self._extract_reals(kinds)
        numbers = [metric for metric in METRICS if metric in metrics]
        known = _sample(real_images, reals)
        compared = known.part(0, self.reals.count)
        estimates = measure_all(numbers, compared, _sample(fake_images, fakes), seed=self.seed)
        floors = self._measure_floors(numbers, known) if numbers else {}
        results = {
            (metric, None): _result(metric, found) | {"floor": floors[metric]}
            for metric, found in estimates.items()
        }
        if FACES in metrics:
            results[FACES, None] = self._measure_faces(fake_images, real_images)
        for name in self._labellings if CLASSES in metrics else ():
            results[CLASSES, name] = self._count_classes(name, reals, fakes)
            results[CLASSES, name] |= self._measure_asked(name, fakes, generated)
        return results

    def _measure_floors(
        self, metrics: Collection[str], known: ImageSample
    ) -> dict[str, dict | None]:
        """Measures the floors, with real images alone; None if there are too few of them.

        One half of the real images is compared with the other. Metrics that compare nothing are
        measured on all real images. Floors are the same for all generators, so they are cached.
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
        """Returns the kind of data that a metric uses, an attribute of `ImageSample`."""
        return {CLASSES: "probabilities", FACES: "images"}.get(metric) or NEEDS[metric].kind

    def _extract_generated(
        self, sample: Callable, kinds: set[str]
    ) -> tuple[np.ndarray | None, Extracted | None]:
        starts = range(0, self.count, BLOCK)
        batches = (sample(self._seeds[start : start + BLOCK]) for start in starts)
        if kinds == {"images"}:
            return join_blocks(batches), None
        kept = Table() if "images" in kinds else None

        def passing() -> Iterator[np.ndarray]:
            for batch in batches:
                if kept:
                    kept.append(batch)
                yield batch

        doing = "features of generated"
        found = collect(extract(self.extractor, passing(), total=self.count, doing=doing))
        return kept and kept.array(), found

    def _extract_reals(self, kinds: set[str]) -> tuple[np.ndarray | None, Extracted | None]:
        """Returns all real images, including those that only the floor needs, and features."""
        reals, images, found = self.reals, None, None
        if "images" in kinds:
            images = join_blocks(pieces(reals.images, reals.rows))
        if kinds != {"images"}:
            place = {"data": reals.data, "folder": self._folder}
            found = cache.real_features(self.extractor, reals.images, reals.rows, **place)
        return images, found

    def _measure_faces(self, fakes: np.ndarray, reals: np.ndarray) -> dict:
        """Measures the share of images with a face; the floor is that of the real images."""
        key = cache.digest("faces", self.finder.fingerprint, self.reals.fingerprint)

        def make() -> tuple[dict, dict]:
            return {"found": self.finder(reals[: self.reals.count])}, {}

        def fits(arrays: dict, facts: dict) -> bool:
            found = arrays.get("found", np.zeros(0))
            return found.shape == (self.reals.count,) and found.dtype == bool

        of_reals = cache.remember(self._folder, f"faces-{key}", make, fits=fits)[0]["found"]
        share, of_share = (of_trials(int(f.sum()), len(f)) for f in (self.finder(fakes), of_reals))
        floor = {"of": "reals", "count": len(of_reals), **_numbers(of_share)}
        return {**_numbers(share), "interval": share.interval, "better": "higher", "floor": floor}

    def _measure_asked(self, name: str, fakes: Extracted, generated: Candidate) -> dict:
        """Measures the share of images in which the extractor sees the class asked for, if any."""
        asked = generated.asked(self._seeds) if generated.asked else {}
        if name not in asked:
            return {}
        known = np.array(self.reals.labels[name].names)
        seen = known[fakes.probabilities[name].argmax(1)]
        return {"asked": _numbers(of_trials(int((seen == asked[name]).sum()), self.count))}

    def _count_classes(self, name: str, reals: Extracted, fakes: Extracted) -> dict:
        """Counts the classes that the extractor sees, and those of all real images' labels."""
        labels = self.reals.labels[name]
        truth = np.bincount(labels.values, minlength=len(labels.names))
        found = class_histogram(fakes.probabilities[name], truth)
        seen = class_histogram(reals.probabilities[name][: self.reals.count], truth)
        accuracy = getattr(self.extractor, "accuracy", {}).get(name)
        # Keys of records, as below: `kept_results` and reports read them.
        numbers = ("entropy", "true_entropy", "sure", "total_variation", "by_chance", "p_value")
        return {
            "names": list(labels.names),
            "real": found.truth.tolist(),
            "generated": found.shares.tolist(),
            **{number: getattr(found, number) for number in numbers},
            "chi_square": found.chi_square if math.isfinite(found.chi_square) else None,
            # The same for real images shows how much is the classifier's own error.
            "real_classified": seen.shares.tolist(),
            "real_sure": seen.sure,
            "real_total_variation": seen.total_variation,
            "accuracy": accuracy,
        }


def _sample(images: np.ndarray | None, found: Extracted | None) -> ImageSample:
    """Makes a sample, with probabilities only if there is one labelling."""
    if found is None:
        return ImageSample(images)
    only = found.probabilities.values() if len(found.probabilities) == 1 else ()
    return ImageSample(images, found.features, next(iter(only), None))


def _result(metric: str, found: Estimate) -> dict:
    """Formats an estimate for a record; `kept_results` and reports read it by these keys."""
    better = "higher" if NEEDS[metric].higher_is_better else "lower"
    parts = {"parts": dict(found.parts)} if found.parts else {}
    return {**_numbers(found), "interval": found.interval, "better": better, **parts}


def _floor(metric: str, count: int, found: Estimate) -> dict:
    """Formats a floor for a record; `count` is the number of images on each side."""
    return {"of": "halves" if NEEDS[metric].reals else "reals", "count": count, **_numbers(found)}


def _numbers(found: Estimate) -> dict:
    return {"value": found.value, "low": found.low, "high": found.high}
