"""In how many images a cascade finds a face: a number that everybody understands.

It is that of `crop`, on images as small as generators make them: enlarged, and framed by their own
borders, as the cascade's idea of a face is larger than many cut-out faces. It says that there is a
face, not that faces differ: a generator of one face gets all. So it stands beside the share of the
reals, which is below 1 too. Refused is to start without OpenCV, see `cascades`.
"""

import math
from pathlib import Path

import numpy as np

from dcgan import UserError
from dcgan.evaluation import resizing
from dcgan.evaluation.cache import digest
from dcgan.evaluation.intervals import Estimate, of_trials
from dcgan.evaluation.metrics import FACES, FACES_VERSION
from dcgan.preparation import cascades, faces
from dcgan.terminal import progress

SIDE = 96  # pixels of the shorter side, to which smaller images are enlarged by a whole factor
FRAME = 0.25  # of the shorter side that borders are repeated outwards
SMALLEST = 0.5  # of the shorter side that a face takes at least
LOOKED_AT = 200  # real images by which a cascade is chosen
KNOWN = (cascades.ANIMEFACE, "frontalface_default")  # of drawn and of photographed faces


class FaceFinder:
    """Finds faces by a cascade; name, fingerprint and resize are as those of an `Extractor`."""

    def __init__(self, cascade: Path, name: str):
        """Takes a cascade's file, as `cascades.find` gives it, and its name for records."""
        self.name, self._path = name, cascade
        self.resize = f"enlarged to {SIDE} pixels, {resizing.METHOD}, borders repeated"
        told = (SIDE, FRAME, SMALLEST, faces.cv2.__version__)
        self.fingerprint = digest(FACES, FACES_VERSION, cascades.checksum(cascade), *told)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Of uint8 images [N, height, width, 1 or 3], which show a face: bool [N]."""
        seen = progress.over(images, "looking for faces", len(images), "images", kept=None)
        return np.array([self._shows(np.asarray(image)) for image in seen], bool)

    def _shows(self, image: np.ndarray) -> bool:
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
    """The finder for a data set: the named one, else that of `KNOWN` which finds more faces.

    The first `LOOKED_AT` images are looked at. A UserError where OpenCV is missing, the cascade
    cannot be fetched or is none.
    """
    cascades.require()
    if cascade is not None:
        return _finder(cascade, cache_dir)
    finders = [_finder(name, cache_dir) for name in KNOWN]
    return max(finders, key=lambda finder: finder(images[:LOOKED_AT]).mean())


def face_share(found: np.ndarray) -> Estimate:
    """The share of images that show a face, `found` in them or not, with Wilson's interval."""
    return of_trials(int(found.sum()), len(found))


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
