"""Puts the pictures of any source into one zip file or into TFRecord shards.

Every picture is decoded, resized once, compared with those before it and written as PNG, on all
cores and in the source's order. A manifest of JSON lines tells of each picture its file, SHA-256,
size and labels, or why it was left out. Pictures are not kept in memory, only their names and
hashes, about a kilobyte each. The choice of test pictures depends on their pixels alone, so it
stays the same if pictures are added or renamed. Refused are a place inside the source and one that
holds anything that `pack` did not write.
"""

import contextlib
import hashlib
import io
import json
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from dcgan import UserError, images
from dcgan.datasets.label_columns import MOST_CLASSES
from dcgan.datasets.packed import FORMAT, SPLITS, is_address
from dcgan.datasets.report import DataReport, depth, nothing_usable_error, remarks_on
from dcgan.datasets.source import NONE, Labels, Skipped, Source
from dcgan.preparation import duplicates, reading
from dcgan.preparation.names import PictureNames
from dcgan.preparation.packages import Package, PackedPicture, package

SAME, ALIKE = "the same pixels as another", "looks like another"


@dataclass(frozen=True)
class PackOptions:
    # side in pixels of the square that they are resized to; None leaves them as they are
    size: int | None = None
    crop: bool = True  # whether to cut out the centre before resizing; else pictures are squeezed
    split: float = 0.0  # share of the pictures that become test pictures, 0 to 1
    # a picture is dropped if its perceptual hash differs from an earlier one in at most this many
    # bits; 0 drops exact duplicates only
    similarity: int = 0


@dataclass
class PackResult:
    report: DataReport  # the pictures found, used and left out
    counts: Counter  # pictures by split
    size: int  # bytes of all PNG files


@dataclass(frozen=True)
class Encoded:
    """What a worker returns for a picture: a PNG file, or the reason why there is none."""

    index: int
    reason: str = ""
    png: bytes = b""
    shape: tuple[int, int, int] = (0, 0, 0)
    pixels: bytes = b""  # SHA-256 of shape and pixels
    fingerprint: int | None = None


def pack(
    source: Source,
    to: str,
    options: PackOptions,
    *,
    shard_bytes: int = 128 << 20,
    workers: int | None = None,
) -> PackResult:
    """Packs a source into a path that ends in .zip, or a folder or address for TFRecord shards.

    A shard has at most about `shard_bytes`. Raises UserError if no picture is usable, or `to`
    cannot be used.
    """
    _refuse_inside(source, to)
    if options.similarity:
        duplicates.require()
    with package(to, shard_bytes) as target, tempfile.TemporaryFile() as lines:
        summary = source.summary()
        spec = reading.own_size(summary, summary.channels)
        if side := options.size:
            spec = replace(spec, height=side, width=side, crop=options.crop)
        task = partial(_encode, hashing=bool(options.similarity))
        how = {"doing": "packing", "workers": workers, "remarks": (remarks := Counter())}
        results = reading.each(source, task, spec, whole=not side, **how)
        with contextlib.closing(results) as made:
            packed = _fill(target, source, made=made, options=options, lines=lines)
        notes = (*source.notes, *depth(summary), *remarks_on(remarks))
        report = packed.report = replace(packed.report, notes=notes)
        if not report.used:
            raise nothing_usable_error(source.name, report.found, report.skipped)
        lines.seek(0)
        target.finish(_header(source, options, packed), lines)
    return packed


def _refuse_inside(source: Source, to: str) -> None:
    """Raises UserError for a package inside its source, as the next packing would read it."""
    path = getattr(source, "path", None)
    if path is None or is_address(path) or is_address(to):
        return
    source_path, target = Path(path).resolve(), Path(to).resolve()
    if source_path in (target, *target.parents):
        raise UserError(
            f"--to {to} lies inside --dataset {path}: choose a place outside, or the next pack "
            "would read what this one writes."
        )


def _encode(index: int, image: np.ndarray | None, reason: str, *, hashing: bool) -> Encoded:
    """A task for a worker, see `reading.each`."""
    if image is None:
        return Encoded(index, reason)
    return Encoded(
        index,
        png=_png(image),
        shape=image.shape,
        pixels=reading.digest(image),
        fingerprint=duplicates.fingerprint(images.to_pillow(image)) if hashing else None,
    )


def _png(image: np.ndarray) -> bytes:
    """Encodes a picture as PNG with run-length compression alone.

    This takes half as long as Pillow's default, which would be most of the packing time. Faces of
    96x96 pixels become 0.6 % larger, flat drawings 13 %.
    """
    buffer = io.BytesIO()
    images.to_pillow(image).save(buffer, "PNG", compress_type=zlib.Z_RLE)
    return buffer.getvalue()


def _fill(
    target: Package,
    source: Source,
    *,
    made: Iterator[Encoded],
    options: PackOptions,
    lines: BinaryIO,
) -> PackResult:
    """Puts the pictures into the package, and the manifest's line about each into `lines`."""
    seen = duplicates.FingerprintIndex(options.similarity)
    passed: dict[bytes, str] = {}  # names by pixels
    labelling = source.labels
    names = PictureNames(labelling["label"].names if "label" in labelling else ())
    skipped: list[Skipped] = []
    counts: Counter = Counter()
    size = 0
    for one in made:
        name = reading.name_of(source, one.index)
        reason, first = one.reason, None
        if not reason and (first := passed.get(one.pixels)):
            reason = SAME
        elif not reason and options.similarity and (first := seen.add(one.fingerprint, name)):
            reason = ALIKE
        if reason:
            skipped.append(Skipped(name, reason))
            line = {"dropped": name, "reason": reason} | ({"of": first} if first else {})
        else:
            passed[one.pixels] = name
            labels = _labels(labelling, one.index)
            split = ""
            if options.split:
                # Chosen in another way, test pictures of earlier packages would become training
                # pictures.
                share = int.from_bytes(one.pixels[:8], "big") / 2**64
                split = SPLITS[share < options.split]
            label = labels.get("label")
            digest = hashlib.sha256(one.png).hexdigest()
            free = names.give(name, label)
            picture = PackedPicture(free, split, one.png, one.shape, digest, label)
            line = target.add(picture) | {"from": name} | _facts(picture, labels)
            counts[picture.split or SPLITS[0]] += 1
            size += len(one.png)
        lines.write((json.dumps(line) + "\n").encode())
    report = DataReport(source.name, len(source), counts.total(), tuple(skipped), (), 3)
    return PackResult(report, counts, size)


def _facts(picture: PackedPicture, labels: dict) -> dict:
    """Returns what the manifest tells of a picture, except for its place and source.

    `datasets.packed` reads its labels, and format, split and labels of `_header`, by these keys.
    """
    height, width, channels = picture.shape
    return {
        "sha256": picture.sha256,
        "bytes": len(picture.png),
        "height": height,
        "width": width,
        "channels": channels,
        "labels": {key: text for key, (_, text) in labels.items()},
    }


def _labels(labelling: dict[str, Labels], index: int) -> dict[str, tuple[int, str]]:
    """Returns (number, class name) of a picture's labels, by labelling."""
    numbers = {key: int(labels.values[index]) for key, labels in labelling.items()}
    return {
        key: (number, labelling[key].names[number])
        for key, number in numbers.items()
        if number != NONE
    }


def _header(source: Source, options: PackOptions, packed: PackResult) -> dict:
    """Returns the first line of the manifest, about the whole package."""
    return {
        "format": FORMAT,
        "from": source.name,
        "split": options.split,
        "options": asdict(options),
        "found": packed.report.found,
        "packed": dict(sorted(packed.counts.items())),
        "dropped": dict(sorted(Counter(s.reason for s in packed.report.skipped).items())),
        # Readers need the whole line in memory, so more classes than can be learnt are not named.
        "labels": {
            key: labels.names if len(labels.names) <= MOST_CLASSES else ()
            for key, labels in source.labels.items()
        },
    }
