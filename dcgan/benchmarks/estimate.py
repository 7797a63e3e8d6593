"""Estimates from a few steps how long a training will take here, and how much memory."""

import statistics
from dataclasses import dataclass

import tensorflow as tf

from dcgan.benchmarks.bare import BareStep
from dcgan.terminal.progress import format_estimate

TIMED = 3  # timed steps, after one that compiles


@dataclass(frozen=True)
class CostEstimate:
    """The cost of a training, estimated from a few steps."""

    seconds: tuple[float, ...]  # seconds of each timed step
    # peak memory of this process or its GPU; None if the system does not report it
    megabytes: float | None

    def sentences(self, steps: int | None, limit: float | None) -> list[str]:
        """Describes the time and memory that the training would take.

        `steps` is None if only the time limit ends it; `limit` is in seconds, None for no limit.
        """
        step = statistics.median(self.seconds)
        timed = ", ".join(f"{one:.3g}" for one in self.seconds)
        time = format_estimate(limit).removeprefix("about ") if limit else ""
        if steps is None:
            told = f"Estimated length: {limit / step:,.0f} steps in {time}"
        else:
            told = f"Estimated time: {format_estimate(steps * step)} for {steps:,} steps"
        lines = [
            f"{told}, not counting grids, checkpoints and evaluations. Three steps took {timed} s "
            "after a warm-up, on one device, as busy as it is now."
        ]
        if steps is not None and limit is not None and limit < steps * step:
            lines.append(f"--time_budget ends it after {time}.")
        if self.megabytes is not None:
            lines.append(f"Memory: about {self.megabytes:,.0f} MB, plus the images.")
        return lines


def estimate(spec: dict) -> CostEstimate:
    """Takes a few training steps on random images, without writing files; see `BareStep`."""
    bare = BareStep(spec)
    bare.seconds(1)
    seconds = tuple(bare.seconds(1) for _ in range(TIMED))
    return CostEstimate(seconds, _megabytes())


def _megabytes() -> float | None:
    if tf.config.list_physical_devices("GPU"):
        return tf.config.experimental.get_memory_info("GPU:0")["peak"] / 2**20
    try:
        from dcgan.benchmarks.peak import megabytes
    except ImportError:  # Windows lacks the module resource
        return None
    return megabytes()
