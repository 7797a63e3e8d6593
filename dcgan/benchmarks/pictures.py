"""Measures input: decoding files against a bare Pillow loop, batches against a NumPy gather."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from dcgan.benchmarks.turns import PairedFigures, measure_in_turn
from dcgan.datasets.avatars import Avatars
from dcgan.datasets.folder import FolderSource
from dcgan.datasets.pipeline import make_dataset
from dcgan.datasets.prepare import prepare
from dcgan.datasets.source import ImageSpec

SIDE = 96  # side of the JPEGs in pixels
JPEGS = 5_000
DRAWN = 250  # number of different JPEGs; the others are copies of them
IMAGES_A_TURN = 32_000  # images per turn of batches


def measure_reading(
    spec: ImageSpec, *, batch_size: int, flip: bool, pairs: int, jpegs: int = JPEGS
) -> list[PairedFigures]:
    """Measures the speed from files to the cache, and from the cache to batches.

    The baseline does not mirror images, even with `flip`.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        paths = write_jpegs(root / "pictures", jpegs)
        decoded = _decoding(root, paths, spec, pairs=pairs)
        images = prepare(FolderSource(root / "pictures"), spec, cache_dir=root / "cache").images
        return [decoded, _batches(images, batch_size=batch_size, flip=flip, pairs=pairs)]


def write_jpegs(folder: Path, count: int) -> list[Path]:
    """Fills a folder with drawn faces of 96x96 pixels; returns the files."""
    folder.mkdir()
    drawn = min(DRAWN, count)
    faces = Avatars().decode(range(drawn), ImageSpec(SIDE, SIDE, 3)).images
    paths = [folder / f"{i:06d}.jpg" for i in range(count)]
    for face, path in zip(faces, paths, strict=False):
        Image.fromarray(face).save(path, quality=90)
    for i in range(drawn, count):
        shutil.copyfile(paths[i % drawn], paths[i])
    return paths


def _decoding(root: Path, paths: list[Path], spec: ImageSpec, *, pairs: int) -> PairedFigures:
    """Measures scanning, decoding on all cores and caching, against one loop into an array."""

    def ours() -> float:
        with tempfile.TemporaryDirectory(dir=root) as cache:
            start = time.perf_counter()
            images = prepare(FolderSource(root / "pictures"), spec, cache_dir=Path(cache)).images
            return len(images) / (time.perf_counter() - start)

    def bare() -> float:
        start = time.perf_counter()
        return len(pillow_loop(paths, spec)) / (time.perf_counter() - start)

    figures = measure_in_turn(ours, bare, pairs=pairs, name="decoding")
    return PairedFigures("decoding", "images/s", *figures, f"Pillow loop, {SIDE}x{SIDE} JPEGs")


def pillow_loop(paths: list[Path], spec: ImageSpec) -> np.ndarray:
    """Decodes as users without this project would, with the same antialiased filter."""
    images = np.empty((len(paths), spec.height, spec.width, spec.channels), np.uint8)
    for i, path in enumerate(paths):
        with Image.open(path) as picture:
            picture = picture.convert("L" if spec.channels == 1 else "RGB")
            if picture.size != (spec.width, spec.height):
                picture = picture.resize((spec.width, spec.height), Image.Resampling.HAMMING)
            images[i] = np.asarray(picture).reshape(images[i].shape)
    return images


def _batches(images: np.ndarray, *, batch_size: int, flip: bool, pairs: int) -> PairedFigures:
    """Measures the data set of training against images[rows] of shuffled rows."""
    batch_size = min(batch_size, len(images))
    count = max(2, IMAGES_A_TURN // batch_size)
    dataset = make_dataset(images, batch_size=batch_size, seed=0, flip=flip)
    gathered = _gather(images, batch_size)

    def take(batches: Iterator) -> float:
        start = time.perf_counter()
        for _ in range(count):
            next(batches)
        return count / (time.perf_counter() - start)

    running = iter(dataset)
    take(running)  # starts its threads
    figures = measure_in_turn(
        lambda: take(running), lambda: take(gathered), pairs=pairs, name="batches"
    )
    mirrors = ", mirroring" if flip else ""
    baseline = f"NumPy gather (ours: shuffled{mirrors}, in tensors)"
    return PairedFigures("batches", "batches/s", *figures, baseline)


def _gather(images: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
    random = np.random.default_rng(0)
    while True:
        rows = random.permutation(len(images))
        for start in range(0, len(rows) - batch_size + 1, batch_size):
            yield images[rows[start : start + batch_size]]
