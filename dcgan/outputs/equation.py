"""Draws arithmetic of latent vectors with its operands, as in Radford et al. 2015, figure 7."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from dcgan import images
from dcgan.images import Cell, labelled_grid

# Signs are drawn in a square of this many pixels, from lines given by the (x, y) of both ends.
SIGN = 30
_BAR = ((6, 15), (24, 15))
SIGNS = {
    "+": (_BAR, ((15, 6), (15, 24))),
    "-": (_BAR,),
    "=": (((6, 11), (24, 11)), ((6, 19), (24, 19))),
    ">": (_BAR, ((19, 10), (24, 15)), ((19, 20), (24, 15))),  # an arrow
}


@dataclass(frozen=True)
class Term:
    """One row of the drawing."""

    sign: int  # 1 or -1
    seeds: Sequence[int]  # of the samples
    samples: np.ndarray  # uint8 [N, height, width, channels]
    average: np.ndarray  # the image of their mean, uint8 [height, width, channels]


def draw_equation(
    terms: Sequence[Term], around: np.ndarray, *, noise: float, comment: str
) -> bytes:
    """Draws a PNG: one row per term, with its samples and their average, then the result.

    Args:
        around: uint8 [9, height, width, channels], the result in the middle of eight noisy ones.
        noise: scale of the noise, for the caption.
    """
    scale = images.natural_scale(*around.shape[1:3])
    most = max(len(term.seeds) for term in terms)
    operands = [[Cell(), Cell(caption="samples"), *[Cell()] * most, Cell(caption="average")]]
    for term in terms:
        *samples, average = images.enlarge(np.stack([*term.samples, term.average]), scale)
        row = [Cell(*one) for one in zip(samples, map(str, term.seeds), strict=True)]
        row += [Cell()] * (most - len(row))
        operands.append([_sign("+" if term.sign > 0 else "-"), *row, _sign(">"), Cell(average)])
    around = images.enlarge(around, scale)
    block = images.grid(around, columns=3, margin=scale)
    result = (
        _put_under("result", around[4]),
        _put_under(f"result and noise of \xb1{noise:g}", block),
    )
    row = [Cell(labelled_grid(operands)), _sign("="), *result]
    return images.png_bytes(labelled_grid([row]), comment=comment)


def _put_under(heading: str, picture: np.ndarray) -> Cell:
    return Cell(labelled_grid([[Cell(caption=heading)], [Cell(picture)]]))


def _sign(sign: str) -> Cell:
    picture = Image.new("RGB", (SIGN, SIGN), "white")
    for line in SIGNS[sign]:
        ImageDraw.Draw(picture).line(line, images.INK, 3)
    return Cell(np.asarray(picture))
