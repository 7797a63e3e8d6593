"""A white sheet on which images, words and signs are put: for the figures that people look at."""

import numpy as np
from PIL import Image, ImageDraw

from dcgan import images

INK, GREY = (40, 44, 52), (120, 126, 136)
WORDS = 14  # pixels, of the text
SIDE = 96  # pixels, about which enlarged images are wide


def natural_scale(height: int, width: int) -> int:
    """How many times to enlarge the pixels of an image so that people see them."""
    return max(1, round(SIDE / max(height, width)))


def enlarge(pictures: np.ndarray, scale: int) -> np.ndarray:
    """uint8 [N, height, width, channels] with each pixel repeated: nothing is made up."""
    return pictures.repeat(scale, 1).repeat(scale, 2)


class Sheet:
    """An RGB picture that starts white."""

    def __init__(self, height: int, width: int):
        self._picture = Image.new("RGB", (width, height), "white")
        self._pen = ImageDraw.Draw(self._picture)

    def image(self, picture: np.ndarray, left: int, top: int) -> None:
        """Puts uint8 [height, width, 1 or 3] with its upper left corner there."""
        flat = picture[..., 0] if picture.shape[-1] == 1 else picture
        self._picture.paste(Image.fromarray(flat).convert("RGB"), (left, top))

    def words(self, text: str, x: int, y: int, *, anchor: str = "mt", colour=INK) -> None:
        """Writes Latin letters.

        Args:
            anchor: what (x, y) is of the text, in Pillow's letters: "mt" the middle of its top.
        """
        self._pen.text((x, y), text, colour, anchor=anchor, font_size=WORDS)

    def sign(self, sign: str, x: int, y: int) -> None:
        """Draws +, -, = or > (an arrow) around a point."""
        half, thick = 9, 3
        if sign in "+-":
            self._line(x - half, y, x + half, y, thick)
        if sign == "+":
            self._line(x, y - half, x, y + half, thick)
        if sign == "=":
            self._line(x - half, y - 4, x + half, y - 4, thick)
            self._line(x - half, y + 4, x + half, y + 4, thick)
        if sign == ">":
            self._line(x - half, y, x + half, y, 2)
            self._line(x + half - 5, y - 5, x + half, y, 2)
            self._line(x + half - 5, y + 5, x + half, y, 2)

    def _line(self, x0: int, y0: int, x1: int, y1: int, width: int) -> None:
        self._pen.line((x0, y0, x1, y1), INK, width)

    def png_bytes(self, comment: str) -> bytes:
        """The sheet as a PNG file with a comment (see `provenance.mark`)."""
        return images.png_bytes(np.asarray(self._picture), comment=comment)
