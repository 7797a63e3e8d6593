"""Defines `Source`, the interface of every data set: numbered images.

A source knows how many images it has and how to decode any of them to a wanted shape. It does not
know about batches, caches, epochs or networks. Sources are small and picklable, because
`prepare.py` sends them to worker processes.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
from PIL import Image

from dcgan import images
from dcgan.images import DEEP_WHITE

NONE = -1  # the label of a picture that has none


@dataclass(frozen=True)
class ImageSpec:
    """The shape of the images that training wants, and how to cut them from pictures.

    Names and order of the fields are part of cache keys: another one has all decoded again.
    """

    height: int  # of the images, in pixels
    width: int  # of the images, in pixels
    channels: int  # 1 (grey) or 3 (RGB)
    # True cuts the centre `crop_height` x `crop_width` out of each picture before resizing (the
    # largest box of the wanted aspect ratio if both are None); False squeezes the whole picture
    # into the wanted shape
    crop: bool = True
    crop_height: int | None = None
    crop_width: int | None = None
    white_level: int = DEEP_WHITE  # the level of white in 16-bit pictures, from a `Summary`

    def crop_and_resize(self, picture: Image.Image) -> np.ndarray:
        """Applies `images.crop_and_resize` to a picture from `images.plain`; uint8 [H, W, C]."""
        box = {"crop_height": self.crop_height, "crop_width": self.crop_width}
        return images.crop_and_resize(picture, self.height, self.width, crop=self.crop, **box)


class Skipped(NamedTuple):
    """A picture that was left out and the reason in a few words: ("a/b.png", "truncated")."""

    name: str
    reason: str


@dataclass(frozen=True)
class Labels:
    """One class per image: numbers `values`, int32 [N], and the class name of each number."""

    values: np.ndarray
    names: tuple[str, ...]

    @classmethod
    def of(cls, said: Mapping[int, str], names: Iterable[str], *, count: int) -> "Labels":
        """Labels `count` images from `said`, class names by image; the others get `NONE`."""
        numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
        values = np.full(count, NONE, np.int32)
        values[list(said)] = [numbers[name] for name in said.values()]
        return cls(values, tuple(numbers))


@dataclass(frozen=True)
class Summary:
    """What the headers of all pictures tell."""

    found: int  # the number of pictures, with the unusable ones
    skipped: tuple[Skipped, ...]  # the unusable pictures, with reasons
    # ((height, width), count) of the pictures, the most common size first
    sizes: tuple[tuple[tuple[int, int], int], ...]
    channels: int  # 1 if every usable picture is grey, else 3
    # the level of white in 16-bit pictures, below 65535 if none of them uses more than 8, 10, 12 or
    # 14 bits
    white_level: int = DEEP_WHITE
    deep: int = 0  # the number of 16-bit pictures


class Source(Protocol):
    """A data set of numbered images, perhaps with labels."""

    name: str  # what messages call it
    fingerprint: str  # hexadecimal; changes whenever the images that `decode` returns could change
    # by name of the labelling, e.g. {"label": ...}; one value for each of the `len(source)` images.
    # Names, classes and the order of both are in classes.json of conditional runs.
    labels: dict[str, Labels]
    parallel: bool  # whether several processes decode faster than one
    fallible: bool  # whether decoding may fail for pictures whose headers are usable
    notes: tuple[str, ...]  # sentences for the user about what was chosen or left out as a whole
    # the number of files in each part (train, test, val), both those in use and others; empty if
    # the data set is not known to have parts
    parts: Mapping[str, int]

    def __len__(self) -> int:
        """Returns the number of pictures found, including unusable ones."""

    def summary(self) -> Summary:
        """Summarizes the pictures by their headers, mostly without reading pixels."""

    def decode(self, indices: Sequence[int], spec: ImageSpec) -> "Decoded":
        """Decodes some pictures; returns unusable ones as skipped instead of raising."""


@dataclass
class Decoded:
    """What `Source.decode` returns."""

    images: np.ndarray  # uint8 [number of usable pictures, height, width, channels]
    indices: list[int] = field(default_factory=list)  # of the usable pictures, in the order wanted
    skipped: list[Skipped] = field(default_factory=list)  # the unusable pictures, with reasons
    remarks: Counter = field(default_factory=Counter)  # number of pictures by how they were changed
