"""The averaged generator: a running average of the weights, and the statistics that suit it."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from dcgan.latent.labels import ClassTable
from dcgan.latent.noise import latents
from dcgan.latent.sampling import BATCH_SIZE
from dcgan.models import Generator
from dcgan.training.state import GANState

# Batches of the measurement. With 4, FID of one checkpoint on avatars was 9.2 to 12.0, depending on
# their seeds; with 16 it was 10.9, for twice the time of 8.
BATCHES = 8
# The first seed of the measurement, far from those that people sample and evaluate. With other
# seeds, resumed runs would go on with other pictures.
FIRST_SEED = 1 << 40


def update_average(state: GANState, decay: float) -> None:
    """Moves the averaged generator towards the generator (Yazici et al. 2019, arXiv 1806.04498).

    The window is short at first and grows to 1 / (1 - decay) steps, so that early samples do not
    show the initial weights. The statistics of normalization are averaged too; before samples are
    drawn, `AverageStatistics` replaces these by better ones.
    """
    step = tf.cast(state.step.read_value(), tf.float32)
    rate = tf.maximum(1.0 - decay, 9.0 / (10.0 + step))
    pairs = zip(state.averaged_generator.variables, state.generator.variables, strict=True)
    for average, value in pairs:
        average.assign(average + rate * (value - average))


def make_measurement(generator: Generator, table: ClassTable | None = None) -> Callable[[], None]:
    """Makes a function that measures the moving statistics of a generator's batch normalization.

    It sets them to those of BATCHES * BATCH_SIZE images of the generator. They depend on its
    weights alone. With classes, `table` says which ones the images have.
    """

    @tf.function(input_signature=[tf.TensorSpec([BATCH_SIZE], tf.int64)], autograph=False)
    def of_batch(seeds):
        """The next moving statistics, if all are 0 now, as a list."""
        z = latents(seeds, z_dim=generator.z_dim, z_dist=generator.z_dist)
        labels = table.of_latents(z) if table else None
        zeros = [tf.zeros_like(v) for v in generator.non_trainable_variables]
        weights = generator.trainable_variables, zeros
        return generator.stateless_call(*weights, z, labels=labels, training=True)[1]

    def measure() -> None:
        seeds = FIRST_SEED + np.arange(BATCHES * BATCH_SIZE).reshape(BATCHES, BATCH_SIZE)
        batches = [of_batch(tf.constant(some)) for some in seeds]
        paths = [variable.path for variable in generator.non_trainable_variables]
        values = dict(zip(paths, zip(*batches, strict=True), strict=True))
        for norm in generator.norms:
            means, variances = (
                np.array(values[moving.path]) / (1.0 - norm.momentum)
                for moving in (norm.moving_mean, norm.moving_variance)
            )
            norm.moving_mean.assign(means.mean(0))
            # The variance of all images is that within batches plus that of their means.
            norm.moving_variance.assign(variances.mean(0) + means.var(0))

    return measure


class AverageStatistics:
    """Measures the moving statistics of a state's averaged generator, see `make_measurement`.

    Averaged weights need statistics of their own (Izmailov et al. 2018, arXiv 1803.05407, section
    3.2): their activations vary less than those of the weights in training, and with the statistics
    of these the images are pale. docs/recipes.md has figures.

    Args:
        state: without an averaged generator, `measure` does nothing.
        table: the classes of the generator, if it knows any.
    """

    def __init__(self, state: GANState, table: ClassTable | None = None):
        self._state = state
        self._measured: int | None = None  # the step
        generator = state.averaged_generator
        self._measure = make_measurement(generator, table) if generator else None

    def measure(self) -> None:
        """Measures once for each step.

        It does not matter when, or how often, samples are drawn and checkpoints are saved.
        """
        step = int(self._state.step.numpy())
        if self._measure and step != self._measured:
            self._measure()
            self._measured = step
