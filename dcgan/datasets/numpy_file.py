"""Reads images in a NumPy file, .npy or .npz, as a `Source`; never loads a pickle.

Images are [N, H, W], [N, H, W, C] or [N, C, H, W] with one, three or four channels. Levels are
integers, or floats in [0, 1], [-1, 1] or [0, 255]. In an .npz file, arrays are recognized by their
names: images and labels, x and y, or those of parts such as x_train and y_train, test_images and
test_labels.
"""

import contextlib
import functools
import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, NoReturn

import numpy as np

from dcgan import UserError, disk, images
from dcgan.datasets import packed
from dcgan.datasets.arrays import ArraySource, unreadable
from dcgan.datasets.cached import BAD_HEADER, is_count, map_array
from dcgan.datasets.image_store import free_memory
from dcgan.datasets.parts import PARTS, part_of, wanted_parts
from dcgan.datasets.picture_formats import BAD_ZIP

CHANNELS = (1, 3, 4)
BLOCK_BYTES = 1 << 26
MOST_CLASSES = 10_000  # labels with more distinct values are not used as classes
IMAGES = ("images", "image", "x", "data", "imgs", "pixels", "samples", "arr_0")
LABELS = ("labels", "label", "y", "targets", "target", "classes", "arr_1")
_FORMAT = np.lib.format
# NumPy raises SystemError for text arrays whose numbers are not valid characters.
_BAD_FILE = (*BAD_ZIP, *BAD_HEADER, KeyError, SystemError)


def is_numpy(path: Path) -> bool:
    """Tells if the content of a file is .npy, or .npz: a zip file of nothing but .npy files."""
    try:
        with open(path, "rb") as file:
            head = file.read(6)
        if head == _FORMAT.MAGIC_PREFIX or not head.startswith(b"PK"):
            return head == _FORMAT.MAGIC_PREFIX
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        return bool(names) and all(name.endswith(".npy") for name in names)
    except _BAD_FILE:
        return False


def find(path: Path, splits: Sequence[str]) -> ArraySource:
    """Opens the images of an .npy or .npz file; of the parts that `splits` names, if it has parts.

    Raises UserError if the file holds no images, lacks such a part, or is damaged.
    """
    there = _names(path)
    if None in there:  # it has no parts
        packed.refuse_splits(str(path), splits)
    wanted = [None] if None in there else wanted_parts(path, splits, there)
    values, classes = _labels(path, there, wanted)
    source = ArraySource(
        path.name,
        [path],
        read=functools.partial(_read, path, [there[part][0] for part in wanted], values),
        label_names=classes,
        splits=[str(part) for part in wanted],
    )
    source.path = str(path.absolute())
    if None not in there:
        source.parts = {part: _shape(path, names[0])[0][0] for part, names in there.items()}
        counts = ", ".join(f"{part} ({count:,})" for part, count in source.parts.items())
        source.notes = (f"The splits of {path.name} are {counts}: using {' and '.join(wanted)}.",)
    return source


def _names(path: Path) -> dict[str | None, tuple[str, str | None]]:
    """Returns array names (images, labels or None) by part; without parts, the only key is None."""
    try:
        with open(path, "rb") as file:
            if file.read(2) != b"PK":
                return {None: ("", None)}
            with zipfile.ZipFile(file) as archive:
                arrays = [name.removesuffix(".npy") for name in archive.namelist()]
    except _BAD_FILE as error:
        _refuse_bytes(path, "a complete .npz file", "a damaged one", error)
    found: dict[str | None, dict[str, str]] = {}
    for name in arrays:
        words = [word for word in re.split(r"[_\-. ]+", name.lower()) if word]
        parts = [word for word in words if part_of(word) in PARTS]
        rest = "_".join(word for word in words if part_of(word) not in PARTS)
        part = part_of(parts[0]) if len(parts) == 1 else None
        role = "images" if rest in IMAGES else "labels" if rest in LABELS else None
        if role:
            found.setdefault(part, {}).setdefault(role, name)
    parts = [part for part in PARTS if "images" in found.get(part, {})]
    if not parts and "images" not in found.get(None, {}):
        like = [name for name in arrays if len(_shape(path, name)[0]) in (3, 4)]
        if len(like) != 1:
            raise UserError(
                f"{path} has no array of images that could be told by its name: expected images, "
                f"x, x_train, train_images or the like, received {', '.join(arrays[:9])}."
            )
        found.setdefault(None, {})["images"] = like[0]
    return {part: (found[part]["images"], found[part].get("labels")) for part in parts or [None]}


@contextlib.contextmanager
def _open(path: Path, name: str) -> Iterator[tuple[IO[bytes], int]]:
    """Opens an array as a file, and tells its length in bytes; the name is "" for an .npy file."""
    if not name:
        with open(path, "rb") as file:
            yield file, path.stat().st_size
        return
    with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as file:
        yield file, archive.getinfo(f"{name}.npy").file_size


def _shape(path: Path, name: str) -> tuple[tuple[int, ...], np.dtype]:
    """Reads the shape and type of an array; raises UserError unless the file holds all of it."""
    try:
        with _open(path, name) as (file, size):
            version = _FORMAT.read_magic(file)
            read = {(1, 0): _FORMAT.read_array_header_1_0, (2, 0): _FORMAT.read_array_header_2_0}
            shape, _, dtype = read[version](file)
            if not all(map(is_count, shape)):
                raise ValueError(f"the shape {shape}")
            claimed = int(np.prod(shape, dtype=object)) * dtype.itemsize
            held = size - file.tell()
    except _BAD_FILE as error:
        _refuse_bytes(path, "complete arrays of numbers", "another or damaged file", error)
    if dtype.hasobject:
        _refuse(path, "arrays of numbers", "Python objects, which can run any program")
    if claimed != held:
        _refuse(path, f"{claimed:,} bytes of {name or 'numbers'}", f"{held:,}")
    return shape, dtype


def _array(path: Path, name: str) -> np.ndarray:
    """Maps an array from an .npy file, or reads it from an .npz file."""
    shape, dtype = _shape(path, name)
    if not name:
        return map_array(path)
    wide = max(dtype.itemsize, 16 if len(shape) < 3 else 1)  # labels become two int64 arrays
    needed, free = int(np.prod(shape, dtype=object)) * wide, free_memory()
    if 2 * needed > free:
        raise UserError(
            f"{name} of {path} takes {needed / 2**30:.1f} GiB, and {free / 2**30:.1f} GiB of "
            "memory are free: save it by numpy.save as an .npy file, which needs no memory."
        )
    try:
        with _open(path, name) as (file, _):
            return _FORMAT.read_array(file, allow_pickle=False)
    except _BAD_FILE as error:
        _refuse_bytes(path, "a complete .npz file", "a damaged one", error)


def _labels(
    path: Path, there: dict, wanted: Sequence[str | None]
) -> tuple[list[np.ndarray | None], tuple[str, ...]]:
    """Returns the class numbers of each wanted part, or None, and the class names."""
    unlabelled = [None] * len(wanted), ()
    found = {}
    for part, (pictures, labels) in there.items():
        values = _classes(_array(path, labels)) if labels else None
        count = _shape(path, pictures)[0][:1]
        if values is not None and (len(values),) != count:
            _refuse(path, f"a label in {labels} for each image", f"{len(values):,} for {count}")
        found[part] = values
    if any(found[part] is None for part in wanted):
        return unlabelled
    numbers: dict = {}  # the number of each class, the same in every part
    numbered = {}
    for part, values in found.items():
        if values is None:
            continue
        different, places = np.unique(values, return_inverse=True)
        if len(different) > MOST_CLASSES:
            return unlabelled
        try:
            of_part = [numbers.setdefault(v, len(numbers)) for v in different.tolist()]
        except _BAD_FILE as error:
            _refuse_bytes(path, "labels", "others", error)
        numbered[part] = np.array(of_part, np.int64)[places]
    if len(numbers) > MOST_CLASSES:
        return unlabelled
    return [numbered[part] for part in wanted], tuple(map(str, numbers))


def _classes(values: np.ndarray) -> np.ndarray | None:
    """Makes labels [N] of an array [N], [N, 1] or one-hot [N, classes]; None for any other."""
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim == 2 and values.dtype.kind in "biuf" and values.shape[1] > 1:
        one_hot = ((values == 0) | (values == 1)).all() and (values.sum(1) == 1).all()
        values = values.argmax(1) if one_hot else values
    if values.ndim != 1 or values.dtype.kind not in "biufU":
        return None
    if values.dtype.kind == "f":
        if not (np.abs(values) < 2**53).all() or (values != np.trunc(values)).any():
            return None
        values = values.astype(np.int64)
    return values


def _read(path: Path, names: Sequence[str], values: Sequence[np.ndarray | None]):
    """Returns the named arrays as uint8 [N, H, W, 1 or 3], each with its labels."""
    parts = [_levels(path, name, _array(path, name)) for name in names]
    if len({part.shape[1:] for part in parts}) > 1:
        shapes = ", ".join(str(list(part.shape)) for part in parts)
        _refuse(path, "splits with images of one shape", shapes)
    return zip(parts, values, strict=True)


def _levels(path: Path, name: str, array: np.ndarray) -> np.ndarray:
    """Converts an array of images to uint8 [N, H, W, 1 or 3]; does not copy one that is already."""
    where = f"{name or 'the array'} of shape {list(array.shape)} and type {array.dtype}"
    if array.ndim == 3 and array.shape[-1] not in CHANNELS:
        array = array[..., np.newaxis]
    elif array.ndim == 4 and array.shape[-1] not in CHANNELS and array.shape[1] in CHANNELS:
        array = array.transpose(0, 2, 3, 1)
    if array.ndim != 4 or array.shape[-1] not in CHANNELS or 0 in array.shape:
        _refuse(path, "images [N, H, W], [N, H, W, C] or [N, C, H, W]", where)
    if array.shape[1] * array.shape[2] > images.MAX_PIXELS or array.dtype.kind not in "biuf":
        _refuse(path, f"numbers, and up to {images.MAX_PIXELS:,} pixels an image", where)
    size = max(1, BLOCK_BYTES // (array[:1].size * array.dtype.itemsize))
    blocks = range(0, len(array), size)
    low = min(float(np.min(array[i : i + size])) for i in blocks)
    high = max(float(np.max(array[i : i + size])) for i in blocks)
    scale, shift = _scale(array.dtype.kind, low, high) or _refuse(
        path, "levels from 0 to 255, 0 to 1 or -1 to 1", f"{low:g} to {high:g} in {where}"
    )
    if array.dtype == np.uint8 and (scale, shift) == (1, 0) and array.shape[-1] != 4:
        return array
    result = np.empty((*array.shape[:3], min(array.shape[-1], 3)), np.uint8)
    for i in blocks:
        block = (array[i : i + size].astype(np.float32) + shift) * scale
        if array.shape[-1] == 4:  # transparent pixels become white
            opaque = block[..., 3:] / 255
            block = block[..., :3] * opaque + 255 * (1 - opaque)
        result[i : i + size] = np.clip(np.rint(block), 0, 255)
    return result


def _scale(kind: str, low: float, high: float) -> tuple[float, float] | None:
    """Returns (factor, offset) with 0 <= (level + offset) * factor <= 255; None if unclear."""
    if kind == "f" and -1 <= low < 0 and high <= 1:
        return 255 / 2, 1
    if 0 <= low and high <= 1:
        return 255, 0
    if 0 <= low and high <= 255:
        return 1, 0
    if kind in "iu" and 0 <= low and high <= 65535:
        return 255 / images.white_level(int(high)), 0
    return None  # also for NaN


def _refuse(path: Path, expected: str, received: str) -> NoReturn:
    raise UserError(f"{path} cannot be used: expected {expected}, received {received}.")


def _refuse_bytes(path: Path, expected: str, received: str, error: Exception) -> NoReturn:
    if failure := disk.find_disk_error(error):
        raise unreadable(failure, path) from error
    _refuse(path, expected, f"{received} ({' '.join(str(error).split())[:200]})")
