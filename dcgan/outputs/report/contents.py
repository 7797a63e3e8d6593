"""What the report is told: everything that is not read from the run folder's own files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np


@dataclass(frozen=True)
class Option:
    """One choice of the run.

    Attributes:
        name: of the flag, without dashes.
        value: what the run was trained with.
        default: what it is when nobody says anything.
        help: a sentence; empty for an option that this version does not know.
        group: the heading it stands under.
    """

    name: str
    value: object
    default: object
    help: str = ""
    group: str = "other"

    @property
    def differs(self) -> bool:
        return self.value != self.default


@dataclass(frozen=True)
class ShownCheckpoint:
    """The checkpoint that the report shows.

    Attributes:
        step: of the checkpoint.
        shape: (height, width, channels) of its images.
        generator_weights, discriminator_weights: how many numbers each network has learnt or keeps.
        seeds: of `samples`.
        samples: uint8 [N, height, width, channels].
    """

    step: int
    shape: tuple[int, int, int]
    generator_weights: int
    discriminator_weights: int
    seeds: Sequence[int]
    samples: np.ndarray


@dataclass(frozen=True)
class Health:
    """What the numbers say about the training, judged again from all of them.

    Attributes:
        messages: (kind, text, advice) of `training.health`, in the order of time.
        judged_from: the step before which nothing is ever said.
        collapsed: the share of the real images' diversity that counts as a collapse.
        trouble: what is wrong at the end, with advice; empty where nothing is.
        seen: the numbers at the end, where nothing is.
    """

    messages: Sequence[tuple[str, str, str]]
    judged_from: int
    collapsed: float
    trouble: str = ""
    seen: str = ""


@dataclass(frozen=True)
class Walk:
    """A way in latent space from the image of one seed to that of another.

    Attributes:
        first, last: the seeds.
        frames: uint8 [T, height, width, channels], both ends among them.
    """

    first: int
    last: int
    frames: np.ndarray


@dataclass(frozen=True)
class Match:
    """A training image near to a generated one.

    Attributes:
        number: of the image in its data set.
        picture: uint8 [height, width, channels], mirrored where that is nearer.
        mirrored: whether it is.
        distance: in words.
    """

    number: int
    picture: np.ndarray
    mirrored: bool
    distance: str


@dataclass(frozen=True)
class Lookalike:
    """A generated image and what is nearest to it.

    Attributes:
        seed: of the image.
        picture: uint8 [height, width, channels].
        near: (what they are nearest in, the nearest first) of each space.
    """

    seed: int
    picture: np.ndarray
    near: Sequence[tuple[str, Sequence[Match]]]


@dataclass(frozen=True)
class Memory:
    """Whether the generator repeats training images.

    Attributes:
        searched: how many training images were compared with, evenly chosen.
        training_images: how many there are.
        seeds: how many generated images were compared with them.
        suspects: the seeds of those that may be copies.
        sentences: what was measured, and how to read it.
        closest: those most like a training image, the most suspicious first.
    """

    searched: int
    training_images: int
    seeds: int
    suspects: Sequence[int]
    sentences: Sequence[str]
    closest: Sequence[Lookalike]


@dataclass(frozen=True)
class Contents:
    """All of it.

    Attributes:
        dataset: its name or path.
        folder: the run's, as the user would write it.
        made: when the report was made.
        training_images: how many the run learns from; None where nobody knows.
        model: what the checkpoint draws.
        options: all choices of the run.
        health: what the numbers say.
        walks: ways in latent space; method: how they go, slerp or linear.
        memory: the search for copies, or a sentence that says why there was none.
    """

    dataset: str
    folder: str
    made: str
    training_images: int | None
    model: ShownCheckpoint
    options: Sequence[Option]
    health: Health
    walks: Sequence[Walk]
    method: str
    memory: Memory | str

    @property
    def title(self) -> str:
        """The data set's name; of a path the last part."""
        return PurePath(self.dataset).name or self.dataset

    def option(self, name: str) -> object:
        """The value of a choice; None where the run does not record it."""
        return next((one.value for one in self.options if one.name == name), None)
