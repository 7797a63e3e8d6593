"""Extraction block by block, the one resize, pixels as features, and extractors by name."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from tqdm import tqdm

from dcgan import UserError
from dcgan.evaluation import extractor, extractors, resizing
from dcgan.evaluation.extractor import BLOCK, Extracted, extract, pieces
from dcgan.evaluation.pixels import Pixels
from dcgan.evaluation.spill import collect
from dcgan.latent.sampling import in_batches
from dcgan.terminal import progress


def pictures(count: int, shape=(6, 5, 3), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), np.uint8)


class Means:
    """Says of each image its mean, as a feature and as a probability."""

    name, fingerprint, resize, classes = "means", "0", "none", {"light": ("dark", "light")}

    def __init__(self):
        self.sizes = []

    def __call__(self, images: np.ndarray) -> Extracted:
        self.sizes.append(len(images))
        light = images.mean((1, 2, 3), dtype=np.float64).astype(np.float32)[:, np.newaxis] / 255
        return Extracted(light, {"light": np.concatenate([1 - light, light], 1)})


# --- the resize


def cubic(x: np.ndarray) -> np.ndarray:
    """Keys' kernel with a = -1/2, which Pillow calls bicubic."""
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0))


def weights(old: int, new: int) -> np.ndarray:
    """[new, old]: the kernel, widened where images shrink, around each new pixel's centre."""
    factor = old / new
    centres = (np.arange(new) + 0.5) * factor
    found = cubic((np.arange(old) + 0.5 - centres[:, np.newaxis]) / max(factor, 1))
    return found / found.sum(1, keepdims=True)


@pytest.mark.parametrize(("old", "new"), [((9, 14), (299, 299)), ((40, 31), (16, 12))])
def test_the_resize_is_the_antialiased_bicubic_one(old, new):
    images = pictures(2, (*old, 3))
    rows, columns = weights(old[0], new[0]), weights(old[1], new[1])
    expected = np.einsum("yh,xw,nhwc->nyxc", rows, columns, images.astype(np.float64))
    found = resizing.resize(images, *new)
    assert found.dtype == np.float32 and found.shape == (2, *new, 3)
    # Pillow leaves out what lies beyond the kernel's rounded support: a thousandth of a level.
    np.testing.assert_allclose(found, np.clip(expected, 0, 255), atol=0.01)
    assert (found != np.rint(found)).mean() > 0.5  # levels are not rounded


def test_it_does_what_clean_fid_does():
    """One picture in mode F a channel, clipped; here written out for one image."""
    image = pictures(1, (32, 32, 3))[0]
    channels = [Image.fromarray(image[..., i].astype(np.float32)) for i in range(3)]
    large = [np.asarray(c.resize((299, 299), Image.Resampling.BICUBIC)) for c in channels]
    expected = np.stack(large, -1).clip(0, 255)
    np.testing.assert_array_equal(resizing.resize(image[np.newaxis], 299, 299)[0], expected)


def test_images_of_the_size_stay_as_they_are():
    images = pictures(3)
    np.testing.assert_array_equal(resizing.resize(images, 6, 5), images)
    assert resizing.in_words((6, 5), (6, 5)) == "none"


@pytest.mark.parametrize(
    ("size", "expected"),
    [((64, 64), (16, 16)), ((109, 89), (16, 13)), ((8, 12), (8, 12)), ((3, 400), (1, 16))],
)
def test_shrinking_keeps_proportions_and_never_enlarges(size, expected):
    assert resizing.shrink(*size, 16) == expected


# --- block by block


def test_batches_all_have_one_size_and_filling_does_not_show():
    seen = []

    def sums(batch):
        seen.append(len(batch))
        return [batch.sum(1), batch * 2]

    rows = np.arange(22).reshape(11, 2)
    first, second = in_batches(sums, rows, size=4)
    assert seen == [4, 4, 4]
    np.testing.assert_array_equal(first, rows.sum(1))
    np.testing.assert_array_equal(second, rows * 2)


@pytest.mark.parametrize("lengths", [[600], [1] * 600, [255, 2, 343], [300, 0, 300]])
def test_how_images_arrive_does_not_show(lengths):
    images = pictures(600)
    ends = np.cumsum(lengths)
    arriving = (images[end - n : end] for n, end in zip(lengths, ends, strict=True))
    means = Means()
    found = collect(extract(means, arriving, total=600, doing="test"))
    assert means.sizes == [256, 256, 88]
    np.testing.assert_array_equal(found.features, Means()(images).features)
    np.testing.assert_array_equal(found.probabilities["light"][:, 1:], found.features)


def test_only_one_block_is_held():
    """What has been found is handed on before more images are asked for."""
    given = []

    def arriving():
        for piece in pieces(pictures(5 * BLOCK)):
            given.append(len(piece))
            yield piece

    for number, _ in enumerate(extract(Means(), arriving(), total=5 * BLOCK, doing="test"), 1):
        assert len(given) == number


def test_a_progress_bar_counts_images(capsys, monkeypatch):
    monkeypatch.setattr(progress, "is_watched", lambda: True)
    list(extract(Means(), pieces(pictures(300)), total=300, doing="features of reals"))
    assert "features of reals" in (shown := capsys.readouterr().err) and "300/300" in shown


def test_below_another_bar_it_vanishes(capsys, monkeypatch):
    monkeypatch.setattr(progress, "is_watched", lambda: True)
    with tqdm(total=1):
        list(extract(Means(), pieces(pictures(300)), total=300, doing="features of reals"))
        shown = capsys.readouterr().err
    last = shown.rpartition("images/s]")[2]
    assert last.count(" ") > 40 and not last.strip(" \r\n\x1b[A")  # nothing but spaces over it


def test_pieces_are_the_chosen_rows_in_order(tmp_path):
    np.save(tmp_path / "images.npy", pictures(700))
    images = np.load(tmp_path / "images.npy", mmap_mode="r")
    rows = np.random.default_rng(1).permutation(700)[:520]
    parts = list(pieces(images, rows))
    assert [len(part) for part in parts] == [256, 256, 8]
    np.testing.assert_array_equal(np.concatenate(parts), images[rows])
    np.testing.assert_array_equal(np.concatenate(list(pieces(images))), images)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
@pytest.mark.parametrize("where", ["features", "probabilities"])
def test_what_is_not_finite_is_refused(wrong, where):
    class Broken(Means):
        def __call__(self, images):
            found = super().__call__(images)
            (found.features if where == "features" else found.probabilities["light"])[-1] = wrong
            return found

    with pytest.raises(UserError, match="extractor means are not finite: expected .* received"):
        list(extract(Broken(), pieces(pictures(3)), total=3, doing="test"))


def test_a_block_is_a_whole_number_of_every_extractors_batches():
    from dcgan.evaluation import classifier, inception

    assert extractor.BLOCK % classifier.BATCH == extractor.BLOCK % inception.BATCH == 0


# --- pixels


def test_small_images_are_features_as_they_are():
    images = np.array([0, 51, 255, 102], np.uint8).reshape(2, 1, 2, 1)
    found = Pixels((1, 2, 1))(images)
    # -1 + 2 * 51 / 255 = -0.6; -1 + 2 * 102 / 255 = -0.2
    np.testing.assert_allclose(found.features, [[-1, -0.6], [1, -0.2]], atol=1e-6)
    assert found.features.dtype == np.float32 and found.probabilities == {}


def test_large_images_become_sixteen_pixels():
    pixels = Pixels((48, 96, 3))
    images = pictures(70, (48, 96, 3))
    found = pixels(images).features
    assert found.shape == (70, 8 * 16 * 3) and pixels.classes == {}
    assert pixels.resize == "to 8x16, bicubic with antialiasing (Pillow, float32)"
    expected = resizing.resize(images, 8, 16).reshape(70, -1) / 127.5 - 1
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_array_equal(pixels(images[7:9]).features, found[7:9])


def test_the_fingerprint_is_of_what_is_computed():
    assert Pixels((48, 48, 3)).fingerprint == Pixels((48, 48, 3)).fingerprint
    assert Pixels((48, 48, 3)).fingerprint != Pixels((64, 64, 3)).fingerprint


# --- by name


def data(count: int = 4, labels=None):
    return SimpleNamespace(images=pictures(count, (8, 8, 3)), labels=labels or {})


def test_pixels_need_nothing(tmp_path):
    made = extractors.make("pixels", data(), cache_dir=tmp_path / "cache", seed=0)
    assert made.name == "pixels" and made(data().images).features.shape == (4, 192)
    assert not (tmp_path / "cache").exists()


def test_a_wrong_name_is_refused_with_the_right_ones(tmp_path):
    with pytest.raises(UserError, match=r"'pixel' \(did you mean pixels\?\): expected --extractor"):
        extractors.make("pixel", data(), cache_dir=tmp_path, seed=0)


def test_a_classifier_without_labels_is_refused_with_what_to_do(tmp_path):
    with pytest.raises(UserError, match="none: .* one folder a class, .* inception or pixels"):
        extractors.make("classifier", data(), cache_dir=tmp_path, seed=0)
    assert list(tmp_path.iterdir()) == []
