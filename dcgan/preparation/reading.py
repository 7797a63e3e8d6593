"""The pictures of any source one by one, at their own size or all at one."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from dcgan.datasets.picture_files import PictureFiles
from dcgan.datasets.picture_formats import UnusableFile
from dcgan.datasets.source import ImageSpec, Source, Summary

CHUNK = 16  # pictures a task of a worker: few, as pictures of their own size may be large
DRAWN_SIDE = 64  # of pictures that are drawn at whatever size is wanted


@dataclass(frozen=True)
class Wanted:
    """How pictures are read.

    Attributes:
        spec: shape of all pictures; of files only where `whole` is False.
        whole: whether pictures in files keep their own size.
    """

    spec: ImageSpec
    whole: bool


def own_size(summary: Summary, channels: int) -> Wanted:
    """Every picture as it is."""
    height, width = summary.sizes[0][0] if summary.sizes else (DRAWN_SIDE, DRAWN_SIDE)
    return Wanted(
        ImageSpec(height, width, channels, crop=False, white_level=summary.white_level), whole=True
    )


def one_size(side: int, summary: Summary, *, crop: bool) -> Wanted:
    """Every picture as a square of `side` pixels, its centre cut out or the whole squeezed."""
    spec = ImageSpec(side, side, summary.channels, crop=crop, white_level=summary.white_level)
    return Wanted(spec, whole=False)


def name_of(source: Source, index: int) -> str:
    """What messages call a picture: its file, or its number."""
    names = getattr(source, "names", None)
    return names[index] if names else f"{index:06d}"


def read(
    source: Source, indices: Iterable[int], wanted: Wanted, *, remarks: Counter | None = None
) -> Iterator[tuple[int, np.ndarray | None, str]]:
    """(number, picture, "") of the usable pictures, (number, None, reason) of the others.

    A picture is uint8 [height, width, channels]. What was done with them is counted in `remarks`,
    see `Decoded`.
    """
    channels, white = wanted.spec.channels, wanted.spec.white_level
    for index in indices:
        if wanted.whole and isinstance(source, PictureFiles):
            try:
                picture = source.whole(index, channels, white, remarks=remarks)
            except UnusableFile as reason:
                yield index, None, str(reason)
            else:
                yield index, picture, ""
        else:
            decoded = source.decode([index], wanted.spec)
            if remarks is not None:
                remarks.update(decoded.remarks)
            if decoded.indices:
                yield index, decoded.images[0], ""
            else:
                yield index, None, decoded.skipped[0].reason


def chunks(source: Source) -> list[range]:
    """All numbers of a source, for the workers."""
    count = len(source)
    return [range(i, min(i + CHUNK, count)) for i in range(0, count, CHUNK)]
