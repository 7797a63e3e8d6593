"""Vector drawing for the built-in avatars: colours, smooth shapes, an antialiased canvas.

A shape is an array of points [N, 2] on a smooth curve through a few control points, computed once
when a module is loaded: drawing only moves, scales and fills it. The unit is half the shorter side
of the picture, the origin is its centre, and y points down. For antialiasing, the canvas is several
times larger than the picture and is averaged down at the end. A `Look` holds what varies from face
to face; nothing here draws random numbers or reads files.
"""

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

Colour = tuple[int, int, int]

WHITE: Colour = (255, 255, 255)
INK: Colour = (44, 26, 46)  # outlines are a warm dark purple, which is softer than black
LINE_WIDTH = 0.013
SUPERSAMPLING = 4
STEPS = 16  # points of a curve between two control points; small canvases use every fourth
MIN_CANVAS = 160  # pixels of the shorter side; below this eyes would lose their highlights


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """Mixes two colours: `share` 0 gives `a`, 1 gives `b`."""
    return tuple([int(p + (q - p) * share + 0.5) for p, q in zip(a, b, strict=True)])


def times(colour: Colour, factors: tuple[float, float, float]) -> Colour:
    """Darkens a colour by a factor per channel, so that it keeps its saturation."""
    return tuple([int(c * f) for c, f in zip(colour, factors, strict=True)])


@dataclass(frozen=True)
class Look:
    """Everything that determines how a face is drawn."""

    # value name of each shape attribute: "style", "bangs", "mouth", "brows", "glasses"
    kinds: Mapping[str, str]
    hair: Colour
    eyes: Colour
    skin: Colour
    accent: Colour  # of clothes and ribbons
    backdrop: tuple[Colour, Colour, str]  # top colour, bottom colour and motif
    vary: Mapping[str, float]  # small variations by name, each in [-1, 1]

    @property
    def skin_shade(self) -> Colour:
        """The colour of skin in the shade."""
        return mix(mix(self.skin, (214, 84, 92), 0.26), (96, 40, 96), 0.12)

    @property
    def skin_line(self) -> Colour:
        """The colour of outlines of skin."""
        return mix(self.skin, (96, 24, 44), 0.58)


def curve(points: np.ndarray, *, closed: bool) -> np.ndarray:
    """Draws a smooth curve through points: Catmull-Rom with tangents scaled by chord length.

    Points are [N, 3]: x, y, and 1 for a corner or 0; the ends of an open curve are always corners.
    Returns [STEPS * N, 2] if closed, [STEPS * (N - 1) + 1, 2] if open.
    """
    after = np.arange(1, len(points) + 1) % len(points)
    xy, corner = points[:, :2], points[:, 2:] > 0
    ahead = xy[after] - xy
    chord = np.hypot(ahead[:, :1], ahead[:, 1:]) + 1e-9
    velocity = (ahead + ahead[after - 2]) / (chord + chord[after - 2])
    if not closed:
        corner = corner.copy()
        corner[[0, -1]] = True
    start = np.where(corner, ahead, velocity * chord)
    end = np.where(corner[after], ahead, velocity[after] * chord)
    parts = np.stack([xy, start, xy[after], end], axis=1)  # [N, 4, 2]
    if closed:
        return (_HERMITE @ parts).reshape(-1, 2)
    return np.concatenate([(_HERMITE @ parts[:-1]).reshape(-1, 2), xy[-1:]])


def _hermite() -> np.ndarray:
    """Computes the cubic Hermite basis [STEPS, 4] for start, start tangent, end, end tangent."""
    t = np.arange(STEPS) / STEPS
    columns = 2 * t**3 - 3 * t**2 + 1, t**3 - 2 * t**2 + t, 3 * t**2 - 2 * t**3, t**3 - t**2
    return np.stack(columns, axis=1)


_HERMITE = _hermite()


def controls(points: str) -> np.ndarray:
    """Parses control points "x,y", or "x,y,1" for corners, separated by spaces; [N, 3]."""
    return np.array([(*map(float, point.split(",")), 0.0)[:3] for point in points.split()])


def outline(points: str) -> np.ndarray:
    """Makes a closed shape through `controls`."""
    return curve(controls(points), closed=True)


def path(points: str) -> np.ndarray:
    """Makes an open curve through `controls`."""
    return curve(controls(points), closed=False)


def symmetric(points: str) -> np.ndarray:
    """Makes a closed shape from its left half: points from top to bottom, none on the axis."""
    half = controls(points)
    return curve(np.concatenate([half, half[::-1] * (-1, 1, 1)]), closed=True)


def brush(widths: Sequence[float], points: str) -> np.ndarray:
    """Makes the shape of a brush stroke: an open curve whose width runs through `widths`."""
    middle = path(points)
    along = np.gradient(middle, axis=0)
    along /= np.hypot(along[:, :1], along[:, 1:]) + 1e-9
    where = np.linspace(0, len(widths) - 1, len(middle))
    half = np.interp(where, np.arange(len(widths)), widths)[:, None] / 2
    aside = along[:, ::-1] * (-half * (1, -1))
    # STEPS * 2 * segments + 1 points: taking every fourth keeps both ends.
    return np.concatenate([(middle + aside)[:-1], middle[-1:], (middle - aside)[-2::-1]])


def mirror(shape: np.ndarray) -> np.ndarray:
    """Mirrors a shape to the other side of the face."""
    return shape * (-1, 1)


CIRCLE = curve(np.array([(np.cos(a), np.sin(a), 0) for a in np.arange(8) * np.pi / 4]), closed=True)


class Canvas:
    """A supersampled picture, and the transformation that places shapes in it."""

    def __init__(self, height: int, width: int):
        shorter = min(height, width)
        self.factor = max(SUPERSAMPLING, -(-MIN_CANVAS // shorter))
        self.size = (width * self.factor, height * self.factor)
        self.image = Image.new("RGB", self.size)
        self.pen = ImageDraw.Draw(self.image)
        self.unit = shorter * self.factor / 2
        self.half_width, self.half_height = width / shorter, height / shorter
        self.small = self.unit < 200
        self._every = 4 if self.small else 1
        self.place()

    def place(self, *, angle: float = 0.0, scale: float = 1.0, shift=(0.0, 0.0), pivot=(0.0, 0.0)):
        """Turns (by `angle`, radians) and scales later shapes about `pivot`, then shifts them."""
        c, s = math.cos(angle) * scale, math.sin(angle) * scale
        turn = np.array([[c, s], [-s, c]])
        centre = np.array([self.half_width, self.half_height])
        self._base = turn * self.unit
        self._base_offset = (np.add(pivot, shift) - np.array(pivot) @ turn + centre) * self.unit
        self._line_unit = scale * self.unit
        self.local()

    def local(self, shift=(0.0, 0.0), scale=(1.0, 1.0), shear: float = 0.0):
        """Scales, shears (y by x) and shifts later shapes, before `place` does the rest."""
        matrix = np.array([[scale[0], shear], [0.0, scale[1]]])
        self._matrix = matrix @ self._base
        # Pillow truncates coordinates: adding half a pixel rounds them.
        self._offset = np.array(shift) @ self._base + self._base_offset + 0.5

    def finish(self) -> np.ndarray:
        """Returns the picture, uint8 [height, width, 3]."""
        return np.asarray(self.image.reduce(self.factor))

    def thin(self, shape: np.ndarray) -> np.ndarray:
        """Returns the points of a shape that a canvas of this size needs."""
        return shape[:: self._every]

    def _pixels(self, shape: np.ndarray) -> list[float]:
        """Returns a shape in canvas pixels, as the flat list that Pillow takes fastest."""
        return (self.thin(shape) @ self._matrix + self._offset).ravel().tolist()

    def fill(self, shape: np.ndarray, colour: Colour, line: Colour | None = None):
        """Fills a shape and, if `line` is given, draws its outline."""
        pixels = self._pixels(shape)
        self.pen.polygon(pixels, fill=colour)
        if line:
            self._line(pixels + pixels[:4], line, LINE_WIDTH)

    def trace(self, shape: np.ndarray, colour: Colour, *, width=LINE_WIDTH, closed: bool = False):
        """Draws a line of constant width along a shape."""
        pixels = self._pixels(shape)
        self._line(pixels + pixels[:4] if closed else pixels, colour, width)

    def _line(self, pixels: list[float], colour: Colour, width: float):
        thick = max(1, round(width * self._line_unit))
        self.pen.line(pixels, fill=colour, width=thick, joint="curve" if thick > 3 else None)

    def corners(self, points, colour: Colour):
        """Fills the polygon with these corners [N, 2], without thinning them."""
        pixels = np.asarray(points) @ self._matrix + self._offset
        self.pen.polygon(pixels.ravel().tolist(), fill=colour)

    def mask(self, *shapes: np.ndarray) -> Image.Image:
        """Makes one mask of several shapes."""
        mask = Image.new("L", self.size)
        pen = ImageDraw.Draw(mask)
        for shape in shapes:
            pen.polygon(self._pixels(shape), fill=255)
        return mask

    def gradient(self, stops: Sequence[tuple[float, Colour]], mask: Image.Image | None = None):
        """Paints colours that change from top to bottom, everywhere or inside a `mask`.

        `stops` are (y, colour), in ascending order; y is in units from the picture's centre.
        """
        left, top, right, bottom = box = (mask and mask.getbbox()) or (0, 0, *self.size)
        y = (np.arange(top, bottom) + 0.5) / self.unit - self.half_height
        heights, colours = zip(*stops, strict=True)
        column = [np.interp(y, heights, channel) + 0.5 for channel in zip(*colours, strict=True)]
        column = Image.fromarray(np.stack(column, axis=1).astype(np.uint8)[:, np.newaxis])
        block = column.resize((right - left, bottom - top), Image.Resampling.NEAREST)
        self.image.paste(block, box, mask.crop(box) if mask else None)

    def tint(self, mask: Image.Image, colour: Colour):
        """Paints a colour through a mask."""
        box = mask.getbbox()
        if box:
            self.image.paste(colour, box, mask.crop(box))

    def glow(self, centre, radii, colour: Colour):
        """Paints a soft round spot: `colour` in the middle, transparent at the rim."""
        x, y = (np.array(centre) @ self._matrix + self._offset).astype(int).tolist()
        w, h = (max(1, round(r * self._line_unit)) for r in radii)
        self.image.paste(colour, (x - w, y - h, x + w, y + h), _spot_mask(w, h))


@functools.lru_cache(64)
def _spot_mask(w: int, h: int) -> Image.Image:
    """Makes the mask [2 h, 2 w] of a soft spot; cached, as faces of one size need few sizes."""
    x, y = (np.arange(2 * w) + 0.5) / w - 1, (np.arange(2 * h) + 0.5) / h - 1
    distance = np.hypot(y[:, None], x)
    return Image.fromarray((255 * np.clip(1 - distance, 0, 1) ** 0.8).astype(np.uint8))
