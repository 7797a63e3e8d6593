"""Near duplicates: pictures that look the same though their pixels differ.

A picture is told by its perceptual hash (`imagehash`, an optional requirement), 64 bits that hardly
change when it is resized, compressed again or made a little brighter. The hamming distance of two
hashes is the number of bits in which they differ, nearly always an even one. Of 96x96 anime faces,
copies are 0 to 4 apart, and so is seldom anything else; at 6 every second pair, from 8 on nearly
all pairs are different drawings of faces that look the same way.
"""

import numpy as np
from PIL import Image

from dcgan import extras

FIRST_CAPACITY = 1024


def require() -> None:
    """Raises UserError where imagehash is not installed."""
    extras.require("Finding near duplicates", "data", "imagehash")


def fingerprint(image: Image.Image) -> int:
    """The perceptual hash of a picture of any size and mode, from 0 to 2**64 - 1.

    Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010: the signs of
    the lowest 8 x 8 frequencies of the picture at 32 x 32.
    """
    import imagehash  # takes its time, and only some commands need it

    return int(str(imagehash.phash(image)), 16)


class Seen:
    """The fingerprints so far; a new one is compared with all for those in which few bits differ.

    Comparing means counting bits in one array: exact at every distance, a fifth of a millisecond
    with 100,000 fingerprints, and at most sixteen bytes a fingerprint besides its name.
    """

    def __init__(self, distance: int):
        self._distance = distance
        self._names: list[str] = []
        self._fingerprints = np.zeros(FIRST_CAPACITY, np.uint64)

    def add(self, fingerprint: int, name: str) -> str | None:
        """The name of the first near duplicate, or None; then the fingerprint is remembered."""
        value = np.uint64(fingerprint)
        count = len(self._names)
        differing = np.bitwise_count(self._fingerprints[:count] ^ value)
        near = differing <= self._distance
        if count and near[first := int(near.argmax())]:
            return self._names[first]
        if count == len(self._fingerprints):
            self._fingerprints = np.concatenate([self._fingerprints, np.zeros(count, np.uint64)])
        self._fingerprints[count] = value
        self._names.append(name)
        return None
