"""Finds data sets by name or path."""

import os
from collections.abc import Sequence
from pathlib import Path

from dcgan import UserError
from dcgan.cli.data_names import SUFFIXES
from dcgan.cli.option import did_you_mean
from dcgan.datasets import (
    cifar10,
    folder,
    foreign,
    label_sheet,
    mnist,
    numpy_file,
    packed,
    parquet,
    svhn,
)
from dcgan.datasets.avatars import Avatars
from dcgan.datasets.download import MissingFile
from dcgan.datasets.source import Source

# Data sets that come as arrays in files with fixed names, found in or downloaded to
# <data_dir>/<name>. Runs have these names in config.json, which later commands look up here.
ARRAYS = {
    "mnist": mnist.find_mnist,
    "fashion_mnist": mnist.find_fashion_mnist,
    "svhn": svhn.find,
    "cifar10": cifar10.find,
}
# Pictures that users must put into data_dir by hand, with what to put there.
HINTS = {
    "anime": "a folder of anime faces",
    "celeba": "img_align_celeba.zip of CelebA (mmlab.ie.cuhk.edu.hk/projects/CelebA.html)",
}
# The names of the files in which they are published, without suffix.
ARCHIVES = {"celeba": ("img_align_celeba",)}


def find(
    name: str,
    data_dir: str,
    *,
    pattern: str = "*",
    splits: Sequence[str] = ("train",),
    download: bool = True,
    sheets: bool = False,
) -> Source:
    """Finds a data set; downloads a missing one of `ARRAYS`. Raises UserError if it is unusable.

    Args:
        name: "avatars", one of `ARRAYS` (if its folder holds the user's own pictures instead of its
            files, these are used), a folder or archive below `data_dir`, a path, or an address of
            TFRecord shards such as gs://bucket/anime.
        data_dir: the folder of data sets.
        pattern: which picture files to take, e.g. "*.jpg,*.png".
        splits: the parts to take, e.g. ("train", "test"), if the data set has parts.
        download: whether to download a missing one of `ARRAYS`; if not, `MissingFile` is raised.
        sheets: whether to read labels from a .csv beside picture files, or from the manifest that
            `pack` writes.
    """
    found = _find(name, data_dir, pattern=pattern, splits=splits, download=download)
    if sheets:
        label_sheet.attach(found)
    return found


def _find(
    name: str, data_dir: str, *, pattern: str, splits: Sequence[str], download: bool
) -> Source:
    name = foreign.local(name)
    known = name.lower()
    own = None if known not in ARRAYS else _own_pictures(known, data_dir, pattern)
    if pattern != "*" and known in ("avatars", *ARRAYS) and own is None:
        raise UserError(
            f"--input_fname_pattern {pattern!r} is for folders and zips; {known} has no file names "
            "to choose from: leave the flag out."
        )
    if known == "avatars":
        packed.refuse_splits(known, splits)
        return Avatars()
    if own is not None:
        return packed.choose(own, splits)
    if known in ARRAYS:
        return ARRAYS[known](Path(data_dir) / known, splits=splits, download=download)
    place = name if packed.is_address(name) else _path(name, Path(data_dir))
    if packed.has_shards(place):
        from dcgan.datasets import tfrecord  # loads TensorFlow, which other sources do not need

        return tfrecord.TFRecordSource(place, pattern, splits)
    if numpy_file.is_numpy(Path(place)):
        return numpy_file.find(Path(place), splits)
    if parquet.is_parquet(Path(place)):
        return parquet.ParquetSource(Path(place), pattern, splits)
    return packed.choose(folder.find(place, pattern), splits)


def _own_pictures(known: str, data_dir: str, pattern: str) -> Source | None:
    """Returns the user's own pictures in place of the files of one of `ARRAYS`, or None."""
    try:
        ARRAYS[known](Path(data_dir) / known, download=False)
        return None
    except MissingFile:
        below = _below(Path(data_dir), known)
    if below is None or (below.is_dir() and not folder.holds_pictures(below)):
        return None
    own = folder.find(below, pattern)
    own.notes += (
        f"{below} holds pictures, and these are used; for {known} as it was published name another "
        "--data_dir.",
    )
    return own


def place(name: str, data_dir: str) -> str | None:
    """Returns the canonical name of a data set that a user may spell otherwise; None if missing."""
    if name.lower() in ("avatars", *ARRAYS):
        return name.lower()
    try:
        name = foreign.local(name)
        return name if packed.is_address(name) else str(_path(name, Path(data_dir)).resolve())
    except (UserError, OSError, ValueError):  # missing, or no possible path
        return None


def _path(name: str, data_dir: Path) -> Path:
    """Returns where a data set is: below `data_dir`, ignoring case, or the path itself."""
    if (found := _below(data_dir, name.lower().rstrip(f"/{os.sep}"))) is not None:
        return found
    if name and Path(name).exists():  # Path("") is the working directory
        return Path(name)
    if name.lower() in HINTS:
        raise UserError(
            f"{data_dir / name} does not exist: put {HINTS[name.lower()]} there, "
            "or name the folder that holds it with --data_dir."
        )
    names = ["avatars", *ARRAYS, *HINTS, *_names_below(data_dir)]
    raise UserError(
        f"There is no data set {name!r}{did_you_mean(name.lower(), names)}: expected "
        f"{', '.join(['avatars', *ARRAYS, *HINTS])}, a folder or zip in {data_dir}, or a path."
    )


def _below(data_dir: Path, name: str) -> Path | None:
    """Returns the folder or file of a name (in lower case) in `data_dir`; None if missing."""
    below = _names_below(data_dir)
    for stem in (name, *ARCHIVES.get(name, ())):
        for candidate in (stem, *(stem + suffix for suffix in SUFFIXES)):
            if candidate in below:
                return below[candidate]
    return None


def _names_below(data_dir: Path) -> dict[str, Path]:
    return {p.name.lower(): p for p in sorted(data_dir.iterdir())} if data_dir.is_dir() else {}
