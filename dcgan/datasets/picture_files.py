"""A `Source` of many picture files; unusable files are skipped, with the reason."""

import fnmatch
import hashlib
import io
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any, BinaryIO

import numpy as np

from dcgan import UserError
from dcgan.datasets.picture import header, highest_level, open_picture, pixels, read_whole
from dcgan.datasets.picture_formats import UnusableFile
from dcgan.datasets.source import Decoded, ImageSpec, Labels, Skipped, Summary
from dcgan.datasets.workers import map_in_order
from dcgan.images import DEEP_WHITE, MAX_PIXELS, white_level

PROBES = 20  # files of a folder that are examined to tell whether it has pictures
MAX_FILE_BYTES = 8 * MAX_PIXELS  # no picture within the limit is larger, not even in 16-bit RGBA
MANY_LEVELS = 1 << 14  # levels from here on need all 16 bits, so no more pixels are read
MAX_BUFFERED_BYTES = 1 << 22  # files up to this are read at once: Pillow's small reads are slower


class PictureFiles(ABC):
    """A `Source` of numbered files; subclasses for folders, archives and others open them.

    Subclasses set their own fields before they call `super().__init__()`, because it calls
    `find_labels`, which may call `open`. A file that stays open is kept in `_opened`.
    """

    parallel = fallible = True
    notes: tuple[str, ...] = ()
    parts: Mapping[str, int] = {}

    def __init__(self, name: str, names: list[str], versions: Iterable[object]):
        """Takes the names of files and, for each, a value that changes with its content."""
        self.name = name
        self.names = names
        # A key of users' image caches: changing it makes every cached data set be decoded again.
        digest = hashlib.sha256()
        for file, version in zip(names, versions, strict=True):
            digest.update(f"{file}\0{version}\0".encode("utf-8", "surrogateescape"))
        self.fingerprint = digest.hexdigest()
        self.labels = self.find_labels()

    def __len__(self) -> int:
        return len(self.names)

    def __getstate__(self) -> dict[str, Any]:
        """Leaves out open files: a worker process opens them again."""
        return self.__dict__ | {"_opened": None}

    @abstractmethod
    def open(self, index: int) -> BinaryIO:
        """Opens the file at an index, seekable. Raises UnusableFile if it cannot be read."""

    def summary(self) -> Summary:
        """Reads the header of every picture, and pixels only of some 16-bit ones."""
        # Threads do not help, as Pillow reads headers in Python: two were half as fast as one.
        chunks = [range(i, min(i + 1000, len(self))) for i in range(0, len(self), 1000)]
        skipped, kinds, highest = [], Counter(), 0
        for some_skipped, some_kinds, level in map_in_order(_headers, self, chunks):
            skipped += some_skipped
            kinds += some_kinds
            highest = max(highest, level)
        sizes = Counter()
        for (size, _, _), count in kinds.items():
            sizes[size] += count
        deep = sum(count for (_, _, is_deep), count in kinds.items() if is_deep)
        return Summary(
            len(self),
            tuple(skipped),
            tuple(sizes.most_common()),
            channels=1 if kinds and all(is_grey for _, is_grey, _ in kinds) else 3,
            white_level=white_level(highest) if deep else DEEP_WHITE,
            deep=deep,
        )

    def decode(self, indices: Sequence[int], spec: ImageSpec) -> Decoded:
        images = np.empty((len(indices), spec.height, spec.width, spec.channels), np.uint8)
        used, skipped, remarks = [], [], Counter()
        for index in indices:
            try:
                with self.open(index) as file:
                    name = self.names[index]
                    images[len(used)] = pixels(file, spec, name=name, remarks=remarks)
                used.append(index)
            except UnusableFile as reason:
                skipped.append(Skipped(self.names[index], str(reason)))
        return Decoded(images[: len(used)], used, skipped, remarks)

    def read_whole(
        self, index: int, channels: int, white: int = DEEP_WHITE, *, remarks: Counter | None = None
    ) -> np.ndarray:
        """Decodes a picture at its own size, see `picture.read_whole`."""
        with self.open(index) as file:
            return read_whole(file, channels, name=self.names[index], white=white, remarks=remarks)

    def check(self, index: int) -> None:
        """Raises UnusableFile unless the file's header is that of a usable picture."""
        with self.open(index) as file:
            open_picture(file, self.names[index])

    def is_picture(self, index: int) -> bool:
        """Whether the file's header is that of a usable picture."""
        try:
            self.check(index)
        except UnusableFile:
            return False
        return True

    def packed_labels(self) -> dict[str, Labels]:
        """Returns the labels in the manifest of `pack`, see `packed.labels`; {} without one."""
        return {}

    def find_labels(self) -> dict[str, Labels]:
        """Makes a label of each top folder; {} unless two or more of them hold all pictures.

        A single folder around everything, as in many archives, is passed over. Files that are
        no pictures, such as a licence beside the folders, get the first label and are never used.
        """
        parts = enumerate(name.split("/") if is_safe(name) else [name] for name in self.names)
        _, folders, loose = find_dividing_folders(parts, self.is_picture)
        if loose or len(folders) < 2:
            return {}
        values = np.zeros(len(self), np.int32)
        for number, members in enumerate(folders.values()):
            values[members] = number
        return {"label": Labels(values, tuple(folders))}


def find_dividing_folders(
    paths: Iterable[tuple[int, list[str]]], is_picture: Callable[[int], bool]
) -> tuple[int, dict[str, list[int]], bool]:
    """Finds the first level of folders at which no single folder holds all pictures.

    `paths` are (number, name split at "/") of the files; only some files of a folder are examined.

    Returns:
        The level, 0 for the top folders; the numbers of the files in each folder with pictures,
        sorted by the folders' names; and whether a picture on that level is in none of them.
    """
    inside, level = list(paths), -1
    while True:
        level += 1
        outside = [number for number, path in inside if len(path) == level + 1]
        inside = [(number, path) for number, path in inside if len(path) > level + 1]
        folders: dict[str, list[int]] = {}
        for number, path in inside:
            folders.setdefault(path[level], []).append(number)
        full = {
            name: files
            for name, files in sorted(folders.items())
            if has_pictures(files, is_picture)
        }
        loose = any(map(is_picture, outside))
        if loose or len(full) != 1:
            return level, full, loose
        only = set(full)
        inside = [(number, path) for number, path in inside if path[level] in only]


def has_pictures(numbers: list[int], is_picture: Callable[[int], bool]) -> bool:
    """Whether there are pictures among files; examines up to `PROBES`, evenly spaced."""
    sampled = np.linspace(0, len(numbers) - 1, min(PROBES, len(numbers))).astype(int)
    return any(is_picture(numbers[i]) for i in sampled)


def is_safe(name: str) -> bool:
    """Whether a name in an archive stays inside the folder it would be extracted to."""
    parts = name.replace("\\", "/").split("/")
    return parts[0] != "" and parts[0][1:2] != ":" and ".." not in parts


def is_visible(name: str) -> bool:
    """Whether an entry of an archive is a file that is neither hidden nor in macOS' `__MACOSX`."""
    if name.endswith("/"):
        return False
    if not is_safe(name):
        return True  # to be reported as unusable, not ignored
    return not any(p == "__MACOSX" or (p.startswith(".") and p != ".") for p in name.split("/"))


def _headers(source: PictureFiles, indices: Sequence[int]) -> tuple[list[Skipped], Counter, int]:
    """Reads the headers of some files, and pixels of 16-bit pictures until `MANY_LEVELS`.

    Returns the skipped files, the number of pictures for each value of `header`, and the highest
    level seen in a 16-bit picture, 0 without one.
    """
    skipped, kinds, highest = [], Counter(), 0
    for index in indices:
        name = source.names[index]
        try:
            with source.open(index) as file:
                kind = header(file, name)
                if kind[2] and highest < MANY_LEVELS:
                    file.seek(0)
                    highest = max(highest, highest_level(file, name))
            kinds[kind] += 1
        except UnusableFile as reason:
            skipped.append(Skipped(name, str(reason)))
    return skipped, kinds, highest


def match_files(files: Sequence[tuple], pattern: str, *, where: str) -> list[tuple]:
    """Returns those of the files, tuples that begin with a name, whose name matches a pattern.

    A pattern is for the last part of names and uses *, ? and [] as in a shell, ignoring case;
    commas join several. Raises UserError if there are no files or none matches; its message calls
    their place `where`.
    """
    if not files:
        raise UserError(f"There are no files in {where}: expected pictures, in subfolders or not.")
    patterns = [fnmatch.translate(one.strip()) for one in pattern.split(",")]
    matches = re.compile("|".join(patterns), re.IGNORECASE).match
    chosen = [file for file in files if matches(file[0].rpartition("/")[2])]
    if not chosen:
        suffixes = Counter(PurePath(name).suffix.lower() or "none" for name, *_ in files)
        common = ", ".join(f"{suffix} ({count:,})" for suffix, count in suffixes.most_common(5))
        raise UserError(
            f'No file in {where} matches the pattern "{pattern}": it holds {len(files):,} '
            f"file{'s' if len(files) > 1 else ''} with the suffixes {common}; "
            'change --input_fname_pattern ("*" takes every picture).'
        )
    return chosen


def buffer_if_small(file: BinaryIO, size: int) -> BinaryIO:
    """Reads a file into memory if it is small, up to `MAX_BUFFERED_BYTES`; else returns it open.

    Raises UnusableFile if it is too large for a picture.
    """
    if size > MAX_FILE_BYTES:
        file.close()
        raise UnusableFile(f"{size:,} bytes, too large for a picture")
    if size > MAX_BUFFERED_BYTES:
        return file
    with file:
        # `size` limits it: a zip entry may inflate to more than it states.
        return io.BytesIO(file.read(size))
