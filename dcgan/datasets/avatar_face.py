"""Draws an avatar without its hair: background, shoulders, face, eyes, mouth, brows, glasses.

Each function paints one layer; `avatars.paint` calls them from back to front. Shapes stand above
the function that paints them.
"""

import numpy as np
from PIL import Image, ImageChops

from dcgan.datasets.avatar_drawing import (
    CIRCLE,
    INK,
    WHITE,
    Canvas,
    Colour,
    Look,
    brush,
    controls,
    mirror,
    mix,
    outline,
    path,
    symmetric,
    times,
)

_STAR = controls("0,-1 .18,-.18 1,0 .18,.18 0,1 -.18,.18 -1,0 -.18,-.18")[:, :2]
_STARS = controls(  # x, y, radius; x and y as shares of the picture
    "-.82,-.78,.11 .86,-.62,.13 -.92,-.15,.07 .62,-.92,.06 .93,.2,.08 -.88,.5,.1 -.5,-.93,.05"
)
_CIRCLES = controls("-.85,-.7,.26 .9,-.2,.34 -.8,.35,.2 .55,-.9,.16 .8,.7,.14")
_CLOUDS = ((-0.75, -0.5), (0.85, 0.1))


def background(canvas: Canvas, look: Look):
    """Paints a two-colour gradient over the whole picture, and a motif on it."""
    top, bottom, motif = look.backdrop
    canvas.gradient([(-canvas.half_height, top), (canvas.half_height, bottom)])
    _MOTIFS[motif](canvas, mix(mix(top, bottom, 0.5), WHITE, 0.4), look.vary["slide"])


def _circles(canvas: Canvas, light: Colour, slide: float):
    for x, y, r in _CIRCLES:
        centre = (canvas.half_width * x + 0.1 * slide, canvas.half_height * y)
        canvas.fill(CIRCLE * r + centre, light)


def _diagonal(canvas: Canvas, light: Colour, slide: float):
    w, h = canvas.half_width, canvas.half_height
    x = w * (0.1 + 0.3 * slide)
    canvas.corners([(x + h, -h), (w + 2 * h, -h), (w, h), (x - h, h)], light)


def _stripes(canvas: Canvas, light: Colour, slide: float):
    w, h = canvas.half_width, canvas.half_height
    for left in np.arange(-1.2, w + 1.2, 0.36) - w + 1.0 + 0.18 * slide:
        canvas.corners([(left, -h), (left + 0.18, -h), (left + 0.18, h), (left, h)], light)


def _rays(canvas: Canvas, light: Colour, slide: float):
    far = 2 * (canvas.half_width + canvas.half_height)
    for angle in np.arange(12) * np.pi / 6 + 0.26 * slide:
        a, b = angle, angle + np.pi / 12
        corners = [(0, 0), (far * np.cos(a), far * np.sin(a)), (far * np.cos(b), far * np.sin(b))]
        canvas.corners(corners, light)


def _stars(canvas: Canvas, light: Colour, slide: float):
    for x, y, r in _STARS:
        centre = (canvas.half_width * x + 0.08 * slide, canvas.half_height * y)
        canvas.corners(_STAR * r + centre, light)


def _clouds(canvas: Canvas, light: Colour, slide: float):
    for x, y in _CLOUDS:
        for dx, dy, r in ((-0.2, 0.04, 0.14), (0, -0.04, 0.2), (0.2, 0.05, 0.13)):
            centre = (canvas.half_width * x + 0.2 * slide + dx, canvas.half_height * y + dy)
            canvas.fill(CIRCLE * (r * 1.2, r) + centre, light)


_MOTIFS = {
    "plain": lambda *_: None, "circles": _circles, "diagonal": _diagonal, "stripes": _stripes,
    "rays": _rays, "stars": _stars, "clouds": _clouds,
}  # fmt: skip

_BODY = symmetric("-.14,.79 -.4,.87 -.72,.97 -.9,1.2 -.96,9,1")
_NECK = symmetric("-.15,.4,1 -.145,.7 -.2,.82,1 -.02,1.08,1")
_NECK_SHADOW = outline("-.15,.4,1 -.146,.715,1 -.07,.8 .06,.82 .15,.75,1 .15,.4,1")
_BAND = outline("-.185,.76,1 -.2,.87 0,.945 .2,.87 .185,.76,1 0,.85")
_FLAP = outline("-.165,.74,1 -.33,.83 -.36,.96,1 -.2,1 -.01,1.07,1 -.13,.88")
_BOW = outline("0,.98 -.15,.91 -.17,1.05 0,1.02")


def shoulders(canvas: Canvas, look: Look):
    """Paints neck, its shadow, and clothes with a collar down to the lower edge and beyond."""
    cloth, line = look.accent, mix(look.accent, INK, 0.55)
    canvas.fill(_BODY, cloth, line)
    canvas.fill(_NECK, look.skin, look.skin_line)
    canvas.fill(_NECK_SHADOW, look.skin_shade)
    trim = WHITE if look.vary["collar"] < 0.3 else mix(cloth, WHITE, 0.72)
    if look.vary["collar"] < -0.4:
        canvas.fill(_BAND, trim, line)
    else:
        for shape in (_FLAP, mirror(_FLAP)):
            canvas.fill(shape, trim, line)
    red, dark = mix(cloth, (255, 90, 110), 0.7), times(cloth, (0.6, 0.5, 0.6))
    knot = red if look.vary["slide"] > 0 else dark
    for shape in (_BOW, mirror(_BOW)):
        canvas.fill(shape, knot, mix(knot, INK, 0.5))


_FACE = symmetric(
    "-.2,-.62 -.46,-.42 -.525,-.1 -.525,.13 -.492,.3 -.41,.45 -.27,.575 -.1,.67 -.025,.69"
)
_EAR = outline("-.48,-.02 -.575,-.05 -.615,.05 -.585,.17 -.48,.24")
_CHEEK_SHADE = outline(
    ".535,-.1,1 .525,.13 .492,.3 .41,.45 .27,.575 .08,.69,1 .25,.55 .36,.43 .43,.28 .475,.12"
)
_NOSE = brush((0.002, 0.022, 0.004), "0,.325 .024,.357 -.012,.372")


def _adapt_to_face(shape: np.ndarray, look: Look) -> np.ndarray:
    """Adapts the face shape, or one that follows it, to the width, chin and turn of a look."""
    low = np.clip(shape[:, 1] / 0.7, 0, 1)
    width = 1 + 0.03 * look.vary["face"] - 0.05 * low * look.vary["chin"]
    x = shape[:, 0] * width + 0.035 * look.vary["turn"] * low
    return np.stack([x, shape[:, 1] + 0.015 * look.vary["chin"] * low], axis=1)


def head(canvas: Canvas, look: Look, *, hair_shadow: Image.Image):
    """Paints ears, the face with shading, blush and nose, and the shadow of the hair on it.

    `hair_shadow` is the mask of that shadow, on the whole canvas.
    """
    canvas.fill(_EAR, look.skin, look.skin_line)
    canvas.fill(mirror(_EAR), look.skin_shade, look.skin_line)
    face = _adapt_to_face(_FACE, look)
    canvas.fill(face, look.skin)
    canvas.fill(_adapt_to_face(_CHEEK_SHADE, look), mix(look.skin, look.skin_shade, 0.7))
    canvas.trace(face, look.skin_line, closed=True)
    canvas.tint(ImageChops.darker(hair_shadow, canvas.mask(face)), look.skin_shade)
    blush = mix(look.skin, (250, 76, 96), 0.42 + 0.14 * look.vary["blush"])
    for side in (-1, 1):
        canvas.glow((side * 0.325 + 0.04 * look.vary["turn"], 0.36), (0.16, 0.085), blush)
    canvas.fill(_NOSE + (0.055 * look.vary["turn"], 0), look.skin_line)


EYE_X, EYE_Y = 0.272, 0.13
EYE_WIDTH, EYE_HEIGHT = 0.184, 0.19  # half of each

# Eyes have their own coordinates: the inner corner is at x = -1, the outer at +1.
_UPPER = path("-.98,.32 -.8,-.3 -.24,-.86 .46,-.84 .9,-.3 1.04,.1")
_LOWER = path("-.98,.32 -.72,.74 -.26,.95 .36,.96 .82,.66 1.04,.1")
_OPENING = np.concatenate([_UPPER, _LOWER[-2:0:-1]])
_LID_SHADE = np.concatenate([_UPPER, (_UPPER * (1, 0.66) + (0, 0.12))[-2:0:-1]])
_LASH = brush(
    (0.01, 0.12, 0.25, 0.31, 0.30, 0.02), "-1.02,.18 -.84,-.34 -.26,-.9 .48,-.9 .96,-.34 1.28,0"
)
_FLICK = brush((0.20, 0.09, 0.01), ".86,-.48 1.12,-.46 1.32,-.56")
_LOWER_LASH = brush((0.02, 0.07, 0.10), "0,.985 .42,.96 .84,.66 1.02,.18")
_CREASE = brush((0.01, 0.07, 0.07, 0.01), "-.6,-1.08 -.1,-1.34 .5,-1.3 .96,-.92")
_SPARK = outline("0,-1 .75,-.7 1,0 .7,.72 0,1 -.75,.7 -1,0 -.7,-.75")


def eyes(canvas: Canvas, look: Look):
    """Paints both eyes: white, iris with gradient, pupil, two highlights, lashes, crease."""
    vary, turn = look.vary, look.vary["turn"]
    for side in (-1, 1):
        size = 1 + 0.06 * vary["eye_size"]
        width = EYE_WIDTH * size * (1 + 0.06 * side * turn)
        height = EYE_HEIGHT * size * (1 + 0.07 * vary["eye_height"])
        x = side * (EYE_X + 0.010 * vary["eye_gap"]) + 0.045 * turn
        canvas.local((x, EYE_Y), (side * width, height), -0.012 - 0.028 * vary["slant"])
        _eye(canvas, look, side)
    canvas.local()


def _eye(canvas: Canvas, look: Look, side: int):
    canvas.fill(_OPENING, mix(WHITE, look.skin, 0.08))
    canvas.fill(_LID_SHADE, mix((190, 186, 222), look.skin_shade, 0.3))
    gaze = -0.03 + 0.07 * side * look.vary["turn"]
    _iris(canvas, look.eyes, gaze)
    light = -side  # both eyes reflect one lamp, above and to the left
    canvas.fill(_SPARK * (0.25, 0.26) + (gaze + 0.25 * light, -0.36), WHITE)
    canvas.fill(_SPARK * (0.125, 0.13) + (gaze - 0.30 * light, 0.44), WHITE)
    lash = mix(INK, look.hair, 0.15)
    canvas.fill(_LOWER_LASH, mix(lash, look.skin, 0.2))
    canvas.fill(_LASH, lash)
    canvas.fill(_FLICK, lash)
    canvas.fill(_CREASE, mix(look.skin, look.skin_line, 0.8))


def _cut_off_lids(ellipse: np.ndarray) -> np.ndarray:
    """Cuts off what the lids cover of an ellipse, in the eye's coordinates."""
    x, y = ellipse.T
    y = np.maximum(y, np.interp(x, _UPPER[:, 0], _UPPER[:, 1]))
    return np.stack([x, np.minimum(y, np.interp(x, _LOWER[:, 0], _LOWER[:, 1]))], axis=1)


def _iris(canvas: Canvas, colour: Colour, gaze: float):
    """Paints iris and pupil of one eye, moved sideways by `gaze`."""
    dark, bright = times(colour, (0.42, 0.34, 0.46)), mix(colour, WHITE, 0.55)
    middle = np.array([gaze, 0.04])
    canvas.fill(_cut_off_lids(CIRCLE * (0.75, 1.0) + middle), times(colour, (0.32, 0.24, 0.36)))
    inner = canvas.thin(_cut_off_lids(CIRCLE * (0.665, 0.92) + middle))
    bands = 5 if canvas.small else 40
    for i in range(bands):  # from the top down, each band over the lower part of the one before
        share = i / (bands - 1)
        tone = mix(dark, colour, 2 * share) if share < 0.5 else mix(colour, bright, 2 * share - 1)
        canvas.corners(inner[inner[:, 1] >= 1.55 * share - 0.75] if i else inner, tone)
    canvas.fill(
        _cut_off_lids(CIRCLE * (0.33, 0.44) + (gaze, 0.0)), times(colour, (0.22, 0.15, 0.26))
    )


_MOUTH_LINES = {
    "smile": brush((0.008, 0.022, 0.022, 0.008), "-.125,-.025 -.055,.018 .055,.018 .125,-.025"),
    "calm": brush((0.006, 0.024, 0.006), "-.068,0 0,.006 .068,0"),
    "frown": brush((0.008, 0.024, 0.008), "-.085,.03 0,-.012 .085,.03"),
    "cat": brush(
        (0.012, 0.024, 0.02, 0.024, 0.012), "-.13,-.025 -.068,.032 0,-.012,1 .068,.032 .13,-.025"
    ),
}
_OPEN_MOUTHS = {  # opening, tongue, teeth
    "laugh": (
        outline("-.14,-.04,1 0,-.022 .14,-.04,1 .09,.07 0,.105 -.09,.07"),
        outline("-.068,.074 0,.045 .068,.074 0,.1"),
        outline("-.115,-.033,1 0,-.018 .115,-.033,1 0,.012"),
    ),
    "surprised": (
        outline("0,-.05 .055,-.01 .05,.06 0,.085 -.05,.06 -.055,-.01"),
        outline("-.036,.055 0,.033 .036,.055 0,.079"),
        None,
    ),
}
_LIP = brush((0.003, 0.016, 0.003), "-.032,.068 0,.073 .032,.068")


def mouth(canvas: Canvas, look: Look):
    """Paints the mouth."""
    size = 1 + 0.12 * look.vary["mouth"]
    canvas.local((0.048 * look.vary["turn"], 0.50), (size, size))
    kind, line = look.kinds["mouth"], mix(look.skin_line, INK, 0.35)
    if kind in _MOUTH_LINES:
        canvas.fill(_MOUTH_LINES[kind], line)
        if kind != "cat":
            canvas.fill(_LIP, look.skin_shade)
    else:
        opening, tongue, teeth = _OPEN_MOUTHS[kind]
        canvas.fill(opening, (150, 40, 58))
        canvas.fill(tongue, (242, 128, 130))
        if teeth is not None:
            canvas.fill(teeth, WHITE)
        canvas.trace(opening, line, closed=True)
    canvas.local()


_BROWS = {  # from the inner end to the outer; the origin is the middle of the brow
    "arched": brush((0.010, 0.026, 0.004), "-.13,-.002 .015,-.038 .16,.035"),
    "straight": brush((0.036, 0.038, 0.026), "-.12,0 .02,-.006 .13,0"),
    "stern": brush((0.034, 0.028, 0.004), "-.14,.045 .04,-.015 .16,-.03"),
    "worried": brush((0.026, 0.025, 0.004), "-.12,-.045 .03,-.01 .15,.055"),
}


def brows(canvas: Canvas, look: Look):
    """Paints both brows, over the hair, as their expression must be visible."""
    for side in (-1, 1):
        place = (side * 0.28 + 0.05 * look.vary["turn"], -0.175 - 0.02 * look.vary["brow_height"])
        canvas.local(place, (side, 1))
        canvas.fill(_BROWS[look.kinds["brows"]], times(look.hair, (0.56, 0.46, 0.54)))
    canvas.local()


_GLASSES = {  # rim, width, colour
    "round": (CIRCLE * (0.222, 0.228), 0.026, (150, 92, 40)),
    "square": (
        outline("-.22,-.15 0,-.175 .24,-.17 .235,.08 .16,.19 -.15,.19 -.215,.1"),
        0.032,
        (38, 36, 58),
    ),
    "half-rim": (
        path("-.225,-.04 -.2,.13 -.08,.205 .1,.205 .21,.13 .235,-.04"),
        0.034,
        (214, 40, 62),
    ),
}
_GLINT = outline("-.16,.06,1 -.04,-.15,1 .04,-.15,1 -.09,.12,1")
_TEMPLE = path(".22,-.05 .32,-.08")
_BRIDGE = path("-.056,.12 0,.095 .056,.12")


def glasses(canvas: Canvas, look: Look):
    """Paints frames and a glint on each lens; nothing if the face has no glasses."""
    kind = look.kinds["glasses"]
    if kind == "none":
        return
    rim, width, colour = _GLASSES[kind]
    turn = 0.045 * look.vary["turn"]
    for side in (-1, 1):
        canvas.local((side * EYE_X + turn, EYE_Y + 0.02), (side, 1))
        canvas.trace(rim, colour, width=width, closed=kind != "half-rim")
        canvas.trace(_TEMPLE, colour, width=width)
        canvas.local((side * EYE_X + turn, EYE_Y + 0.02))
        canvas.tint(canvas.mask(_GLINT).point(_QUARTER), WHITE)
    canvas.local((turn, 0))
    canvas.trace(_BRIDGE, colour, width=width)
    canvas.local()


_QUARTER = [level // 4 for level in range(256)]
