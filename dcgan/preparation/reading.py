"""Reads the pictures of any source one by one, at their own size or all at one size."""

import contextlib
import functools
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from dcgan.datasets.picture_files import PictureFiles
from dcgan.datasets.picture_formats import UnusableFile
from dcgan.datasets.source import ImageSpec, Source, Summary
from dcgan.datasets.workers import map_in_order
from dcgan.terminal.progress import Bar

CHUNK = 16  # pictures in a worker's task; few, as pictures of their own size may be large
DRAWN_SIDE = 64  # side of pictures that are drawn and have no size of their own, in pixels


def own_size(summary: Summary, channels: int) -> ImageSpec:
    """Returns a spec that leaves pictures whole; its shape is used for those not in files."""
    height, width = summary.sizes[0][0] if summary.sizes else (DRAWN_SIDE, DRAWN_SIDE)
    return ImageSpec(height, width, channels, crop=False, white_level=summary.white_level)


def name_of(source: Source, index: int) -> str:
    """Returns the name of a picture for messages: that of its file, or its number."""
    names = getattr(source, "names", None)
    return names[index] if names else f"{index:06d}"


def read(
    source: Source,
    indices: Iterable[int],
    spec: ImageSpec,
    *,
    whole: bool = True,
    remarks: Counter | None = None,
) -> Iterator[tuple[int, np.ndarray | None, str]]:
    """Yields (number, picture, "") for usable pictures and (number, None, reason) for others.

    Pictures are uint8 [height, width, channels]. With `whole`, those in files keep their own size.
    `remarks` counts how pictures were changed, see `Decoded`.
    """
    for index in indices:
        if whole and isinstance(source, PictureFiles):
            try:
                picture = source.read_whole(index, spec.channels, spec.white_level, remarks=remarks)
            except UnusableFile as reason:
                yield index, None, str(reason)
            else:
                yield index, picture, ""
        else:
            decoded = source.decode([index], spec)
            if remarks is not None:
                remarks.update(decoded.remarks)
            if decoded.indices:
                yield index, decoded.images[0], ""
            else:
                yield index, None, decoded.skipped[0].reason


def each(
    source: Source,
    task: Callable[[int, np.ndarray | None, str], Any],
    spec: ImageSpec,
    *,
    whole: bool = True,
    doing: str,
    remarks: Counter,
    workers: int | None,
) -> Iterator[Any]:
    """Yields the result of a task for every picture, in order, on all cores, with a progress bar.

    The task must be picklable; its arguments are what `read` yields. `doing` labels the bar.
    """
    count = len(source)
    chunks = [range(i, min(i + CHUNK, count)) for i in range(0, count, CHUNK)]
    work = functools.partial(_read_share, task=task, spec=spec, whole=whole)
    results = map_in_order(work, source, chunks, workers=workers)
    with Bar(f"{doing} {source.name}", count) as bar, contextlib.closing(results):
        for made, of_chunk in results:
            remarks.update(of_chunk)
            yield from made
            bar.update(len(made))


def _read_share(
    source: Source, indices: Iterable[int], *, task: Callable, spec: ImageSpec, whole: bool
) -> tuple[list, Counter]:
    remarks = Counter()
    pictures = read(source, indices, spec, whole=whole, remarks=remarks)
    return [task(*one) for one in pictures], remarks


def digest(image: np.ndarray) -> bytes:
    """Returns the SHA-256 of shape and pixels, 32 bytes; it decides which are test pictures."""
    return hashlib.sha256(repr(image.shape).encode() + image.tobytes()).digest()
