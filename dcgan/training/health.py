"""Detects training that goes wrong, and says so with one line of advice; it stops nothing itself.

It judges only numbers that the loop logs anyway. Its averages are rebuilt from new numbers within a
few hundred steps, so checkpoints do not hold them. D(x) and D(G(z)) both near 0.5, with the
discriminator's loss near log 4 = 1.39, is the equilibrium of the game, not a fault. Nor is D(G(z))
near 0.1, least of all early: a weaker discriminator gave grey masks (docs/recipes.md).
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image

# Ordinary runs begin with a discriminator that tells all images apart and a generator whose images
# are all alike: short trials at 32 x 32 had D(G(z)) down to 0.03 and a diversity below 0.3 in their
# first 150 steps. So nothing is judged before START_STEPS, and only what lasts is reported.
START_STEPS = 300
SUSTAINED_STEPS = 500
REPEAT_STEPS = 5000  # what lasts is reported again after this many steps
AVERAGE_STEPS = 100  # time constant of the averages: one odd batch must not change a judgement

# A discriminator has won when D(x) is near its best value, the label of the reals: above 0.85 for
# the labels 0.9 and 1, above the label minus WON_NEAR for lower ones. Healthy runs keep D(G(z))
# between 0.05 and 0.4. A g_loss of 4 is -log(0.02).
WON_REAL, WON_NEAR, WON_FAKE, WON_LOSS = 0.85, 0.05, 0.02, 4.0
# Between the averages of D(x) and D(G(z)): if even these are equal, D ignores its input.
STUCK_DIFFERENCE, MOVES_DIFFERENCE = 0.002, 0.01
ENDED_FAKE = 0.05  # above WON_FAKE, so that values near it do not switch the judgement to and fro

# Tried: 64 anime faces reduced to 1, 2, 4 … 32 different ones plus noise have 0.07 to 0.08 of the
# diversity of 64 reals; MNIST reduced to ones, its least diverse digit, 0.42; generators that have
# trained for 150 to 250 steps 0.5 to 0.65. So below 0.3 lie copies, not a mere lack of variety.
COLLAPSED_DIVERSITY, RECOVERED_DIVERSITY = 0.3, 0.4
DIVERSITY_SIDE = 8

# The numbers that a row is judged by, by their names in the lines of metrics.jsonl.
JUDGED = ("d_loss", "g_loss", "d_real", "d_fake")


def diversity(images: np.ndarray) -> float:
    """Computes how much the images of a batch differ: the mean distance to the nearest neighbour.

    The distance is the root mean square difference of the levels after averaging down to 8 x 8,
    where noise and fine texture do not count. The mean over all pairs would hardly fall when a
    generator makes only k different pictures: by a factor 1 - 1/k. Compare only batches of equal
    size: neighbours are nearer in larger ones.

    Args:
        images: uint8 [N, height, width, channels], N >= 2; 64 is plenty.

    Returns:
        A distance in levels, in [0, 255]; 0 when each image has a copy.
    """
    small = np.stack([_shrink(image) for image in images])  # [N, 8 * 8 * channels]
    nearest = [
        np.delete(np.mean((small - one) ** 2, axis=1), i).min() for i, one in enumerate(small)
    ]
    return float(np.mean(np.sqrt(nearest)))


def relative_diversity(samples: np.ndarray, reals: np.ndarray) -> float:
    """Divides the diversity of samples by that of as many real images; about 1 when all is well.

    Returns 1 as well where diversity means nothing: for a single image, or if the real images are
    all alike.
    """
    count = min(len(samples), len(reals))
    if count < 2:
        return 1.0
    best = diversity(reals[:count])
    return diversity(samples[:count]) / best if best > 0 else 1.0


def _shrink(image: np.ndarray) -> np.ndarray:
    """Averages uint8 [height, width, channels] down to float64 [8 * 8 * channels]."""
    side = (DIVERSITY_SIDE, DIVERSITY_SIDE)
    planes = [
        Image.fromarray(plane).resize(side, Image.Resampling.BOX)
        for plane in np.ascontiguousarray(np.moveaxis(image, -1, 0))
    ]
    return np.stack([np.asarray(plane, np.float64) for plane in planes]).ravel()


@dataclass(frozen=True)
class Message:
    """A message for the user about the state of training."""

    # "fatal" (training must stop), "discriminator" (it has won), "stuck" (it cannot tell real from
    # generated), "collapse" (of the generator) or "recovered"
    kind: str
    text: str  # what has happened, a sentence; begins with "Step N: ", by which logs are searched
    advice: str = ""  # what to do about it, a sentence; empty after a recovery


def stop_sentence(message: Message, checkpoint: str | None) -> str:
    """Says why training stops after a fatal message, and which checkpoint is the newest."""
    kept = (
        f"the last good checkpoint is {checkpoint}" if checkpoint else "no checkpoint was made yet"
    )
    advice = message.advice[0].lower() + message.advice[1:]
    return f"{message.text[:-1]}; {kept}: {advice}"


@dataclass
class _Condition:
    """A condition that begins when it was seen for `SUSTAINED_STEPS`, and ends later."""

    # the step since which it has been seen without a break; None while it is not seen
    first_step: int | None = None
    # the step at which it was last reported; None before it begins
    reported_step: int | None = None

    def update(self, step: int, seen: bool, gone: bool) -> str:
        """Returns "began", "lasts" (every `REPEAT_STEPS`), "ended" or "".

        `seen` is whether the numbers show the condition, `gone` whether they clearly show the
        opposite. A condition that has begun lasts while neither is true.
        """
        if self.reported_step is not None:
            if gone:
                self.first_step = self.reported_step = None
                return "ended"
            if step - self.reported_step < REPEAT_STEPS:
                return ""
            self.reported_step = step
            return "lasts"
        if not seen or step < START_STEPS:
            self.first_step = None
        elif self.first_step is None:
            self.first_step = step
        elif step - self.first_step >= SUSTAINED_STEPS:
            self.reported_step = step
            return "began"
        return ""


class HealthMonitor:
    """Watches the numbers of a run.

    Args:
        real_label: the discriminator's target for real images, which D(x) nears when it wins.
        learning_rate: that of the run, for the advice; None if unknown.
        augment: the run's option, for the advice; None if unknown.

    Attributes:
        troubles: the last message, by kind, of each condition that has begun and not ended.
    """

    def __init__(
        self, real_label: float, *, learning_rate: float | None = None, augment: str | None = None
    ) -> None:
        self._won_real = min(WON_REAL, real_label - WON_NEAR)
        half = f" ({learning_rate / 2:g})" if learning_rate else ""
        self._slower = f"half the --learning_rate{half}"
        self._more = "--g_steps 2, or with more images"
        if augment == "none":  # helped most, see docs/recipes.md
            self._more = f"--augment translation, {self._more}"
        self.troubles: dict[str, Message] = {}
        self._averages: dict[str, float] = {}
        self._step = 0
        self._diversity: float | None = None
        self._conditions = {kind: _Condition() for kind in ("discriminator", "stuck", "collapse")}

    def update(self, step: int, values: Mapping[str, float]) -> list[Message]:
        """Judges the numbers of a step, later than the last one; mostly returns no messages.

        Args:
            values: d_loss, g_loss, d_real and d_fake (D(x) and D(G(z)), mean probabilities) and,
                if it was measured, diversity (by `relative_diversity`).
        """
        bad = [name for name in ("d_loss", "g_loss") if not math.isfinite(values[name])]
        if bad:
            return [fatal(step, bad[0], values[bad[0]])]
        self._average(step, values)
        told = {
            "discriminator": self._judge_discriminator(step),
            "stuck": self._judge_difference(step),
        }
        if "diversity" in values:
            self._diversity = values["diversity"]
            told["collapse"] = self._judge_diversity(step, values["diversity"])
        for kind, message in told.items():
            if message:
                self.troubles.pop(kind, None)
                self.troubles |= {kind: message} if message.kind == kind else {}
        return [message for message in told.values() if message]

    def replay(self, rows: Iterable[Mapping]) -> list[Message]:
        """Judges all rows of a metrics.jsonl, skipping incomplete ones; returns the messages."""
        return [
            message
            for row in rows
            if all(isinstance(row.get(name), (int, float)) for name in JUDGED)
            for message in self.update(row["step"], row)
        ]

    @property
    def trouble(self) -> str:
        """What is wrong now and what to do about it; empty if nothing is wrong."""
        return " ".join(f"{one.text} {one.advice}" for one in self.troubles.values())

    @property
    def summary(self) -> str:
        """The present numbers in a sentence, to show if nothing is wrong; empty without numbers."""
        if not self._averages:
            return ""
        real, fake = self._averages["d_real"], self._averages["d_fake"]
        numbers = f"D(x) is {real:.2f} and D(G(z)) {fake:.2f}"
        if self._diversity is not None:
            numbers += f", and images differ {100 * self._diversity:.0f} % as much as real ones"
        if self._step < START_STEPS + SUSTAINED_STEPS:
            return f"Too early to judge the training; {numbers}."
        return f"Nothing is wrong with the training: {numbers}."

    def _average(self, step: int, values: Mapping[str, float]) -> None:
        keep = math.exp(-max(step - self._step, 0) / AVERAGE_STEPS) if self._averages else 0.0
        for name in ("g_loss", "d_real", "d_fake"):
            old = self._averages.get(name, 0.0)
            self._averages[name] = keep * old + (1 - keep) * values[name]
        self._step = step

    def _judge_discriminator(self, step: int) -> Message | None:
        real, fake = self._averages["d_real"], self._averages["d_fake"]
        numbers = f"D(x) is {real:.2f} and D(G(z)) {fake:.3f}"
        return self._judge(
            "discriminator",
            step,
            real > self._won_real and fake < WON_FAKE and self._averages["g_loss"] > WON_LOSS,
            gone=fake > ENDED_FAKE,
            ended=f"the generator has caught up: {numbers}.",
            began=f"the discriminator has won, the generator hardly learns: {numbers}.",
            advice="If the sample grids no longer improve, train into another --run_dir with "
            f"{self._more}.",
        )

    def _judge_difference(self, step: int) -> Message | None:
        real, fake = self._averages["d_real"], self._averages["d_fake"]
        difference = abs(real - fake)
        numbers = f"D(x) is {real:.4f} and D(G(z)) {fake:.4f}"
        return self._judge(
            "stuck",
            step,
            difference < STUCK_DIFFERENCE,
            gone=difference > MOVES_DIFFERENCE,
            ended=f"the discriminator tells images apart again: {numbers}.",
            began="the discriminator tells real and generated images apart no better than a coin, "
            f"so the generator learns nothing from it: {numbers}.",
            advice="Unless the sample grids are as good as the real images, train into another "
            f"--run_dir with {self._slower}.",
        )

    def _judge_diversity(self, step: int, ratio: float) -> Message | None:
        numbers = f"they differ {100 * ratio:.0f} % as much as real images do"
        return self._judge(
            "collapse",
            step,
            ratio < COLLAPSED_DIVERSITY,
            gone=ratio > RECOVERED_DIVERSITY,
            ended=f"the generated images vary again: {numbers}.",
            began=f"the generator has collapsed to a few images: {numbers}.",
            advice="If the sample grids stay alike, train into another --run_dir with "
            f"{self._slower} or another --seed.",
        )

    def _judge(
        self, kind: str, step: int, seen: bool, *, gone: bool, ended: str, began: str, advice: str
    ) -> Message | None:
        """Updates a condition; returns a message if it begins, lasts or ends, mostly None."""
        change = self._conditions[kind].update(step, seen, gone)
        if change == "ended":
            return Message("recovered", f"Step {step}: {ended}")
        return Message(kind, f"Step {step}: {began}", advice) if change else None


def fatal(step: int, name: str, value: float | str = "not finite") -> Message:
    return Message(
        "fatal",
        f"Step {step}: {name} is {value}, so training has stopped.",
        # The same command would repeat the same steps, bit for bit, to the same end.
        "Train into another --run_dir with half the --learning_rate.",
    )
