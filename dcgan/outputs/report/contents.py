"""What the report is given: everything that is not read from the run folder's own files."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Option:
    """One option of the run."""

    name: str  # of the flag, without dashes
    value: object
    default: object  # the value if the user gives none
    help: str = ""  # a sentence; empty for an option that this version does not know
    group: str = "other"  # the heading that it is listed under

    @property
    def differs(self) -> bool:
        return self.value != self.default


@dataclass(frozen=True)
class CheckpointSummary:
    """The checkpoint that the report shows."""

    step: int
    shape: tuple[int, int, int]  # (height, width, channels) of its images
    generator_weights: int  # how many numbers each network has, trained or not
    discriminator_weights: int
    seeds: Sequence[int]  # of `samples`
    samples: np.ndarray  # uint8 [N, height, width, channels]


@dataclass(frozen=True)
class Health:
    """What the numbers say about the training, judged again from all of them."""

    # (kind, text, advice) of `training.health`, in the order of time.
    messages: Sequence[tuple[str, str, str]]
    judged_from: int  # the first step at which a message is possible
    collapsed: float  # the share of the real images' diversity below which it has collapsed
    trouble: str = ""  # what is wrong at the end, with advice; empty if nothing is
    summary: str = ""  # the numbers at the end, to show if nothing is wrong


@dataclass(frozen=True)
class Walk:
    """A walk in latent space from the image of one seed to that of another."""

    first: int  # the seeds
    last: int
    frames: np.ndarray  # uint8 [T, height, width, channels], both ends included


@dataclass(frozen=True)
class Match:
    """A training image near to a generated one."""

    number: int  # the image's index in its data set
    picture: np.ndarray  # uint8 [height, width, channels], mirrored if that is nearer
    mirrored: bool  # whether the picture is mirrored
    distance: str  # in words


@dataclass(frozen=True)
class Lookalike:
    """A generated image and the training images nearest to it."""

    seed: int
    picture: np.ndarray  # uint8 [height, width, channels]
    # (name of the space, matches with the nearest first) for each space
    near: Sequence[tuple[str, Sequence[Match]]]


@dataclass(frozen=True)
class CopySearch:
    """Whether the generator repeats training images."""

    searched: int  # how many training images were searched, evenly chosen
    training_images: int  # how many there are
    seeds: int  # how many generated images were compared with them
    suspects: Sequence[int]  # the seeds of those that may be copies
    sentences: Sequence[str]  # what was measured, and how to read it
    closest: Sequence[Lookalike]  # those most like a training image, the most suspicious first
    remark: str = ""  # a sentence if these are not the images that the run has learnt from


@dataclass(frozen=True)
class Contents:
    """Everything that the report is given."""

    dataset: str  # its name
    folder: str  # the run's, as the user would write it
    made: str  # when the report was made
    training_images: int | None  # how many the run learns from; None if unknown
    model: CheckpointSummary
    options: Sequence[Option]  # all options of the run
    health: Health
    walks: Sequence[Walk]  # walks in latent space, by the method slerp or linear
    method: str
    copy_search: CopySearch | str  # or a sentence that says why there was none

    def option(self, name: str) -> object:
        """Returns the value of an option; None if the run does not record it."""
        return next((one.value for one in self.options if one.name == name), None)
