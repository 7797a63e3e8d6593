"""Finds cascades: nagadomi's for anime faces, OpenCV's own for photographs, or any file."""

import hashlib
from pathlib import Path

from dcgan import UserError, extras
from dcgan.datasets.download import RemoteFile, fetch
from dcgan.preparation import faces
from dcgan.preparation.faces import cv2

ANIMEFACE = "animeface"  # also the extractor's name in evaluation records of faces
ANIMEFACE_FILE = RemoteFile(
    name="lbpcascade_animeface.xml",
    urls=(
        "https://raw.githubusercontent.com/nagadomi/lbpcascade_animeface/master/"
        "lbpcascade_animeface.xml",
    ),
    sha256="9376d30ac38db6bda2a68b88b3b76bbd7e6aa33af47f7f5c76bc88ca75f1ce30",
    size=246_945,
)
OWN_PREFIX = "haarcascade_"  # the beginning of the names of OpenCV's own files


def require() -> None:
    """Raises UserError if OpenCV is missing or has no cascades."""
    if cv2 is None:
        raise UserError(
            "Finding faces needs the library OpenCV, not installed here: "
            f"run {extras.install_command('data')}."
        )
    if not hasattr(cv2, "CascadeClassifier"):
        raise UserError(
            f"Finding faces needs the cascades of OpenCV 4, and OpenCV {cv2.__version__}, which is "
            f"installed, has none: run {extras.install_command('data')}."
        )


def find(cascade: str, cache_dir: Path) -> Path:
    """Returns the file of a cascade: "animeface", one of OpenCV's own names, or a path.

    The first is downloaded once, to `cache_dir`. Raises UserError if that fails, for an unknown
    name or a file that holds no cascade, and see `require`.
    """
    require()
    own = Path(cv2.data.haarcascades)
    if cascade == ANIMEFACE:
        path = fetch(ANIMEFACE_FILE, cache_dir)
        if checksum(path) != ANIMEFACE_FILE.sha256:
            raise UserError(
                f"{path} is not the cascade that was expected there (SHA-256 {checksum(path)} "
                f"instead of {ANIMEFACE_FILE.sha256}): remove it to have it downloaded again, or "
                "name it with --cascade."
            )
    elif (own / f"{OWN_PREFIX}{cascade}.xml").is_file():
        path = own / f"{OWN_PREFIX}{cascade}.xml"
    elif Path(cascade).is_file():
        path = Path(cascade)
    else:
        names = sorted(p.stem.removeprefix(OWN_PREFIX) for p in own.glob(f"{OWN_PREFIX}*.xml"))
        raise UserError(
            f"--cascade {cascade} is neither a file nor a known name: expected {ANIMEFACE}, one of "
            f"OpenCV's own ({', '.join(names)}), or the path of a cascade."
        )
    _check(path)
    return path


def checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _check(path: Path) -> None:
    log = cv2.utils.logging
    before = log.setLogLevel(log.LOG_LEVEL_SILENT)  # OpenCV would print an error of its own
    try:
        empty = faces.load(str(path)).empty()
    except cv2.error:
        empty = True
    finally:
        log.setLogLevel(before)
    if empty:
        raise UserError(
            f"{path} holds no cascade: expected an XML file as OpenCV's trainer writes it, such as "
            "lbpcascade_animeface.xml."
        )
