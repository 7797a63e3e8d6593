"""Generated images beside the training images nearest to them, a row each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dcgan import images
from dcgan.images import Cell, labelled_grid

APART = 14  # white pixels around each space


@dataclass(frozen=True)
class NeighbourColumn:
    """The neighbours in one space."""

    title: str  # what they are nearest in
    pictures: np.ndarray  # uint8 [Q, k, height, width, channels], the nearest first
    captions: Sequence[Sequence[str]]  # Q lists of k texts


def draw_rows(
    generated: np.ndarray, seeds: Sequence[int], columns: Sequence[NeighbourColumn], *, comment: str
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
    own = NeighbourColumn(
        "generated", generated[:, np.newaxis], [[f"seed {seed}"] for seed in seeds]
    )
    titles = [Cell(caption=column.title) for column in (own, *columns)]
    blocks = [Cell(_block(column)) for column in (own, *columns)]
    return images.png_bytes(labelled_grid([titles, blocks], gap=APART), comment=comment)


def _block(column: NeighbourColumn) -> np.ndarray:
    """The pictures of a space over their captions."""
    scale = images.natural_scale(*column.pictures.shape[2:4])
    return labelled_grid(
        [
            [Cell(*one) for one in zip(images.enlarge(row, scale), captions, strict=True)]
            for row, captions in zip(column.pictures, column.captions, strict=True)
        ]
    )
