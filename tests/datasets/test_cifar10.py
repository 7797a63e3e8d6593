"""CIFAR-10, from generated files of both published formats."""

import io
import os
import pickle
import random
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest
from arrays import numbers, refusal
from pictures import takes_less_than
from test_tar import entry, tar

from dcgan.datasets import cifar10
from dcgan.datasets.source import ImageSpec

PLANES, CLASSES = numbers(4, 3, 32, 32), np.array([3, 0, 9, 6], np.uint8)
BATCHES = [f"data_batch_{i}" for i in range(1, 6)]


def binary_batch(planes=PLANES, labels=CLASSES) -> bytes:
    pairs = zip(planes, labels, strict=True)
    return b"".join(bytes([label]) + planes.tobytes() for planes, label in pairs)


def text(value: str) -> bytes:
    """A short string of Python 2."""
    return b"U" + bytes([len(value)]) + value.encode()


def python_batch(data=b"", labels=CLASSES, dtype="u1", more=b"") -> bytes:
    """What Python 2's cPickle wrote at protocol 2: a dict of strings, a list and a numpy array."""
    data = data or PLANES.tobytes()
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n"
        + b"K\x00\x85" + text("b") + b"\x87R"  # (ndarray, (0,), "b")
        + b"(K\x01K\x04M\x00\x0c\x86"  # version 1, shape (4, 3072)
        + b"cnumpy\ndtype\n" + text(dtype) + b"K\x00K\x01\x87R"
        + b"(K\x03" + text("|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        + b"\x89T" + struct.pack("<I", len(data)) + data + b"tb"
    )  # fmt: skip
    items = (
        text("batch_label") + text("training batch 1 of 5")
        + text("labels") + b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
        + text("data") + array + more
    )  # fmt: skip
    return b"\x80\x02}(" + items + b"u."


def write_batches(folder: Path, suffix: str, make) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for i, name in enumerate(BATCHES):
        (folder / (name + suffix)).write_bytes(make(labels=(CLASSES + i) % 10))


def write_members(folder: Path, *members: tarfile.TarInfo) -> Path:
    """The binary version's archive; the members have no content."""
    path = folder / cifar10.FILE.name
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as archive:
        for member in members:
            archive.addfile(member, io.BytesIO(bytes(member.size)))
    return path


def write_archive(folder: Path, name=cifar10.FILE.name, inside="a", *, python=False) -> Path:
    suffix, make = ("", python_batch) if python else (".bin", binary_batch)
    files = {
        f"{inside}/{batch}{suffix}": make(labels=(CLASSES + i) % 10)
        for i, batch in enumerate(BATCHES)
    }
    return tar(folder / name, files, "w:gz")


def find(folder: Path, **options):
    return cifar10.find(folder, download=False, **options)


def assert_all_of_cifar(source):
    assert (source.name, len(source)) == ("cifar10", 20)
    images = source.decode(range(20), ImageSpec(32, 32, 3)).images
    for image, planes in zip(images, [*PLANES] * 5, strict=True):
        for channel in range(3):
            np.testing.assert_array_equal(image[..., channel], planes[channel])
    expected = [(label + i) % 10 for i in range(5) for label in CLASSES.tolist()]
    np.testing.assert_array_equal(source.labels["label"].values, expected)
    names = "airplane automobile bird cat deer dog frog horse ship truck"
    assert source.labels["label"].names == tuple(names.split())


@pytest.mark.parametrize("place", [".", "cifar-10-batches-bin", "cifar-10-batches-py"])
def test_cifar_batches(tmp_path, place):
    python = "py" in place
    write_batches(tmp_path / place, *(("", python_batch) if python else (".bin", binary_batch)))
    assert_all_of_cifar(find(tmp_path))


def test_cifar_archives(tmp_path):
    python = write_archive(tmp_path, "cifar-10-python.tar.gz", "cifar-10-batches-py", python=True)
    assert_all_of_cifar(find(tmp_path))
    python.unlink()
    write_archive(tmp_path, inside="cifar-10-batches-bin")
    assert_all_of_cifar(pickle.loads(pickle.dumps(find(tmp_path))))
    assert [path.name for path in tmp_path.iterdir()] == ["cifar-10-binary.tar.gz"]


def test_cifar_archives_cut_short_damaged_or_incomplete_are_refused(tmp_path):
    """The checksum stands behind all that tarfile reads."""
    path = write_archive(tmp_path)
    content, chance = path.read_bytes(), random.Random(3)
    for end in [0, 5, 100, *range(1000, len(content), 4999)]:
        path.write_bytes(content[:end])
        refusal(find(tmp_path), path)
    ends = range(len(content) - 8, len(content))  # the sum and the length of what was packed
    for place in [*ends, *(chance.randrange(20, len(content)) for _ in range(50))]:
        damaged = bytearray(content)
        damaged[place] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        refusal(find(tmp_path), path)
    path.write_bytes(content[:3] + bytes(7) + b"\xff" * 99)  # no block of gzip begins so
    refusal(find(tmp_path), path, "a damaged one")
    path = write_archive(tmp_path, python=True)
    refusal(find(tmp_path), path, "no data_batch_1.bin")


@pytest.mark.parametrize("kind", [tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_members_that_are_no_files_are_none_of_the_batches(tmp_path, kind):
    named = [entry(f"{name}.bin", kind, linkname="elsewhere") for name in BATCHES]
    path = write_members(tmp_path, *named)
    refusal(find(tmp_path), path, "no data_batch_1.bin, data_batch_2.bin")


def test_what_is_too_large_for_a_batch_is_not_read(tmp_path, monkeypatch):
    """Each takes a few bytes on the disk, and would take memory without end."""
    path = tmp_path / "data_batch_3.bin"
    write_batches(tmp_path, ".bin", binary_batch)
    os.truncate(path, 30_730_000)  # of 10,000 photographs: the holes of the file are zeros
    assert len(find(tmp_path)) == 10_016
    os.truncate(path, 128 << 20)
    refusal(find(tmp_path), path, "a batch of 30 MB", "134,217,728 bytes")
    path.unlink()

    records = 3073 * 50_000
    sparse = {"GNU.sparse.map": "0,0", "GNU.sparse.size": str(records)}
    archive = write_members(tmp_path, *(entry(f"{n}.bin", pax_headers=sparse) for n in BATCHES))
    refusal(find(tmp_path), archive, "no data_batch_1.bin")
    monkeypatch.setattr(cifar10, "MAX_BATCH_BYTES", 100_000)
    write_members(tmp_path, entry("name", tarfile.GNUTYPE_LONGNAME, size=100_001))
    refusal(find(tmp_path), archive, "a header states 100,")


def test_a_batch_may_have_just_the_most_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(cifar10, "MAX_BATCH_BYTES", 4 * 3073)
    write_archive(tmp_path)
    assert_all_of_cifar(find(tmp_path))
    write_batches(tmp_path, ".bin", binary_batch)
    assert_all_of_cifar(find(tmp_path))


def test_a_whole_archive_goes_before_some_batches_and_binary_before_python(tmp_path):
    write_archive(tmp_path)
    (tmp_path / "data_batch_2.bin").write_bytes(b"no batch")
    assert_all_of_cifar(find(tmp_path))
    write_batches(tmp_path, ".bin", binary_batch)
    write_batches(tmp_path, "", lambda labels: b"no pickle")
    assert_all_of_cifar(find(tmp_path))


def test_the_splits_of_one_archive_are_told_apart(tmp_path):
    """By their fingerprints too, under which decoded images are kept."""
    files = {f"{name}.bin": binary_batch() for name in BATCHES}
    files["test_batch.bin"] = binary_batch(255 - PLANES, CLASSES[::-1])
    tar(tmp_path / cifar10.FILE.name, files, "w:gz")
    prints, spec = set(), ImageSpec(32, 32, 3)
    for splits in (("train",), ("test",), ("train", "test"), ("test", "train")):
        source = find(tmp_path, splits=splits)
        prints.add(source.fingerprint)
        assert len(source) == 20 * ("train" in splits) + 4 * ("test" in splits)
        if splits[0] == "test":
            expected = (255 - PLANES).transpose(0, 2, 3, 1)
            np.testing.assert_array_equal(source.decode(range(4), spec).images, expected)
            assert source.labels["label"].values[:4].tolist() == CLASSES[::-1].tolist()
    assert len(prints) == 4


@pytest.mark.parametrize(("protocol", "order"), [(2, "F"), (3, "C"), (4, "F")])
def test_cifar_batches_that_python_3_has_written_again(tmp_path, protocol, order):
    data = np.asarray(PLANES.reshape(4, 3072), order=order)
    write_batches(
        tmp_path,
        "",
        lambda labels: pickle.dumps({"data": data, "labels": labels.tolist()}, protocol),
    )
    assert_all_of_cifar(find(tmp_path))


class RunsACommand:
    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch '{self.path}'",)


def hostile_pickles(path: Path):
    yield pickle.dumps({"data": RunsACommand(path), "labels": []}, 2)
    command = f"touch '{path}'".encode()
    system = os.system.__module__.encode()
    yield b"c" + system + b"\nsystem\n(S'" + command.replace(b"'", b"") + b"'\ntR."
    yield python_batch(more=text("x") + b"cbuiltins\neval\n(S'1'\ntR")
    yield python_batch(more=text("x") + b"c__builtin__\neval\n(S'1'\ntR")
    # A dotted name under an allowed module, and numpy's own way to a pickle inside a file.
    yield b"\x80\x04\x8c\x05numpy\x8c\x16ndarray.__subclasses__\x93."
    yield b"cnumpy\nload\n(S'x'\ntR."


def test_a_pickle_that_would_run_a_command_is_refused(tmp_path):
    folder, proof = tmp_path / "data", tmp_path / "proof"
    for content in hostile_pickles(proof):
        write_batches(folder, "", lambda labels, content=content: content)
        refusal(find(folder), folder / "data_batch_1", "no batch needs")
        assert not proof.exists()
    # The pickle above is a real one: without protection it does run.
    pickle.loads(next(hostile_pickles(proof)))
    assert proof.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"no pickle",
        pickle.dumps([1, 2]),
        pickle.dumps({"data": np.zeros((4, 3072), np.float32), "labels": [0] * 4}, 2),
        pickle.dumps({"data": np.zeros((4, 3071), np.uint8), "labels": [0] * 4}, 2),
        pickle.dumps({"data": np.zeros((0, 3072), np.uint8), "labels": []}, 2),
        pickle.dumps({"data": np.zeros((4, 3072), np.uint8), "labels": [[0]] * 4}, 2),
        python_batch(data=PLANES.tobytes()[:-1]),
        python_batch(dtype="O8"),
        python_batch(labels=CLASSES[:3]),
        python_batch(labels=CLASSES + 1),
    ],
)
def test_other_python_batches_are_refused(tmp_path, content):
    write_batches(tmp_path, "", lambda labels: content)
    refusal(find(tmp_path), tmp_path / "data_batch_1")


def test_a_pickle_of_a_few_bytes_takes_no_memory(tmp_path):
    """One asks for 16 million places in the memo, which Python's reader in C makes: 268 MB. In the
    other 24 lists, each of the one before twice, are 16 million numbers as an array."""
    lists = b"](K\x00e" + b"".join(
        b"q" + bytes([i]) + b"0](h" + bytes([i]) + b"h" + bytes([i]) + b"e" for i in range(24)
    )
    labelled = b"\x80\x02}(" + text("data") + b"K\x00" + text("labels") + lists + b"u."
    for content in (b"\x80\x02)r\xff\xff\xff\x00.", labelled):
        write_batches(tmp_path, "", lambda labels, content=content: content)
        with takes_less_than(10 << 20):
            said = refusal(find(tmp_path), tmp_path / "data_batch_1")
    assert "labels are not a list of numbers" in said


def test_every_cut_of_a_batch_is_refused(tmp_path):
    for suffix, content in (("", python_batch()), (".bin", binary_batch())):
        write_batches(tmp_path / suffix, suffix, python_batch if not suffix else binary_batch)
        path = tmp_path / suffix / f"data_batch_3{suffix}"
        for end in [*range(0, 300, 7), *range(300, len(content), 997), len(content) - 1]:
            path.write_bytes(content[:end])
            if suffix and end and end % 3073 == 0:
                continue  # whole records are a smaller batch
            refusal(find(tmp_path / suffix), path)
