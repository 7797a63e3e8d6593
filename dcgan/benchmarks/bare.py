"""The bare training step: compiled, on one constant batch, with no data set, hooks or files.

`python -m dcgan.benchmarks.bare --steps 30` reads what networks and step from standard input, as
JSON (see `BareStep`), times the steps one by one and prints a JSON line.
"""

import argparse
import json
import statistics
import sys
import time

import numpy as np
import tensorflow as tf

from dcgan.distributed.devices import avoid_remapper
from dcgan.latent.labels import ClassTable
from dcgan.models import Discriminator, Generator
from dcgan.training.state import GANState
from dcgan.training.step import StepOptions, make_step

WARM_UP = 3  # steps: the first one compiles


class BareStep:
    """The training step, made by the same functions as in training.

    Args:
        spec: {"generator": its get_config, "discriminator": its get_config, "recipe": fields of
            `StepOptions`, "optimizer": the optimizers' arguments of `GANState`}.
    """

    def __init__(self, spec: dict):
        recipe = StepOptions(**spec["recipe"])
        generator = Generator.from_config(spec["generator"])
        avoid_remapper()
        self.state = GANState(
            generator,
            Discriminator.from_config(spec["discriminator"]),
            averaged=recipe.ema_decay > 0,
            **spec["optimizer"],
        )
        self.images = recipe.batch_size * recipe.d_steps
        shape = (self.images, *generator.image_shape)
        pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        table, self._batch = None, tf.constant(pixels)
        if generator.classes:
            names = {f"column {i}": "." * count for i, count in enumerate(generator.classes)}
            labels = np.arange(self.images, dtype=np.int32)[:, None] % generator.classes
            z_options = {"z_dim": generator.z_dim, "z_dist": generator.z_dist}
            table = ClassTable.of(names, labels, **z_options)
            self._batch = self._batch, tf.constant(labels, tf.int32)
        self._step = make_step(self.state, recipe, tf.distribute.get_strategy(), table)

    def seconds(self, steps: int) -> float:
        start = time.perf_counter()
        for _ in range(steps):
            scalars = self._step(self._batch)
        float(scalars["d_loss"])
        return time.perf_counter() - start


def main() -> None:
    """Times single steps and prints the results, of which `processes` reads images_per_second."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=30)
    steps = parser.parse_args().steps
    bare = BareStep(json.load(sys.stdin))
    bare.seconds(WARM_UP)
    times = [bare.seconds(1) for _ in range(steps)]
    median = statistics.median(times)
    found = {
        "framework": f"dcgan on tensorflow {tf.__version__}",
        "precision": bare.state.generator.compute_dtype,
        "batch": bare.images,
        "steps": steps,
        "seconds_median": round(median, 5),
        "seconds_min": round(min(times), 5),
        "images_per_second": round(bare.images / median, 2),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
