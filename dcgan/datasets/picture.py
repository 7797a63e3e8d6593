"""Reads one picture file of any supported format.

The content of a file decides its format, not the suffix, except for TGA, which has no magic number.
A file that cannot be used raises `UnusableFile` with the reason in a few words. Pictures with more
than `images.MAX_PIXELS` pixels are refused by their header, before they take memory.
"""

import io
import struct
import sys
import warnings
from collections import Counter
from typing import BinaryIO

import numpy as np
import simplejpeg
from PIL import Image
from PIL.TiffImagePlugin import PLANAR_CONFIGURATION

from dcgan import UserError, disk
from dcgan.datasets import picture_formats
from dcgan.datasets.picture_formats import BAD_ZIP, TOO_LARGE, UnusableFile
from dcgan.datasets.source import ImageSpec
from dcgan.images import DEEP_WHITE, MAX_PIXELS, orientation, plain

# JPEGs of up to this many pixels use `_small_jpeg`; larger ones are shrunk while decoding.
SMALL_PIXELS = 1 << 18

# Pillow's names for the byte orders of 16-bit numbers, N for the native one, and the opposite ones.
_OPPOSITE = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
_GREY_MODES = ("1", "L", "LA", "La", "I", "F")
# What Pillow is known to raise for a damaged file, and zipfile for one in a damaged zip.
_BAD_BYTES = (
    *(*BAD_ZIP, SyntaxError, TypeError, LookupError, ArithmeticError),
    *(AttributeError, MemoryError, AssertionError, struct.error),
)
# Pillow warns of damage outside of the pixels without naming the file, which helps nobody.
warnings.filterwarnings("ignore", module=r"PIL\.")


def open_picture(file: BinaryIO, name: str = "") -> Image.Image:
    """Opens the picture in a seekable file; reads its header but not its pixels.

    The suffix of `name` matters for TGA only. Raises UnusableFile if the file is empty, no picture,
    of an unsupported format, damaged or too large.
    """
    try:
        head = file.read(picture_formats.HEAD_BYTES)
        file.seek(0)
    except _BAD_BYTES as error:
        raise UnusableFile(reading_failed(error)) from error
    if not head:
        raise UnusableFile("empty file")
    formats, known = picture_formats.recognize(head, name)
    try:
        picture_formats.check_sizes(file, formats)
        file.seek(0)
        picture = Image.open(file, formats=formats)
    except Image.DecompressionBombError as error:
        # Pillow's own limit is higher than ours, unless the program around us has lowered it. It is
        # global to the process and read by other threads, so it is left as it is.
        raise UnusableFile(TOO_LARGE) from error
    except _BAD_BYTES as error:
        raise UnusableFile(_damage(error) if known else "not an image") from error
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise UnusableFile(TOO_LARGE)
    return picture


def pixels(
    file: BinaryIO, spec: ImageSpec, *, name: str = "", remarks: Counter | None = None
) -> np.ndarray:
    """Decodes the picture in a file to uint8 [spec.height, spec.width, spec.channels].

    For `remarks` see `images.plain`. Raises UnusableFile.
    """
    small = _small_jpeg(file) if spec.channels == 3 else None
    if small is not None and small.shape[:2] == (spec.height, spec.width) == _box(spec):
        return small  # the usual case in a data set that is already cropped
    picture = open_picture(file, name) if small is None else Image.fromarray(small)
    try:
        side = 2 * max(spec.height, spec.width)
        if min(picture.size) >= 2 * side and not (spec.crop_height or spec.crop_width):
            # A large JPEG is decoded at a half, a quarter or an eighth of its size, but at least at
            # twice the wanted size, so that the antialiased resize still decides how it looks.
            # The longer wanted side is used for both, as EXIF may still turn the picture.
            picture.draft(None, (side, side))
        picture = _deepen(file, picture, spec.white_level)
        levels = plain(picture, spec.channels, white=spec.white_level, remarks=remarks)
        return spec.crop_and_resize(levels)
    except _BAD_BYTES as error:
        raise UnusableFile(_damage(error)) from error


def _box(spec: ImageSpec) -> tuple[int, int]:
    """Returns the (height, width) that is cut out of a picture which has the wanted size."""
    if not spec.crop:
        return spec.height, spec.width
    height, width = spec.crop_height or spec.crop_width, spec.crop_width or spec.crop_height
    return height or spec.height, width or spec.width


def _small_jpeg(file: BinaryIO) -> np.ndarray | None:
    """Decodes an ordinary small JPEG to uint8 [height, width, 3] in half of Pillow's time.

    Returns None in all other or doubtful cases: Pillow then reads the file or reports the damage.
    """
    if not isinstance(file, io.BytesIO):
        return None
    data = file.getvalue()
    # Metadata (EXIF, XMP) may say that the picture lies on its side.
    if not data.startswith(b"\xff\xd8\xff") or b"Exif" in data or b"Orientation" in data:
        return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
        if colours != "YCbCr" or height * width > SMALL_PIXELS:
            return None
        return simplejpeg.decode_jpeg(data, strict=True)
    except ValueError:
        return None


def read_whole(
    file: BinaryIO,
    channels: int,
    *,
    name: str = "",
    white: int = DEEP_WHITE,
    remarks: Counter | None = None,
) -> np.ndarray:
    """Decodes the picture in a file, upright, at its own size: uint8 [height, width, channels].

    For `white` and `remarks` see `images.plain`. Raises UnusableFile.
    """
    picture = open_picture(file, name)
    try:
        picture = plain(_deepen(file, picture, white), channels, white=white, remarks=remarks)
    except _BAD_BYTES as error:
        raise UnusableFile(_damage(error)) from error
    return np.asarray(picture).reshape(picture.height, picture.width, channels)


def _deepen(file: BinaryIO, picture: Image.Image, white: int) -> Image.Image:
    """Scales 16-bit colours of PNG and TIFF to 8 bits if `white` is below 65535.

    Pillow itself drops the low bits.
    """
    if white == DEEP_WHITE or not _has_deep_colours(picture):
        return picture
    high = np.asarray(picture).astype(np.uint32)
    file.seek(0)
    low = Image.open(file, formats=(picture.format,))
    # With the bytes of each number swapped, Pillow keeps the lower ones.
    low.tile = [tile._replace(args=_swap_bytes(tile.args)) for tile in low.tile]
    levels = (256 * high + np.asarray(low)) * (255.0 / white)
    if levels.shape[-1] == 4:
        levels[..., 3] = high[..., 3]  # opacity uses all 16 bits, even if colours do not
    deepened = Image.fromarray(np.clip(np.rint(levels), 0, 255).astype(np.uint8))
    deepened.info |= {k: v for k, v in picture.info.items() if k != "transparency"}
    return deepened


def _has_deep_colours(picture: Image.Image) -> bool:
    """Tells whether a picture, whose pixels are not yet read, has colours that `_deepen` scales."""
    if picture.format not in ("PNG", "TIFF") or not picture.tile:
        return False
    args = picture.tile[0].args
    raw_mode = args if isinstance(args, str) else args[0]
    # Each colour of a TIFF may be a plane of its own, which Pillow reads in another way.
    planes = picture.format == "TIFF" and picture.tag_v2.get(PLANAR_CONFIGURATION, 1) == 2
    return raw_mode[:-1] in ("RGB;16", "RGBA;16") and not planes


def _swap_bytes(args: str | tuple) -> str | tuple:
    """Returns the arguments of Pillow's decoder with the opposite byte order in its raw mode."""
    if isinstance(args, str):  # of PNG; of TIFF they are a tuple that begins with it
        return args[:-1] + _OPPOSITE[args[-1]]
    return (_swap_bytes(args[0]), *args[1:])


def highest_level(file: BinaryIO, name: str = "") -> int:
    """Returns the highest level of a 16-bit picture; of colours only the high byte is known."""
    picture = open_picture(file, name)
    try:
        if picture.mode.startswith("I"):
            return int(np.asarray(picture).max())
        return 256 * max(high for _, high in picture.getextrema()[:3]) + 255
    except _BAD_BYTES as error:
        raise UnusableFile(_damage(error)) from error


def header(file: BinaryIO, name: str = "") -> tuple[tuple[int, int], bool, bool]:
    """Reads ((height, width), whether it is grey, whether it is 16-bit) from a picture's header."""
    picture = open_picture(file, name)
    width, height = picture.size
    # PNGs are left out: to find their EXIF, Pillow decodes the pixels.
    if picture.format != "PNG" and orientation(picture) >= 5:
        width, height = height, width
    deep = picture.mode.startswith("I") or _has_deep_colours(picture)
    return (height, width), _is_grey(picture), deep


def _is_grey(picture: Image.Image) -> bool:
    if picture.mode == "P" and picture.palette:
        levels = np.frombuffer(picture.palette.palette, np.uint8)
        levels = levels.reshape(-1, len(picture.palette.mode))
        return bool((levels[:, :1] == levels[:, :3]).all())
    return picture.mode in _GREY_MODES or picture.mode.startswith("I;16")


def _damage(error: BaseException) -> str:
    """Returns the reason why a picture of a known format cannot be decoded, in a few words."""
    if isinstance(error, OSError) and error.errno:
        return reading_failed(error)
    if isinstance(error, MemoryError):
        return "not enough memory"
    if isinstance(error, EOFError) or "truncated" in str(error).lower():
        return "truncated"
    if "conversion from" in str(error):
        return "colours of an unknown kind"
    return "damaged"


def damage_within(what: str, error: BaseException) -> UnusableFile:
    """Makes the error for an unusable picture inside a file of many, such as a "zip file"."""
    failure = disk.find_disk_error(error)
    return UnusableFile(reading_failed(failure) if failure else f"damaged in the {what}")


def archive_refusal(path: object, what: str, error: BaseException, advice: str) -> UserError:
    """Makes the error for an unreadable or damaged file of many pictures, such as a "zip file"."""
    if failure := disk.find_disk_error(error):
        return UserError(f"{path} {reading_failed(failure)}: expected a {what} of pictures.")
    reason = " ".join(str(error).split())[:200]
    return UserError(
        f"{path} is not a complete {what} ({reason}): {advice}if it was downloaded, download it "
        "again."
    )


def reading_failed(error: BaseException) -> str:
    """Returns the reason why bytes cannot be read, e.g. "cannot be read (Permission denied)"."""
    return f"cannot be read ({getattr(error, 'strerror', None) or error})"


def may_pass(reason: str) -> bool:
    """Tells whether a file was skipped because of the disk or a missing library, not its bytes.

    The texts are those of `reading_failed` and of `picture_formats`, as caches keep them.
    """
    return reason.startswith("cannot be read (") or ", which needs: " in reason
