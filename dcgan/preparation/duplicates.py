"""Finds near duplicates: pictures that look the same although their pixels differ.

Pictures are compared by perceptual hashes (`imagehash`, an optional requirement), 64 bits that
hardly change if a picture is resized, compressed again or made a little brighter. The Hamming
distance of two hashes is the number of bits in which they differ, nearly always an even one. Among
96x96 anime faces, pairs at a distance of 0 to 4 are nearly always copies. At 6, every second pair,
and from 8 on nearly all pairs are different drawings of faces that look in the same direction.
"""

import numpy as np
from PIL import Image

from dcgan import extras


def require() -> None:
    extras.require("Finding near duplicates", "data", "imagehash")


def fingerprint(image: Image.Image) -> int:
    """Computes the perceptual hash of a picture of any size and mode, from 0 to 2**64 - 1.

    Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010: whether each
    of the lowest 8 x 8 frequencies of the picture at 32 x 32 is above their median. Folders of
    faces hold these hashes, with which those of new faces are compared.
    """
    import imagehash  # slow to import, and only some commands need it

    return int(str(imagehash.phash(image)), 16)


class FingerprintIndex:
    """The fingerprints so far; those of near duplicates differ in at most `distance` bits.

    A new fingerprint is compared with all others by counting bits in one array. This is exact at
    every distance; with 100,000 fingerprints it takes 0.2 ms.
    """

    def __init__(self, distance: int):
        self._distance = distance
        self._names: list[str] = []
        self._fingerprints = np.empty(0, np.uint64)

    def add(self, fingerprint: int, name: str) -> str | None:
        """Returns the name of the first near duplicate; without one, adds this and returns None."""
        value = np.uint64(fingerprint)
        near = np.bitwise_count(self._fingerprints ^ value) <= self._distance
        if near.any():
            return self._names[int(near.argmax())]
        self._fingerprints = np.append(self._fingerprints, value)
        self._names.append(name)
        return None
