"""The averaged generator: a running average of the weights, and the statistics that suit it."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from dcgan.latent.labels import ClassTable
from dcgan.latent.noise import QUANTILES
from dcgan.models import Generator
from dcgan.training.state import GANState

# Images of the measurement, and its most batches. The variances of the last layer of a run on SVHN
# were off by 0.8 % with 512 images, by 3.6 % if their latent vectors were not spread evenly.
IMAGES, MOST_BATCHES = 512, 64


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


def make_measurement(
    generator: Generator,
    batch_size: int,
    table: ClassTable | None = None,
    twin: Generator | None = None,
) -> Callable[[], None]:
    """Makes a function that measures the moving statistics of a generator's batch normalization.

    They become the mean over batches of `batch_size` of its images, which should be training's: the
    smaller a batch, the less its images vary, and the generator has learnt with such statistics.
    They depend on its weights alone. With classes, `table` says which ones the images have. A twin
    is a generator of the same layers that computes in its place: that of training may be faster.
    """
    batches = min(-(-IMAGES // batch_size), MOST_BATCHES)
    z = spread_latents(batches * batch_size, generator.z_dim, generator.z_dist)
    z = tf.constant(z.reshape(batches, batch_size, generator.z_dim))
    moving = generator.non_trainable_variables

    def of_batch(z):
        """The next moving statistics, if all are 0 now, as a list."""
        labels = table.of_latents(z) if table else None
        weights = generator.trainable_variables, [tf.zeros_like(v) for v in moving]
        return (twin or generator).stateless_call(*weights, z, labels=labels, training=True)[1]

    @tf.function(input_signature=[tf.TensorSpec(z.shape)], autograph=False)
    def of_batches(z):
        kinds = [tf.TensorSpec(variable.shape, variable.dtype) for variable in moving]
        return tf.map_fn(of_batch, z, fn_output_signature=kinds)

    def measure() -> None:
        values = dict(zip([variable.path for variable in moving], of_batches(z), strict=True))
        for norm in generator.norms:
            for statistic in (norm.moving_mean, norm.moving_variance):
                mean = np.mean(values[statistic.path], axis=0)
                statistic.assign(mean / (1.0 - norm.momentum))

    return measure


def spread_latents(count: int, z_dim: int, z_dist: str) -> np.ndarray:
    """Draws latent vectors that fill latent space evenly, float32 [count, z_dim].

    Each of their numbers is in each of `count` equally probable intervals once (Latin hypercube
    sampling, McKay et al. 1979). So their mean is that of `z_dist`, and classes are as frequent as
    in the data.
    """
    quantile = QUANTILES[z_dist]
    values = [quantile((i + 0.5) / count) for i in range(count)]
    # With another seed, resumed runs would go on with other pictures.
    spread = np.random.default_rng(0).permuted(np.tile(values, (z_dim, 1)), axis=1)
    return spread.T.astype(np.float32)


class AverageStatistics:
    """Measures the moving statistics of a state's averaged generator, see `make_measurement`.

    Averaged weights need statistics of their own (Izmailov et al. 2018, arXiv 1803.05407, section
    3.2): their activations vary less than those of the weights in training, and with the statistics
    of these the images are pale. docs/recipes.md has figures.

    Args:
        state: without an averaged generator, `measure` does nothing.
        batch_size: number of images that training normalizes together, on all replicas.
        table: the classes of the generator, if it knows any.
    """

    def __init__(self, state: GANState, batch_size: int, table: ClassTable | None = None):
        self._state = state
        self._measured: int | None = None  # the step
        self._measure = None
        if average := state.averaged_generator:
            self._measure = make_measurement(average, batch_size, table, twin=state.generator)

    def measure(self) -> None:
        """Measures once for each step.

        It does not matter when, or how often, samples are drawn and checkpoints are saved.
        """
        step = int(self._state.step.numpy())
        if self._measure and step != self._measured:
            self._measure()
            self._measured = step
