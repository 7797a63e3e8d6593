"""The share of images in which a cascade finds a face: a number that everybody understands.

The cascades are those of the command `crop`. Small images are enlarged, and framed by their
repeated borders, as cascades expect more around a face than many cropped images show. The number
says that there is a face, not that faces differ: a generator of a single face reaches 1.
"""

import math
from pathlib import Path

import numpy as np

from dcgan import UserError
from dcgan.evaluation import resizing
from dcgan.evaluation.cache import digest
from dcgan.evaluation.metrics import FACES, FACES_VERSION
from dcgan.preparation import cascades, faces
from dcgan.terminal import progress

SIDE = 96  # pixels; images with a smaller shorter side are enlarged by an integer factor
FRAME = 0.25  # width of the frame, as a share of the shorter side
SMALLEST = 0.5  # least size of a face, as a share of the shorter side
LOOKED_AT = 200  # number of real images by which a cascade is chosen
KNOWN = (cascades.ANIMEFACE, "frontalface_default")  # for drawn and for photographed faces


class FaceFinder:
    """Finds faces by a cascade; name, fingerprint and resize have the meaning of `Extractor`'s."""

    def __init__(self, cascade: Path, name: str):
        """Takes the path of a cascade, see `cascades.find`, and its name for records."""
        self.name, self._path = name, cascade
        # In records, like the fingerprint: with other words or numbers, faces are counted again.
        self.resize = f"enlarged to {SIDE} pixels, {resizing.METHOD}, borders repeated"
        told = (SIDE, FRAME, SMALLEST, faces.cv2.__version__)
        self.fingerprint = digest(FACES, FACES_VERSION, cascades.checksum(cascade), *told)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Tells which of uint8 images [N, height, width, 1 or 3] show a face: bool [N]."""
        seen = progress.with_bar(images, "looking for faces", len(images), "images", kept=None)
        return np.array([self._shows_face(np.asarray(image)) for image in seen], bool)

    def _shows_face(self, image: np.ndarray) -> bool:
        factor = max(1, math.ceil(SIDE / min(image.shape[:2])))
        height, width = factor * image.shape[0], factor * image.shape[1]
        levels = resizing.resize(image[np.newaxis], height, width)[0]
        shorter = min(height, width)
        frame = round(FRAME * shorter)
        framed = np.pad(
            np.rint(levels).astype(np.uint8), ((frame,) * 2, (frame,) * 2, (0, 0)), "edge"
        )
        framed = np.ascontiguousarray(np.broadcast_to(framed, (*framed.shape[:2], 3)))
        search = faces.FaceSearch(str(self._path), min_size=round(SMALLEST * shorter))
        return bool(faces.find(framed, search))


def choose(images: np.ndarray, *, cascade: str | None, cache_dir: Path) -> FaceFinder:
    """Makes the finder for a data set: by the given cascade, else by the better one of `KNOWN`.

    The better one finds more faces in the first `LOOKED_AT` images. Raises UserError if OpenCV is
    missing, or if the cascade cannot be downloaded or is not one.
    """
    cascades.require()
    if cascade is not None:
        return _finder(cascade, cache_dir)
    finders = [_finder(name, cache_dir) for name in KNOWN]
    return max(finders, key=lambda finder: finder(images[:LOOKED_AT]).mean())


def _finder(cascade: str, cache_dir: Path) -> FaceFinder:
    try:
        path = cascades.find(cascade, cache_dir)
    except UserError as error:
        if cascade != cascades.ANIMEFACE:
            raise
        raise UserError(
            f"{error} Or choose --cascade frontalface_default for photographs, or the path of a "
            "cascade."
        ) from error
    name = cascade if path.stem.endswith(cascade) else path.stem
    return FaceFinder(path, name)
