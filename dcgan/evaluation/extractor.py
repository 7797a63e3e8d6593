"""What every metric looks through: an `Extractor` turns images into features and probabilities.

A metric sees features, never the network that made them; so which network it was, and how it
resized the images, are part of the extractor's name. `extract` passes any number of images through
one, in blocks of one size and in memory that does not grow: an image's features do not depend on
how many others there are. Features that are not finite are refused.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from dcgan import UserError
from dcgan.terminal.progress import Bar

BLOCK = 256  # images; every extractor's own batch divides it
# Images that a classifier needs: of the fifth that it leaves for judging, metrics need 100.
FEWEST_LABELLED = 500
FEWEST_LEARNT = 500  # different images that a self-supervised extractor needs, likewise


@dataclass(frozen=True)
class Extracted:
    """What an extractor says of some images."""

    features: np.ndarray  # float32 [N, D]
    # float32 [N, K] by name of the labelling, rows summing to 1; empty for an extractor without
    # classes
    probabilities: dict[str, np.ndarray] = field(default_factory=dict)


class Extractor(Protocol):
    """Turns images into features."""

    name: str  # as in `--extractor` and in the names of records
    fingerprint: str  # hexadecimal; changes whenever the features could
    resize: str  # in words, how images reach the size at which they are looked at
    # what the columns of the probabilities mean, by name of the labelling; often empty
    classes: dict[str, tuple[str, ...]]

    def __call__(self, images: np.ndarray) -> Extracted:
        """Looks at uint8 images [N, height, width, channels], each independently of the others."""
        ...


def extract(
    extractor: Extractor, images: Iterable[np.ndarray], *, total: int, doing: str
) -> Iterator[Extracted]:
    """Passes images through an extractor, block by block, with a progress bar.

    Pieces uint8 [n, height, width, channels] of any lengths, `total` images in all, are cut anew
    into blocks of `BLOCK`; only one block is held at a time. A UserError where features or
    probabilities are not finite.
    """
    # Below another bar, such as the training's, it vanishes when it is full.
    with Bar(doing, total, kept=None) as bar:
        for block in _blocks(images):
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


def pieces(images: np.ndarray, rows: np.ndarray | None = None) -> Iterator[np.ndarray]:
    """Reads images, of some `rows` or all, block by block: a memory map is never read whole."""
    count = len(images) if rows is None else len(rows)
    for start in range(0, count, BLOCK):
        stop = min(start + BLOCK, count)
        yield np.asarray(images[start:stop] if rows is None else images[rows[start:stop]])


def _blocks(images: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Pieces of any lengths cut anew into blocks of `BLOCK`; the last one may be shorter."""
    held: list[np.ndarray] = []
    count = 0
    for piece in images:
        while len(piece):
            part, piece = piece[: BLOCK - count], piece[BLOCK - count :]
            held.append(part)
            count += len(part)
            if count == BLOCK:
                yield held[0] if len(held) == 1 else np.concatenate(held)
                held, count = [], 0
    if count:
        yield np.concatenate(held)
