"""Reads any folder or zip file of pictures as a `Source`; `find` opens these and tar files alike.

Hidden files and folders, macOS' `__MACOSX` and run folders are ignored. Links are followed, each
folder once. Nothing is extracted to disk.
"""

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from dcgan import UserError
from dcgan.cli.data_names import ARCHIVE_SUFFIXES, TAR_SUFFIXES
from dcgan.datasets import foreign, tar_archive
from dcgan.datasets.picture import archive_refusal, damage_within, reading_failed
from dcgan.datasets.picture_files import (
    PictureFiles,
    buffer_if_small,
    is_safe,
    is_visible,
    match_files,
)
from dcgan.datasets.picture_formats import BAD_ZIP, UnusableFile
from dcgan.datasets.report import nothing_usable_error
from dcgan.datasets.source import Skipped, Source
from dcgan.datasets.tar_archive import TarSource

_RUN_FILES = {"config.json", "environment.json"}  # `run.run_dir` has them in every run folder
_ENCRYPTED = 1  # bit of ZipInfo.flag_bits


class FolderSource(PictureFiles):
    """The pictures of a folder and of all folders in it."""

    def __init__(self, path: str | os.PathLike, pattern: str = "*"):
        """Takes the files whose names match a pattern such as "*.jpg,*.png", ignoring case.

        Raises UserError if the path cannot be read, is empty, or no file matches.
        """
        self.path = os.path.abspath(path)
        try:
            files = sorted(visible_files(self.path))
        except OSError as error:
            raise UserError(
                f"The folder {path} {reading_failed(error)}: expected a folder of pictures."
            ) from error
        files = match_files(files, pattern, where=f"the folder {path}")
        versions = [(size, changed) for _, size, changed in files]
        super().__init__(os.path.basename(self.path) or self.path, [f[0] for f in files], versions)

    def open(self, index: int) -> BinaryIO:
        try:
            file = open(os.path.join(self.path, self.names[index]), "rb")
            size = os.fstat(file.fileno()).st_size
            return buffer_if_small(file, size)
        except OSError as error:
            raise UnusableFile(reading_failed(error)) from error


class ZipSource(PictureFiles):
    """The pictures of a zip file. Picklable: a worker process opens the file again."""

    def __init__(self, path: str | os.PathLike, pattern: str = "*"):
        self.path = os.path.abspath(path)
        self._opened: zipfile.ZipFile | None = None
        try:
            infos = self._archive().infolist()
        except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
            advice = "expected a folder or a zip file of pictures; "
            raise archive_refusal(path, "zip file", error, advice) from error
        # PowerShell's Compress-Archive and .NET write "\" between folders.
        files = [(info.filename.replace("\\", "/"), i) for i, info in enumerate(infos)]
        files = sorted(file for file in files if is_visible(file[0]))
        files = match_files(files, pattern, where=f"the zip file {path}")
        self._entries = [i for _, i in files]  # numbers in the archive's directory
        versions = [(infos[i].CRC, infos[i].file_size) for i in self._entries]
        super().__init__(os.path.basename(self.path), [name for name, _ in files], versions)

    def open(self, index: int) -> BinaryIO:
        if not is_safe(self.names[index]):
            raise UnusableFile("unsafe name")
        try:
            info = self._archive().infolist()[self._entries[index]]
            if info.flag_bits & _ENCRYPTED:
                raise UnusableFile("encrypted")
            return buffer_if_small(self._archive().open(info), info.file_size)
        except NotImplementedError as error:
            raise UnusableFile("compressed in an unknown way") from error
        except BAD_ZIP as error:
            raise damage_within("zip file", error) from error

    def _archive(self) -> zipfile.ZipFile:
        if self._opened is None:
            self._opened = zipfile.ZipFile(self.path)
        return self._opened


def visible_files(folder: str) -> Iterator[tuple[str, int, int]]:
    """Yields (name below `folder` with "/", size in bytes, time of change in ns) of visible files.

    Skips the records (.jsonl) that crawl, crop and pack write beside their pictures, and run
    folders: who trains in the folder of the pictures does not train on grids. What may not be
    looked at, such as `lost+found` or a link to itself, is one file, which cannot be opened.
    """
    seen = set()
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        here = os.path.join(folder, prefix)
        status = os.stat(here)
        if (status.st_dev, status.st_ino) in seen:
            continue  # links may form a circle
        seen.add((status.st_dev, status.st_ino))
        try:
            with os.scandir(here) as found:
                entries = [e for e in found if not e.name.startswith(".") and e.name != "__MACOSX"]
        except PermissionError:
            if not prefix:
                raise
            yield prefix.rstrip("/"), 0, 0
            continue
        if prefix and _RUN_FILES <= {entry.name for entry in entries}:
            continue
        for entry in entries:
            try:
                if entry.is_dir():
                    waiting.append(f"{prefix}{entry.name}/")
                elif entry.is_file() and not entry.name.endswith(".jsonl"):
                    status = entry.stat()
                    yield prefix + entry.name, status.st_size, status.st_mtime_ns
            except OSError:
                yield prefix + entry.name, 0, 0


def find(path: str | os.PathLike, pattern: str = "*") -> Source:
    """Opens the pictures in a folder, an archive, or a folder with one archive and no pictures.

    `pattern` is that of `FolderSource`. Raises UserError if the path does not exist, is neither
    folder nor archive, or holds no usable picture or no file that matches.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path} does not exist: expected a folder or an archive of pictures.")
    if path.is_dir() and (archive := _only_archive(path)) is not None:
        path = archive
    source = FolderSource(path, pattern) if path.is_dir() else _open_archive(path, pattern)
    _require_usable(source)
    return source


def _open_archive(path: Path, pattern: str) -> PictureFiles:
    if zipfile.is_zipfile(path):
        return ZipSource(path, pattern)
    if path.name.lower().endswith(TAR_SUFFIXES) or tar_archive.is_tar(path):
        return TarSource(path, pattern)
    foreign.refuse(path)
    return ZipSource(path, pattern)  # raises the error that it is not a zip file


def _only_archive(folder: Path) -> Path | None:
    """Returns the only archive of a folder without pictures, or None; UserError for several."""
    names = sorted(
        n for n in os.listdir(folder) if n.lower().endswith(ARCHIVE_SUFFIXES) and n[0] != "."
    )
    archives = [folder / name for name in names]
    if not archives or _holds_a_picture(folder):
        return None
    if len(archives) > 1:
        raise UserError(
            f"{folder} holds {len(archives)} archives and no pictures: expected one of them; name "
            f"it, e.g. {archives[0]}."
        )
    return archives[0]


def holds_pictures(folder: Path) -> bool:
    """Tells whether a folder holds any picture, or one archive and no pictures."""
    try:
        return _only_archive(folder) is not None or _holds_a_picture(folder)
    except UserError:
        return False  # it is empty, cannot be read, or holds several archives


def _holds_a_picture(folder: Path) -> bool:
    source = FolderSource(folder)
    return any(source.is_picture(i) for i in range(len(source)))


def _require_usable(source: PictureFiles) -> None:
    """Raises UserError unless a picture is usable; stops at the first, so it is usually fast."""
    skipped = []
    for index, name in enumerate(source.names):
        try:
            source.check(index)
            return
        except UnusableFile as reason:
            skipped.append(Skipped(name, str(reason)))
    raise nothing_usable_error(source.name, len(source), skipped)
