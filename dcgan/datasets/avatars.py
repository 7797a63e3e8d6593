"""The built-in data set: anime-style faces drawn from whole numbers, offline and at any size.

Image i of `Avatars` is the face of seed i. What each face shows (hair, eyes, mouth, ...) is known,
so the variety of a generator trained on them can be compared with the truth. `ATTRIBUTES` lists the
values, and `WEIGHTS` how often each occurs, independently of all other attributes.
"""

import colorsys
import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image

from dcgan import images
from dcgan.datasets import avatar_drawing, avatar_face, avatar_hair
from dcgan.datasets.avatar_drawing import Canvas, Colour, Look
from dcgan.datasets.source import Decoded, ImageSpec, Labels, Summary

_DRAWING = (avatar_face, avatar_hair, avatar_drawing)

_HAIR = {
    "black": ((62, 56, 78), 12),
    "brown": ((122, 76, 54), 12),
    "chestnut": ((178, 108, 62), 9),
    "blonde": ((246, 208, 112), 11),
    "silver": ((206, 210, 228), 9),
    "red": ((206, 62, 62), 7),
    "orange": ((244, 146, 66), 7),
    "pink": ((248, 156, 188), 9),
    "purple": ((154, 106, 204), 7),
    "blue": ((78, 116, 216), 7),
    "aqua": ((98, 206, 214), 5),
    "green": ((116, 184, 106), 5),
}
_EYES = {
    "brown": ((150, 88, 48), 16),
    "amber": ((240, 166, 36), 12),
    "red": ((222, 48, 58), 12),
    "pink": ((240, 96, 160), 10),
    "violet": ((146, 84, 220), 12),
    "blue": ((48, 112, 232), 16),
    "aqua": ((30, 186, 206), 10),
    "green": ((60, 172, 84), 12),
}
_SKIN = {
    "porcelain": ((255, 238, 230), 28),
    "fair": ((255, 222, 200), 36),
    "peach": ((244, 200, 166), 16),
    "tan": ((222, 168, 128), 12),
    "brown": ((162, 108, 78), 8),
}
_BACKGROUNDS = {
    "white": (((250, 250, 252), (226, 230, 240), "plain"), 16),
    "sky": (((120, 190, 246), (226, 244, 255), "clouds"), 16),
    "rose": (((255, 196, 212), (255, 232, 226), "circles"), 14),
    "mint": (((150, 226, 202), (196, 240, 222), "diagonal"), 12),
    "lavender": (((196, 184, 244), (232, 222, 252), "stripes"), 12),
    "sunset": (((255, 176, 130), (255, 226, 160), "rays"), 12),
    "night": (((34, 40, 92), (92, 78, 158), "stars"), 18),
}
_SHAPES = {
    "style": {
        "bob": 12, "long": 14, "twin tails": 11, "ponytail": 10, "spiky": 8, "wavy": 11, "buns": 8,
        "hime": 9, "braids": 8, "short": 9,
    },
    "bangs": {"jagged": 26, "straight": 20, "swept": 22, "parted": 16, "centre lock": 16},
    "mouth": {"smile": 26, "laugh": 20, "calm": 20, "surprised": 12, "frown": 10, "cat": 12},
    "brows": {"arched": 40, "straight": 22, "stern": 18, "worried": 20},
    "glasses": {"none": 76, "round": 8, "square": 8, "half-rim": 8},
}  # fmt: skip
_COLOURED = {"hair": _HAIR, "eyes": _EYES, "skin": _SKIN, "background": _BACKGROUNDS}
# The values of every attribute and their weights, in the order in which random numbers are used.
_TABLES = {name: {k: w for k, (_, w) in table.items()} for name, table in _COLOURED.items()}
_TABLES |= _SHAPES
ATTRIBUTES: dict[str, tuple[str, ...]] = {name: tuple(table) for name, table in _TABLES.items()}
WEIGHTS: dict[str, tuple[float, ...]] = {
    name: tuple(weight / sum(table.values()) for weight in table.values())
    for name, table in _TABLES.items()
}
_BOUNDS = {name: np.cumsum(weights) for name, weights in WEIGHTS.items()}
# Small variations, each uniform in [-1, 1].
_VARIATIONS = (
    "tilt", "shift_x", "shift_y", "scale", "turn", "face", "chin", "eye_size", "eye_height",
    "eye_gap", "slant", "brow_height", "mouth", "blush", "volume", "bang_length", "lean", "part",
    "ahoge", "collar", "slide", "hair_hue", "hair_light", "skin_light", "eye_hue", "cloth_hue",
    "cloth_light", "cloth_depth",
)  # fmt: skip


def _random(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws the numbers of a face: one in [0, 1) per attribute, one in [-1, 1) per variation."""
    generator = np.random.Generator(np.random.Philox(key=seed))
    return generator.random(len(ATTRIBUTES)), generator.random(len(_VARIATIONS)) * 2 - 1


def attributes(seed: int) -> dict[str, int]:
    """Returns what the face of a seed shows: for each attribute the index into `ATTRIBUTES`."""
    return {
        name: min(int(np.searchsorted(bounds, number, side="right")), len(bounds) - 1)
        for (name, bounds), number in zip(_BOUNDS.items(), _random(seed)[0], strict=True)
    }


def draw(seed: int, height: int, width: int) -> np.ndarray:
    """Draws the face of a seed, 0 to 2**63 - 1, as uint8 [height, width, 3].

    A seed gives the same face at every size; the face fills the shorter side.
    """
    variations = dict(zip(_VARIATIONS, _random(seed)[1].tolist(), strict=True))
    return paint(look(attributes(seed), variations), height, width)


@dataclass(frozen=True)
class Avatars:
    """The faces of the seeds 0 .. count - 1 as a `Source`."""

    count: int = 20_000  # how many faces
    name: str = "avatars"  # what messages call it
    parallel: ClassVar[bool] = True
    fallible: ClassVar[bool] = False
    notes: ClassVar[tuple[str, ...]] = ()
    parts: ClassVar[dict[str, int]] = {}

    def __len__(self) -> int:
        return self.count

    @functools.cached_property
    def fingerprint(self) -> str:
        """A hash of the number of faces and of the code that draws them."""
        digest = hashlib.sha256(f"avatars {self.count}".encode())
        for path in (__file__, *(module.__file__ for module in _DRAWING)):
            digest.update(Path(path).read_bytes())
        return digest.hexdigest()

    @functools.cached_property
    def labels(self) -> dict[str, Labels]:
        """One labelling per attribute; computed on first access, as it takes a second."""
        rows = np.array([list(attributes(seed).values()) for seed in range(self.count)], np.int32)
        return {
            name: Labels(values, names)
            for (name, names), values in zip(ATTRIBUTES.items(), rows.T.copy(), strict=True)
        }

    def summary(self) -> Summary:
        """Summarizes the faces, without sizes, as they are drawn at the size that is wanted."""
        return Summary(found=self.count, skipped=(), sizes=(), channels=3)

    def decode(self, indices: Sequence[int], spec: ImageSpec) -> Decoded:
        """Draws faces at the wanted size, so `spec.crop` has nothing to cut."""
        numbers = [int(index) for index in indices]
        faces = np.empty((len(numbers), spec.height, spec.width, spec.channels), np.uint8)
        for face, number in zip(faces, numbers, strict=True):
            picture = Image.fromarray(draw(number, spec.height, spec.width))
            face[...] = images.crop_and_resize(
                images.plain(picture, spec.channels), spec.height, spec.width
            )
        return Decoded(faces, numbers, [])


def _jitter(colour: Colour, hue: float, light: float) -> Colour:
    """Shifts the hue of a colour by `hue` turns and its lightness by `light`."""
    h, lightness, s = colorsys.rgb_to_hls(*(c / 255 for c in colour))
    lightness = min(max(lightness + light, 0.0), 0.97)
    return tuple(round(255 * c) for c in colorsys.hls_to_rgb((h + hue) % 1, lightness, s))


def look(chosen: Mapping[str, int], variations: Mapping[str, float]) -> Look:
    """Makes the look of a face from attribute indices and from `_VARIATIONS` in [-1, 1]."""
    names = {name: ATTRIBUTES[name][index] for name, index in chosen.items()}
    v = variations
    cloth = colorsys.hls_to_rgb(
        0.5 + 0.5 * v["cloth_hue"], 0.48 + 0.2 * v["cloth_light"], 0.5 + 0.2 * v["cloth_depth"]
    )
    return Look(
        kinds={name: names[name] for name in _SHAPES},
        hair=_jitter(_HAIR[names["hair"]][0], 0.012 * v["hair_hue"], 0.025 * v["hair_light"]),
        eyes=_jitter(_EYES[names["eyes"]][0], 0.015 * v["eye_hue"], 0.0),
        skin=_jitter(_SKIN[names["skin"]][0], 0.0, 0.012 * v["skin_light"]),
        accent=tuple(round(255 * c) for c in cloth),
        backdrop=_BACKGROUNDS[names["background"]][0],
        vary=variations,
    )


def paint(face: Look, height: int, width: int) -> np.ndarray:
    """Paints a face from back to front; returns uint8 [height, width, 3]."""
    canvas, v = Canvas(height, width), face.vary
    frame = {
        "scale": 1.04 + 0.05 * v["scale"],
        "shift": (0.05 * v["shift_x"], 0.05 + 0.03 * v["shift_y"]),
        "pivot": (0.0, 0.6),
    }
    avatar_face.background(canvas, face)
    canvas.place(angle=0.11 * v["tilt"], **frame)
    hair = avatar_hair.Hair(canvas, face)
    hair.paint_behind()
    canvas.place(angle=0.02 * v["tilt"], **frame)
    avatar_face.shoulders(canvas, face)
    canvas.place(angle=0.11 * v["tilt"], **frame)
    avatar_face.head(canvas, face, hair_shadow=hair.shadow())
    avatar_face.eyes(canvas, face)
    avatar_face.mouth(canvas, face)
    avatar_face.glasses(canvas, face)
    hair.paint_before()
    avatar_face.brows(canvas, face)
    return canvas.finish()
