"""MATLAB 5 files: read as scipy reads them; what they claim costs nothing before it is seen."""

import struct
import zlib

import numpy as np
import pytest
import scipy.io
from arrays import numbers
from pictures import takes_less_than

from dcgan import UserError
from dcgan.datasets import matlab, svhn

HEADER = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"
LARGE = 200 << 20  # bytes
CELL, DOUBLE, UINT8 = 1, 6, 9  # classes of arrays


def part(kind: int, content: bytes, claim: int | None = None, order: str = "<") -> bytes:
    length = len(content) if claim is None else claim
    return struct.pack(f"{order}II", kind, length) + content + bytes(-len(content) % 8)


def begun(name: str, sides: tuple[int, ...], code: int, order: str = "<") -> bytes:
    """An array up to its name."""
    flags = struct.pack(f"{order}II", code, 0)
    lengths = struct.pack(f"{order}{len(sides)}i", *sides)
    parts = ((6, flags), (5, lengths), (1, name.encode()))
    return b"".join(part(kind, content, order=order) for kind, content in parts)


def array(name: str, sides: tuple[int, ...], code=UINT8, *, kind=2, content=b"", claim=None):
    """An element whose numbers may be others than it claims."""
    inner = begun(name, sides, code) + part(kind, content, claim)
    return part(14, inner, None if claim is None else min(len(inner) + claim, 2**32 - 8))


def packed(element: bytes, zeros: int = 0) -> bytes:
    """An element, and so many zeros after it, deflated."""
    deflate = zlib.compressobj(1)
    content = deflate.compress(element)
    for _ in range(zeros >> 20):
        content += deflate.compress(bytes(1 << 20))
    content += deflate.flush()
    return struct.pack("<II", 15, len(content)) + content


def nested(levels: int) -> bytes:
    """Cells in cells, each with one."""
    head = begun("", (1, 1), CELL)
    whole = levels * (len(head) + 8)
    tags = (struct.pack("<II", 14, whole - 8 - i * (len(head) + 8)) for i in range(levels))
    return begun("X", (1, 1), CELL) + b"".join(tag + head for tag in tags)


def zeros_beside_noise(code: int, kind: int, stored: int) -> bytes:
    """An array of 5 million zeros in a file of which they take less than a hundred times the room
    either in memory or as they are stored, and more in the other."""
    count = 5 << 20
    noise = np.random.default_rng(0).integers(0, 256, 100_000, np.uint8).tobytes()
    start = begun("y", (count, 1), code) + part(kind, b"", count * stored)
    return array("filler", (len(noise), 1), content=noise) + packed(
        part(14, start, len(start) + count * stored), zeros=count * stored
    )


LABELS = array("y", (6, 1), content=bytes(6))
COUNT = LARGE // 3072
ONE = array("X", (32, 32, 3, 1), content=bytes(range(256)) * 12)
HOSTILE = {
    "pixels of zeros, a thousandfold": (
        packed(
            part(14, begun("X", (32, 32, 3, COUNT), UINT8) + part(2, b"", COUNT * 3072), LARGE),
            zeros=LARGE,
        ),
        "is of more than",
    ),
    "few sides and many bytes": (
        packed(part(14, begun("X", (32, 32, 3, 1), UINT8) + part(2, b"", LARGE), LARGE), LARGE),
        "is not of 209,715,200 bytes",
    ),
    "an element of 2^32 - 8 bytes": (
        array("X", (32, 32, 3, 1398101), claim=2**32 - 4096),
        "cut short",
    ),
    "the same, deflated": (
        packed(array("X", (32, 32, 3, 1398101), claim=1398101 * 3072)),
        "is of more than",
    ),
    "a name without end": (
        packed(part(14, begun("", (1, 1), UINT8)[:-8] + part(1, b"", LARGE)), zeros=LARGE),
        "does not begin as arrays do",
    ),
    "bytes that become numbers of eight": (zeros_beside_noise(DOUBLE, 2, 1), "is of more than"),
    "numbers of eight that become bytes": (zeros_beside_noise(UINT8, 9, 8), "is of more than"),
    "an element of no kind": (struct.pack("<II", 3, len(ONE) - 8) + ONE[8:], "of an unknown kind"),
    "flags of another kind": (part(14, part(5, bytes(8)) + ONE[24:]), "as arrays do"),
    "no flags": (part(14, part(6, b"") + ONE[24:]), "as arrays do"),
    "a small part that is none": (part(14, struct.pack("<HH", 6, 8) + ONE[16:]), "is too long"),
    "nested cells, deflated": (packed(part(14, nested(200_000))), "X is a cell"),
    "more sides than numbers": (array("X", (32, 32, 3, 9), content=bytes(3072)), "is not of"),
    "negative sides": (array("X", (32, 32, -3, -1), content=bytes(3072)), "MATLAB 5 file"),
    "sides beyond 64 bits": (array("X", (2**31 - 1,) * 32, content=bytes(3072)), "is not of"),
    "numbers of no kind": (array("X", (32, 32, 3, 1), kind=14, content=bytes(3072)), "is not of"),
    "something after a packed array": (packed(ONE + bytes(8)), "longer than it says"),
    "something after an array": (part(14, ONE[8:] + bytes(8)), "longer than it says"),
    "a packed array without its sum": (
        struct.pack("<II", 15, len(packed(ONE)) - 12) + packed(ONE)[8:-4],
        "or damaged",
    ),
    "a packed file in a packed file": (packed(packed(LABELS)), "holds no array"),
    "pixels twice": (2 * ONE, "X is there twice"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_a_hostile_file_claims_costs_nothing(tmp_path, what):
    path = tmp_path / "train_32x32.mat"
    content, expected = HOSTILE[what]
    path.write_bytes(HEADER + content + LABELS)
    with takes_less_than(32 << 20), pytest.raises(UserError) as caught:
        svhn.read_mat(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)
    assert expected in str(caught.value)


@pytest.mark.parametrize("every", [1, 32])
def test_an_array_takes_little_more_memory_than_its_numbers(tmp_path, every):
    """Whether its bytes are all different or become a twentieth when they are packed."""
    values = numbers(4 << 20)
    values[np.arange(len(values)) % every > 0] = 0
    scipy.io.savemat(tmp_path / "a.mat", {"X": values}, do_compression=True)
    with takes_less_than(8 << 20):
        matlab.read(tmp_path / "a.mat", ["X"])


def test_what_is_not_asked_for_is_not_inflated(tmp_path):
    path = tmp_path / "a.mat"
    bomb = packed(
        part(14, begun("Z", (LARGE, 1), UINT8) + part(2, b"", LARGE), LARGE + 64), zeros=LARGE
    )
    path.write_bytes(HEADER + bomb + part(14, nested(10)) + LABELS)
    with takes_less_than(8 << 20):
        assert list(matlab.read(path, ["y"])) == ["y"]


@pytest.mark.parametrize("deflated", [False, True])
@pytest.mark.parametrize("kind", matlab.CLASSES.values())
def test_arrays_are_those_that_scipy_reads(tmp_path, kind, deflated):
    path = tmp_path / "a.mat"
    small = np.arange(3).astype(kind).reshape(1, 3)  # in the tag itself where they are bytes
    large = numbers(31, 5, 4, 2).astype(kind)
    scipy.io.savemat(path, {"small": small, "a_long_name": large}, do_compression=deflated)
    found = matlab.read(path, ("small", "a_long_name"))
    assert {name: one.dtype for name, one in found.items()} == dict.fromkeys(found, np.dtype(kind))
    np.testing.assert_array_equal(found["small"], small)
    np.testing.assert_array_equal(found["a_long_name"], large)


def test_numbers_stored_in_fewer_bytes_are_of_their_class(tmp_path):
    """As MATLAB itself writes whole numbers of class double."""
    path = tmp_path / "a.mat"
    path.write_bytes(HEADER + array("y", (3, 1), DOUBLE, kind=2, content=bytes([10, 0, 7])))
    found = matlab.read(path, ["y"])["y"]
    assert found.dtype == np.float64 and found.tolist() == [[10], [0], [7]]
    np.testing.assert_array_equal(found, scipy.io.loadmat(path)["y"])


def test_the_other_byte_order_is_read(tmp_path):
    path = tmp_path / "a.mat"
    inner = begun("y", (2, 1), DOUBLE, ">") + part(9, struct.pack(">2d", 1, 258), order=">")
    path.write_bytes(HEADER[:124] + b"\x01\x00MI" + part(14, inner, order=">"))
    found = matlab.read(path, ["y"])["y"]
    assert found.dtype == np.float64 and found.dtype.isnative and found.tolist() == [[1], [258]]


def test_a_flipped_bit_of_a_packed_array_is_seen(tmp_path):
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"X": numbers(32, 32, 3, 4)}, do_compression=True)
    content = bytearray(path.read_bytes())
    for place in range(140, len(content), 997):
        content[place] ^= 16
        path.write_bytes(content)
        with pytest.raises((ValueError, zlib.error)):
            matlab.read(path, ["X"])
        content[place] ^= 16
