"""All that must survive a restart, in one object."""

import keras
import numpy as np
import tensorflow as tf

from dcgan import UserError


class GANState:
    """Both networks, both optimizers, the averaged generator and the number of steps done.

    Make it inside `strategy.scope()`. Every variable exists when it is made, so that a restore
    finds all of them.

    Args:
        generator, discriminator: built or not.
        learning_rate, beta1: of both Adam optimizers (Radford et al. 2015, section 4: 2e-4, 0.5).
        averaged: whether samples come from a running average of the generator's weights.
    """

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model,
        *,
        learning_rate: float = 2e-4,
        beta1: float = 0.5,
        averaged: bool = True,
    ):
        self.generator = generator
        self.discriminator = discriminator
        for network in (generator, discriminator):
            network.build()
        self.generator_optimizer = keras.optimizers.Adam(learning_rate, beta1)
        self.generator_optimizer.build(generator.trainable_variables)
        self.discriminator_optimizer = keras.optimizers.Adam(learning_rate, beta1)
        self.discriminator_optimizer.build(discriminator.trainable_variables)
        self.averaged_generator = None
        if averaged:
            self.averaged_generator = type(generator).from_config(generator.get_config())
            self.averaged_generator.build()
        self.step = tf.Variable(
            0,
            dtype=tf.int64,
            trainable=False,
            name="step",
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )

    @property
    def sampler(self) -> keras.Model:
        """The generator to take samples from."""
        return self.averaged_generator or self.generator

    def variables(self) -> dict:
        """Every variable under a name that says whose it is."""
        owners = {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "generator_optimizer": self.generator_optimizer,
            "discriminator_optimizer": self.discriminator_optimizer,
        }
        if self.averaged_generator is not None:
            owners["averaged_generator"] = self.averaged_generator
        named = {
            f"{owner}/{variable.path.partition('/')[2]}": variable
            for owner, owned in owners.items()
            for variable in owned.variables
        }
        return {**named, "step": self.step}

    def arrays(self) -> dict[str, np.ndarray]:
        """A copy of every variable's value."""
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
            found = unlike or [f"without {n}" for n in missing] or [f"with {n}" for n in unknown]
            raise UserError(
                f"The checkpoint is of another architecture ({len(missing + unknown + unlike)} "
                f"differences, the first: {found[0]}); give the options it was made with, or "
                "choose another --run_dir."
            )
        for name, variable in variables.items():
            variable.assign(arrays[name])
