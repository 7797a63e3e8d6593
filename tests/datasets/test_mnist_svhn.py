"""The data sets that come as arrays, from generated files of the real formats and real ones."""

import gzip
import hashlib
import os
import pickle
import random
import re
import struct
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from arrays import numbers, refusal
from mnist_files import LABELS, PIXELS, idx, write_mnist
from pictures import takes_less_than

from dcgan import UserError
from dcgan.datasets import cifar10, mnist, svhn
from dcgan.datasets.source import ImageSpec

REAL = Path(__file__).parents[2].parent / "shared" / "data"


# ---- MNIST ----


def find_mnist(folder, **more):
    return mnist.find_mnist(folder, download=False, **more)


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("dot", ["-", "."])
def test_mnist_is_read_in_every_spelling(tmp_path, dot, suffix):
    source = find_mnist(write_mnist(tmp_path, dot=dot, suffix=suffix))
    decoded = source.decode([3, 0, 11], ImageSpec(28, 28, 1))
    np.testing.assert_array_equal(decoded.images[..., 0], PIXELS[[3, 0, 11]])
    assert (decoded.indices, decoded.skipped) == ([3, 0, 11], [])
    assert (source.name, len(source)) == ("mnist", 12)
    summary = source.summary()
    assert (summary.found, summary.skipped, summary.channels) == (12, (), 1)
    assert summary.sizes == (((28, 28), 12),)
    np.testing.assert_array_equal(source.labels["label"].values, LABELS)
    assert source.labels["label"].values.dtype == np.int32
    assert source.labels["label"].names == tuple("0123456789")


def test_mnist_splits_follow_one_another(tmp_path):
    write_mnist(tmp_path)
    write_mnist(tmp_path, "t10k", pixels=255 - PIXELS[:5], labels=LABELS[:5])
    assert len(find_mnist(tmp_path)) == 12
    both = find_mnist(tmp_path, splits=("train", "test"))
    images = both.decode(range(17), ImageSpec(28, 28, 1)).images[..., 0]
    np.testing.assert_array_equal(images, np.concatenate([PIXELS, 255 - PIXELS[:5]]))
    np.testing.assert_array_equal(both.labels["label"].values, [*LABELS, *LABELS[:5]])


def test_other_shapes_are_resized_and_coloured(tmp_path):
    pixels = np.full((2, 28, 28), 90, np.uint8)
    pixels[1, :, 14:] = 200
    source = find_mnist(write_mnist(tmp_path, pixels=pixels, labels=LABELS[:2]))
    images = source.decode([1, 0], ImageSpec(32, 40, 3)).images
    assert images.shape == (2, 32, 40, 3) and images.dtype == np.uint8
    assert (images[1] == 90).all()
    assert (images[0, :, :16] == 90).all() and (images[0, :, 24:] == 200).all()
    assert source.decode([], ImageSpec(32, 32, 3)).images.shape == (0, 32, 32, 3)
    assert source.decode([], ImageSpec(28, 28, 1)).images.shape == (0, 28, 28, 1)


def test_a_crop_is_cut_even_where_the_size_fits(tmp_path):
    pixels = np.zeros((1, 28, 28), np.uint8)
    pixels[:, 7:21, 7:21] = 255  # the centre 14x14
    source = find_mnist(write_mnist(tmp_path, pixels=pixels, labels=LABELS[:1]))
    spec = ImageSpec(28, 28, 1, crop_height=14, crop_width=14)
    images = source.decode([0], spec).images
    assert (images[:, 2:26, 2:26] == 255).all()
    assert images.min() > 100  # resampling looks a little beyond the box; uncut, it would be 0


def test_fashion_mnist_is_found_where_debian_puts_it(tmp_path):
    system = write_mnist(tmp_path / "system")
    source = mnist.find_fashion_mnist(tmp_path / "mine", download=False, system_folder=system)
    assert (source.name, len(source)) == ("fashion_mnist", 12)
    # As in the table of the data set's own description.
    names = "T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot"
    assert source.labels["label"].names == tuple(names.split(","))
    write_mnist(tmp_path / "mine", pixels=PIXELS[:4], labels=LABELS[:4])
    mine = mnist.find_fashion_mnist(tmp_path / "mine", download=False, system_folder=system)
    assert len(mine) == 4
    find = partial(mnist.find_fashion_mnist, splits=("test",), system_folder=system)
    with pytest.raises(UserError, match=re.escape(str(tmp_path / "mine"))):
        find(tmp_path / "mine", download=False)  # what is missing belongs there


def test_missing_files_are_named_with_their_folder(tmp_path):
    for find, name in (
        (mnist.find_mnist, "train-images-idx3-ubyte.gz"),
        (svhn.find, "train_32x32.mat"),
        (cifar10.find, "cifar-10-binary.tar.gz"),
    ):
        with pytest.raises(UserError) as caught:
            find(tmp_path, download=False)
        assert name in str(caught.value) and str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("splits", [(), ("valid",), ("train", "valid")])
def test_unknown_splits_are_refused(tmp_path, splits):
    for find in (mnist.find_mnist, mnist.find_fashion_mnist, svhn.find, cifar10.find):
        with pytest.raises(UserError, match="has no --splits .*: its splits are train, test"):
            find(tmp_path, splits=splits)


@pytest.mark.parametrize(
    "name", ["train-images-idx3-ubyte.gz", "train-images-idx3-ubyte", "train-labels-idx1-ubyte"]
)
def test_every_cut_of_an_idx_file_is_refused(tmp_path, name):
    path = write_mnist(tmp_path, suffix=".gz" if "." in name else "") / name
    content = path.read_bytes()
    for end in {*range(min(40, len(content))), *range(0, len(content), 997), len(content) - 1}:
        path.write_bytes(content[:end])
        refusal(find_mnist(tmp_path), path)


def test_damaged_gzip_is_refused(tmp_path):
    path = write_mnist(tmp_path) / "train-images-idx3-ubyte.gz"
    content, chance = path.read_bytes(), random.Random(3)
    for _ in range(50):
        damaged = bytearray(content)
        damaged[chance.randrange(20, len(content))] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        refusal(find_mnist(tmp_path), path)
    path.write_bytes(content[:4] + bytes(6) + b"\xff" * 99)  # no block of gzip begins so
    refusal(find_mnist(tmp_path), path, "a damaged one")


@pytest.mark.parametrize(
    ("pixels", "labels", "word"),
    [
        (numbers(12, 28, 27), LABELS, "28x27"),
        (numbers(12, 28), LABELS, "2051"),
        (PIXELS[:0], LABELS[:0], "0"),
        (PIXELS, LABELS[:11], "11"),
        (PIXELS, numbers(12, 1), "2049"),
        (PIXELS, np.full(12, 10, np.uint8), "from 10 to 10"),
    ],
)
def test_other_idx_files_are_refused(tmp_path, pixels, labels, word):
    refusal(find_mnist(write_mnist(tmp_path, pixels=pixels, labels=labels)), word)


def test_a_file_may_have_up_to_a_million_items(tmp_path):
    path = tmp_path / "labels"
    path.write_bytes(idx(np.zeros(1_000_000, np.uint8)))
    assert len(mnist.read_idx(path, mnist.LABELS_MAGIC, shape=())) == 1_000_000
    path.write_bytes(idx(np.zeros(1_000_001, np.uint8)))
    with pytest.raises(UserError, match="expected 1 to 1,000,000 items, received 1,000,001"):
        mnist.read_idx(path, mnist.LABELS_MAGIC, shape=())


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_no_memory_is_taken_for_what_a_header_claims_or_for_what_follows(tmp_path, suffix):
    """Of 784 MB there is nothing; and behind one image there are 32 MB, packed into a few."""
    path = write_mnist(tmp_path, suffix=suffix) / f"train-images-idx3-ubyte{suffix}"
    claiming = idx(PIXELS[:1])[:4] + struct.pack(">3I", 1_000_000, 28, 28)
    for content, word in ((claiming, "received 0"), (idx(PIXELS[:1]) + bytes(1 << 25), "more")):
        path.write_bytes(gzip.compress(content, 1) if suffix else content)
        with takes_less_than(8 << 20):
            refusal(find_mnist(tmp_path), path, word)


# ---- what all sources share ----


def test_pickled_sources_are_small_and_read_again(tmp_path):
    source = find_mnist(write_mnist(tmp_path))
    source.decode([5], ImageSpec(28, 28, 1)).images[:] = 0  # a copy
    before = source.decode([5], ImageSpec(28, 28, 1)).images
    np.testing.assert_array_equal(before[0, ..., 0], PIXELS[5])
    sent = pickle.dumps(source)
    assert len(sent) < 1000
    copy = pickle.loads(sent)
    assert copy.fingerprint == source.fingerprint
    np.testing.assert_array_equal(copy.decode([5], ImageSpec(28, 28, 1)).images, before)


def test_the_fingerprint_follows_files_and_splits(tmp_path):
    write_mnist(tmp_path)
    write_mnist(tmp_path, "t10k")
    first = find_mnist(tmp_path).fingerprint
    assert find_mnist(tmp_path).fingerprint == first
    prints = {first}
    for splits in (("test",), ("train", "test"), ("test", "train")):
        prints.add(find_mnist(tmp_path, splits=splits).fingerprint)
    os.utime(tmp_path / "train-labels-idx1-ubyte.gz", ns=(1, 1))
    prints.add(find_mnist(tmp_path).fingerprint)
    assert len(prints) == 5


# ---- SVHN ----

HOUSES = numbers(6, 32, 32, 3)
TENS = np.array([[10], [1], [9], [10], [5], [2]], np.uint8)


def write_mat(folder: Path, split="train", **variables):
    path = folder / f"{split}_32x32.mat"
    scipy.io.savemat(path, variables, do_compression=True)
    return path


def test_svhn_is_read_and_ten_means_zero(tmp_path):
    write_mat(tmp_path, X=HOUSES.transpose(1, 2, 3, 0), y=TENS)
    source = svhn.find(tmp_path, download=False)
    decoded = source.decode([5, 2], ImageSpec(32, 32, 3))
    np.testing.assert_array_equal(decoded.images, HOUSES[[5, 2]])
    assert decoded.images.flags.c_contiguous
    np.testing.assert_array_equal(source.labels["label"].values, [0, 1, 9, 0, 5, 2])
    assert source.decode([0], ImageSpec(32, 32, 1)).images.shape == (1, 32, 32, 1)
    assert source.summary().channels == 3
    write_mat(tmp_path, "extra", X=HOUSES[:2].transpose(1, 2, 3, 0), y=TENS[:2])
    source = svhn.find(tmp_path, download=False, splits=("extra", "train"))
    images = source.decode(range(8), ImageSpec(32, 32, 3)).images
    np.testing.assert_array_equal(images, np.concatenate([HOUSES[:2], HOUSES]))


def test_every_cut_of_a_mat_file_is_refused(tmp_path):
    path = write_mat(tmp_path, X=HOUSES.transpose(1, 2, 3, 0), y=TENS)
    content = path.read_bytes()
    for end in [*range(0, 200, 9), *range(200, len(content), 499), len(content) - 1]:
        path.write_bytes(content[:end])
        refusal(svhn.find(tmp_path, download=False), path)


@pytest.mark.parametrize(
    ("variables", "word"),
    [
        ({"X": HOUSES.transpose(1, 2, 3, 0)}, "variables X and y, received X"),
        ({"X": HOUSES, "y": TENS}, "[6, 32, 32, 3]"),
        ({"X": HOUSES.transpose(1, 2, 3, 0).astype(float), "y": TENS}, "float64"),
        ({"X": HOUSES.transpose(1, 2, 3, 0), "y": TENS[:5]}, "5"),
        ({"X": HOUSES.transpose(1, 2, 3, 0), "y": TENS + 1}, "to 11"),
        ({"X": HOUSES.transpose(1, 2, 3, 0), "y": TENS.reshape(3, 2)}, "[3, 2]"),
        ({"X": HOUSES.transpose(1, 2, 3, 0), "y": TENS + 0.5}, "whole"),
        ({"X": HOUSES.transpose(1, 2, 3, 0) * 1j, "y": TENS}, "X is not an array of real"),
        ({"X": HOUSES.transpose(1, 2, 3, 0), "y": "text"}, "y is text"),
    ],
)
def test_other_mat_files_are_refused(tmp_path, variables, word):
    path = write_mat(tmp_path, **variables)
    refusal(svhn.find(tmp_path, download=False), path, word)


# ---- the published files ----


@pytest.mark.parametrize(
    ("folder", "files"),
    [(REAL / "mnist", mnist.MNIST_FILES), (mnist.FASHION_FOLDER, mnist.FASHION_FILES)],
)
def test_real_idx_files_have_the_published_content(folder, files):
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent")
    for file in files.values():
        content = gzip.decompress((folder / file.name).read_bytes())
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (file.sha256, file.size)
