"""MNIST and Fashion-MNIST: 28x28 grey images in idx files, gzipped or not.

LeCun, Cortes, Burges, "The MNIST database of handwritten digits", 1998; Xiao, Rasul, Vollgraf,
"Fashion-MNIST", arXiv 1708.07747.
"""

import gzip
import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from dcgan.datasets.arrays import ArraySource, check_labels, unusable
from dcgan.datasets.download import RemoteFile, fetch, open_content
from dcgan.datasets.parts import wanted_parts
from dcgan.datasets.source import Source

SIDE = 28
IMAGES_MAGIC, LABELS_MAGIC = 2051, 2049  # unsigned bytes in three dimensions, in one
MOST_IMAGES = 1_000_000  # a header that states more counts as damaged: all must fit into memory
PIECE_BYTES = 1 << 20

# The classes in the order of their numbers, as runs that learn by class have them.
DIGITS = tuple("0123456789")
CLOTHES = tuple(
    "T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot".split(",")
)

# The images file and the labels file of each split.
STEMS = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
SIZES = {
    "train-images-idx3-ubyte": 47_040_016,  # 16 + 60,000 * 28 * 28
    "train-labels-idx1-ubyte": 60_008,
    "t10k-images-idx3-ubyte": 7_840_016,
    "t10k-labels-idx1-ubyte": 10_008,
}


def _published_files(mirrors: Sequence[str], checksums: Sequence[str]) -> dict[str, RemoteFile]:
    """Returns the gzipped files by stem.

    `checksums`, in the order of `SIZES`, are those of the idx content: each mirror gzips it itself.
    """
    return {
        stem: RemoteFile(
            f"{stem}.gz", tuple(f"{m}{stem}.gz" for m in mirrors), sha256, size, gzipped=True
        )
        for (stem, size), sha256 in zip(SIZES.items(), checksums, strict=True)
    }


MNIST_FILES = _published_files(
    (
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
    ),
    (
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
)
FASHION_FILES = _published_files(
    (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    ),
    (
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
)
# Where Debian's package dataset-fashion-mnist puts the files.
FASHION_FOLDER = Path("/usr/share/datasets/fashion-mnist")


def _find(
    folder: Path,
    *,
    name: str,
    label_names: Sequence[str],
    files: Mapping[str, RemoteFile],
    download: bool = True,
    splits: Sequence[str] = ("train",),
    system_folder: Path | None = None,
) -> Source:
    """Finds the labelled images of a data set in a folder; downloads missing files to it.

    `splits` are "train" (60,000 images), "test" (10,000) or both. `files` tell by stem what to
    download. `system_folder` is searched after `folder`.
    """
    splits = wanted_parts(name, splits, STEMS)
    folders = [one for one in (folder, system_folder) if one]
    paths = [
        _locate(folders, stem) or fetch(files[stem], folder, download=download)
        for split in splits
        for stem in STEMS[split]
    ]
    read = partial(map, _read, paths[::2], paths[1::2])
    return ArraySource(name, paths, read=read, label_names=label_names, splits=splits)


find_mnist = partial(_find, name="mnist", label_names=DIGITS, files=MNIST_FILES)
find_fashion_mnist = partial(
    _find,
    name="fashion_mnist",
    label_names=CLOTHES,
    files=FASHION_FILES,
    system_folder=FASHION_FOLDER,
)


def _locate(folders: Sequence[Path], stem: str) -> Path | None:
    """Finds a file in any spelling: with "-idx" or ".idx", gzipped or not; None if missing."""
    for folder in folders:
        for spelling in (stem, stem.replace("-idx", ".idx")):
            for suffix in ("", ".gz"):
                if (folder / (spelling + suffix)).is_file():
                    return folder / (spelling + suffix)
    return None


def _read(images: Path, labels: Path) -> tuple[np.ndarray, np.ndarray]:
    pixels = read_idx(images, IMAGES_MAGIC, shape=(SIDE, SIDE))[..., np.newaxis]
    values = read_idx(labels, LABELS_MAGIC, shape=())
    check_labels(labels, values, count=len(pixels), classes=len(DIGITS))
    return pixels, values


def read_idx(path: Path, magic: int, *, shape: tuple[int, ...]) -> np.ndarray:
    """Reads an idx file that begins with the number `magic`, as uint8 [N, *shape] with N >= 1.

    `shape` is that of one item, () for labels. Raises UserError for another or a damaged file.
    """
    fields = 2 + len(shape)  # magic, number of items, shape of an item
    try:
        with open_content(path) as stream:
            header = stream.read(4 * fields)
            if len(header) < 4 * fields:
                raise unusable(path, f"an idx header of {4 * fields} bytes", f"{len(header)}")
            found_magic, count, *sides = struct.unpack(f">{fields}I", header)
            if found_magic != magic:
                raise unusable(path, f"an idx file with the magic number {magic}", f"{found_magic}")
            if tuple(sides) != shape:
                raise unusable(path, f"images of {SIDE}x{SIDE}", "x".join(map(str, sides)))
            if not 1 <= count <= MOST_IMAGES:
                raise unusable(path, f"1 to {MOST_IMAGES:,} items", f"{count:,}")
            expected = count * math.prod(shape)
            # In pieces: a single read would allocate all that the header claims.
            body = bytearray()
            while piece := stream.read(min(PIECE_BYTES, expected + 1 - len(body))):
                body += piece
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise unusable(path, "a complete gzip file", f"a damaged one ({error})") from error
    if len(body) != expected:
        received = f"{len(body):,}" if len(body) < expected else "more"
        raise unusable(path, f"{expected:,} bytes after the header", received)
    return np.frombuffer(body, np.uint8).reshape(count, *shape)
