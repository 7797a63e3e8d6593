"""Evaluation's part of the cache folder: features of real images, and small results.

Half-written files are never used. Features are `<key>.<i>.npy` files, which count only if there is
`<key>.json`, which is written last; a small result is one `<key>.npz`. The key is a hash of
everything that the content depends on. If nothing can be written, results are computed again.
"""

import contextlib
import hashlib
import json
import logging
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from dcgan.datasets.cached import map_array, read_entry
from dcgan.datasets.image_store import FileStore
from dcgan.evaluation.extractor import Extracted, Extractor, extract, pieces
from dcgan.evaluation.spill import collect
from dcgan.files import remove_stale, write_bytes
from dcgan.run.checkpoint_file import DamagedCheckpoint, read, write

FORMAT = 1  # version of the features' files; increase it when the same key would mean other content
CHUNK = 1024  # rows hashed at a time; the hash does not depend on it

logger = logging.getLogger("dcgan")

Arrays = dict[str, np.ndarray]


def evaluation_folder(cache_dir: Path) -> Path:
    """Returns evaluation's part of the user's cache folder."""
    return Path(cache_dir) / "evaluation"


def digest(*parts: object) -> str:
    """Hashes plain values and arrays to a hexadecimal string; equal parts give equal strings.

    Keys of caches and fingerprints in evaluation records are such hashes: hashed in another way,
    none of them would be found again.
    """
    found = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            found.update(f"{part.dtype.str} {part.shape}".encode())
            for start in range(0, len(part), CHUNK):  # a memory map is never read whole
                found.update(np.ascontiguousarray(part[start : start + CHUNK]))
        else:
            found.update(repr(part).encode())
        found.update(b"\0")
    return found.hexdigest()[:32]


def data_fingerprint(images: np.ndarray) -> str:
    """Hashes the pixels of images, uint8 [N, height, width, channels]."""
    return digest("images", images)


def real_features(
    extractor: Extractor, images: np.ndarray, rows: np.ndarray, *, data: str, folder: Path
) -> Extracted:
    """Returns features of real images from the cache, or extracts and caches them.

    Images are uint8 [N, height, width, channels] with the fingerprint `data`. Features are
    [M, ...] in the order of `rows`, int [M]; memory-mapped if the disk allows it.
    """
    rows = np.asarray(rows, np.int64)
    key = digest(FORMAT, data, extractor.name, extractor.fingerprint, rows)
    cached = _read_features(folder, key, len(rows), extractor)
    if cached is not None:
        return cached

    def blocks():
        images_of_rows = pieces(images, rows)
        return extract(extractor, images_of_rows, total=len(rows), doing="features of reals")

    try:
        _write_features(folder, key, blocks(), count=len(rows))
    except OSError as error:
        logger.warning(
            "The features of the real images cannot be kept in %s (%s): they are made now, and "
            "again next time.",
            folder,
            error.strerror or error,
        )
    return _read_features(folder, key, len(rows), extractor) or collect(blocks())


def remember(
    folder: Path,
    key: str,
    make: Callable[[], tuple[Arrays, dict]],
    *,
    fits: Callable[[Arrays, dict], bool],
) -> tuple[Arrays, dict]:
    """Returns a small result, such as a network, from the cache, or makes and caches it.

    Args:
        key: name of the file, with a `digest` of everything that the result depends on.
        make: makes the result: arrays by name, and facts that JSON can hold.
        fits: whether the content of a file is such a result; if not, it is made again.
    """
    path = folder / f"{key}.npz"
    if path.is_file():
        try:
            arrays, facts = read(path)
            if not fits(arrays, facts):
                raise DamagedCheckpoint("it holds something else")
            return arrays, facts
        except (DamagedCheckpoint, OSError) as error:
            logger.warning("The cache file %s is damaged (%s): it is made again.", path, error)
    arrays, facts = make()
    try:
        remove_stale(folder)
        write(path, arrays.items(), facts, shared=True)
    except OSError as error:
        logger.warning(
            "%s cannot be written (%s): it is made again next time.", path, error.strerror or error
        )
    return arrays, facts


def _write_features(folder: Path, key: str, found: Iterable[Extracted], *, count: int) -> None:
    tables: dict[str, FileStore] = {}
    with contextlib.ExitStack() as stack:
        for part in found:
            # Features come first, under a name that no labelling has.
            for name, rows in {"": part.features, **part.probabilities}.items():
                if name not in tables:
                    path = folder / f"{key}.{len(tables)}.npy"
                    tables[name] = FileStore(path, rows.shape[1:], count, "<f4")
                    stack.callback(tables[name].close)
                tables[name].append(rows)
        for table in tables.values():
            table.finish()
    write_bytes(folder / f"{key}.json", json.dumps({"names": list(tables)}).encode(), shared=True)


def _read_features(folder: Path, key: str, count: int, extractor: Extractor) -> Extracted | None:
    """Returns cached features; None if they are missing, damaged or not of this extractor."""
    path = folder / f"{key}.json"
    columns = {name: len(classes) for name, classes in extractor.classes.items()}
    try:
        entry = read_entry(path)
        if entry is None:
            return None
        if entry.get("names") != ["", *columns]:
            raise ValueError("it names other arrays")
        features, *others = [
            _map(folder / f"{key}.{i}.npy", count, width)
            for i, width in enumerate((None, *columns.values()))
        ]
        return Extracted(features, dict(zip(columns, others, strict=True)))
    except (OSError, ValueError) as error:
        logger.warning("The cached features %s are damaged (%s).", path, error)
        return None


def _map(path: Path, count: int, width: int | None) -> np.ndarray:
    array = map_array(path)
    fits = array.ndim == 2 and len(array) == count and width in (None, array.shape[1])
    if array.dtype != np.float32 or not fits:
        raise ValueError(f"{path.name} holds {array.dtype} {list(array.shape)}")
    if not np.isfinite([array.min(), array.max()]).all():
        raise ValueError(f"{path.name} holds numbers that are not finite")
    return array
