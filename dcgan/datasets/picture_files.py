"""One picture file, of whatever kind, and a `Source` of many of them.

What a file is its content decides, never its suffix. A file that cannot be used raises `Unusable`
with the reason in a few words; a source turns that into a `Skipped` and goes on. Pictures of more
than `images.MAX_PIXELS` are refused: the header says so, hence they cost no memory.
"""

import fnmatch
import hashlib
import io
import re
import struct
import warnings
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import BinaryIO

import numpy as np
import simplejpeg

# TIFF and WebP are imported because Pillow would otherwise look for them among all its plugins.
from PIL import Image, ImageFile, TiffImagePlugin, WebPImagePlugin  # noqa: F401

from dcgan import UserError
from dcgan.datasets.source import Decoded, ImageSpec, Labels, Skipped, Summary
from dcgan.datasets.workers import ordered
from dcgan.images import MAX_PIXELS, fit, orientation, plain

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
MAGIC = (b"\xff\xd8\xff", b"\x89PNG", b"RIFF", b"GIF8", b"II*\0", b"MM\0*")
TOO_LARGE = f"more than the limit of {MAX_PIXELS:,} pixels"
MAX_FILE_BYTES = 8 * MAX_PIXELS  # no picture within the limit is larger, not even in 16-bit RGBA
WHOLE_BYTES = 1 << 22  # files up to this size are read at once: quicker than Pillow's small reads
# Up to this many pixels JPEGs gain from `_small_jpeg`; larger ones are shrunk while decoding.
SMALL_PIXELS = 1 << 18

_GREY_MODES = ("1", "L", "LA", "La", "I", "F")
# What Pillow is known to raise when the bytes of a file make no sense.
_BAD_BYTES = (
    *(OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, EOFError),
    *(AttributeError, RuntimeError, MemoryError, struct.error, zlib.error),
    zipfile.BadZipFile,
)
# What Pillow warns of is damage beside the pixels, without naming the file: of no use to anybody.
warnings.filterwarnings("ignore", module=r"PIL\.")


class Unusable(Exception):
    """Why a file cannot be used, in a few words."""


def open_picture(file: BinaryIO) -> Image.Image:
    """The picture in a file, its header read and its pixels not.

    Args:
        file: opened and seekable; it must stay open as long as the picture.

    Raises:
        Unusable: it is empty, no picture of `FORMATS`, damaged or too large.
    """
    try:
        head = file.read(16)
        file.seek(0)
    except _BAD_BYTES as error:
        raise Unusable(reading_failed(error)) from error
    if not head:
        raise Unusable("empty file")
    try:
        picture = Image.open(file, formats=FORMATS)
    except Image.DecompressionBombError as error:
        # Pillow's own limit, which is higher than ours unless the program around us has lowered it.
        # It is a global of the whole process, so it stays as it is: other threads read it, too.
        raise Unusable(TOO_LARGE) from error
    except _BAD_BYTES as error:
        known = head.startswith(MAGIC)
        raise Unusable(_damage(error) if known else "not an image") from error
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise Unusable(TOO_LARGE)
    return picture


def pixels(file: BinaryIO, spec: ImageSpec) -> np.ndarray:
    """The picture in a file as uint8 [spec.height, spec.width, spec.channels].

    Raises:
        Unusable: see `open_picture`; or its pixels are cut short or damaged.
    """
    small = _small_jpeg(file) if spec.channels == 3 else None
    if small is not None and small.shape[:2] == (spec.height, spec.width) == _box(spec):
        return small  # most files of a data set that was cropped before
    picture = open_picture(file) if small is None else Image.fromarray(small)
    try:
        side = 2 * max(spec.height, spec.width)
        if min(picture.size) >= 2 * side and not (spec.crop_height or spec.crop_width):
            # A large JPEG is decoded at a half, a quarter or an eighth of its size, but no smaller
            # than twice what is wanted, so that the antialiased resize still decides how it looks.
            # The longer side stands for both: EXIF may yet turn the picture.
            picture.draft(None, (side, side))
        return fit(
            plain(picture, spec.channels),
            spec.height,
            spec.width,
            crop=spec.crop,
            crop_height=spec.crop_height,
            crop_width=spec.crop_width,
        )
    except _BAD_BYTES as error:
        raise Unusable(_damage(error)) from error


def _box(spec: ImageSpec) -> tuple[int, int]:
    """(height, width) that is cut out of a picture of the wanted size."""
    if not spec.crop:
        return spec.height, spec.width
    height, width = spec.crop_height or spec.crop_width, spec.crop_width or spec.crop_height
    return height or spec.height, width or spec.width


def _small_jpeg(file: BinaryIO) -> np.ndarray | None:
    """An ordinary small JPEG by libjpeg-turbo alone: Pillow's pixels in less than half the time.

    Most data sets are of this kind. None for everything else and for every doubt: Pillow then reads
    the file, or says what is wrong with it.

    Returns:
        uint8 [height, width, 3], or None.
    """
    if not isinstance(file, io.BytesIO):
        return None
    data = file.getvalue()
    # Notes about the picture (EXIF, XMP) may say that it lies on its side.
    if not data.startswith(b"\xff\xd8\xff") or b"Exif" in data or b"Orientation" in data:
        return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
        if colours != "YCbCr" or height * width > SMALL_PIXELS:
            return None
        return simplejpeg.decode_jpeg(data, strict=True)
    except ValueError:
        return None


def whole(file: BinaryIO, channels: int) -> np.ndarray:
    """The picture in a file at its own size, upright, as uint8 [height, width, channels].

    Raises:
        Unusable: see `pixels`.
    """
    picture = open_picture(file)
    try:
        picture = plain(picture, channels)
    except _BAD_BYTES as error:
        raise Unusable(_damage(error)) from error
    return np.asarray(picture).reshape(picture.height, picture.width, channels)


def header(file: BinaryIO) -> tuple[tuple[int, int], bool]:
    """((height, width), whether the picture is grey), from the header alone.

    Raises:
        Unusable: see `open_picture`.
    """
    picture = open_picture(file)
    width, height = picture.size
    # To find a PNG's EXIF Pillow decodes the pixels.
    if picture.format != "PNG" and orientation(picture) >= 5:
        width, height = height, width
    return (height, width), _is_grey(picture)


def _is_grey(picture: Image.Image) -> bool:
    if picture.mode == "P" and picture.palette:
        levels = np.frombuffer(picture.palette.palette, np.uint8)
        levels = levels.reshape(-1, len(picture.palette.mode))
        return bool((levels[:, :1] == levels[:, :3]).all())
    return picture.mode in _GREY_MODES or picture.mode.startswith("I;16")


def _damage(error: BaseException) -> str:
    """The reason when a picture was recognised but cannot be decoded."""
    if isinstance(error, OSError) and error.errno:
        return reading_failed(error)
    if isinstance(error, MemoryError):
        return "not enough memory"
    if isinstance(error, EOFError) or "truncated" in str(error).lower():
        return "truncated"
    if "conversion from" in str(error):
        return "colours of an unknown kind"
    return "damaged"


def reading_failed(error: BaseException) -> str:
    """The reason when the bytes themselves cannot be read."""
    return f"cannot be read ({getattr(error, 'strerror', None) or error})"


class PictureFiles(ABC):
    """A `Source` of numbered files; what opens them is left to `FolderSource` and `ZipSource`.

    Attributes:
        names: of the files, "/" between folders, sorted.
        name, fingerprint, labels: see `Source`.
    """

    parallel = True
    notes: tuple[str, ...] = ()

    def __init__(self, name: str, names: list[str], versions: Iterable[object]):
        """
        Args:
            name: what messages call the source.
            names: of the files, sorted.
            versions: for each file something that changes with its content, e.g. (size, time).
        """
        self.name = name
        self.names = names
        digest = hashlib.sha256()
        for file, version in zip(names, versions, strict=True):
            digest.update(f"{file}\0{version}\0".encode("utf-8", "surrogateescape"))
        self.fingerprint = digest.hexdigest()
        self.labels = self._folder_labels()

    def __len__(self) -> int:
        return len(self.names)

    @abstractmethod
    def open(self, index: int) -> BinaryIO:
        """The file of that number, seekable.

        Raises:
            Unusable: it cannot be read.
        """

    def summary(self) -> Summary:
        """Looks at every picture's header (not its pixels)."""
        # Threads are no help: Pillow reads headers in Python; two threads measured half as fast.
        chunks = [range(i, min(i + 1000, len(self))) for i in range(0, len(self), 1000)]
        skipped: list[Skipped] = []
        sizes: Counter = Counter()
        grey = True
        for part in ordered(_headers, self, chunks):
            skipped += part[0]
            sizes += part[1]
            grey &= part[2]
        channels = 1 if grey and sizes else 3
        return Summary(len(self), tuple(skipped), tuple(sizes.most_common()), channels)

    def decode(self, indices: Sequence[int], spec: ImageSpec) -> Decoded:
        """Decodes some pictures; never raises for a bad one."""
        images = np.empty((len(indices), spec.height, spec.width, spec.channels), np.uint8)
        used, skipped = [], []
        for index in indices:
            try:
                with self.open(index) as file:
                    images[len(used)] = pixels(file, spec)
                used.append(index)
            except Unusable as reason:
                skipped.append(Skipped(self.names[index], str(reason)))
        return Decoded(images[: len(used)], used, skipped)

    def check(self, index: int) -> None:
        """Raises `Unusable` unless the file's header is one of a usable picture."""
        with self.open(index) as file:
            open_picture(file)

    def is_picture(self, index: int) -> bool:
        """Whether the file's header is one of a usable picture."""
        try:
            self.check(index)
        except Unusable:
            return False
        return True

    def _folder_labels(self) -> dict[str, Labels]:
        """The top folders as labels, when there are several and no picture lies outside them.

        A single folder that holds everything is passed over, as archives often have one. A file
        outside the folders that is no picture (a list of names, a licence) does not matter: it is
        given the first label and never used.
        """
        parts = [name.split("/") if is_safe(name) else [name] for name in self.names]
        level, folders = -1, [""]
        while len(folders) == 1:
            level += 1
            folders = sorted({p[level] for p in parts if len(p) > level + 1})
            outside = (i for i, p in enumerate(parts) if len(p) == level + 1)
            if not folders or any(self.is_picture(i) for i in outside):
                return {}
        numbers = {folder: i for i, folder in enumerate(folders)}
        values = [numbers[p[level]] if len(p) > level + 1 else 0 for p in parts]
        return {"label": Labels(np.array(values, np.int32), tuple(folders))}


def is_safe(name: str) -> bool:
    """Whether a name in an archive stays below the folder it would be extracted to."""
    parts = name.replace("\\", "/").split("/")
    return parts[0] != "" and parts[0][1:2] != ":" and ".." not in parts


def is_visible(name: str) -> bool:
    """Whether an entry of an archive is no folder, not hidden, and none of macOS' notes on files.

    Args:
        name: "/" between folders, and at the end of a folder.
    """
    if name.endswith("/"):
        return False
    if not is_safe(name):
        return True  # to be reported, not passed over
    return not any(p == "__MACOSX" or (p.startswith(".") and p != ".") for p in name.split("/"))


def _headers(source: PictureFiles, indices: Sequence[int]) -> tuple[list[Skipped], Counter, bool]:
    """(unusable files, sizes, whether all are grey) of some files."""
    skipped: list[Skipped] = []
    sizes: Counter = Counter()
    grey = True
    for index in indices:
        try:
            with source.open(index) as file:
                size, is_grey = header(file)
        except Unusable as reason:
            skipped.append(Skipped(source.names[index], str(reason)))
            continue
        sizes[size] += 1
        grey &= is_grey
    return skipped, sizes, grey


def matching(names: Iterable[str], pattern: str, *, where: str) -> list[int]:
    """The numbers of the files whose own name (without folders) matches, in whatever case.

    Args:
        names: "/" between folders.
        pattern: as in a shell: * ? []; commas join several.
        where: what the error calls the place.

    Raises:
        UserError: there are no files, or none matches.
    """
    names = list(names)
    if not names:
        raise UserError(f"There are no files in {where}: expected pictures, in subfolders or not.")
    several = [fnmatch.translate(one.strip()) for one in pattern.split(",")]
    matches = re.compile("|".join(several), re.IGNORECASE).match
    chosen = [i for i, name in enumerate(names) if matches(name.rpartition("/")[2])]
    if not chosen:
        suffixes = Counter(PurePath(name).suffix.lower() or "none" for name in names)
        common = ", ".join(f"{suffix} ({count:,})" for suffix, count in suffixes.most_common(5))
        raise UserError(
            f'No file in {where} matches the pattern "{pattern}": it holds {len(names):,} '
            f"file{'s' if len(names) > 1 else ''} with the suffixes {common}; "
            'change --input_fname_pattern ("*" takes every picture).'
        )
    return chosen


def stream(file: BinaryIO, size: int) -> BinaryIO:
    """The file itself when it is large, else its bytes in memory, and closes it."""
    if size > MAX_FILE_BYTES:
        file.close()
        raise Unusable(f"{size:,} bytes, too large for a picture")
    if size > WHOLE_BYTES:
        return file
    with file:
        # Read without a number, an entry of a zip is inflated whole, whatever size it states.
        return io.BytesIO(file.read(size))
