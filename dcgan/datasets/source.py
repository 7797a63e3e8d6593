"""What a data set is to the rest of the project: a `Source` of numbered images.

A source knows how many images it has and how to decode any of them to a wanted shape; it knows
nothing of batches, caches, epochs or networks. Sources are small and picklable, because
`prepare.py` sends them to worker processes.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from PIL import Image

from dcgan import images
from dcgan.images import DEEP_WHITE

NONE = -1  # the number of a picture without a label


@dataclass(frozen=True)
class ImageSpec:
    """The images that training wants."""

    height: int  # of the images, in pixels
    width: int
    channels: int  # 1 (grey) or 3 (RGB)
    # True cuts the centre `crop_height` x `crop_width` out of each picture (the largest box of the
    # wanted aspect ratio where they are None) before resizing; False squeezes the whole picture
    # into the wanted shape
    crop: bool = True
    crop_height: int | None = None
    crop_width: int | None = None
    white_level: int = DEEP_WHITE  # what is white in 16-bit pictures; of a `Summary`

    def fit(self, picture: Image.Image) -> np.ndarray:
        """A picture, plain as `images.plain` makes it, as `images.fit` cuts and resizes it."""
        box = {"crop_height": self.crop_height, "crop_width": self.crop_width}
        return images.fit(picture, self.height, self.width, crop=self.crop, **box)


@dataclass(frozen=True)
class Skipped:
    """A picture that was left out, and why, in a few words: ("a/b.png", "truncated file")."""

    name: str
    reason: str


@dataclass(frozen=True)
class Labels:
    """One whole number an image: `values` int32 [N] and what each number means."""

    values: np.ndarray
    names: tuple[str, ...]

    @classmethod
    def of(cls, said: Mapping[int, str], names: Iterable[str], *, count: int) -> "Labels":
        """Of `count` images, from what is said of some of them; the others have none."""
        numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
        values = np.full(count, NONE, np.int32)
        values[list(said)] = [numbers[name] for name in said.values()]
        return cls(values, tuple(numbers))


@dataclass(frozen=True)
class Summary:
    """What a look at the headers alone has shown."""

    found: int
    skipped: tuple[Skipped, ...]  # those that cannot be used, with reasons
    # ((height, width), count) of the most common sizes first
    sizes: tuple[tuple[tuple[int, int], int], ...]
    channels: int  # 1 when every usable picture is grey, else 3
    # what is white in 16-bit pictures: less than 65535 where none of them has levels beyond 8, 10,
    # 12 or 14 bits
    white_level: int = DEEP_WHITE
    deep: int = 0  # the number of 16-bit pictures


class Source(Protocol):
    """Numbered images and, where there are any, labels."""

    name: str  # what messages call it
    fingerprint: str  # hexadecimal; changes whenever the images that `decode` returns could change
    # by name of the labelling, e.g. {"label": ...}; one value for each of the `len(source)` images
    labels: dict[str, Labels]
    parallel: bool  # whether decoding gains from several processes
    fallible: bool  # whether pictures may prove unusable when decoded, whatever their headers say
    notes: tuple[str, ...]  # what was chosen or left out as a whole, in sentences for a person
    # the number of files of each part (train, test, val) that lies beside what is used, this
    # included; empty where the data set is not known to have parts
    parts: Mapping[str, int]

    def __len__(self) -> int:
        """The number of pictures found, the unusable ones included."""
        ...

    def summary(self) -> Summary:
        """Looks at every picture's header (not its pixels)."""
        ...

    def decode(self, indices: Sequence[int], spec: ImageSpec) -> "Decoded":
        """Decodes some pictures; never raises for a bad one."""
        ...


@dataclass
class Decoded:
    """What `Source.decode` gives."""

    images: np.ndarray  # uint8 [number of usable pictures, height, width, channels]
    indices: list[int] = field(default_factory=list)  # of these pictures, in the order asked for
    skipped: list[Skipped] = field(default_factory=list)  # the others, with reasons
    remarks: Counter = field(default_factory=Counter)  # what was done with how many pictures
