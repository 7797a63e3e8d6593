"""Reads a zip file of pictures as a `Source`; never extracts files to disk."""

import os
import zipfile
from typing import BinaryIO

from dcgan.datasets.picture import archive_refusal, damage_within
from dcgan.datasets.picture_files import PictureFiles, is_safe, is_visible, match_names, stream
from dcgan.datasets.picture_formats import BAD_ZIP, UnusableFile

_ENCRYPTED = 1  # bit of ZipInfo.flag_bits


class ZipSource(PictureFiles):
    """The pictures of a zip file. Picklable: a worker process opens the file again."""

    def __init__(self, path: str | os.PathLike, pattern: str = "*"):
        """See `FolderSource`."""
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
        chosen = match_names((f[0] for f in files), pattern, where=f"the zip file {path}")
        self._entries = [files[i][1] for i in chosen]  # numbers in the archive's directory
        names = [files[i][0] for i in chosen]
        versions = [(infos[i].CRC, infos[i].file_size) for i in self._entries]
        super().__init__(os.path.basename(self.path), names, versions)

    def open(self, index: int) -> BinaryIO:
        """Opens the file at an index. Raises UnusableFile if it cannot be read."""
        if not is_safe(self.names[index]):
            raise UnusableFile("unsafe name")
        try:
            info = self._archive().infolist()[self._entries[index]]
            if info.flag_bits & _ENCRYPTED:
                raise UnusableFile("encrypted")
            return stream(self._archive().open(info), info.file_size)
        except NotImplementedError as error:
            raise UnusableFile("compressed in an unknown way") from error
        except BAD_ZIP as error:
            raise damage_within("zip file", error) from error

    def _archive(self) -> zipfile.ZipFile:
        if self._opened is None:
            self._opened = zipfile.ZipFile(self.path)
        return self._opened
