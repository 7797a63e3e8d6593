"""An arithmetic of latent vectors, drawn with its operands as in Radford et al. 2015, figure 7."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dcgan import images
from dcgan.outputs.sheet import GREY, WORDS, Sheet, enlarge, natural_scale

GAP = 6
SIGN = 44  # pixels that a sign takes
HEAD = WORDS + 2 * GAP  # room for the captions
LABEL = WORDS + GAP + 6


@dataclass(frozen=True)
class Term:
    """One row of the drawing.

    Attributes:
        sign: 1 or -1.
        seeds: of the samples.
        samples: uint8 [N, height, width, channels].
        average: the image of their mean, uint8 [height, width, channels].
    """

    sign: int
    seeds: Sequence[int]
    samples: np.ndarray
    average: np.ndarray


def draw_equation(
    terms: Sequence[Term], around: np.ndarray, *, noise: float, comment: str
) -> bytes:
    """A row for each term, its samples and their average; then the result, alone and amid noise.

    Args:
        terms: at least one.
        around: uint8 [9, height, width, channels], the result in the middle.
        noise: its scale, for the caption.
        comment: for the PNG file.

    Returns:
        a PNG file.
    """
    scale = natural_scale(*around.shape[1:3])
    height, width = (side * scale for side in around.shape[1:3])
    pitch = height + LABEL
    block = enlarge(images.grid(around, columns=3, margin=1)[np.newaxis], scale)[0]
    average_left = SIGN + max(len(term.seeds) for term in terms) * _cell(width) + SIGN
    result_left = average_left + width + SIGN
    block_left = result_left + width + SIGN
    tall, wide = block.shape[:2]
    tallest = max(len(terms) * pitch, tall)
    sheet = Sheet(HEAD + tallest + GAP, block_left + max(wide, 200) + 2 * GAP)
    top = HEAD + (tallest - len(terms) * pitch) // 2
    for row, term in enumerate(terms):
        _draw_term(sheet, term, top + row * pitch, average_left, scale)
    middle = HEAD + tallest // 2
    sheet.sign("=", result_left - SIGN // 2, middle)
    sheet.image(enlarge(around[4:5], scale)[0], result_left, middle - height // 2)
    sheet.image(block, block_left, middle - tall // 2)
    for words, x, y in (
        ("samples", SIGN + width // 2, top),
        ("average", average_left + width // 2, top),
        ("result", result_left + width // 2, middle - height // 2),
        (f"result and noise of \xb1{noise:g}", block_left + wide // 2, middle - tall // 2),
    ):
        sheet.words(words, x, y - GAP, anchor="mb")
    return sheet.png_bytes(comment)


def _cell(width: int) -> int:
    """Pixels from one sample to the next: a narrow one leaves room for its seed."""
    return max(width, 40) + GAP


def _draw_term(sheet: Sheet, term: Term, top: int, average_left: int, scale: int) -> None:
    """The sign, the samples over their seeds, an arrow and the average."""
    height, width = (side * scale for side in term.average.shape[:2])
    middle = top + height // 2
    sheet.sign("+" if term.sign > 0 else "-", SIGN // 2, middle)
    left = SIGN
    for seed, sample in zip(term.seeds, enlarge(term.samples, scale), strict=True):
        sheet.image(sample, left, top)
        sheet.words(str(seed), left + width // 2, top + height + GAP // 2, colour=GREY)
        left += _cell(width)
    sheet.sign(">", average_left - SIGN // 2, middle)
    sheet.image(enlarge(term.average[np.newaxis], scale)[0], average_left, top)
