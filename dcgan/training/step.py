"""The training step, the only place that computes gradients.

It is mathematics only: it writes no files and does not decide when anything else happens.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import keras
import tensorflow as tf

from dcgan import images as pixels
from dcgan.latent.labels import ClassTable
from dcgan.latent.noise import draw_seed, training_noise
from dcgan.models.classes import one_hot
from dcgan.training.augment import KINDS, augment
from dcgan.training.averaging import update_average
from dcgan.training.losses import class_loss, discriminator_loss, generator_loss
from dcgan.training.state import GANState

SCALARS = ("d_loss", "g_loss", "d_real", "d_fake")  # keys of the lines of metrics.jsonl
# The first draw numbers of labels, dropout and augmentation; those of the noise begin at 0. They
# keep the random numbers apart; with other ones, the same seed would give another run.
_LABELS, _DROPOUT, _AUGMENT = 1 << 9, 1 << 10, 1 << 11
# (images [N, H, W, C], labels [N, columns]); labels are None for networks without classes.
Examples = tuple[tf.Tensor, tf.Tensor | None]


@dataclass(frozen=True)
class StepOptions:
    """The options of a step; `trainer.step_options` takes them from the `Config` by their names."""

    batch_size: int  # number of real images in one update, over all replicas
    real_label: float = 0.9  # the discriminator's target for real images
    d_steps: int = 1  # updates of each network per step. Simultaneous updates take one of each.
    g_steps: int = 1
    # the noise of the generator's second and further updates: "new", or "same" as in the
    # discriminator's last update
    g_noise: str = "new"
    # "alternating" (Goodfellow et al. 2014, algorithm 1: the generator learns from the updated
    # discriminator) or "simultaneous" (both gradients at the same point).
    update: str = "alternating"
    seed: int = 0  # seed of noise, labels, dropout and augmentation
    # decay of the averaged generator per step; see `update_average` for the first steps
    ema_decay: float = 0.0
    # the augmentations, names in `augment.KINDS` joined by commas, or "none".
    augment: str = "none"
    # weight of `losses.class_loss`, of real images in the discriminator's loss and of generated
    # ones in the generator's; for networks that know classes.
    class_loss: float = 0.0


def make_step(
    state: GANState,
    options: StepOptions,
    strategy: tf.distribute.Strategy,
    table: ClassTable | None = None,
) -> Callable[[tf.Tensor | Examples], dict[str, tf.Tensor]]:
    """Compiles the step.

    Args:
        state: trained in place; made in the strategy's scope.
        table: the classes of the data, from which the labels of generated images are drawn; None
            for networks without classes.

    Returns:
        A function that takes one step and returns its float32 scalars: d_loss, g_loss, d_real =
        mean D(x) and d_fake = mean D(G(z)), the last two by the discriminator before its last
        update. Its argument is uint8 [batch_size * d_steps, H, W, C], distributed over the
        replicas; with classes, a tuple of these images and their labels, int32 [.., columns].
    """
    replica = ReplicaStep(state, options, strategy.num_replicas_in_sync, table)
    replica_step = {"alternating": replica.alternating, "simultaneous": replica.simultaneous}[
        options.update
    ]

    @tf.function(autograph=False)  # the conversion takes seconds, and no branch depends on a tensor
    def step(batch):
        scalars = strategy.run(replica_step, args=(batch, state.step.read_value()))
        if state.averaged_generator is not None:
            update_average(state, options.ema_decay)
        state.step.assign_add(1)
        return {k: strategy.reduce("SUM", v, axis=None) for k, v in scalars.items()}

    return step


def make_call(step: Callable) -> Callable[[Iterator, int], dict[str, tf.Tensor]]:
    """Puts several steps into one call, so that the device does not wait for Python between them.

    Returns:
        A function of (iterator over batches for `step`, number of steps) that takes these steps and
        returns their scalars by name, each float32 [steps].
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
    """The part of a step that each replica computes on its share of the batch."""

    def __init__(
        self,
        state: GANState,
        options: StepOptions,
        num_replicas: int,
        table: ClassTable | None = None,
    ):
        self.state = state
        self.table = table
        self.options = options
        self.num_replicas = num_replicas
        self.local_batch = options.batch_size // num_replicas
        self.augmentations = tuple(kind for kind in KINDS if kind in options.augment.split(","))

    def alternating(self, batch, step):
        """Updates the discriminator, then the generator through the updated discriminator."""
        state, options = self.state, self.options
        for k in range(options.d_steps):
            # Every d_steps-th image: each update sees the same ones on any number of replicas.
            reals = self._reals(batch, slice(k, None, options.d_steps))
            with tf.GradientTape() as g_tape:
                fakes = self._fakes(step, k)
                with g_tape.stop_recording():
                    scalars = self._update_discriminator(reals, fakes, step, k)
                if k == options.d_steps - 1:
                    g_loss = self._generator_loss(fakes, step, 0)
                    g_scaled = state.generator_optimizer.scale_loss(g_loss)
        self._apply_generator(g_tape, g_scaled)
        for k in range(1, options.g_steps):
            draw = options.d_steps + k if options.g_noise == "new" else options.d_steps - 1
            with tf.GradientTape() as g_tape:
                fakes = self._fakes(step, draw)
                g_loss = self._generator_loss(fakes, step, k)
                g_scaled = state.generator_optimizer.scale_loss(g_loss)
            self._apply_generator(g_tape, g_scaled)
        return {**scalars, "g_loss": g_loss}

    def simultaneous(self, batch, step):
        """Updates both networks with gradients from one forward pass, as in the Keras tutorial."""
        state = self.state
        reals = self._reals(batch, slice(None))
        with tf.GradientTape() as g_tape, tf.GradientTape() as d_tape:
            fakes = self._fakes(step, 0)
            real_logits, real_classes = self._logits(reals, step, 0)
            fake_logits, fake_classes = self._logits(fakes, step, 1)
            d_losses = self._discriminator_losses(real_logits, fake_logits)
            d_loss = self._mean(d_losses, real_classes)
            g_loss = self._mean(generator_loss(fake_logits), fake_classes)
            d_scaled = state.discriminator_optimizer.scale_loss(d_loss)
            g_scaled = state.generator_optimizer.scale_loss(g_loss)
        d_variables = state.discriminator.trainable_variables
        d_gradients = d_tape.gradient(d_scaled, d_variables)
        self._apply_generator(g_tape, g_scaled)
        self._apply(state.discriminator_optimizer, d_gradients, d_variables)
        return {**self._scores(d_loss, real_logits, fake_logits), "g_loss": g_loss}

    def _reals(self, batch: tf.Tensor | Examples, rows: slice) -> Examples:
        """Returns the images of these rows of a batch, float32 in [-1, 1], and their labels."""
        images, labels = batch if self.table else (batch, None)
        images = pixels.to_float(tf.cast(images[rows], tf.float32))
        return images, None if labels is None else labels[rows]

    def _fakes(self, step, draw) -> Examples:
        """Generates images from the noise, and the labels, of one draw."""
        labels = self._labels(step, draw)
        fakes = self.state.generator(self._noise(step, draw), labels=labels, training=True)
        return fakes, labels

    def _logits(self, examples: Examples, step, number):
        """Computes the discriminator's logits float32 [N, 1], and weighted class losses [N].

        Args:
            number: index of this forward pass within the step; each has its own random numbers.

        Returns:
            (logits, losses); losses are None without a class loss.
        """
        images, labels = examples
        seed = draw_seed(self.options.seed, step, _AUGMENT + number)
        images = augment(images, self.augmentations, seed=seed)
        seed = draw_seed(self.options.seed, step, _DROPOUT + number)
        known = {"labels": labels, "training": True, "seed": seed, "with_classes": True}
        logits, class_logits = self.state.discriminator(images, **known)
        if class_logits is None or not self.options.class_loss:
            return logits, None
        classes = self.state.discriminator.classes
        losses = class_loss(class_logits, one_hot(labels, classes), classes)
        return logits, self.options.class_loss * losses

    def _update_discriminator(self, reals, fakes, step, k):
        state = self.state
        variables = state.discriminator.trainable_variables
        with tf.GradientTape() as tape:
            # Two passes: batch normalization must not mix statistics of real and generated images.
            real_logits, real_classes = self._logits(reals, step, 2 * k)
            fake_logits, _ = self._logits(fakes, step, 2 * k + 1)
            loss = self._mean(self._discriminator_losses(real_logits, fake_logits), real_classes)
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
            # Keras skips a step when the first replica's gradients are not finite. So if one
            # replica overflows, all of them get a NaN.
            finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(g)) for g in gradients])
            overflows = tf.cast(~finite, tf.float32)
            overflows = tf.distribute.get_replica_context().all_reduce("SUM", overflows)
            first = tf.where(overflows > 0, float("nan"), gradients[0])
            gradients = [first, *gradients[1:]]
        optimizer.apply(gradients, variables)

    def _discriminator_losses(self, real_logits, fake_logits):
        return discriminator_loss(real_logits, fake_logits, real_label=self.options.real_label)

    def _generator_loss(self, fakes, step, k):
        number = 2 * self.options.d_steps + k
        logits, class_losses = self._logits(fakes, step, number)
        return self._mean(generator_loss(logits), class_losses)

    def _scores(self, d_loss, real_logits, fake_logits):
        return {
            "d_loss": d_loss,
            "d_real": self._mean(tf.sigmoid(real_logits)),
            "d_fake": self._mean(tf.sigmoid(fake_logits)),
        }

    def _mean(self, values, more=None):
        """Computes this replica's share of the mean over the examples of all replicas.

        The strategy sums the gradients of the replicas. `more` is added to each example's value.
        """
        values = values if more is None else values + more
        return tf.reduce_sum(values) / self.options.batch_size

    def _noise(self, step, draw):
        """Returns this replica's rows of the noise, which is drawn for all replicas."""
        generator, seed = self.state.generator, self.options.seed
        shape = (self.options.batch_size, generator.z_dim)
        return self._share(
            training_noise(shape, seed=seed, step=step, draw=draw, z_dist=generator.z_dist)
        )

    def _labels(self, step, draw):
        """Returns this replica's rows of the labels of generated images; None without classes."""
        if not self.table:
            return None
        seed = draw_seed(self.options.seed, step, _LABELS + draw)
        return self._share(self.table.draw(self.options.batch_size, seed))

    def _share(self, rows):
        start = tf.distribute.get_replica_context().replica_id_in_sync_group * self.local_batch
        return rows[start : start + self.local_batch]
