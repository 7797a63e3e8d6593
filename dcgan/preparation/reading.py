"""The pictures of any source one by one, at their own size or all at one."""

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

CHUNK = 16  # pictures a task of a worker: few, as pictures of their own size may be large
DRAWN_SIDE = 64  # of pictures that are drawn at whatever size is wanted


def own_size(summary: Summary, channels: int) -> ImageSpec:
    """Every picture as it is; the shape is of those that are in no files."""
    height, width = summary.sizes[0][0] if summary.sizes else (DRAWN_SIDE, DRAWN_SIDE)
    return ImageSpec(height, width, channels, crop=False, white_level=summary.white_level)


def name_of(source: Source, index: int) -> str:
    """What messages call a picture: its file, or its number."""
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
    """(number, picture, "") of the usable pictures, (number, None, reason) of the others.

    A picture is uint8 [height, width, channels], of its own size where it is `whole` and in a file.
    What was done with them is counted in `remarks`, see `Decoded`.
    """
    for index in indices:
        if whole and isinstance(source, PictureFiles):
            try:
                picture = source.whole(index, spec.channels, spec.white_level, remarks=remarks)
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
    """What a task makes of all pictures, in the source's order, on all cores, with progress.

    The task is picklable; its arguments are what `read` yields. `doing` is a word for the bar.
    """
    count = len(source)
    chunks = [range(i, min(i + CHUNK, count)) for i in range(0, count, CHUNK)]
    work = functools.partial(_work, task=task, spec=spec, whole=whole)
    results = map_in_order(work, source, chunks, workers=workers)
    with Bar(f"{doing} {source.name}", count) as bar, contextlib.closing(results):
        for made, of_chunk in results:
            remarks.update(of_chunk)
            yield from made
            bar.update(len(made))


def _work(
    source: Source, indices: Iterable[int], *, task: Callable, spec: ImageSpec, whole: bool
) -> tuple[list, Counter]:
    remarks = Counter()
    pictures = read(source, indices, spec, whole=whole, remarks=remarks)
    return [task(*one) for one in pictures], remarks


def digest(image: np.ndarray) -> bytes:
    """SHA-256 of shape and pixels."""
    return hashlib.sha256(repr(image.shape).encode() + image.tobytes()).digest()
