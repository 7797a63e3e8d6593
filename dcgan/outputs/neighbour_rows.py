"""Generated images beside the training images nearest to them, a row each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dcgan.outputs.sheet import GREY, WORDS, Sheet, enlarge, natural_scale

GAP, APART = 4, 28
HEAD = WORDS + 12
LABEL = WORDS + 8
NARROWEST, TITLE = 44, 220  # pixels that a caption and a title take


@dataclass(frozen=True)
class Column:
    """The neighbours in one space.

    Attributes:
        title: what they are nearest in.
        pictures: uint8 [Q, k, height, width, channels], the nearest first.
        captions: Q lists of k texts.
    """

    title: str
    pictures: np.ndarray
    captions: Sequence[Sequence[str]]


def draw_rows(
    generated: np.ndarray, seeds: Sequence[int], columns: Sequence[Column], *, comment: str
) -> bytes:
    """Each generated image, then its neighbours in each space.

    Args:
        generated: uint8 [Q, height, width, channels].
        seeds: of them.
        columns: of at least one space.
        comment: for the PNG file.

    Returns:
        a PNG file.
    """
    scale = natural_scale(*generated.shape[1:3])
    height, width = (side * scale for side in generated.shape[1:3])
    cell = max(width, NARROWEST) + GAP
    first, pitch = GAP + max(cell, 80) + APART, height + LABEL
    wide = max(columns[0].pictures.shape[1] * cell, TITLE) + APART
    sheet = Sheet(HEAD + len(seeds) * pitch + GAP, first + len(columns) * wide)
    sheet.words("generated", GAP, GAP, anchor="lt")
    for row, seed in enumerate(seeds):
        top = HEAD + row * pitch
        sheet.image(enlarge(generated[row : row + 1], scale)[0], GAP, top)
        sheet.words(f"seed {seed}", GAP, top + height + 3, anchor="lt", colour=GREY)
    for number, column in enumerate(columns):
        left = first + number * wide
        sheet.words(column.title, left, GAP, anchor="lt")
        for row, captions in enumerate(column.captions):
            top = HEAD + row * pitch
            near = enlarge(column.pictures[row], scale)
            for place, (picture, caption) in enumerate(zip(near, captions, strict=True)):
                x = left + place * cell
                sheet.image(picture, x, top)
                sheet.words(caption, x, top + height + 3, anchor="lt", colour=GREY)
    return sheet.png_bytes(comment)
