"""SVHN, the street view house numbers, format 2: 32x32 RGB digits in MATLAB files.

Netzer et al., "Reading Digits in Natural Images with Unsupervised Feature Learning", 2011.
"""

import zlib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from dcgan.datasets import matlab
from dcgan.datasets.arrays import ArraySource, check_labels, unusable
from dcgan.datasets.download import RemoteFile, fetch
from dcgan.datasets.mnist import DIGITS
from dcgan.datasets.parts import wanted_parts
from dcgan.datasets.source import Source

SHAPE = (32, 32, 3)


def _published_file(name: str, sha256: str, size: int) -> RemoteFile:
    """Describes a file on its only server, which at times answers only http or only https."""
    place = "ufldl.stanford.edu/housenumbers"
    return RemoteFile(name, (f"http://{place}/{name}", f"https://{place}/{name}"), sha256, size)


# Checksums and sizes as in tensorflow_datasets (url_checksums/svhn_cropped.txt) and torchvision.
FILES = {
    "train": _published_file(
        "train_32x32.mat",
        "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8",
        182_040_794,
    ),
    "test": _published_file(
        "test_32x32.mat",
        "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b",
        64_275_384,
    ),
    "extra": _published_file(
        "extra_32x32.mat",
        "a133a4beb38a00fcdda90c9489e0c04f900b660ce8a316a5e854838379a71eb3",
        1_329_278_602,
    ),
}


def find(
    folder: Path,
    *,
    download: bool = True,
    splits: Sequence[str] = ("train",),
    files: Mapping[str, RemoteFile] = FILES,
) -> Source:
    """Finds SVHN in a folder, with labels "0" to "9"; downloads missing files to it.

    `splits` are one or more of "train" (73,257 images), "test" (26,032) and "extra" (531,131).
    """
    splits = wanted_parts("svhn", splits, FILES)
    paths = [fetch(files[split], folder, download=download) for split in splits]
    read = partial(map, read_mat, paths)
    return ArraySource("svhn", paths, read=read, label_names=DIGITS, splits=splits)


def read_mat(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Reads the images, uint8 [N, 32, 32, 3], and digits [N], 0 to 9; in the file 10 stands for 0.

    Raises UserError for another or a damaged file.
    """
    try:
        content = matlab.read(path, ("X", "y"))
    except (ValueError, zlib.error) as error:
        raise unusable(path, "a MATLAB 5 file", f"a damaged or other one ({error})") from error
    if len(content) < 2:
        found = ", ".join(content) or "none"
        raise unusable(path, "the variables X and y", found)
    x, y = content["X"], content["y"]
    if x.shape[:-1] != SHAPE or x.dtype != np.uint8 or x.shape[-1] < 1:
        raise unusable(path, "X as uint8 [32, 32, 3, N]", f"{x.dtype} {list(x.shape)}")
    if y.size != max(y.shape):
        raise unusable(path, "y as numbers [N, 1]", f"{y.dtype} {list(y.shape)}")
    if not (np.isfinite(y).all() and (y == np.trunc(y)).all()):
        raise unusable(path, "labels that are whole numbers", "others")
    values = y.ravel().astype(np.int64)
    values[values == 10] = 0
    pixels = x.transpose(3, 0, 1, 2)  # [N, 32, 32, 3]
    check_labels(path, values, count=len(pixels), classes=len(DIGITS))
    return pixels, values
