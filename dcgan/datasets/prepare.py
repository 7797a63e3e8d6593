"""Decodes a source once, on all cores, into a uint8 array that later runs open in milliseconds.

The cache folder has two files per data set, `<key>.npy` and `<key>.json`. The second is written
last, and without it the first is not used. Several processes may prepare the same data at once. Old
caches are never deleted.

The key depends on names, sizes and times of the files, not on their bytes, so a copy with other
times is decoded again. `PreparedData.content`, which the cache keeps, then shows that its images
are the same.
"""

import contextlib
import functools
import hashlib
import json
import logging
import mmap
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from dcgan import UserError
from dcgan.datasets.cached import counts, is_depth, is_said, is_summary, map_array, read_entry
from dcgan.datasets.image_store import FileStore, allocate, free_memory
from dcgan.datasets.picture import may_pass
from dcgan.datasets.report import DataReport, depth, nothing_usable_error, remarks_on
from dcgan.datasets.source import ImageSpec, Labels, Skipped, Source, Summary
from dcgan.datasets.workers import decode, map_in_order
from dcgan.files import write_bytes
from dcgan.terminal.progress import Bar

FORMAT = 3  # version of the cache; increase it when a source and spec give other pixels or JSON
CHUNK = 64  # pictures in a worker's task
BLOCK = 1024  # images read at a time
# Files smaller than the free memory divided by this are read ahead as a whole, larger ones page by
# page in the random order of training.
MEMORY_SHARE = 4

logger = logging.getLogger("dcgan")


@dataclass
class PreparedData:
    """The images of a data set, ready for training."""

    images: np.ndarray  # uint8 [N, H, W, C], memory-mapped from the cache if there is one
    report: DataReport
    source: Source
    used: np.ndarray  # int [N], the index of each image in `source`
    content: str  # hexadecimal digest of all images in order, whatever files they come from

    @functools.cached_property
    def labels(self) -> dict[str, Labels]:
        """The labels by name, one value per image; without labellings that leave out an image."""
        labels = self.source.labels
        found = {name: Labels(one.values[self.used], one.names) for name, one in labels.items()}
        return {name: one for name, one in found.items() if one.values.min(initial=0) >= 0}

    def is_same(self, meta: Mapping) -> bool:
        """Tells whether a checkpoint with this meta has learnt from the same images."""
        if "images" in meta:
            return meta["images"] == self.content
        return meta.get("data") == self.source.fingerprint  # an older checkpoint


def prepare(
    source: Source,
    spec: ImageSpec,
    *,
    cache_dir: Path | None,
    limit: int | None = None,
    workers: int | None = None,
) -> PreparedData:
    """Prepares the images of a source, from the cache if it has them.

    Args:
        spec: size and channels of the images.
        cache_dir: created if it does not exist. If it is None or cannot be written, the images are
            kept in memory.
        limit: use the first `limit` usable pictures only.
        workers: number of processes; see `workers.map_in_order`.

    Raises:
        UserError: `limit` is below 1, no picture is usable, or disk and memory lack room.
    """
    if limit is not None and limit < 1:
        raise UserError(f"The number of images to use must be at least 1, received {limit}.")
    key = _key(source.fingerprint, asdict(spec), limit)
    cached = _read_cache(source, cache_dir, key, spec)
    if cached is None:
        summary = summarize(source, cache_dir=cache_dir)
        if len(summary.skipped) == summary.found:
            raise nothing_usable_error(source.name, summary.found, summary.skipped)
        deep = replace(spec, white_level=summary.white_level)
        make = partial(_decode_all, source, deep, limit=limit, workers=workers)
        path = cache_dir and cache_dir / f"{key}.npy"
        shape = spec.height, spec.width, spec.channels
        images, entry = _decode(make, path, shape, _capacity(source, limit))
        entry |= _of_summary(summary, entry)
        if images is None:  # they are in the cache, which is complete with this file
            _write_json(cache_dir, key, entry)
            images = _open(path)
    else:
        images, entry = cached
    used = np.delete(np.arange(entry["seen"]), entry["unused"])
    return PreparedData(images, _report(source, entry, len(images)), source, used, entry["content"])


def look(
    source: Source,
    spec: ImageSpec,
    *,
    summary: Summary,
    cache_dir: Path | None,
    limit: int | None = None,
) -> DataReport:
    """Makes the report of `prepare` without keeping or writing images.

    Decodes the pictures of a `fallible` source, as headers do not show all damage.
    """
    cached = _read_cache(source, cache_dir, _key(source.fingerprint, asdict(spec), limit), spec)
    if cached is not None:
        images, entry = cached
        return _report(source, entry, len(images))
    if source.fallible and len(summary.skipped) < summary.found:
        deep = replace(spec, white_level=summary.white_level)
        entry = _decode_all(source, deep, lambda images: None, limit=limit, workers=None)
        used = entry["seen"] - len(entry["unused"])
    else:
        entry = {"skipped": [], "notes": [], "different": None}
        used = min(_capacity(source, limit), summary.found - len(summary.skipped))
    return _report(source, entry | _of_summary(summary, entry), used)


def summarize(source: Source, *, cache_dir: Path | None) -> Summary:
    """Returns `source.summary()`, from the cache if it has it."""
    key = _key(source.fingerprint, "summary")
    entry = _read_json(cache_dir, key)
    if entry is not None and is_summary(entry) and is_depth(entry):
        skipped = tuple(Skipped(*item) for item in entry["skipped"])
        about = (entry[name] for name in ("channels", "white_level", "deep"))
        if not any(source.is_picture(i) for i in _may_have_passed(source, skipped)):
            return Summary(entry["found"], skipped, _sizes(entry), *about)
    summary = source.summary()
    _write_json(cache_dir, key, asdict(summary))
    return summary


def _key(*parts: object) -> str:
    return hashlib.sha256(repr((FORMAT, *parts)).encode()).hexdigest()[:32]


def _capacity(source: Source, limit: int | None) -> int:
    return min(limit or len(source), len(source))


class _CacheFailed(Exception):
    """The disk of the cache failed; the cause says how. Errors of a source are not of this kind."""


@contextlib.contextmanager
def _cache_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _CacheFailed(error.strerror or str(error)) from error


def _decode(
    make: Callable, path: Path | None, shape: tuple[int, ...], capacity: int
) -> tuple[np.ndarray | None, dict]:
    """Decodes pictures into a file or, without `path` or if its disk fails, into memory.

    Returns the images, or None if they are in the file, and the entry that `make(keep)` returns.
    """
    if path is not None:
        try:
            with _cache_errors():
                store = FileStore(path, shape, capacity)
            with contextlib.closing(store):
                entry = make(_cache_errors()(store.append))
                with _cache_errors():
                    store.finish()
                return None, entry
        except _CacheFailed as reason:
            logger.warning(
                "The decoded images cannot be kept in %s (%s): they stay in memory and are decoded "
                "again next time.",
                path.parent,
                reason,
            )
    memory, count = allocate(capacity, shape), 0

    def keep(images: np.ndarray) -> None:
        nonlocal count
        memory[count : count + len(images)] = images
        count += len(images)

    entry = make(keep)
    return memory[:count], entry


def _decode_all(
    source: Source,
    spec: ImageSpec,
    keep: Callable[[np.ndarray], None],
    *,
    limit: int | None,
    workers: int | None,
) -> dict:
    """Decodes all pictures and hands them to `keep`; returns their part of the cache's JSON."""
    count, capacity = 0, _capacity(source, limit)
    chunks = [range(i, min(i + CHUNK, len(source))) for i in range(0, len(source), CHUNK)]
    results = map_in_order(partial(decode, spec=spec), source, chunks, workers=workers)
    unused: list[int] = []  # indices of the pictures below `seen` that are not used
    skipped: list[Skipped] = []
    seen, remarks = 0, Counter()
    prints = [np.empty(0, "<u8")]
    try:
        with Bar(f"decoding {source.name}", capacity) as bar:
            for chunk, decoded in zip(chunks, results, strict=False):
                images = decoded.images[: capacity - count]
                used = decoded.indices[: len(images)]
                keep(images)
                count += len(images)
                prints.append(fingerprints(images))
                full = limit is not None and count == capacity
                seen = used[-1] + 1 if full else chunk.stop
                unused += sorted(set(range(chunk.start, seen)).difference(used))
                skipped += decoded.skipped
                remarks += decoded.remarks
                bar.update(min(len(used) if limit else len(chunk), bar.total - bar.n))
                if full:
                    break
        if not count:
            raise nothing_usable_error(source.name, len(source), skipped)
    finally:
        results.close()  # ends the workers
    of_all = np.concatenate(prints)
    about = {"seen": seen, "unused": unused, "notes": list(remarks_on(remarks))}
    about |= {"different": len(np.unique(of_all)), "content": hashlib.sha256(of_all).hexdigest()}
    return about | {"skipped": skipped}


def fingerprints(images: np.ndarray) -> np.ndarray:
    """Hashes each image of uint8 [N, height, width, channels]; returns uint64 [N].

    Caches and checkpoints hold a hash of these, `PreparedData.content`: it must not change.
    """
    found = []
    for start in range(0, len(images), BLOCK):
        block = np.ascontiguousarray(images[start : start + BLOCK])
        found += [hashlib.blake2b(image, digest_size=8).digest() for image in block]
    return np.frombuffer(b"".join(found), "<u8")


def _of_summary(summary: Summary, entry: dict) -> dict:
    """Returns the fields of an entry that come from the headers, with all skipped files."""
    # Where both skip a file, decoding knows the reason better.
    skipped = dict(summary.skipped) | dict(entry["skipped"])
    return {
        "sizes": summary.sizes,
        "channels": summary.channels,
        "found": summary.found,
        "notes": [*depth(summary), *entry["notes"]],
        "skipped": sorted(skipped.items()),
    }


def _sizes(entry: dict) -> tuple[tuple[tuple[int, int], int], ...]:
    return tuple(((height, width), count) for (height, width), count in entry["sizes"])


def _report(source: Source, entry: dict, used: int) -> DataReport:
    return DataReport(
        source=source.name,
        found=entry["found"],
        used=used,
        skipped=tuple(Skipped(*item) for item in entry["skipped"]),
        sizes=_sizes(entry),
        channels=entry["channels"],
        notes=(*source.notes, *entry["notes"]),
        different=entry["different"],
    )


def _may_have_passed(source: Source, skipped: Iterable[tuple[str, str]]) -> Iterator[int]:
    """Yields the numbers of skipped pictures that may be usable now, though no file has changed."""
    names = {name for name, reason in skipped if may_pass(reason)}
    for index, name in enumerate(getattr(source, "names", ()) if names else ()):
        if name in names:
            yield index


def _read_cache(
    source: Source, folder: Path | None, key: str, spec: ImageSpec
) -> tuple[np.ndarray, dict] | None:
    """Reads images and entry from the cache.

    Returns None unless both are there and undamaged, and lack no picture that is usable now.
    """
    entry = _read_json(folder, key)
    if entry is None:
        return None
    try:
        images = _open(folder / f"{key}.npy")
        shape = spec.height, spec.width, spec.channels
        if images.dtype != np.uint8 or images.shape[1:] != shape:
            raise ValueError(f"it holds {images.dtype} {list(images.shape)}")
        if not is_summary(entry) or not counts(entry, len(images)) or not is_said(entry):
            raise ValueError("its entry is not about these images")
    except (OSError, ValueError) as error:
        logger.warning("The cached images %s/%s.npy are damaged (%s).", folder, key, error)
        return None
    left_out = _may_have_passed(source, entry["skipped"])
    return None if any(source.decode([i], spec).indices for i in left_out) else (images, entry)


def _open(path: Path) -> np.ndarray:
    """Maps the file into memory, which processes share and the system can reclaim."""
    if (
        path.is_file()
        and path.stat().st_size < free_memory() // MEMORY_SHARE
        and hasattr(os, "posix_fadvise")
    ):
        with open(path, "rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)
    images = map_array(path)
    if isinstance(images, np.memmap) and hasattr(mmap, "MADV_RANDOM"):
        images.base.madvise(mmap.MADV_RANDOM)  # do not read ahead
    return images


def _read_json(folder: Path | None, key: str) -> dict | None:
    if folder is None:
        return None
    try:
        return read_entry(folder / f"{key}.json")
    except (OSError, ValueError) as error:
        logger.warning("The cache file %s/%s.json is damaged (%s).", folder, key, error)
        return None


def _write_json(folder: Path | None, key: str, entry: dict) -> None:
    """Writes an entry of the cache. A failure is not an error here: `FileStore` reports it."""
    if folder is None:
        return
    try:
        write_bytes(folder / f"{key}.json", json.dumps(entry).encode(), shared=True)
    except OSError as error:
        logger.debug("%s/%s.json was not written: %s", folder, key, error)
