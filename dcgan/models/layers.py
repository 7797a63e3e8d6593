"""What both networks share: sizes, initial weights and normalization."""

import math

import keras
import tensorflow as tf

WEIGHT_STDDEV = 0.02  # Radford et al. 2015, section 4


def sizes(height: int, width: int) -> list[tuple[int, int]]:
    """The sides of the feature maps from the image down, halved with rounding up until about 4.

    A side of 28 gives 28, 14, 7, 4; 48 gives 48, 24, 12, 6, 3. For an image that is not square the
    geometric mean of its sides decides how often.

    Args:
        height, width: of the image, in pixels, at least 8.

    Returns:
        [(height, width), ..., (about 4, about 4)]: one more than there are layers of stride 2.
    """
    stages = max(1, round(math.log2(math.sqrt(height * width) / 4)))
    maps = [(height, width)]
    for _ in range(stages):
        height, width = -(-height // 2), -(-width // 2)
        maps.append((height, width))
    return maps


def weight_initializer(seed: int) -> keras.initializers.Initializer:
    """N(0, 0.02), as in the paper; the same seed gives the same weights everywhere."""
    return keras.initializers.RandomNormal(0.0, WEIGHT_STDDEV, seed=seed)


@keras.saving.register_keras_serializable("dcgan")
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras' layer with the paper's lineage's constants, computed by TensorFlow's fused kernel.

    Momentum 0.9 and epsilon 1e-5. In training on one replica one kernel takes the place of Keras'
    means, squares and sums, with the same result; on several replicas Keras' synchronized form is
    used. Statistics and parameters are float32 whatever the inputs are.

    Args:
        gamma_stddev: standard deviation of gamma's initial values around 1.
        seed: of those values.
        **kwargs: of `keras.layers.BatchNormalization`.
    """

    def __init__(self, gamma_stddev: float = 0.0, seed: int = 0, **kwargs):
        kwargs = {"momentum": 0.9, "epsilon": 1e-5, "synchronized": True, **kwargs}
        if gamma_stddev and "gamma_initializer" not in kwargs:
            kwargs["gamma_initializer"] = keras.initializers.RandomNormal(
                1.0, gamma_stddev, seed=seed
            )
        super().__init__(**kwargs)

    def call(self, inputs, training=None):
        """inputs [N, H, W, C], float32 or bfloat16 -> the same shape and type."""
        context = tf.distribute.get_replica_context()
        if not training or context is None or context.num_replicas_in_sync > 1:
            return super().call(inputs, training=training)
        # `exponential_avg_factor` would average for us, but with Bessel's correction N / (N - 1).
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            tf.convert_to_tensor(inputs),
            tf.convert_to_tensor(self.gamma),
            tf.convert_to_tensor(self.beta),
            epsilon=self.epsilon,
            is_training=True,
        )
        count = tf.cast(tf.size(inputs) // inputs.shape[-1], variance.dtype)
        variance = variance * (count - 1.0) / count
        for moving, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + value * (1.0 - self.momentum))
        return outputs
