"""Finding faces, their squares and sharpness; recall and precision on real illustrations."""

import json
import types
from pathlib import Path

import numpy as np
import pytest
from pictures import photograph
from PIL import Image

from dcgan import UserError
from dcgan.datasets.download import RemoteFile
from dcgan.datasets.picture import read_whole
from dcgan.preparation import cascades
from dcgan.preparation.faces import FaceSearch, crop_square, find, sharpness, square

cv2 = pytest.importorskip("cv2", reason="finding faces needs opencv-python-headless")

REAL = Path(__file__).parents[2].parent / "shared" / "data"
MARKS = Path(__file__).parents[1] / "data" / "illustration_boxes.json"


@pytest.fixture(scope="module")
def frontal() -> str:
    return str(cascades.find("frontalface_default", Path("unused")))


# ---- squares


@pytest.mark.parametrize(
    ("box", "margin", "expected"),
    [
        ((40, 40, 60, 60), 0.0, (40, 40, 60, 60)),
        ((40, 40, 60, 60), 0.2, (36, 36, 64, 64)),  # 20 * 1.4 = 28, 4 more on each side
        ((40, 30, 60, 40), 0.0, (40, 25, 60, 45)),  # the longer side
        ((0, 0, 20, 20), 0.2, (0, 0, 28, 28)),  # moved by 4 to the right and down
        ((80, 60, 100, 80), 0.2, (72, 52, 100, 80)),  # moved back from the lower right corner
        ((10, 10, 80, 80), 0.5, (5, 0, 85, 80)),  # 140 shrunk to the height, around x = 45
    ],
)
def test_a_square_stays_inside_the_picture(box, margin, expected):
    assert square(box, margin, width=100, height=80) == expected


def test_every_square_is_square_and_inside():
    random = np.random.default_rng(1)
    for _ in range(300):
        width, height = map(int, random.integers(1, 400, 2))
        left, top, side = map(int, random.integers(-50, 400, 3))
        box = (left, top, left + max(side, 1), top + max(side, 1))
        a, b, c, d = square(box, float(random.uniform(0, 2)), width=width, height=height)
        assert c - a == d - b >= 1 and 0 <= a and 0 <= b and c <= width and d <= height


def test_a_cut_is_antialiased():
    board = np.indices((64, 64)).sum(0) % 2 * 255  # single pixels: 127.5 on the mean
    image = np.repeat(board[..., None], 3, -1).astype(np.uint8)
    small = crop_square(image, (0, 0, 64, 64), 8)
    assert small.shape == (8, 8, 3)
    assert abs(small.astype(int) - 127).max() <= 3
    np.testing.assert_array_equal(crop_square(image, (3, 5, 19, 21), 16), image[5:21, 3:19])


# ---- sharpness


def test_sharpness_is_the_variance_of_the_laplacian():
    # One pixel of 9 on black: the Laplacian is -36 there, 9 on its four sides, 0 elsewhere and on
    # the mean. The variance over 9 * 9 pixels is (36**2 + 4 * 9**2) / 81 = 20.
    image = np.zeros((9, 9, 3), np.uint8)
    image[4, 4] = 9
    assert sharpness(image) == pytest.approx(20.0)


# ---- search


def test_find_agrees_with_opencv(frontal):
    image = np.asarray(photograph())
    grey = cv2.equalizeHist(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
    cascade = cv2.CascadeClassifier(frontal)
    for neighbors in (2, 5):
        expected = cascade.detectMultiScale(grey, 1.1, neighbors, minSize=(48, 48))
        expected = {(x, y, x + w, y + h) for x, y, w, h in expected.tolist()}
        found = find(image, FaceSearch(frontal, min_neighbors=neighbors))
        assert set(found) == expected and len(found) >= 1
        assert found == sorted(found, key=lambda box: box[1])


def test_small_blank_and_faceless_pictures_hold_no_face(frontal):
    noise = np.random.default_rng(0).integers(0, 256, (120, 90, 3), np.uint8)
    for image in (noise, noise[:47], noise[:, :1], np.full((300, 300, 3), 200, np.uint8)):
        assert find(image, FaceSearch(frontal)) == []


@pytest.mark.parametrize("angle", [-30, 30])
def test_tilt_finds_a_face_on_its_side_where_it_is(frontal, angle):
    upright = find(np.asarray(photograph()), FaceSearch(frontal))[0]
    turned = np.asarray(photograph().rotate(angle, Image.Resampling.BICUBIC))
    assert find(turned, FaceSearch(frontal, min_neighbors=12)) == []
    (box,) = find(turned, FaceSearch(frontal, min_neighbors=12, tilt=25.0))
    # Pillow turns against the clock around the centre (128, 150); y points down.
    x, y = (upright[0] + upright[2]) / 2 - 128, (upright[1] + upright[3]) / 2 - 150
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    expected = np.array([128 + x * cos + y * sin, 150 - x * sin + y * cos])
    centre = np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2])
    assert np.abs(centre - expected).max() < 12
    assert box[2] - box[0] == pytest.approx(upright[2] - upright[0], rel=0.2)


# ---- cascades


def test_cascades_that_cannot_be_used_are_refused(tmp_path):
    (tmp_path / "text.xml").write_text("no cascade")
    (tmp_path / "other.xml").write_text('<?xml version="1.0"?><opencv_storage></opencv_storage>')
    for name in ("text.xml", "other.xml"):
        with pytest.raises(UserError, match=f"{name} holds no cascade: expected"):
            cascades.find(str(tmp_path / name), tmp_path)
    with pytest.raises(UserError, match="nowhere is neither a file .* frontalface_default,.* path"):
        cascades.find("nowhere", tmp_path)


def test_without_opencv_the_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setattr(cascades, "cv2", None)
    with pytest.raises(UserError, match=r"not installed here: run pip install .*\[data\]"):
        cascades.find("animeface", Path("unused"))
    monkeypatch.setattr(cascades, "cv2", types.SimpleNamespace(__version__="5.0.0"))
    with pytest.raises(
        UserError, match=r"OpenCV 5.0.0, which is installed, .* pip install .*\[data\]"
    ):
        cascades.find("animeface", Path("unused"))


def test_offline_the_sentence_says_which_file_to_put_where(tmp_path, monkeypatch):
    file = cascades.ANIMEFACE_FILE
    nobody = RemoteFile(file.name, ("http://127.0.0.1:9/cascade.xml",), file.sha256, file.size)
    monkeypatch.setattr(cascades, "ANIMEFACE_FILE", nobody)
    with pytest.raises(UserError, match=f"{file.name} could not .* put the file into {tmp_path}"):
        cascades.find("animeface", tmp_path)
    (tmp_path / file.name).write_text("something else")
    with pytest.raises(UserError, match=r"not the cascade that was expected .* remove it"):
        cascades.find("animeface", tmp_path)


# ---- real illustrations


def is_same_face(found, marked) -> bool:
    """Each centre lies in the other box, and neither is more than twice as wide as the other.

    The cascade draws its boxes about 1.4 times as wide as a person who goes from hair to chin.
    """

    def holds(box, other):
        x, y = (other[0] + other[2]) / 2, (other[1] + other[3]) / 2
        return box[0] <= x <= box[2] and box[1] <= y <= box[3]

    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (found, marked)]
    return holds(found, marked) and holds(marked, found) and 0.25 <= areas[0] / areas[1] <= 4


def measure(search: FaceSearch, part: slice) -> tuple[float, float, str]:
    """(recall, precision, both in words) on the illustrations, each marked face found once only."""
    hits = finds = total = 0
    for name, marks in list(json.loads(MARKS.read_text())["boxes"].items())[part]:
        with open(REAL / "illustrations" / name, "rb") as file:
            found = find(read_whole(file, 3), search)
        left = list(marks)
        for box in found:
            same = [mark for mark in left if is_same_face(box, mark)]
            if same:
                left.remove(same[0])
        hits, finds, total = hits + len(marks) - len(left), finds + len(found), total + len(marks)
    words = f"{hits} of {total} faces found, {finds - hits} of {finds} finds no face"
    return hits / total, hits / finds, words


def need_real_data() -> str:
    cascade = REAL / "lbpcascade_animeface.xml"
    if not (cascade.exists() and (REAL / "illustrations").exists()):
        pytest.skip(f"needs the illustrations and the cascade in {REAL}")
    return str(cascade)


@pytest.mark.parametrize(
    "part",
    [
        slice(1, None, 5),  # 8 of 16 found, 0 of 8 wrong
        pytest.param(slice(None), marks=pytest.mark.slow),  # 27 of 65, 1 of 28
    ],
)
def test_recall_and_precision_of_the_defaults(part):
    recall, precision, words = measure(FaceSearch(need_real_data()), part)
    assert recall >= 0.40 and precision >= 0.95, words
