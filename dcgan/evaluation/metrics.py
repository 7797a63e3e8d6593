"""All metrics by name: what each needs, and the function that measures them.

Samples that are too small, lack what a metric uses or contain numbers that are not finite are
refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dcgan import UserError
from dcgan.evaluation import fid, histograms, inception_score, kid, precision_recall, swd
from dcgan.evaluation.intervals import Estimate

BLOCK = 1024  # rows checked at a time


@dataclass(frozen=True)
class ImageSample:
    """Some images and what an extractor computed of them; arrays may be memory-mapped."""

    images: np.ndarray | None = None  # uint8 [N, H, W, C]
    features: np.ndarray | None = None  # float32 [N, D]
    probabilities: np.ndarray | None = None  # float32 [N, K], over the classes

    def part(self, start: int, stop: int) -> "ImageSample":
        """Slices the images, without a copy."""
        parts = (self.images, self.features, self.probabilities)
        return ImageSample(*(None if one is None else one[start:stop] for one in parts))


@dataclass(frozen=True)
class Need:
    """What a metric needs, and how to read it."""

    kind: str  # the attribute of `ImageSample` that it uses
    version: int  # of its definition; numbers of two versions cannot be compared
    higher_is_better: bool  # whether higher values are better; if not, lower ones are
    reals: bool = True  # whether it compares with real images
    fewest: int = 100  # number of images of each kind below which its interval means nothing


NEEDS = {
    "fid": Need("features", fid.VERSION, higher_is_better=False),
    "kid": Need("features", kid.VERSION, higher_is_better=False),
    **{
        metric: Need("features", precision_recall.VERSION, higher_is_better=True)
        for metric in precision_recall.NAMES
    },
    "swd": Need("images", swd.VERSION, higher_is_better=False),
    "is": Need("probabilities", inception_score.VERSION, higher_is_better=True, reals=False),
}
METRICS = tuple(NEEDS)
# See `face_share`, which is not imported here, as OpenCV takes a while to load.
FACES, FACES_VERSION = "faces", 1
CLASSES = "classes"  # what the records of class histograms have as their metric
VERSIONS = {metric: need.version for metric, need in NEEDS.items()} | {
    CLASSES: histograms.VERSION,
    FACES: FACES_VERSION,
}


def measure_all(
    metrics: Sequence[str], real: ImageSample, fake: ImageSample, *, seed: int = 0
) -> dict[str, Estimate]:
    """Measures several metrics of samples with at least what these use (`NEEDS`), in their order.

    Precision, recall, density and coverage cost no more than one. The seed is of subsets, groups
    and directions.
    """
    for metric in metrics:
        _check(metric, real, fake)
    four = {}
    if any(metric in precision_recall.NAMES for metric in metrics):
        four = precision_recall.measure(real.features, fake.features, seed=seed)
    return {m: four[m] if m in four else _one(m, real, fake, seed) for m in metrics}


def _one(metric: str, real: ImageSample, fake: ImageSample, seed: int) -> Estimate:
    if metric == "fid":
        return fid.fid(real.features, fake.features)
    if metric == "kid":
        return kid.kid(real.features, fake.features, seed=seed)
    if metric == "swd":
        return swd.swd(real.images, fake.images, seed=seed)
    return inception_score.inception_score(fake.probabilities)


def _check(metric: str, real: ImageSample, fake: ImageSample) -> None:
    if metric not in NEEDS:
        raise UserError(f"There is no metric {metric!r}: expected one of {', '.join(METRICS)}.")
    need = NEEDS[metric]
    sides = {"generated": fake} | ({"real": real} if need.reals else {})
    for whose, sample in sides.items():
        values = getattr(sample, need.kind)
        if values is None:
            raise UserError(
                f"The metric {metric} needs {need.kind} of the {whose} images, which this extractor"
                " does not give: choose another extractor, or another metric."
            )
        if len(values) < need.fewest:
            raise UserError(
                f"The metric {metric} needs at least {need.fewest} {whose} images, received "
                f"{len(values)}: give more."
            )
        _check_finite(metric, whose, need.kind, values)
    shapes = {getattr(sample, need.kind).shape[1:] for sample in sides.values()}
    if len(shapes) > 1:
        raise UserError(
            f"The metric {metric} compares {need.kind} of one shape, received "
            f"{' and '.join(map(str, sorted(shapes)))}: extract both in the same way."
        )
    if metric == "swd" and min(fake.images.shape[1:3]) < swd.SMALLEST_SIDE:
        side, (height, width) = swd.SMALLEST_SIDE, fake.images.shape[1:3]
        raise UserError(
            f"The metric swd compares patches of {side} x {side} pixels, received images of "
            f"{height} x {width}: choose another metric."
        )


def _check_finite(metric: str, whose: str, kind: str, values: np.ndarray) -> None:
    bad = 0
    for start in range(0, len(values), BLOCK):
        block = values[start : start + BLOCK]
        bad += int((~np.isfinite(block.reshape(len(block), -1)).all(1)).sum())
    if bad:
        raise UserError(
            f"The metric {metric} needs finite {kind}, but those of {bad:,} of {len(values):,} "
            f"{whose} images are not: try an earlier checkpoint or another extractor."
        )
