"""Looks at every picture of a data set once, on all cores, for `inspect`.

What is counted: sizes, grey and colour, exact duplicates (the same pixels), near duplicates (a
perceptual hash, where imagehash is installed), nearly blank pictures, extreme shapes, labels. A
picture is judged at its own size; what is drawn at any size, at `reading.DRAWN_SIDE`.
"""

import contextlib
from collections import Counter
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from PIL import Image

from dcgan import extras
from dcgan.datasets.report import depth, nothing_usable, remarks_on
from dcgan.datasets.source import NONE, Skipped, Source
from dcgan.preparation import duplicates, reading

NEAR = 4  # bits of the perceptual hash: what differs in no more is a copy, seldom another picture
BLANK_DEVIATION = 6.0  # of the grey levels, 0 to 255: below, nothing can be made out
EXTREME_ASPECT = 2.0  # longer side / shorter side: cropping to a square loses half the picture


@dataclass
class Survey:
    """What was found. Pictures are named by their numbers in the source."""

    name: str  # of the source
    found: int  # pictures, the unusable ones included
    skipped: list[Skipped] = field(default_factory=list)  # the unusable ones, with reasons
    sizes: Counter = field(default_factory=Counter)  # (height, width) -> count
    grey: int = 0  # pictures without colour
    # (a picture, the earlier one with the same pixels)
    same: list[tuple[int, int]] = field(default_factory=list)
    # (a picture, the earlier one that it looks like); None where it was not looked for
    near: list[tuple[int, int]] | None = None
    # nearly blank pictures, and those of an extreme shape
    blank: list[int] = field(default_factory=list)
    extreme: list[int] = field(default_factory=list)
    # by labelling, the number of pictures of each label
    labels: dict[str, Counter] = field(default_factory=dict)
    notes: tuple[str, ...] = ()  # see `Report`

    @property
    def usable(self) -> int:
        """Pictures that can be decoded."""
        return self.found - len(self.skipped)

    @property
    def distinct(self) -> int:
        """Usable pictures without the exact duplicates."""
        return self.usable - len(self.same)


@dataclass(frozen=True)
class PictureFacts:
    """What a worker says of one picture."""

    index: int
    reason: str = ""
    size: tuple[int, int] = (0, 0)
    grey: bool = True
    blank: bool = False
    pixels: bytes = b""
    fingerprint: int | None = None


def survey(source: Source, *, workers: int | None = None) -> Survey:
    """Looks at all pictures; a UserError where none is usable."""
    hashing = not extras.missing("imagehash")
    result = Survey(source.name, len(source), near=[] if hashing else None)
    first_of: dict[bytes, int] = {}
    seen = duplicates.Seen(NEAR)
    summary = source.summary()
    spec, task = reading.own_size(summary, 3), partial(_look_at, hashing=hashing)
    used, remarks = np.zeros(len(source), bool), Counter()
    how = {"doing": "looking at", "workers": workers, "remarks": remarks}
    with contextlib.closing(reading.each(source, task, spec, **how)) as looks:
        for one in looks:
            used[one.index] = not one.reason
            _count(result, source, one)
            if not one.reason:
                _compare(result, one, first_of=first_of, seen=seen)
    if not result.usable:
        raise nothing_usable(source.name, result.found, result.skipped)
    result.notes = (*source.notes, *depth(summary), *remarks_on(remarks))
    for key, labels in source.labels.items():
        values = labels.values[used]
        counts = np.bincount(values[values != NONE], minlength=len(labels.names))
        result.labels[key] = Counter(dict(zip(labels.names, counts.tolist(), strict=True)))
    return result


def _look_at(index: int, image: np.ndarray | None, reason: str, *, hashing: bool) -> PictureFacts:
    """A task of a worker, see `reading.each`."""
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


def _count(result: Survey, source: Source, one: PictureFacts) -> None:
    if one.reason:
        result.skipped.append(Skipped(reading.name_of(source, one.index), one.reason))
        return
    result.sizes[one.size] += 1
    result.grey += one.grey
    if one.blank:
        result.blank.append(one.index)
    if max(one.size) > EXTREME_ASPECT * min(one.size):
        result.extreme.append(one.index)


def _compare(
    result: Survey, one: PictureFacts, *, first_of: dict[bytes, int], seen: duplicates.Seen
) -> None:
    """Looks for an earlier picture that is the same, or else looks the same."""
    first = first_of.setdefault(one.pixels, one.index)
    if first != one.index:
        result.same.append((one.index, first))
    elif one.fingerprint is not None and not one.blank:  # all blank pictures look the same
        near = seen.add(one.fingerprint, str(one.index))
        if near is not None:
            result.near.append((one.index, int(near)))
