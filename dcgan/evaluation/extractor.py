"""The protocol of extractors, which turn images into features and probabilities for metrics.

Numbers can be compared only with numbers of the same extractor, which its name, fingerprint and
description of resizing say in every record. Extractors that learn from the data set judge only
images that they have not learnt from, see `unseen`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from dcgan import UserError
from dcgan.terminal.progress import Bar

BLOCK = 256  # images; every extractor's own batch divides it
# The fewest images for a classifier: it leaves a fifth for judging, and metrics need 100.
FEWEST_LABELLED = 500
FEWEST_LEARNT = 500  # the fewest different images for a self-supervised extractor, likewise


@dataclass(frozen=True)
class Extracted:
    """What an extractor computes from N images."""

    features: np.ndarray  # float32 [N, D]
    # float32 [N, K] by name of the labelling, rows summing to 1; empty for an extractor without
    # classes
    probabilities: dict[str, np.ndarray] = field(default_factory=dict)


class Extractor(Protocol):
    """Turns images into features."""

    name: str  # as in `--extractor` and in the names of records
    fingerprint: str  # hexadecimal; changes whenever the features could
    # in words, how images are resized to the network's input; records with other words do not count
    resize: str
    # names of the probabilities' columns, by name of the labelling; empty without classes
    classes: dict[str, tuple[str, ...]]

    def __call__(self, images: np.ndarray) -> Extracted:
        """Extracts from uint8 images [N, height, width, channels], each independent of others."""
        ...


def extract(
    extractor: Extractor, images: Iterable[np.ndarray], *, total: int, doing: str
) -> Iterator[Extracted]:
    """Passes images through an extractor, block by block, with a progress bar.

    Images are uint8 [`BLOCK`, height, width, channels], the last block may be shorter; `total`
    images altogether. Raises UserError if features or probabilities are not finite.
    """
    # Below another bar, such as that of training, it disappears when it is full.
    with Bar(doing, total, kept=None) as bar:
        for block in images:
            found = extractor(block)
            for values in (found.features, *found.probabilities.values()):
                if not np.isfinite(values).all():
                    raise UserError(
                        f"The features of the extractor {extractor.name} are not finite: expected "
                        "numbers, received NaN or infinity; delete its file in the cache folder, "
                        "or choose another --extractor."
                    )
            yield found
            bar.update(len(block))


def pieces(images: np.ndarray, rows: np.ndarray) -> Iterator[np.ndarray]:
    """Yields the images of `rows` in blocks of `BLOCK`, so as not to read a whole file."""
    for start in range(0, len(rows), BLOCK):
        yield np.asarray(images[rows[start : start + BLOCK]])
