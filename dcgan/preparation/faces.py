"""Finds faces in a picture by a cascade, cuts them out, and measures how sharp they are.

These functions take arrays and read no file but the cascade. Boxes are (left, top, right, bottom)
in pixels; right and bottom are just outside. The method is that of Viola and Jones 2001, "Rapid
Object Detection using a Boosted Cascade of Simple Features", as OpenCV implements it.
"""

import functools
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from dcgan.plain_path import plain

try:
    import cv2
except ImportError:  # `cascades.find` reports it before anything is searched
    cv2 = None

Box = tuple[int, int, int, int]

SAME_FACE = 0.2  # share of their side by which boxes of one face may differ, OpenCV's `eps`


@dataclass(frozen=True)
class FaceSearch:
    cascade: str  # path of the cascade's file
    scale_factor: float = 1.1  # step from one size of the search to the next, above 1
    min_neighbors: int = 5  # overlapping finds that make a face
    min_size: int = 48  # side of the smallest face, in pixels
    # degrees; if above 0, the picture is also searched turned by this angle to either side, and the
    # finds of all three searches are grouped together
    tilt: float = 0.0


@functools.lru_cache(maxsize=1)
def load(path: str):
    """Loads a cascade; a file of another kind gives an empty one, or raises cv2.error."""
    cv2.setNumThreads(1)  # each core has its own process
    cascade = cv2.CascadeClassifier()
    with plain(Path(path)) as place:
        cascade.load(place)
    return cascade


def find(image: np.ndarray, search: FaceSearch) -> list[Box]:
    """Returns the boxes of the faces in a picture, RGB, uint8 [height, width, 3], top to bottom.

    Boxes are square, and their centres are in the picture. What a cascade takes for a face is
    larger than the area from hair to chin and from ear to ear.
    """
    if min(image.shape[:2]) < search.min_size:
        return []
    # The cascades were trained on equalized pictures, and it helps with dark and faint drawings.
    grey = cv2.equalizeHist(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
    angles = (0.0, search.tilt, -search.tilt) if search.tilt else (0.0,)
    finds = [find for angle in angles for find in _find_turned(grey, angle, search)]
    if not finds:
        return []
    faces, _ = cv2.groupRectangles(finds, search.min_neighbors, SAME_FACE)
    boxes = [tuple(map(int, (x, y, x + side, y + side))) for x, y, side, _ in faces]
    return sorted(boxes, key=lambda box: (box[1], box[0], box[2]))


def _find_turned(grey: np.ndarray, angle: float, search: FaceSearch) -> list[list[int]]:
    """Searches a picture turned by `angle` degrees; returns finds as [left, top, side, side].

    A find's centre is turned back and its box stays upright; centres outside are left out.
    """
    height, width = grey.shape
    turn, size = _turn(width, height, angle)
    turned = cv2.warpAffine(grey, turn, size, borderMode=cv2.BORDER_REPLICATE) if angle else grey
    finds = load(search.cascade).detectMultiScale(
        turned,
        scaleFactor=search.scale_factor,
        minNeighbors=0,
        minSize=(search.min_size, search.min_size),
    )
    back = cv2.invertAffineTransform(turn)
    result = []
    for x, y, side, _ in np.reshape(finds, (-1, 4)).tolist():
        centre_x, centre_y = back @ (x + side / 2, y + side / 2, 1)
        if 0 <= centre_x < width and 0 <= centre_y < height:
            result.append([round(centre_x - side / 2), round(centre_y - side / 2), side, side])
    return result


def _turn(width: int, height: int, angle: float) -> tuple[np.ndarray, tuple[int, int]]:
    """Returns the affine map [2, 3] that turns a picture, and the (width, height) of the result.

    The angle is in degrees, counterclockwise.
    """
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1.0)
    cos, sin = abs(turn[0, 0]), abs(turn[0, 1])
    size = math.ceil(width * cos + height * sin), math.ceil(width * sin + height * cos)
    turn[:, 2] += (size[0] - width) / 2, (size[1] - height) / 2
    return turn, size


def square(box: Box, margin: float, *, width: int, height: int) -> Box:
    """Returns the square around a box, with a margin, inside a picture of `width` x `height`.

    The margin on each side is a share of the box's longer side. A square that would extend beyond
    the picture is moved; one larger than the picture is shrunk.
    """
    left, top, right, bottom = box
    side = round(max(right - left, bottom - top) * (1 + 2 * margin))
    side = max(1, min(side, width, height))
    left = min(max(round((left + right - side) / 2), 0), width - side)
    top = min(max(round((top + bottom - side) / 2), 0), height - side)
    return left, top, left + side, top + side


def crop_square(image: np.ndarray, box: Box, size: int) -> np.ndarray:
    """Resizes a square box of a picture, antialiased, to uint8 [size, size, 3]."""
    picture = Image.fromarray(image)
    return np.asarray(picture.resize((size, size), Image.Resampling.LANCZOS, box=box))


def sharpness(image: np.ndarray) -> float:
    """Computes the variance of the Laplacian of grey levels (0 to 255): low if edges are soft.

    Pech-Pacheco et al. 2000, "Diatom autofocusing in brightfield microscopy". Drawn faces of 96
    pixels have some hundreds; enlarged from 48 pixels 80 to 600, enlarged from 24 below 80, and
    blurred by a Gaussian of 2 pixels below 35.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return float(cv2.Laplacian(grey, cv2.CV_64F).var())
