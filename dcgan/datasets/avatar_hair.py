"""Draws the hair of the avatars: behind the head, the locks beside the face, the bangs.

A style is data: shapes for the left side, which are mirrored for the right.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops

from dcgan.datasets.avatar_drawing import (
    CIRCLE,
    INK,
    STEPS,
    WHITE,
    Canvas,
    Look,
    brush,
    controls,
    curve,
    mirror,
    mix,
    outline,
    symmetric,
    times,
)

Shapes = tuple[np.ndarray, ...]


def _lock(points: str) -> Shapes:
    """Makes a lock beside the face from points: its outer root, round its tip, its inner root.

    Returns shape and contour. The contour fades out at the roots, so that no seam shows there.
    """
    return outline(points), brush((0, 0.016, 0.018, 0.018, 0.014, 0), points)


@dataclass(frozen=True)
class Style:
    """The shapes of a hair style."""

    back: np.ndarray  # the shape behind everything, both sides
    lock: Shapes  # the lock beside the face, left side: shape and contour
    tails: Shapes = ()  # shapes behind the head, left side
    ties: Shapes = ()  # (x, y) of ribbons, left side
    one_sided: bool = False  # whether tails and ties are on one side only
    strands: Shapes = ()  # lines on the side locks, left side
    plaits: Shapes = ()  # shapes in front of the shoulders, left side


def _spikes(points: str) -> np.ndarray:
    """Makes a crown of spikes round the skull; a tip is angle (in degrees), radius, lean."""
    tips, points = controls(points), []
    for i, (angle, radius, lean) in enumerate(tips):
        a = np.radians(angle)
        points.append((radius * np.sin(a), -0.14 - radius * np.cos(a), 1))
        if i + 1 < len(tips):
            b = np.radians((angle + tips[i + 1][0]) / 2 + lean)
            points.append((0.72 * np.sin(b), -0.14 - 0.72 * np.cos(b), 1))
    return curve(np.array([*points, (0.3, 0.3, 0), (-0.3, 0.3, 0)]), closed=True)


def _braid() -> Shapes:
    """Makes plaits from the lowest to the highest, each of which overlaps the one below."""
    plait = outline("0,-.06 -.12,0 -.09,.15 0,.2 .09,.15 .12,0")
    return tuple(
        plait * (1.05 - 0.05 * i, 1) + (-0.665 - 0.012 * i, 0.34 + 0.165 * i) for i in range(7)
    )[::-1]


_SKULL = symmetric("-.2,-.78 -.48,-.66 -.62,-.4 -.67,-.05 -.56,.3 -.25,.45")
_LONG = symmetric("-.2,-.78 -.48,-.66 -.63,-.4 -.72,.05 -.77,.55 -.82,1.1 -.84,1.7,1 -.3,1.75,1")
_THIN_LOCK = _lock("-.655,-.36 -.675,-.1 -.645,.32 -.545,.68,1 -.545,.38 -.505,.12 -.47,-.1")
_SHORT_LOCK = _lock("-.655,-.36 -.675,-.1 -.635,.15 -.535,.36,1 -.515,.12 -.47,-.1")
_LONG_LOCK = _lock(
    "-.655,-.36 -.68,-.1 -.71,.48 -.69,.95 -.58,1.28,1 -.505,.9 -.52,.45 -.5,.1 -.47,-.1"
)
_WAVY_LOCK = _lock(
    "-.655,-.36 -.69,-.08 -.665,.18 -.75,.46 -.67,.76 -.72,1.02 -.55,1.24,1 -.57,1 "
    "-.48,.78 -.55,.5 -.495,.2 -.47,-.1"
)
_TWIN_TAIL = outline(
    "-.56,-.5 -.7,-.66 -.9,-.6 -1.02,-.3 -1.04,.15 -.98,.6 -.9,.95 -.93,1.25,1 -.72,.95 "
    "-.69,.5 -.73,.1 -.68,-.25"
)
_PONYTAIL = outline(
    "-.25,-.7 -.44,-.94 -.74,-.96 -.97,-.7 -1.04,-.2 -1,.3 -.86,.72 -.9,1.02,1 -.68,.75 "
    "-.69,.3 -.75,-.1 -.62,-.45"
)
_BUN = outline("-.52,-.98 -.73,-.93 -.81,-.74 -.72,-.55 -.5,-.52 -.36,-.7 -.38,-.9")
_SPIKY = _spikes(
    "-128,.84,2 -106,.95,3 -83,.9,3 -60,1,4 -36,.9,4 -12,.97,4 14,.88,-3 38,.98,-4 "
    "62,.9,-4 85,.97,-3 108,.9,-3 129,.85,0"
)

STYLES = {
    "bob": Style(
        symmetric("-.2,-.78 -.48,-.66 -.66,-.36 -.79,.05 -.8,.4 -.7,.64 -.35,.7"),
        _lock("-.655,-.36 -.69,-.08 -.755,.3 -.69,.57 -.42,.66,1 -.515,.44 -.51,.15 -.47,-.1"),
        strands=(brush((0, 0.022, 0), "-.6,.08 -.655,.36 -.57,.58"),),
    ),
    "long": Style(_LONG, _LONG_LOCK, strands=(brush((0, 0.024, 0), "-.6,.05 -.62,.5 -.6,1"),)),
    "twin tails": Style(
        *(_SKULL, _THIN_LOCK, (_TWIN_TAIL,), (np.array([-0.64, -0.46]),)),
        strands=(brush((0, 0.024, 0), "-.82,-.45 -.9,.1 -.84,.8"),),
    ),
    "ponytail": Style(
        _SKULL, _THIN_LOCK, tails=(_PONYTAIL,), ties=(np.array([-0.50, -0.73]),), one_sided=True
    ),
    "spiky": Style(_SKULL, _SHORT_LOCK, tails=(_SPIKY,), one_sided=True),
    "wavy": Style(
        symmetric(
            "-.2,-.78 -.48,-.66 -.66,-.42 -.73,-.14 -.86,.1 -.81,.36 -.94,.62 -.87,.9 -.98,1.2 "
            "-.9,1.7,1 -.3,1.75,1"
        ),
        _WAVY_LOCK,
        strands=(brush((0, 0.022, 0), "-.6,.05 -.58,.25 -.66,.5 -.58,.8 -.63,1.1"),),
    ),
    "buns": Style(_SKULL, _THIN_LOCK, tails=(_BUN,)),
    "hime": Style(
        _LONG,
        _lock("-.655,-.36 -.675,-.1 -.68,.47,1 -.41,.5,1 -.48,.2 -.47,-.1"),
        strands=(
            brush((0, 0.022, 0.01), "-.57,.05 -.565,.3 -.54,.48"),
            brush((0, 0.018, 0.01), "-.63,.1 -.635,.3 -.625,.47"),
        ),
    ),
    "braids": Style(_SKULL, _SHORT_LOCK, plaits=_braid()),
    "short": Style(
        symmetric(
            "-.2,-.78 -.48,-.66 -.64,-.42 -.69,-.05 -.65,.22 -.68,.46,1 -.48,.36 -.46,.58,1 -.3,.4"
        ),
        _SHORT_LOCK,
    ),
}

# The lower edge of the bangs from left to right: a tip, a valley, a tip, ...
BANGS = {
    "jagged": controls(
        "-.51,.16 -.42,-.14 -.31,0 -.21,-.24 -.06,.04 .05,-.24 .2,-.01 .34,-.18 .51,.16"
    ),
    "straight": controls(
        "-.53,.1 -.46,-.085 -.36,-.025 -.27,-.085 -.17,-.01 -.07,-.085 .03,-.005 .12,-.085 "
        ".21,-.01 .29,-.085 .37,-.025 .46,-.085 .53,.1"
    ),
    "swept": controls(
        "-.52,.2 -.44,-.14 -.38,.02 -.25,-.5 .06,-.06 .1,-.17 .31,.02 .37,-.13 .52,.22"
    ),
    "parted": controls(
        "-.53,.26 -.45,-.06 -.4,.05 -.3,-.19 -.25,-.09 0,-.56 .25,-.09 .3,-.19 .4,.05 "
        ".45,-.06 .53,.26"
    ),
    "centre lock": controls(
        "-.52,.18 -.42,-.12 -.33,-.02 -.16,-.34 .01,.22 .14,-.34 .32,-.02 .42,-.12 .52,.18"
    ),
}

_CROWN = controls(
    "-.672,-.08,1 -.675,-.26 -.635,-.52 -.47,-.76 -.21,-.89 .21,-.89 .47,-.76 .635,-.52 "
    ".675,-.26 .672,-.08,1"
)
_BOW_WING = outline("0,0 -.17,-.11 -.19,.09")


def _glint(left: float, right: float, teeth: int) -> np.ndarray:
    """Makes a piece of the light band round the crown, with long teeth below, short ones above."""
    x = np.linspace(left, right, 2 * teeth + 1)
    arc = -0.575 + 0.65 * x**2
    ragged = np.arange(len(x)) % 2
    thick = 0.075 * np.sqrt(np.clip(1 - ((2 * x - left - right) / (right - left)) ** 2, 0, 1))
    low = np.stack([x, arc + thick * (0.15 + 1.1 * ragged), 1 - ragged], axis=1)
    high = np.stack([x, arc - thick * (0.7 + 0.3 * ragged), np.zeros_like(x)], axis=1)
    return curve(np.concatenate([high, low[-2:0:-1]]), closed=True)


_GLINTS = (_glint(-0.22, 0.36, 4), _glint(-0.47, -0.27, 2), _glint(0.41, 0.49, 1))


class Hair:
    """The hair of one face, painted in two steps: behind head and shoulders, and in front of them.

    The canvas must be placed as for the head whenever this is made or a method is called.
    """

    def __init__(self, canvas: Canvas, look: Look):
        self.canvas, self.look = canvas, look
        self.base, self.light = look.hair, mix(look.hair, (255, 246, 232), 0.26)
        self.shade, self.line = (
            times(look.hair, factors) for factors in ((0.78, 0.70, 0.82), (0.52, 0.42, 0.52))
        )
        self.style = STYLES[look.kinds["style"]]
        self.part = -1 if look.vary["part"] < 0 else 1  # the side the hair is parted on
        self._grow = (1 + 0.025 * look.vary["volume"], 1 + 0.015 * look.vary["volume"])
        self._cap, self._valleys = self._bangs()
        locks = self._pair(self.style.lock[:1])
        self._mask = canvas.mask(self._cap, *locks)  # all the hair in front of the face

    def _pair(self, shapes: Shapes, one_sided: bool = False) -> list[np.ndarray]:
        """Returns left shapes and their mirror images, or shapes of one side only."""
        if one_sided:
            return [s * self._grow * (-self.part, 1) for s in shapes]
        return [s * self._grow * (side, 1) for s in shapes for side in (1, -1)]

    def _bangs(self) -> tuple[np.ndarray, np.ndarray]:
        """Makes the closed shape of crown and bangs, and the valleys between bangs [N, 2]."""
        vary = self.look.vary
        points = BANGS[self.look.kinds["bangs"]][:, :2].copy()
        points[::2, 1] += 0.03 * vary["bang_length"]
        if self.part > 0:
            points = points[::-1] * (-1, 1)
        points[1:-1, 0] += 0.035 * vary["turn"]
        step = points[1:] - points[:-1]
        lean = 0.08 * vary["lean"]
        bulge = np.where(step[:, 1:] > 0, 0.10 + lean, 0.10 - lean)
        middle = (points[1:] + points[:-1]) / 2 + step[:, ::-1] * (-1, 1) * bulge
        edge = np.zeros((2 * len(points) - 1, 3))
        edge[::2, :2], edge[::2, 2], edge[1::2, :2] = points, 1, middle
        cap = curve(np.concatenate([_CROWN * (*self._grow, 1), edge[::-1]]), closed=True)
        return cap, points[1::2]

    def paint_behind(self):
        """Paints tails, ribbons and the hair behind head and shoulders."""
        canvas, style = self.canvas, self.style
        tails = self._pair(style.tails, style.one_sided)
        if tails:
            stops = [(-0.9, self.base), (-0.4, self.light), (0.1, self.base), (0.9, self.shade)]
            canvas.gradient(stops, canvas.mask(*tails))
            for shape in tails:
                canvas.trace(shape, self.line, closed=True)
        canvas.fill(style.back * self._grow, mix(self.shade, self.line, 0.2), self.line)
        for tie in self._pair(style.ties, style.one_sided):
            for wing in (_BOW_WING, mirror(_BOW_WING)):
                canvas.fill(wing + tie, self.look.accent, mix(self.look.accent, INK, 0.55))
            canvas.fill(CIRCLE * 0.045 + tie, mix(self.look.accent, INK, 0.3))

    def shadow(self) -> Image.Image:
        """Makes the mask of the hair's shadow on the face, a little lower and to the right."""
        unit = self.canvas.unit
        return ImageChops.offset(self._mask, round(0.02 * unit), round(0.07 * unit))

    def paint_before(self):
        """Paints side locks, bangs, strands, shine, and plaits over the shoulders."""
        canvas = self.canvas
        stops = [
            (-0.95, self.shade), (-0.7, self.base), (-0.35, self.light), (0.1, self.base),
            (1.0, self.shade),
        ]  # fmt: skip
        canvas.gradient(stops, self._mask)
        crown = len(_CROWN) - 1  # segments; the next one and the last lie under the locks
        canvas.trace(self._cap[: crown * STEPS + 1], self.line)
        canvas.trace(self._cap[(crown + 1) * STEPS : 1 - STEPS], self.line)
        for contour in self._pair(self.style.lock[1:]):
            canvas.fill(contour, self.line)
        for strand in self._pair(self.style.strands):
            canvas.fill(strand, self.shade)
        self._strands()
        shine = mix(self.base, WHITE, 0.62)
        for shape in _GLINTS:
            canvas.fill(shape * (self.part, 1) + (0.03 * self.look.vary["turn"], 0), shine)
        for shape in self._pair(self.style.plaits):
            canvas.fill(shape, self.base, self.line)
        if self.look.vary["ahoge"] > 0.4:
            canvas.local((0.08 * self.part, -0.86), (self.part, 1))
            canvas.fill(_AHOGE, self.base)
            canvas.trace(_AHOGE, self.line)
            canvas.local()

    def _strands(self):
        """Paints lines between the locks of the bangs, from the valleys up towards the crown."""
        crown = np.array([0.10 * self.part, -0.90])
        roots = self._valleys[:, np.newaxis]  # [N, 1, 2]
        reach = 0.34 + 0.10 * (np.arange(len(roots)) % 2)
        way = (crown - roots) * reach[:, np.newaxis, np.newaxis]
        t = np.linspace(0, 1, 9)[:, np.newaxis]
        bend = (roots - crown) * (0.30, 0.0)
        lines = roots + t * way + t * (1 - t) * bend  # [N, 9, 2]
        across = way[..., ::-1] * (-1, 1) / (np.hypot(way[..., :1], way[..., 1:]) + 1e-9)
        aside = across * 0.014 * (1 - t)
        # A broad soft stroke beside each line makes the next lock look deeper.
        deep = lines + (0.13 * self.part, -0.04) * t * (1 - t) ** 0.7
        for stroke in np.concatenate([lines, deep[:, ::-1]], axis=1):
            self.canvas.corners(stroke, self.shade)
        for stroke in np.concatenate([lines + aside, (lines - aside)[:, ::-1]], axis=1):
            self.canvas.corners(stroke, self.line)


_AHOGE = outline(
    "-.04,.02,1 -.01,-.1 .1,-.16 .22,-.1,1 .09,-.11 .02,.02,1"
)  # the ahoge, a tuft that stands up
