"""Cuts the faces out of all pictures in a folder or archive; a later start goes on with new ones.

Worker processes on all cores find faces. This process decides in the order of the pictures which
faces to keep, so the same pictures always give the same files. A picture that cannot be read is
reported and skipped, and tried again by the next start.
"""

import contextlib
import functools
import hashlib
import io
import os
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from dcgan import images
from dcgan.datasets.picture import read_whole
from dcgan.datasets.picture_files import PictureFiles
from dcgan.datasets.picture_formats import UnusableFile
from dcgan.datasets.source import Skipped
from dcgan.datasets.workers import map_in_order
from dcgan.preparation import duplicates, faces
from dcgan.preparation.crop_folder import CroppedFolder
from dcgan.preparation.faces import Box, FaceSearch
from dcgan.terminal.progress import Bar

SHEET_FACES, SHEET_COLUMNS = 100, 10
SHEET_SIDE = 128  # largest side of a face on the sheet, in pixels
DRAWING_SIDE = 1600  # largest side of the picture with boxes, in pixels
# Bytes of one folder, and of all, in a picture's name; faces are written to folders named so.
LONGEST_PART, LONGEST_PATH = 255, 1000
# In faces.jsonl, as the reason why a face was dropped.
BLURRED, DUPLICATE, FACELESS = "blurred", "near duplicate of ", "no face found"


@dataclass(frozen=True)
class CropOptions(FaceSearch):
    """How faces are found, then cut out and chosen."""

    size: int = 96  # side of the face pictures, in pixels
    margin: float = 0.2  # added on each side of the found box, as a share of its side
    # variance of the Laplacian at the final size below which a face is blurred
    min_sharpness: float = 40.0
    # bits in which the perceptual hashes of near duplicates may differ, 0 to 64
    similarity: int = 4


@dataclass(frozen=True)
class PictureFaces:
    """What a worker finds in one picture; `reason` tells why it cannot be used, if so."""

    source: str
    sha256: str = ""
    faces: tuple[tuple[dict[str, Any], bytes], ...] = ()  # see `_cut_out`
    reason: str = ""


@dataclass
class CropResult:
    pictures: int = 0  # pictures examined by this start
    faceless: int = 0  # those of them without a face
    kept: int = 0  # faces written
    dropped: Counter = field(default_factory=Counter)  # faces, by "blurred" and "near duplicate"
    skipped: list[Skipped] = field(default_factory=list)  # pictures that cannot be read


def crop(
    source: PictureFiles, folder: CroppedFolder, options: CropOptions, *, workers: int | None = None
) -> CropResult:
    """Adds faces to an open folder, from the pictures that it does not know yet.

    Raises UserError if a file that crop did not write is in the way.
    """
    result = CropResult()
    seen = duplicates.FingerprintIndex(options.similarity)
    for fingerprint, file in folder.kept:
        seen.add(fingerprint, file)
    new = [i for i, name in enumerate(source.names) if name not in folder.sources]
    looks = map_in_order(functools.partial(look, options=options), source, new, workers=workers)
    with contextlib.closing(looks), Bar("cropping", len(new), "pictures") as bar:
        for one in looks:
            if one.reason:
                result.skipped.append(Skipped(one.source, one.reason))
            elif one.source not in folder.sources:  # an archive may have two files of one name
                _add(folder, one, seen=seen, result=result)
            bar.note(f"{len(folder.kept):,} faces")
            bar.update()
    return result


def look(source: PictureFiles, index: int, *, options: CropOptions) -> PictureFaces:
    """Finds and cuts out the faces in one picture; a task for a worker."""
    name = source.names[index]
    lengths = [len(os.fsencode(folder)) for folder in name.split("/")[:-1]]
    if sum(lengths) > LONGEST_PATH or max(lengths, default=0) > LONGEST_PART:
        return PictureFaces(name, reason="name too long")
    try:
        image = source.read_whole(index, 3)
        with source.open(index) as file:
            checksum = hashlib.file_digest(file, "sha256").hexdigest()
    except UnusableFile as reason:
        return PictureFaces(name, reason=str(reason))
    boxes = faces.find(image, options)
    return PictureFaces(name, checksum, tuple(_cut_out(image, box, options) for box in boxes))


def _cut_out(image: np.ndarray, box: Box, options: CropOptions) -> tuple[dict[str, Any], bytes]:
    """Returns the facts about a face for faces.jsonl, and its PNG file: empty if it is blurred.

    The facts are the cascade's box, the square that is cut out, the sharpness, and the perceptual
    hash in 16 hexadecimal digits, or "" if the face is blurred.
    """
    height, width = image.shape[:2]
    square = faces.square(box, options.margin, width=width, height=height)
    pixels = faces.crop_square(image, square, options.size)
    sharpness = round(faces.sharpness(pixels), 2)
    facts = {"box": box, "crop": square, "sharpness": sharpness, "fingerprint": ""}
    if sharpness < options.min_sharpness:
        return facts, b""
    facts["fingerprint"] = f"{duplicates.fingerprint(Image.fromarray(pixels)):016x}"
    return facts, images.png_bytes(pixels)


def _add(
    folder: CroppedFolder,
    one: PictureFaces,
    *,
    seen: duplicates.FingerprintIndex,
    result: CropResult,
) -> None:
    """Keeps or drops each face of a picture, and records both.

    faces.jsonl of existing folders has these keys, which `crop_folder` reads, and these file names.
    """
    base = {"source": one.source, "sha256": one.sha256, "face": 0, "faces": len(one.faces)}
    lines: list[dict[str, Any]] = []
    files: dict[str, bytes] = {}
    prefix = folder.prefix(one.source)
    for number, (facts, png) in enumerate(one.faces):
        file, dropped = f"{prefix}-{number}.png", None
        if not png:
            dropped = BLURRED
        elif near := seen.add(int(facts["fingerprint"], 16), file):
            dropped = DUPLICATE + near
        else:
            files[file] = png
        file = None if dropped else file
        lines.append(base | {"face": number, "file": file, "dropped": dropped} | facts)
    if not lines:
        lines = [base | {"file": None, "dropped": FACELESS, "fingerprint": ""}]
    folder.add(lines, files)
    result.pictures += 1
    result.faceless += not one.faces
    result.kept += len(files)
    reasons = (line["dropped"] for line in lines if one.faces and line["dropped"])
    result.dropped.update(reason.partition(" of ")[0] for reason in reasons)


def contact_sheet(folder: CroppedFolder) -> bytes | None:
    """Draws evenly chosen faces; returns the bytes of a PNG file, None without faces."""
    files = [file for _, file in folder.kept]
    tiles, side = [], SHEET_SIDE
    for file in (files[i] for i in images.even_indices(len(files), SHEET_FACES)):
        path = folder.root / file
        if not path.is_file():
            continue  # the user has removed it
        try:
            with open(path, "rb") as stream:
                picture = Image.fromarray(read_whole(stream, 3))
        except (OSError, UnusableFile):
            continue  # the user has put something else in its place
        # Shrunk at once, as all are kept in memory: the file may now be far larger than a face.
        picture.thumbnail((SHEET_SIDE, SHEET_SIDE), Image.Resampling.LANCZOS, reducing_gap=None)
        side = min(side, *picture.size)
        tiles.append(picture)
    if not tiles:
        return None
    resized = [np.asarray(t.resize((side, side), Image.Resampling.LANCZOS)) for t in tiles]
    return images.png_bytes(images.grid(np.stack(resized), columns=SHEET_COLUMNS, margin=2))


def drawing(source: PictureFiles, folder: CroppedFolder) -> bytes | None:
    """Draws the boxes into the picture with the most faces; returns the bytes of a JPEG file.

    Boxes that the cascade found are white, squares that were cut out are green, or red if dropped
    afterwards. Returns None if no face was found or the picture is missing.
    """
    lines = folder.busiest
    if not lines or lines[0]["source"] not in source.names:
        return None
    try:
        picture = Image.fromarray(source.read_whole(source.names.index(lines[0]["source"]), 3))
    except UnusableFile:
        return None
    scale = min(1.0, DRAWING_SIDE / max(picture.size))
    picture = picture.resize([max(1, round(side * scale)) for side in picture.size])
    pen = ImageDraw.Draw(picture)
    for line in lines:
        colours = {"box": "white", "crop": "red" if line["dropped"] else "lime"}
        for name, colour in colours.items():
            pen.rectangle([edge * scale for edge in line[name]], outline=colour, width=3)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()
