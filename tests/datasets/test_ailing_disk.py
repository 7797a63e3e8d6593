"""A disk that fails says nothing of the files on it: none is called damaged, or to be deleted."""

import errno
import gzip
import os
import pickle
from functools import partial

import numpy as np
import pytest
import scipy.io
from ailing_disk import fails_within
from mnist_files import write_mnist
from pictures import noise, pack, reasons
from test_cifar10 import binary_batch, python_batch, write_archive, write_batches
from test_tar import tar

from dcgan import UserError
from dcgan.datasets import cifar10, mnist, numpy_file, parquet, svhn
from dcgan.datasets.folder import TarSource, ZipSource

PICTURES = {f"{i}.png": noise("PNG", 32 + i) for i in range(8)}
IMAGES = np.frombuffer(np.random.default_rng(1).bytes(20 * 32 * 32), np.uint8).reshape(20, 32, 32)


def whole_cifar(folder, form: str):
    if form == "archive":
        return write_archive(folder)
    write_batches(folder, form, binary_batch if form else python_batch)
    return folder / f"data_batch_3{form}"


def whole_mnist(folder, suffix: str):
    write_mnist(folder, suffix=suffix)
    return folder / f"train-images-idx3-ubyte{suffix}"


def whole_svhn(folder):
    path = folder / svhn.FILES["train"].name
    scipy.io.savemat(path, {"X": np.zeros((32, 32, 3, 4), np.uint8), "y": np.ones((4, 1))})
    return path


def beside(find):
    return lambda path: find(path.parent, download=False)


# By name: what writes a whole file, and what finds it.
SOURCES = {
    "CIFAR-10, archive": (partial(whole_cifar, form="archive"), beside(cifar10.find)),
    "CIFAR-10, binary": (partial(whole_cifar, form=".bin"), beside(cifar10.find)),
    "CIFAR-10, python": (partial(whole_cifar, form=""), beside(cifar10.find)),
    "MNIST": (partial(whole_mnist, suffix=""), beside(mnist.find_mnist)),
    "MNIST, gzipped": (partial(whole_mnist, suffix=".gz"), beside(mnist.find_mnist)),
    "SVHN": (whole_svhn, beside(svhn.find)),
    "npz": (
        lambda folder: np.savez(folder / "a.npz", IMAGES) or folder / "a.npz",
        lambda path: numpy_file.find(path, ["train"]),
    ),
    **{
        mode: (lambda folder, mode=mode: tar(folder / "a.tar", PICTURES, mode), TarSource)
        for mode in ("w", "w:gz", "w:bz2", "w:xz")
    },
    "zip": (lambda folder: pack(folder / "a.zip", PICTURES), ZipSource),
}


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("share", [0, 0.5])
def test_no_source_calls_its_file_damaged(tmp_path, monkeypatch, name, share):
    write, find = SOURCES[name]
    path = write(tmp_path)
    fails_within(monkeypatch, path, after=int(share * path.stat().st_size))
    with pytest.raises((UserError, OSError)) as caught:
        len(find(path))
    said = f"{caught.value}"
    assert "Input/output error" in said and str(path) in said
    assert not any(word in said for word in ("damaged", "whole", "complete", "delete", "download"))


def test_an_array_whose_header_cannot_be_read(tmp_path, monkeypatch):
    """Two bytes tell that it is no zip file."""
    path = tmp_path / "a.npy"
    np.save(path, IMAGES)
    fails_within(monkeypatch, path, after=2)
    with pytest.raises(UserError, match="cannot be read .Input/output error"):
        numpy_file.find(path, ["train"])


@pytest.mark.parametrize(("kind", "source"), [("tar", TarSource), ("zip", ZipSource)])
def test_pictures_of_a_disk_that_fails_later_are_skipped_for_that_reason(
    tmp_path, monkeypatch, kind, source
):
    path = tmp_path / f"a.{kind}"
    found = source(pack(path, PICTURES) if kind == "zip" else tar(path, PICTURES))
    found = pickle.loads(pickle.dumps(found))  # which has not opened it yet
    fails_within(monkeypatch, path, after=path.stat().st_size // 2)
    assert set(reasons(found).values()) == {"cannot be read (Input/output error)"}


def test_pictures_in_a_parquet_file_likewise(tmp_path, monkeypatch):
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    from test_parquet import write

    path = write(tmp_path / "a.parquet", list(PICTURES.values()))
    found = parquet.ParquetSource(path)

    def fail(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(parquet, "_open", fail)
    assert set(reasons(found).values()) == {"cannot be read (Input/output error)"}
    with pytest.raises(UserError, match=r"a\.parquet cannot be read .Input/output error"):
        parquet.ParquetSource(path)


# ---- what is read and found wrong, though an archive's reader does not ask for it ----


@pytest.mark.parametrize("size", [0, 3 << 20])
def test_the_checksum_of_a_packed_tar_is_read(tmp_path, size):
    """It stands behind all that tarfile reads, however much that leaves."""
    path = tar(tmp_path / "a.tar", PICTURES)
    whole = gzip.compress(path.read_bytes() + bytes(size), 1)
    for place in range(len(whole) - 8, len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(UserError, match="is not a complete tar file"):
            TarSource(path)
    path.write_bytes(whole)
    assert len(TarSource(path)) == len(PICTURES)


def test_what_stands_behind_the_last_file_counts_as_unpacked_too(tmp_path, monkeypatch):
    monkeypatch.setattr("dcgan.datasets.tar_archive.ALWAYS_ALLOWED", 4 << 20)
    path = tar(tmp_path / "a.tar", {"a.png": noise("PNG", 8)})
    content, taken = path.read_bytes(), []
    read = gzip.GzipFile.read
    monkeypatch.setattr(
        gzip.GzipFile, "read", lambda self, size: taken.append(piece := read(self, size)) or piece
    )
    path.write_bytes(gzip.compress(content + bytes(30 << 20)))
    with pytest.raises(UserError, match="unpacks to more than 200 times its size"):
        TarSource(path)
    assert sum(map(len, taken)) < 8 << 20 and max(map(len, taken)) <= 1 << 20
