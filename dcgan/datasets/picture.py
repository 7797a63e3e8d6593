"""One picture file, of whatever kind.

What a file is its content decides, never its suffix, but for TGA, which has no mark of its own. A
file that cannot be used raises `Unusable` with the reason in a few words. Pictures of more than
`images.MAX_PIXELS` are refused: the header says so, hence they cost no memory.
"""

import io
import struct
import warnings
import zipfile
import zlib
from typing import BinaryIO

import numpy as np
import simplejpeg
from PIL import Image

from dcgan.datasets import picture_formats
from dcgan.datasets.picture_formats import TOO_LARGE, Unusable
from dcgan.datasets.source import ImageSpec
from dcgan.images import MAX_PIXELS, fit, orientation, plain

# Up to this many pixels JPEGs gain from `_small_jpeg`; larger ones are shrunk while decoding.
SMALL_PIXELS = 1 << 18

_GREY_MODES = ("1", "L", "LA", "La", "I", "F")
# What Pillow is known to raise when the bytes of a file make no sense.
_BAD_BYTES = (
    *(OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, EOFError),
    *(AttributeError, RuntimeError, MemoryError, AssertionError, struct.error, zlib.error),
    zipfile.BadZipFile,
)
# What Pillow warns of is damage beside the pixels, without naming the file: of no use to anybody.
warnings.filterwarnings("ignore", module=r"PIL\.")


def open_picture(file: BinaryIO, name: str = "") -> Image.Image:
    """The picture in a file, its header read and its pixels not.

    Args:
        file: opened and seekable; it must stay open as long as the picture.
        name: of the file; its suffix tells TGA alone.

    Raises:
        Unusable: it is empty, no picture, of a format that is not read, damaged or too large.
    """
    try:
        head = file.read(picture_formats.HEAD_BYTES)
        file.seek(0)
    except _BAD_BYTES as error:
        raise Unusable(reading_failed(error)) from error
    if not head:
        raise Unusable("empty file")
    formats, known = picture_formats.recognize(head, name)
    try:
        picture_formats.check_sizes(file, formats)
        file.seek(0)
        picture = Image.open(file, formats=formats)
    except Image.DecompressionBombError as error:
        # Pillow's own limit, which is higher than ours unless the program around us has lowered it.
        # It is a global of the whole process, so it stays as it is: other threads read it, too.
        raise Unusable(TOO_LARGE) from error
    except _BAD_BYTES as error:
        raise Unusable(_damage(error) if known else "not an image") from error
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise Unusable(TOO_LARGE)
    return picture


def pixels(file: BinaryIO, spec: ImageSpec, *, name: str = "") -> np.ndarray:
    """The picture in a file as uint8 [spec.height, spec.width, spec.channels].

    Args: see `open_picture`.

    Raises:
        Unusable: see `open_picture`; or its pixels are cut short or damaged.
    """
    small = _small_jpeg(file) if spec.channels == 3 else None
    if small is not None and small.shape[:2] == (spec.height, spec.width) == _box(spec):
        return small  # most files of a data set that was cropped before
    picture = open_picture(file, name) if small is None else Image.fromarray(small)
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


def whole(file: BinaryIO, channels: int, *, name: str = "") -> np.ndarray:
    """The picture in a file at its own size, upright, as uint8 [height, width, channels].

    Args: see `open_picture`.

    Raises:
        Unusable: see `pixels`.
    """
    picture = open_picture(file, name)
    try:
        picture = plain(picture, channels)
    except _BAD_BYTES as error:
        raise Unusable(_damage(error)) from error
    return np.asarray(picture).reshape(picture.height, picture.width, channels)


def header(file: BinaryIO, name: str = "") -> tuple[tuple[int, int], bool]:
    """((height, width), whether the picture is grey), from the header alone.

    Args: see `open_picture`.

    Raises:
        Unusable: see `open_picture`.
    """
    picture = open_picture(file, name)
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
