"""The share of images in which a cascade finds a face."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
from learnt import learnt_run

import main
from dcgan import UserError
from dcgan.datasets import catalog
from dcgan.datasets.prepare import prepare
from dcgan.datasets.source import ImageSpec
from dcgan.evaluation import evaluator, face_share
from dcgan.evaluation.face_share import FaceFinder, choose
from dcgan.evaluation.intervals import of_trials
from dcgan.files import read_json_lines
from dcgan.preparation import cascades, faces

DATA = Path(__file__).parents[3] / "shared" / "data"
CASCADE = DATA / "lbpcascade_animeface.xml"
cv2 = face_share.faces.cv2
needs_cascades = pytest.mark.skipif(
    not hasattr(cv2, "CascadeClassifier"), reason="OpenCV with cascades is not installed"
)


def test_the_interval_is_wilsons():
    """Of 8 of 10: centre (0.8 + 1.9208 / 10) / (1 + 3.8415 / 10) = 0.7167, half 0.2266."""
    found = of_trials(8, 10)
    assert (found.value, found.low, found.high) == pytest.approx((0.8, 0.4902, 0.9433), abs=2e-4)
    none, all_ = of_trials(0, 10), of_trials(10, 10)
    assert none.low == 0 and all_.high == 1  # 3.8415 / 13.8415 from there
    assert none.high == pytest.approx(0.2775, abs=2e-4) == 1 - all_.low


def faces_of(data: str, side: int, count: int) -> np.ndarray:
    if not DATA.is_dir():
        pytest.skip(f"{DATA} is not here")
    source = catalog.find(data, str(DATA), download=False)
    return prepare(source, ImageSpec(side, side, 3), cache_dir=None, limit=count).images


@needs_cascades
def test_it_finds_the_faces_of_small_pictures_and_none_in_others():
    images = faces_of("anime", 48, 20)
    finder = FaceFinder(CASCADE, "animeface")
    assert finder(images).mean() >= 0.95
    assert finder(images[:, ::-1]).mean() <= 0.1  # upside down
    assert not finder(np.random.default_rng(0).integers(0, 256, (9, 48, 48, 3), np.uint8)).any()


@needs_cascades
def test_grey_and_odd_sizes_are_looked_at_too():
    finder = FaceFinder(Path(cv2.data.haarcascades) / "haarcascade_frontalface_default.xml", "f")
    for shape in ((2, 28, 28, 1), (2, 9, 40, 3), (2, 128, 100, 1)):
        assert finder(np.zeros(shape, np.uint8)).tolist() == [False, False]


@needs_cascades
@pytest.mark.slow
@pytest.mark.parametrize(
    ("data", "side", "name"), [("anime", 48, "animeface"), ("celeba", 64, "frontalface_default")]
)
def test_the_cascade_that_finds_more_is_taken(tmp_path, data, side, name):
    images = faces_of(data, side, 60)
    (tmp_path / "lbpcascade_animeface.xml").write_bytes(CASCADE.read_bytes())
    found = choose(images, cascade=None, cache_dir=tmp_path)
    assert found.name == name and found(images).mean() > 0.85


@needs_cascades
def test_the_command_says_it_beside_the_reals(tmp_path, capsys, monkeypatch):
    root = learnt_run(tmp_path, {"": 120})
    monkeypatch.setattr(FaceFinder, "_shows_face", lambda self, image: image.mean() > 60)
    flags = ["evaluate", "--run_dir", str(root), "--num_images", "110", "--metrics", "faces"]
    flags += ["--cascade", "frontalface_default"]
    assert main.main(flags) == 0
    (record,) = read_json_lines(root / "evaluation" / "faces-110-frontalface_default.jsonl")
    assert record["extractor"] == "frontalface_default" and record["better"] == "higher"
    assert record["floor"]["of"] == "reals" and record["floor"]["count"] == 110
    assert 0.2 < record["floor"]["value"] < 0.8  # noise around 60
    assert record["low"] <= record["value"] <= record["high"]
    output = capsys.readouterr().out
    assert "Finding faces with the cascade frontalface_default." in output
    assert "(reals)" in output and "\nfaces " in output


@needs_cascades
def test_the_fingerprint_is_of_the_cascade(tmp_path):
    folder = Path(cv2.data.haarcascades)
    one, other = (
        choose(np.zeros((1, 8, 8, 3), np.uint8), cascade=name, cache_dir=tmp_path)
        for name in ("frontalface_default", "frontalface_alt")
    )
    assert one.fingerprint != other.fingerprint and one.name == "frontalface_default"
    copy = tmp_path / "copy.xml"
    copy.write_bytes((folder / "haarcascade_frontalface_alt.xml").read_bytes())
    copied = choose(np.zeros((1, 8, 8, 3), np.uint8), cascade=str(copy), cache_dir=tmp_path)
    assert copied.fingerprint == other.fingerprint and copied.name == "copy"
    with pytest.raises(UserError, match="neither a file nor a known name"):
        choose(np.zeros((1, 8, 8, 3), np.uint8), cascade="nose", cache_dir=tmp_path)


def test_without_opencv_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    for module in (faces, cascades, face_share, evaluator):
        package, _, name = module.__name__.rpartition(".")
        monkeypatch.delattr(sys.modules[package], name)
        monkeypatch.delitem(sys.modules, module.__name__)
    importlib.import_module(evaluator.__name__)  # it goes without
    fresh = importlib.import_module(face_share.__name__)
    with pytest.raises(UserError, match="Finding faces needs the library OpenCV.* pip install"):
        fresh.choose(np.zeros((1, 8, 8, 3)), cascade=None, cache_dir=tmp_path)
