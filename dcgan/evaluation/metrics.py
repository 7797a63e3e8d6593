"""All metrics by name: what each needs, and the function that measures them.

Whether there are enough images is checked earlier, see `evaluator.require`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dcgan.evaluation import fid, histograms, inception_score, kid, precision_recall, swd
from dcgan.evaluation.intervals import Estimate


@dataclass(frozen=True)
class ImageSample:
    """Some images and what an extractor computed from them; arrays may be memory-mapped."""

    images: np.ndarray | None = None  # uint8 [N, H, W, C]
    features: np.ndarray | None = None  # float32 [N, D]
    probabilities: np.ndarray | None = None  # float32 [N, K], over the classes

    def part(self, start: int, stop: int) -> "ImageSample":
        """Slices the images, without a copy."""
        parts = (self.images, self.features, self.probabilities)
        return ImageSample(*(None if one is None else one[start:stop] for one in parts))


@dataclass(frozen=True)
class MetricInfo:
    """What a metric needs, and how to read it."""

    kind: str  # the attribute of `ImageSample` that it uses
    version: int  # version of its definition; numbers of two versions cannot be compared
    higher_is_better: bool  # whether higher values are better; if not, lower ones are
    reals: bool = True  # whether it compares with real images
    fewest: int = 100  # number of images of each kind below which its interval means nothing


# The names are in records, in the names of their files, and in metrics.jsonl.
NEEDS = {
    "fid": MetricInfo("features", fid.VERSION, higher_is_better=False),
    "kid": MetricInfo("features", kid.VERSION, higher_is_better=False),
    **{
        metric: MetricInfo("features", precision_recall.VERSION, higher_is_better=True)
        for metric in precision_recall.NAMES
    },
    "swd": MetricInfo("images", swd.VERSION, higher_is_better=False),
    "is": MetricInfo("probabilities", inception_score.VERSION, higher_is_better=True, reals=False),
}
METRICS = tuple(NEEDS)
# See `face_share`, which is not imported here, as OpenCV takes a while to load.
FACES, FACES_VERSION = "faces", 1  # in records; increase the version when other faces are found
CLASSES = "classes"  # the name of the metric in records of class histograms
VERSIONS = {metric: need.version for metric, need in NEEDS.items()} | {
    CLASSES: histograms.VERSION,
    FACES: FACES_VERSION,
}


def measure_all(
    metrics: Sequence[str], real: ImageSample, fake: ImageSample, *, seed: int = 0
) -> dict[str, Estimate]:
    """Measures several metrics; precision, recall, density and coverage share their computation.

    Samples must have what these metrics use. The seed is that of subsets, groups and directions.
    """
    four = {}
    if any(metric in precision_recall.NAMES for metric in metrics):
        four = precision_recall.measure(real.features, fake.features, seed=seed)
    return {m: four[m] if m in four else _measure_one(m, real, fake, seed) for m in metrics}


def _measure_one(metric: str, real: ImageSample, fake: ImageSample, seed: int) -> Estimate:
    if metric == "fid":
        return fid.fid(real.features, fake.features)
    if metric == "kid":
        return kid.kid(real.features, fake.features, seed=seed)
    if metric == "swd":
        return swd.swd(real.images, fake.images, seed=seed)
    return inception_score.inception_score(fake.probabilities)
