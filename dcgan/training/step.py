"""One training step: the only place with gradients. Mathematics only; no files, no cadence."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import keras
import tensorflow as tf

from dcgan import images as pixels
from dcgan.latent.labels import ClassTable
from dcgan.latent.noise import draw_seed, training_noise
from dcgan.training.augment import KINDS, augment
from dcgan.training.losses import discriminator_loss, generator_loss
from dcgan.training.state import GANState

SCALARS = ("d_loss", "g_loss", "d_real", "d_fake")
# Where the draws of labels, of dropout and of augmentation begin, behind those of the noise.
_LABELS, _DROPOUT, _AUGMENT = 1 << 9, 1 << 10, 1 << 11
# What a network is shown: images, and their labels where it knows classes.
Shown = tuple[tf.Tensor, tf.Tensor | None]


@dataclass(frozen=True)
class StepOptions:
    """What a step does.

    Attributes:
        batch_size: images of one update, over all replicas.
        real_label: the discriminator's target for reals.
        d_steps, g_steps: updates of each network a step; simultaneous updates take one of each.
        g_noise: of the generator's further updates: "new", or "same" as the discriminator's last.
        update: "alternating" (Goodfellow et al. 2014, algorithm 1: the generator learns from the
            updated discriminator) or "simultaneous" (both gradients at the same point).
        seed: of the noise.
        ema_decay: of the averaged generator, a step; early steps average over fewer.
        augment: kinds of `augment.augment`, joined by commas; "none" for none.
    """

    batch_size: int
    real_label: float = 0.9
    d_steps: int = 1
    g_steps: int = 1
    g_noise: str = "new"
    update: str = "alternating"
    seed: int = 0
    ema_decay: float = 0.0
    augment: str = "none"


def make_step(
    state: GANState,
    recipe: StepOptions,
    strategy: tf.distribute.Strategy,
    table: ClassTable | None = None,
) -> Callable[[tf.Tensor | Shown], dict[str, tf.Tensor]]:
    """Compiles the step.

    Args:
        state: is trained in place.
        recipe: what to do.
        strategy: under whose scope `state` was made.
        table: of the data's classes, from which those of generated images are drawn; None where the
            networks know none.

    Returns:
        A function of images uint8 [batch_size * d_steps, H, W, C] (distributed over the
        replicas), or of these and their labels int32 [.., columns], that does one step and gives
        float32 scalars: d_loss, g_loss, d_real = mean D(x) and d_fake = mean D(G(z)), the last two
        as seen by the discriminator before its last update.
    """
    moves = ReplicaStep(state, recipe, strategy.num_replicas_in_sync, table)
    replica_step = {"alternating": moves.alternating, "simultaneous": moves.simultaneous}[
        recipe.update
    ]

    @tf.function(autograph=False)  # only Python decides here; converting it takes seconds
    def step(batch):
        scalars = strategy.run(replica_step, args=(batch, state.step.read_value()))
        if state.averaged_generator is not None:
            _average(state, recipe.ema_decay)
        state.step.assign_add(1)
        return {k: strategy.reduce("SUM", v, axis=None) for k, v in scalars.items()}

    return step


def make_call(step: Callable) -> Callable[[Iterator, int], dict[str, tf.Tensor]]:
    """Many steps in one call: between them the device does not wait for Python.

    Args:
        step: of `make_step`.

    Returns:
        A function of (iterator over batches for `step`, number of steps) that does these steps and
        gives their scalars, float32 [steps].
    """

    @tf.function(autograph=False)
    def steps(batches, count):
        def body(done, arrays):
            scalars = step(next(batches))
            return done + 1, {k: arrays[k].write(done, scalars[k]) for k in SCALARS}

        arrays = {k: tf.TensorArray(tf.float32, size=count) for k in SCALARS}
        _, arrays = tf.while_loop(
            lambda done, arrays: done < count, body, (0, arrays), parallel_iterations=1
        )
        return {k: array.stack() for k, array in arrays.items()}

    return lambda batches, count: steps(batches, tf.constant(count))


class ReplicaStep:
    """What each replica does in a step, on its share of the batch."""

    def __init__(
        self,
        state: GANState,
        recipe: StepOptions,
        num_replicas: int,
        table: ClassTable | None = None,
    ):
        self.state = state
        self.table = table
        self.recipe = recipe
        self.num_replicas = num_replicas
        self.local_batch = recipe.batch_size // num_replicas
        self.augmentations = tuple(kind for kind in KINDS if kind in recipe.augment.split(","))

    def alternating(self, batch, step):
        """The discriminator's updates, then the generator's through the updated discriminator."""
        state, recipe = self.state, self.recipe
        for k in range(recipe.d_steps):
            # Every d_steps-th image: so any split over replicas gives each update the same images.
            reals = self._reals(batch, slice(k, None, recipe.d_steps))
            with tf.GradientTape() as g_tape:
                fakes = self._fakes(step, k)
                with g_tape.stop_recording():
                    scalars = self._update_discriminator(reals, fakes, step, k)
                if k == recipe.d_steps - 1:
                    g_loss = self._generator_loss(fakes, step, 0)
                    g_scaled = state.generator_optimizer.scale_loss(g_loss)
        self._apply_generator(g_tape, g_scaled)
        for k in range(1, recipe.g_steps):
            draw = recipe.d_steps + k if recipe.g_noise == "new" else recipe.d_steps - 1
            with tf.GradientTape() as g_tape:
                fakes = self._fakes(step, draw)
                g_loss = self._generator_loss(fakes, step, k)
                g_scaled = state.generator_optimizer.scale_loss(g_loss)
            self._apply_generator(g_tape, g_scaled)
        return {**scalars, "g_loss": g_loss}

    def simultaneous(self, batch, step):
        """Both gradients from one forward pass, as in the Keras tutorial."""
        state = self.state
        reals = self._reals(batch, slice(None))
        with tf.GradientTape() as g_tape, tf.GradientTape() as d_tape:
            fakes = self._fakes(step, 0)
            real_logits = self._logits(reals, step, 0)
            fake_logits = self._logits(fakes, step, 1)
            d_loss = self._mean(self._discriminator_losses(real_logits, fake_logits))
            g_loss = self._mean(generator_loss(fake_logits))
            d_scaled = state.discriminator_optimizer.scale_loss(d_loss)
            g_scaled = state.generator_optimizer.scale_loss(g_loss)
        d_variables = state.discriminator.trainable_variables
        d_gradients = d_tape.gradient(d_scaled, d_variables)
        self._apply_generator(g_tape, g_scaled)
        self._apply(state.discriminator_optimizer, d_gradients, d_variables)
        return {**self._scores(d_loss, real_logits, fake_logits), "g_loss": g_loss}

    def _reals(self, batch: tf.Tensor | Shown, rows: slice) -> Shown:
        """Some of a batch's images, and their labels."""
        images, labels = batch if self.table else (batch, None)
        images = pixels.to_float(tf.cast(images[rows], tf.float32))
        return images, None if labels is None else labels[rows]

    def _fakes(self, step, draw) -> Shown:
        """What the generator makes of one draw of noise, and of as many classes."""
        labels = self._labels(step, draw)
        fakes = self.state.generator(self._noise(step, draw), labels=labels, training=True)
        return fakes, labels

    def _logits(self, shown: Shown, step, number):
        """The discriminator's logits; `number` tells its passes of a step apart."""
        images, labels = shown
        seed = draw_seed(self.recipe.seed, step, _AUGMENT + number)
        images = augment(images, self.augmentations, seed=seed)
        seed = draw_seed(self.recipe.seed, step, _DROPOUT + number)
        return self.state.discriminator(images, labels=labels, training=True, seed=seed)

    def _update_discriminator(self, reals, fakes, step, k):
        state = self.state
        variables = state.discriminator.trainable_variables
        with tf.GradientTape() as tape:
            # Two passes: reals and fakes are normalized by their own statistics.
            real_logits = self._logits(reals, step, 2 * k)
            fake_logits = self._logits(fakes, step, 2 * k + 1)
            loss = self._mean(self._discriminator_losses(real_logits, fake_logits))
            scaled = state.discriminator_optimizer.scale_loss(loss)
        self._apply(state.discriminator_optimizer, tape.gradient(scaled, variables), variables)
        return self._scores(loss, real_logits, fake_logits)

    def _apply_generator(self, tape, scaled_loss):
        variables = self.state.generator.trainable_variables
        gradients = tape.gradient(scaled_loss, variables)
        self._apply(self.state.generator_optimizer, gradients, variables)

    def _apply(self, optimizer, gradients, variables):
        scales = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
        if scales and self.num_replicas > 1:
            # Keras leaves a step out when the first replica's gradients are not finite: where one
            # replica's are not, all must say so.
            finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(g)) for g in gradients])
            overflows = tf.cast(~finite, tf.float32)
            overflows = tf.distribute.get_replica_context().all_reduce("SUM", overflows)
            first = tf.where(overflows > 0, float("nan"), gradients[0])
            gradients = [first, *gradients[1:]]
        optimizer.apply(gradients, variables)

    def _discriminator_losses(self, real_logits, fake_logits):
        return discriminator_loss(real_logits, fake_logits, real_label=self.recipe.real_label)

    def _generator_loss(self, fakes, step, k):
        number = 2 * self.recipe.d_steps + k
        return self._mean(generator_loss(self._logits(fakes, step, number)))

    def _scores(self, d_loss, real_logits, fake_logits):
        return {
            "d_loss": d_loss,
            "d_real": self._mean(tf.sigmoid(real_logits)),
            "d_fake": self._mean(tf.sigmoid(fake_logits)),
        }

    def _mean(self, values):
        """This replica's share of a mean over all replicas' examples: gradients are summed."""
        return tf.reduce_sum(values) / self.recipe.batch_size

    def _noise(self, step, draw):
        """This replica's rows of the noise of all replicas."""
        generator, seed = self.state.generator, self.recipe.seed
        shape = (self.recipe.batch_size, generator.z_dim)
        return self._share(
            training_noise(shape, seed=seed, step=step, draw=draw, z_dist=generator.z_dist)
        )

    def _labels(self, step, draw):
        """This replica's rows of the classes of generated images."""
        if not self.table:
            return None
        seed = draw_seed(self.recipe.seed, step, _LABELS + draw)
        return self._share(self.table.draw(self.recipe.batch_size, seed))

    def _share(self, rows):
        start = tf.distribute.get_replica_context().replica_id_in_sync_group * self.local_batch
        return rows[start : start + self.local_batch]


def _average(state: GANState, decay: float) -> None:
    """Moves the averaged generator towards the generator (Yazici et al. 2019, arXiv 1806.04498).

    The window grows with the run until it is 1 / (1 - decay) steps, so that early samples do not
    show the initial weights.
    """
    step = tf.cast(state.step.read_value(), tf.float32)
    rate = tf.maximum(1.0 - decay, 9.0 / (10.0 + step))
    pairs = zip(state.averaged_generator.variables, state.generator.variables, strict=True)
    for average, value in pairs:
        average.assign(average + rate * (value - average))
