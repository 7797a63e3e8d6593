"""In how many images a cascade finds a face: a number that everybody understands.

It is that of `crop`, on images as small as generators make them: enlarged, and framed by their own
borders, as the cascade's idea of a face is larger than many cut-out faces. It says that there is a
face, not that faces differ: a generator of one face gets all. So it stands beside the share of the
reals, which is below 1 too. Refused is to start without OpenCV, see `cascades`.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dcgan import UserError
from dcgan.evaluation import resizing
from dcgan.evaluation.cache import digest
from dcgan.evaluation.estimate import Estimate, of_trials
from dcgan.preparation import cascades, faces

VERSION = 1  # raised when the same images and cascade give another number
SIDE = 96  # pixels of the shorter side, to which smaller images are enlarged by a whole factor
FRAME = 0.25  # of the shorter side that borders are repeated outwards
SMALLEST = 0.5  # of the shorter side that a face takes at least
LOOKED_AT = 200  # real images by which a cascade is chosen
KNOWN = (cascades.ANIMEFACE, "frontalface_default")  # of drawn and of photographed faces


class FaceFinder:
    """Finds faces by a cascade.

    Attributes:
        name: of the cascade, such as animeface.
        fingerprint: hexadecimal; changes whenever what is found could.
        resize: in words, how images are shown to the cascade.
    """

    def __init__(self, cascade: Path, name: str):
        """
        Args:
            cascade: its file, as `cascades.find` gives it.
            name: for records.
        """
        self.name, self._path = name, cascade
        self.resize = f"enlarged to {SIDE} pixels, {resizing.METHOD}, borders repeated"
        told = (SIDE, FRAME, SMALLEST, faces.cv2.__version__)
        self.fingerprint = digest("faces", VERSION, cascades.checksum(cascade), *told)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Of uint8 images [N, height, width, 1 or 3], which show a face: bool [N]."""
        return np.array([self._shows(np.asarray(image)) for image in images], bool)

    def _shows(self, image: np.ndarray) -> bool:
        factor = max(1, math.ceil(SIDE / min(image.shape[:2])))
        height, width = factor * image.shape[0], factor * image.shape[1]
        levels = resizing.resized(image[np.newaxis], height, width)[0]
        shorter = min(height, width)
        frame = round(FRAME * shorter)
        framed = np.pad(
            np.rint(levels).astype(np.uint8), ((frame,) * 2, (frame,) * 2, (0, 0)), "edge"
        )
        framed = np.ascontiguousarray(np.broadcast_to(framed, (*framed.shape[:2], 3)))
        search = faces.Search(str(self._path), min_size=round(SMALLEST * shorter))
        return bool(faces.find(framed, search))


def choose(images: np.ndarray, *, cascade: str | None, cache_dir: Path) -> FaceFinder:
    """The finder for a data set: the named one, else that which finds more faces in its images.

    Args:
        images: uint8 [N, height, width, channels], of which `LOOKED_AT` are looked at.
        cascade: as in `crop --cascade`; None to try `KNOWN`.
        cache_dir: where the fetched cascade is kept.

    Raises:
        UserError: OpenCV is missing, the cascade cannot be fetched or is none.
    """
    if cascade is not None:
        return _finder(cascade, cache_dir)
    some = _some(images)
    found = [(finder(some).mean(), finder) for finder in _finders(KNOWN, cache_dir)]
    return max(found, key=lambda pair: pair[0])[1]


def at_hand(images: np.ndarray, *, cache_dir: Path) -> FaceFinder | None:
    """The finder of `choose` where nothing needs to be fetched and most images show a face."""
    if faces.cv2 is None or not hasattr(faces.cv2, "CascadeClassifier"):
        return None
    here = [name for name in KNOWN if name != cascades.ANIMEFACE]
    if (cache_dir / cascades.ANIMEFACE_FILE.name).is_file():
        here = list(KNOWN)
    some = _some(images)
    found = [(finder(some).mean(), finder) for finder in _finders(here, cache_dir)]
    share, finder = max(found, key=lambda pair: pair[0])
    return finder if share > 0.5 else None


def face_share(found: np.ndarray) -> Estimate:
    """The share of images that show a face, with Wilson's interval.

    Args:
        found: bool [N], of each image.
    """
    return of_trials(int(found.sum()), len(found))


def _some(images: np.ndarray) -> np.ndarray:
    """Images from all over the data set."""
    rows = np.linspace(0, len(images) - 1, min(LOOKED_AT, len(images))).astype(int)
    return images[rows]


def _finders(names: Sequence[str], cache_dir: Path) -> list[FaceFinder]:
    return [_finder(name, cache_dir) for name in names]


def _finder(cascade: str, cache_dir: Path) -> FaceFinder:
    try:
        path = cascades.find(cascade, cache_dir)
    except UserError as error:
        if cascade != cascades.ANIMEFACE:
            raise
        raise UserError(
            f"{error} Or choose --faces frontalface_default for photographs, or the path of a "
            "cascade."
        ) from error
    name = cascade if path.stem.endswith(cascade) else path.stem
    return FaceFinder(path, name)
