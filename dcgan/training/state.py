"""All that a training needs to continue after a restart, in one object."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from dcgan import UserError
from dcgan.training.adam import Adam


class GANState:
    """Both networks, both optimizers, the averaged generator and the number of steps done.

    Make it inside `strategy.scope()`. The constructor creates every variable, so that `assign` can
    set all of them. Samples are computed in float32 whatever the precision of training, so that a
    seed gives the same picture in every command and export.

    Args:
        generator, discriminator: built or not.
        learning_rate, beta1: of both Adam optimizers (Radford et al. 2015, section 4: 2e-4, 0.5).
        epsilon: (epsilon, epsilon_on) of both optimizers, see `Adam`.
        averaged: whether samples come from a running average of the generator's weights.
        loss_scaling: whether to scale losses up before computing gradients, as float16 needs
            (Micikevicius et al. 2018, arXiv 1710.03740).
    """

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model,
        *,
        learning_rate: float = 2e-4,
        beta1: float = 0.5,
        epsilon: tuple[float, str] = (1e-7, "raw"),
        averaged: bool = True,
        loss_scaling: bool = False,
    ):
        self.generator = generator
        self.discriminator = discriminator
        for network in (generator, discriminator):
            network.build()
        epsilon_options = {"epsilon": epsilon[0], "epsilon_on": epsilon[1]}
        self.generator_optimizer, self.discriminator_optimizer = (
            _build_optimizer(network, Adam(learning_rate, beta1, **epsilon_options), loss_scaling)
            for network in (generator, discriminator)
        )
        in_float32 = type(generator).from_config({**generator.get_config(), "dtype": "float32"})
        in_float32.build()
        self.averaged_generator = in_float32 if averaged else None
        self._in_float32 = in_float32
        self.step = tf.Variable(
            0,
            dtype=tf.int64,
            trainable=False,
            name="step",
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )

    @property
    def sampler(self) -> Callable:
        """What makes samples: (z, labels=None, training=False) -> images, float32."""
        return self.averaged_generator or self._sample

    def _sample(self, z: tf.Tensor, labels=None, training: bool = False) -> tf.Tensor:
        """Generates images in float32 with the current weights of the generator."""
        weights = self.generator.trainable_variables, self.generator.non_trainable_variables
        call = self._in_float32.stateless_call
        return call(*weights, z, labels=labels, training=training)[0]

    def variables(self) -> dict:
        """Every variable by name, such as "generator/project/kernel".

        Checkpoint files have these names, so they must not change.
        """
        owners = {
            "generator": self.generator.variables,
            "discriminator": self.discriminator.variables,
            **_variables_by_owner("generator_optimizer", self.generator_optimizer),
            **_variables_by_owner("discriminator_optimizer", self.discriminator_optimizer),
        }
        if self.averaged_generator is not None:
            owners["averaged_generator"] = self.averaged_generator.variables
        named = {
            f"{owner}/{variable.path.partition('/')[2]}": variable
            for owner, variables in owners.items()
            for variable in variables
        }
        return {**named, "step": self.step}

    def arrays(self) -> dict[str, np.ndarray]:
        """A copy of every variable's value, by the names of `variables`."""
        return {name: np.array(variable.numpy()) for name, variable in self.variables().items()}

    def assign(self, arrays: dict[str, np.ndarray]) -> None:
        """Sets every variable.

        Raises:
            UserError: names or shapes are not exactly those of this state; nothing was changed.
        """
        variables = self.variables()
        missing = sorted(variables.keys() - arrays.keys())
        unknown = sorted(arrays.keys() - variables.keys())
        unlike = sorted(
            f"{name} {tuple(arrays[name].shape)} instead of {tuple(variable.shape)}"
            for name, variable in variables.items()
            if name in arrays and arrays[name].shape != tuple(variable.shape)
        )
        if missing or unknown or unlike:
            found = unlike or [f"no {n}" for n in missing] or [f"also {n}" for n in unknown]
            raise UserError(
                f"The checkpoint is of another architecture ({len(missing + unknown + unlike)} "
                f"differences, the first: {found[0]}); use the options it was made with, or "
                "choose another --run_dir."
            )
        for name, variable in variables.items():
            variable.assign(arrays[name])


def _build_optimizer(
    network: keras.Model, optimizer: keras.optimizers.Optimizer, loss_scaling: bool
) -> keras.optimizers.Optimizer:
    if loss_scaling:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    optimizer.build(network.trainable_variables)
    return optimizer


def _variables_by_owner(name: str, optimizer: keras.optimizers.Optimizer) -> dict[str, list]:
    """The variables of an optimizer; those of its loss scale apart, under `<name>_scale`."""
    if not isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return {name: optimizer.variables}
    scale = [optimizer.dynamic_scale, optimizer.step_counter]
    return {name: optimizer.inner_optimizer.variables, f"{name}_scale": scale}
