"""Fingerprints of pictures, and finding the near ones among many."""

import io
import time

import numpy as np
import pytest
from pictures import encoded
from PIL import Image, ImageEnhance

from dcgan.datasets.avatars import Avatars
from dcgan.datasets.source import ImageSpec
from dcgan.preparation.duplicates import FingerprintIndex, fingerprint


def faces(count: int) -> list[Image.Image]:
    decoded = Avatars().decode(range(count), ImageSpec(64, 64, 3))
    return [Image.fromarray(image) for image in decoded.images]


def distance(a: Image.Image, b: Image.Image) -> int:
    return (fingerprint(a) ^ fingerprint(b)).bit_count()


def test_copies_of_a_picture_are_near_and_other_pictures_far():
    pytest.importorskip("imagehash")
    first, *others = faces(12)
    smaller = first.resize((48, 48), Image.Resampling.LANCZOS)
    compressed = Image.open(io.BytesIO(encoded(first, "JPEG", quality=50)))
    brighter = ImageEnhance.Brightness(first).enhance(1.05)
    for copy in (first.copy(), smaller, compressed, brighter):
        assert distance(first, copy) <= 4
    assert distance(first, first.copy()) == 0
    assert min(distance(first, other) for other in others) > 4
    assert all(0 <= fingerprint(face) < 2**64 for face in others)


def test_only_what_is_within_the_distance_is_near():
    seen = FingerprintIndex(2)
    assert seen.add(0, "a") is None
    assert seen.add(0b11, "b") == "a"  # two bits
    assert seen.add(0b111, "c") is None  # three bits from a; b was not remembered
    assert seen.add(0b11111, "d") == "c"
    assert seen.add(2**64 - 1, "e") is None
    assert seen.add(2**63 - 1, "f") == "e"  # the highest bit counts as any other


@pytest.mark.parametrize("limit", [0, 3, 24])
def test_the_result_is_that_of_comparing_all_with_all(limit):
    random = np.random.default_rng(limit)
    # Few bits vary, so that at every distance there are both near and far ones; enough of them
    # that the array grows.
    mask = int(random.integers(0, 2**63)) | 1
    values = [int(v) & mask for v in random.integers(0, 2**63, 1500)]
    seen, kept = FingerprintIndex(limit), []
    for i, value in enumerate(values):
        near = [name for name, other in kept if (value ^ other).bit_count() <= limit]
        assert seen.add(value, str(i)) == (near[0] if near else None)
        if not near:
            kept.append((str(i), value))
    assert len(kept) > 1


def test_two_hundred_thousand_are_looked_through_in_a_few_milliseconds():
    seen = FingerprintIndex(4)
    values = np.random.default_rng(0).integers(0, 2**64, 200_000, np.uint64)
    seen._fingerprints, seen._names = values, [str(i) for i in range(len(values))]
    start = time.process_time()
    found = [seen.add(int(value) ^ 0b1001, "new") for value in values[-300:]]
    assert time.process_time() - start < 1.0
    assert found == [str(i) for i in range(199_700, 200_000)]
