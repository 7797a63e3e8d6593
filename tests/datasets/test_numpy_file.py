"""NumPy's files as data sets: what arrays mean, and that nothing in them is believed or run."""

import io
import os
import pickle
import zipfile

import numpy as np
import pytest
from pictures import damaged, decoded, pack, read_or_refused, sentence, spoil, takes_less_than

from dcgan import UserError
from dcgan.datasets import catalog, numpy_file
from dcgan.datasets.source import ImageSpec

PIXELS = np.random.default_rng(0).integers(0, 256, (7, 6, 5, 3), np.uint8)
GREY = PIXELS[..., 0]
SPEC, GREY_SPEC = ImageSpec(6, 5, 3), ImageSpec(6, 5, 1)


def save(path, *array, **arrays):
    np.savez_compressed(path, **arrays) if arrays else np.save(path, *array)
    return str(path)


def images(path, spec=SPEC, **options) -> np.ndarray:
    source = catalog.find(str(path), "none", **options)
    assert not source.summary().skipped and len(source) == source.summary().found
    return decoded(source, spec).images


SHAPES = {
    "NHWC": PIXELS,
    "NCHW": PIXELS.transpose(0, 3, 1, 2),
    "fortran": np.asfortranarray(PIXELS),
    "[0, 1]": (PIXELS / 255).astype(np.float32),
    "[-1, 1]": PIXELS / 127.5 - 1,
    "float levels": PIXELS.astype(np.float16),
    "int64": PIXELS.astype(np.int64),
    "16 bits": PIXELS.astype(np.uint16) * 257,
    "big endian": PIXELS.astype(">u2") * 257,
    "opaque": np.concatenate([PIXELS, np.full((7, 6, 5, 1), 255, np.uint8)], -1),
}


@pytest.mark.parametrize("name", SHAPES)
def test_images_of_any_shape_and_range(tmp_path, name):
    for key in (None, "images", "arr_0"):
        arrays = [SHAPES[name]] if key is None else []
        path = tmp_path / f"a.np{'y' if key is None else 'z'}"
        found = images(save(path, *arrays, **({key: SHAPES[name]} if key else {}))).astype(int)
        assert abs(found - PIXELS).max() <= (0 if name != "float levels" else 1)


def test_grey_images_and_one_array_that_needs_no_name(tmp_path):
    path = save(tmp_path / "only.npz", faces=PIXELS, ids=LABELS)
    np.testing.assert_array_equal(images(path), PIXELS)
    assert len(catalog.find("only", str(tmp_path))) == 7
    for array in (GREY, GREY[..., None], GREY[:, None], GREY / 255):
        path = save(tmp_path / "a.npy", array)
        np.testing.assert_array_equal(images(path, GREY_SPEC)[..., 0], GREY)
        assert catalog.find(path, "none").summary().channels == 1
    bits = save(tmp_path / "b.npy", GREY > 99)
    np.testing.assert_array_equal(images(bits, GREY_SPEC)[..., 0], (GREY > 99) * 255)
    twelve = save(tmp_path / "c.npy", GREY.astype(np.uint16) * 16)
    assert abs(images(twelve, GREY_SPEC)[..., 0].astype(int) - GREY).max() <= 1


def test_transparency_is_laid_on_white(tmp_path):
    clear = np.concatenate([PIXELS, np.zeros((7, 6, 5, 1), np.uint8)], -1)
    clear[0, 0, 0, 3] = 255
    found = images(save(tmp_path / "a.npy", clear))
    assert (found[0, 0, 0] == PIXELS[0, 0, 0]).all() and (found[1:] == 255).all()


LABELS = np.array([3, 1, 3, 1, 1, 3, 3])
NAMED = {
    "keras": ("x_train", "y_train", "x_test", "y_test"),
    "medmnist": ("train_images", "train_labels", "test_images", "test_labels"),
    "capital": ("X_Training", "Y_Training", "X_Testing", "Y_Testing"),
}


@pytest.mark.parametrize("form", NAMED)
def test_parts_and_labels(tmp_path, form):
    arrays = (PIXELS, LABELS[:, None], PIXELS[:2], np.array([[1], [2]]))
    path = save(tmp_path / "a.npz", **dict(zip(NAMED[form], arrays, strict=True)))
    np.testing.assert_array_equal(images(path), PIXELS)
    np.testing.assert_array_equal(images(path, splits=["test"]), PIXELS[:2])
    assert len(images(path, splits=["train", "Test"])) == 9
    source = catalog.find(path, "none")
    assert source.parts == {"train": 7, "test": 2} and "using train" in source.notes[0]
    labels = source.labels["label"]
    assert [labels.names[v] for v in labels.values] == list(map(str, LABELS))
    other = catalog.find(path, "none", splits=["test"]).labels["label"]
    assert other.names == ("1", "3", "2") and other.values.tolist() == [0, 2]
    with pytest.raises(UserError, match="has no --splits val: its splits are train, test"):
        catalog.find(path, "none", splits=["val"])
    prints = {catalog.find(path, "none", splits=s).fingerprint for s in (["train"], ["test"])}
    assert len(prints) == 2


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (LABELS, ("1", "3")),
        (LABELS.astype(float), ("1", "3")),
        (np.array(["b", "a"] * 3 + ["b"]), ("a", "b")),
        (np.eye(2)[LABELS // 2], ("0", "1")),
        (np.ones((7, 4)), None),  # several labels an image
        (LABELS + 0.5, None),
        (np.full(7, 1e300), None),
        (LABELS * np.inf, None),
    ],
)
def test_kinds_of_labels(tmp_path, labels, names):
    source = catalog.find(save(tmp_path / "a.npz", images=PIXELS, labels=labels), "none")
    assert (source.labels["label"].names if source.labels else None) == names
    again = pickle.loads(pickle.dumps(source))
    np.testing.assert_array_equal(decoded(again, SPEC).images, PIXELS)


REFUSED = {
    "flat": (PIXELS.reshape(7, -1), "[N, H, W, C]"),
    "video": (np.zeros((2, 3, 4, 5, 3), np.uint8), "[N, H, W, C]"),
    "none": (PIXELS[:0], "[N, H, W, C]"),
    "nan": (np.full((2, 8, 8), np.nan), "received nan"),
    "range": (np.linspace(-7, 300, 128).reshape(2, 8, 8), "received -7 to 300"),
    "negative": (np.full((2, 8, 8), -3), "received -3 to -3"),
    "complex": (np.ones((2, 8, 8), complex), "expected numbers"),
    "text": (np.full((2, 8, 8), "a"), "expected numbers"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(tmp_path, name):
    array, words = REFUSED[name]
    assert words in sentence(save(tmp_path / "a.npy", array))
    if name != "none":
        assert words in sentence(save(tmp_path / "a.npz", images=array))


def test_what_is_said_of_other_arrays(tmp_path):
    two = save(tmp_path / "a.npz", faces=PIXELS, backs=PIXELS)
    assert "received faces, backs" in sentence(two)
    short = save(tmp_path / "b.npz", images=PIXELS, labels=LABELS[:3])
    assert "a label in labels for each image" in sentence(short)
    sizes = save(tmp_path / "c.npz", x_train=PIXELS, x_test=PIXELS[:, :4])
    assert "images of one shape" in sentence(sizes, splits=["train", "test"])
    assert "--splits test" in sentence(save(tmp_path / "d.npy", PIXELS), splits=["test"])


# ---- hostile files ----


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_pickles_are_not_loaded(tmp_path, suffix):
    trap = np.array([Trap(tmp_path / "sprung")] * 3, object)
    if suffix == "npy":
        np.save(tmp_path / "a.npy", trap, allow_pickle=True)
    else:
        np.savez(tmp_path / "a.npz", images=PIXELS, labels=trap)
    assert "bjects" in sentence(tmp_path / f"a.{suffix}")
    assert not (tmp_path / "sprung").exists()


def claim(shape: tuple, data: bytes = b"", descr: str = "|u1") -> bytes:
    file = io.BytesIO()
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + data


def head(text: bytes) -> bytes:
    """A file's beginning with any text where its shape and type should be."""
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


HOSTILE = {
    "large": claim((10**9, 64, 64, 3)),
    "endless": claim((2**40, 2**40, 3)),
    "negative": claim((-1, 8, 8)),
    "short": claim((4, 8, 8), bytes(100)),
    "twice negative": claim((-4, -8, 8), bytes(256)),
    "a truth": claim((True, 8, 8), bytes(64)),
    "nothing": b"\x93NUMPY",
    "program": head(b"__import__('os').abort()"),
    "deep": head(b"(" * 60000),
    "no literal": head(b"{'descr': ("),
    "no list": head(b"{'shape': (7, }"),
    "no text": head(b'"""'),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("kind", ["npy", "npz"])
def test_claims_cost_no_memory(tmp_path, name, kind):
    if kind == "npy":
        (tmp_path / "a.npy").write_bytes(HOSTILE[name])
    else:
        pack(tmp_path / "a.npz", {"images.npy": HOSTILE[name]})
    with takes_less_than(50_000_000):
        assert "cannot be used: expected" in sentence(tmp_path / f"a.{kind}")


def test_a_bomb_is_refused_by_the_memory_that_is_free(tmp_path, monkeypatch):
    """Labels of a byte each become numbers of eight, and places of eight."""
    many = claim((10**6, 1, 1), bytes(10**6))
    path = pack(tmp_path / "a.npz", {"images.npy": claim((1000, 100, 100), bytes(10**7))})
    labelled = {"images.npy": many, "labels.npy": claim((10**6,), bytes(10**6))}
    monkeypatch.setattr(numpy_file, "free_memory", lambda: 10**7)
    for bomb in (path, pack(tmp_path / "b.npz", labelled)):
        assert bomb.stat().st_size < 20_000
        with takes_less_than(5_000_000):
            assert "of memory are free" in sentence(bomb)


def test_many_labels_are_no_classes(tmp_path, monkeypatch):
    """In one part, or in all of them; a class has one number in every part."""
    monkeypatch.setattr(numpy_file, "MOST_CLASSES", 3)
    for train, test, names in (
        ([5, 3, 5, 3, 3, 3, 3], [4, 3], ("3", "5", "4")),
        ([5, 3, 5, 3, 3, 3, 3], [4, 6], None),
        ([5, 3, 4, 6, 3, 3, 3], [3, 3], None),
    ):
        arrays = {"x_train": PIXELS, "y_train": train, "x_test": PIXELS[:2], "y_test": test}
        path = save(tmp_path / "a.npz", **{n: np.array(a) for n, a in arrays.items()})
        labels = catalog.find(path, "none", splits=["test", "train"]).labels
        assert (labels["label"].names if labels else None) == names
        if names:
            assert labels["label"].values.tolist() == [2, 0, 1, 0, 1, 0, 0, 0, 0]


def test_labels_that_are_no_text(tmp_path):
    """Numbers that are no characters, of which Python cannot even make an error's text."""
    labels = claim((7,), b"\xff" * 28, "<U1")
    images_ = claim((7, 8, 8), bytes(448))
    path = pack(tmp_path / "a.npz", {"images.npy": images_, "labels.npy": labels})
    assert "expected labels" in sentence(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damage_of_any_compression(tmp_path, method):
    path = pack(tmp_path / "a.npz", {"images.npy": claim((7, 8, 8), bytes(448))}, method)
    spoil(path, "images.npy")
    assert "damaged file" in sentence(path)


def test_no_damage_whatsoever_raises(tmp_path):
    for path in (save(tmp_path / "a.npy", PIXELS), save(tmp_path / "b.npz", images=PIXELS)):
        for data in damaged(open(path, "rb").read(), 80, slice(140)):
            open(path, "wb").write(data)
            read_or_refused(lambda path=path: catalog.find(path, "none"))
