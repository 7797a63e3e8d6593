"""Looks at every picture of a data set once, on all cores, for `inspect`.

It counts sizes, grey and colour, exact duplicates (the same pixels), near duplicates (by perceptual
hashes, if imagehash is installed), nearly blank pictures, extreme shapes, and labels. Pictures are
judged at their own size; those that can be drawn at any size, at `reading.DRAWN_SIDE`.
"""

import contextlib
from collections import Counter
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from PIL import Image

from dcgan import extras
from dcgan.datasets.report import depth, nothing_usable_error, remarks_on
from dcgan.datasets.source import NONE, Skipped, Source
from dcgan.preparation import duplicates, reading

NEAR = 4  # bits: perceptual hashes that differ in no more are nearly always of copies
BLANK_DEVIATION = 6.0  # standard deviation of grey levels, 0 to 255, below which nothing is visible
EXTREME_ASPECT = 2.0  # longer side / shorter side; cropping to a square loses half the picture


@dataclass
class Survey:
    """What was found. Pictures are given by their numbers in the source."""

    name: str  # of the source
    found: int  # number of pictures, including unusable ones
    skipped: list[Skipped] = field(default_factory=list)  # the unusable ones, with reasons
    sizes: Counter = field(default_factory=Counter)  # (height, width) -> count
    grey: int = 0  # pictures without colour
    # (a picture, the earlier one with the same pixels)
    same: list[tuple[int, int]] = field(default_factory=list)
    # (a picture, the earlier one that it looks like); None if near duplicates were not searched
    near: list[tuple[int, int]] | None = None
    # nearly blank pictures, and those of an extreme shape
    blank: list[int] = field(default_factory=list)
    extreme: list[int] = field(default_factory=list)
    # by labelling, the number of pictures of each class
    labels: dict[str, Counter] = field(default_factory=dict)
    notes: tuple[str, ...] = ()  # see `Source`

    @property
    def usable(self) -> int:
        return self.found - len(self.skipped)

    @property
    def distinct(self) -> int:
        """The number of usable pictures without exact duplicates."""
        return self.usable - len(self.same)


@dataclass(frozen=True)
class PictureFacts:
    index: int
    reason: str = ""
    size: tuple[int, int] = (0, 0)
    grey: bool = True
    blank: bool = False
    pixels: bytes = b""
    fingerprint: int | None = None


def survey(source: Source, *, workers: int | None = None) -> Survey:
    """Looks at all pictures; raises UserError if none is usable."""
    hashing = not extras.not_installed("imagehash")
    result = Survey(source.name, len(source), near=[] if hashing else None)
    first_of: dict[bytes, int] = {}
    seen = duplicates.FingerprintIndex(NEAR)
    summary = source.summary()
    spec, task = reading.own_size(summary, 3), partial(_look_at, hashing=hashing)
    used, remarks = np.zeros(len(source), bool), Counter()
    how = {"doing": "looking at", "workers": workers, "remarks": remarks}
    with contextlib.closing(reading.each(source, task, spec, **how)) as looks:
        for one in looks:
            used[one.index] = not one.reason
            if one.reason:
                result.skipped.append(Skipped(reading.name_of(source, one.index), one.reason))
                continue
            result.sizes[one.size] += 1
            result.grey += one.grey
            if one.blank:
                result.blank.append(one.index)
            if max(one.size) > EXTREME_ASPECT * min(one.size):
                result.extreme.append(one.index)
            first = first_of.setdefault(one.pixels, one.index)
            if first != one.index:
                result.same.append((one.index, first))
            elif hashing and not one.blank:  # all blank pictures look the same
                if near := seen.add(one.fingerprint, str(one.index)):
                    result.near.append((one.index, int(near)))
    if not result.usable:
        raise nothing_usable_error(source.name, result.found, result.skipped)
    result.notes = (*source.notes, *depth(summary), *remarks_on(remarks))
    for key, labels in source.labels.items():
        values = labels.values[used]
        counts = np.bincount(values[values != NONE], minlength=len(labels.names))
        result.labels[key] = Counter(dict(zip(labels.names, counts.tolist(), strict=True)))
    return result


def _look_at(index: int, image: np.ndarray | None, reason: str, *, hashing: bool) -> PictureFacts:
    """A task for a worker, see `reading.each`."""
    if image is None:
        return PictureFacts(index, reason)
    picture = Image.fromarray(image)
    return PictureFacts(
        index,
        size=image.shape[:2],
        grey=bool((image[..., :1] == image[..., 1:]).all()),
        blank=float(np.asarray(picture.convert("L")).std()) < BLANK_DEVIATION,
        pixels=reading.digest(image),
        fingerprint=duplicates.fingerprint(picture) if hashing else None,
    )
