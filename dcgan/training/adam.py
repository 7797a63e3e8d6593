"""Keras' Adam in one pass over the weights, where Keras' own makes ten."""

import keras
import tensorflow as tf


class Adam(keras.optimizers.Adam):
    """The Adam optimizer (Kingma and Ba 2015, arXiv 1412.6980) as one fused TensorFlow kernel.

    Arguments and updates are those of `keras.optimizers.Adam`, computed in the order given at the
    end of the paper's section 2. Gradients must be dense; `amsgrad` raises ValueError.

    Args:
        epsilon_on: what epsilon is added to: "raw", the root of the second moment, as in Keras and
            the paper's section 2; or "corrected", the root of the bias-corrected second moment, as
            in the paper's algorithm 1 and PyTorch.
    """

    def __init__(self, *args, epsilon_on: str = "raw", **kwargs):
        super().__init__(*args, **{"name": "adam", **kwargs})
        self.epsilon_on = epsilon_on
        if self.amsgrad:
            raise ValueError("This Adam has no amsgrad; use keras.optimizers.Adam.")

    def update_step(self, gradient, variable, learning_rate):
        """Updates a float32 variable and its two moments, on the device that holds them."""
        index = self._get_variable_index(variable)
        step = tf.cast(self.iterations + 1, variable.dtype)
        beta2_power = tf.pow(tf.cast(self.beta_2, variable.dtype), step)
        epsilon = self.epsilon
        if self.epsilon_on == "corrected":  # sqrt(v / (1 - beta2^t)); the kernel uses sqrt(v)
            epsilon *= tf.sqrt(1.0 - beta2_power)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=tf.pow(tf.cast(self.beta_1, variable.dtype), step),
            beta2_power=beta2_power,
            lr=tf.cast(learning_rate, variable.dtype),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=epsilon,
            grad=tf.cast(gradient, variable.dtype),
        )
