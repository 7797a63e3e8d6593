"""Uses small images themselves as features, without network, download or labels.

Distances between them depend on layout and colour, not on the content.
"""

import numpy as np

from dcgan.evaluation import resizing
from dcgan.evaluation.cache import digest
from dcgan.evaluation.extractor import Extracted
from dcgan.images import to_float

VERSION = 1  # increase it when the same images give other features
LONGEST = 16  # pixels; gives at most 768 features, fewer than most data sets have images


class Pixels:
    """An `Extractor` whose features are the pixels of reduced images, in [-1, 1]."""

    name = "pixels"

    def __init__(self, shape: tuple[int, int, int]):
        self.size = resizing.shrink(*shape[:2], LONGEST)
        self.resize = resizing.in_words(tuple(shape[:2]), self.size)
        self.fingerprint = digest(self.name, VERSION, tuple(shape), self.size)
        self.classes: dict[str, tuple[str, ...]] = {}

    def __call__(self, images: np.ndarray) -> Extracted:
        """uint8 images [N, height, width, channels] -> features [N, D], no probabilities."""
        small = resizing.resize(images, *self.size)
        return Extracted(to_float(small).reshape(len(images), -1))
