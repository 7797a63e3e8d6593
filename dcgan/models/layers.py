"""What both networks share: sizes, initial weights, strided convolutions and normalization."""

import math

import keras
import numpy as np
import tensorflow as tf

from dcgan.models.convolutions import STRIDE, down, up
from dcgan.models.layouts import Layout


def sizes(height: int, width: int, smallest: int = 4) -> list[tuple[int, int]]:
    """The sides of the feature maps from the image down, halved with rounding up until about 4.

    A side of 28 gives 28, 14, 7, 4; 48 gives 48, 24, 12, 6, 3: one more than there are layers of
    stride 2. For an image that is not square the geometric mean of its sides decides how often.
    `smallest` takes the place of 4.
    """
    stages = max(1, math.floor(math.log2(math.sqrt(height * width) / smallest) + 0.5))
    maps = [(height, width)]
    for _ in range(stages):
        height, width = -(-height // 2), -(-width // 2)
        maps.append((height, width))
    return maps


def layer_seed(seed: int, network: str, layer: str) -> int:
    """The seed of a layer's initial weights: below 2**32, and a hash of all that it belongs to.

    Sums such as seed + layer would give a layer of one run the weights of another run's next layer.
    """
    words = [seed, *f"{network}/{layer}".encode()]
    return int(np.random.SeedSequence(words).generate_state(1)[0])


def weight_initializer(seed: int, layout: Layout) -> keras.initializers.Initializer:
    """As the layout says; the same seed gives the same weights everywhere."""
    if layout.weight_stddev is None:
        return keras.initializers.GlorotUniform(seed=seed)
    return keras.initializers.RandomNormal(0.0, layout.weight_stddev, seed=seed)


def activation(inputs: tf.Tensor, leak: float) -> tf.Tensor:
    """ReLU, or LeakyReLU with that slope below 0."""
    if not leak:
        return keras.ops.relu(inputs)

    # The gradient asks for signs only: taken from the outputs, as ReLU does it, the inputs need not
    # be kept.
    @tf.custom_gradient
    def leaky_relu(inputs):
        outputs = tf.nn.leaky_relu(inputs, leak)

        def gradient(upstream):
            return tf.raw_ops.LeakyReluGrad(gradients=upstream, features=outputs, alpha=leak)

        return outputs, gradient

    return leaky_relu(inputs)


def dropout(inputs: tf.Tensor, rate: float, seed: tf.Tensor) -> tf.Tensor:
    """Leaves out numbers at random and enlarges the others (Srivastava et al. 2014).

    On several replicas inputs [N, H, W, C] are each one's share of the batch. What is left out of
    an image depends on the seed, int64 [2], and on the image's place in the batch, not on the
    number of replicas.
    """
    context = tf.distribute.get_replica_context()
    count = tf.shape(inputs)[0]
    shape = (count * context.num_replicas_in_sync, *inputs.shape[1:])
    numbers = tf.random.stateless_uniform(shape, seed, alg="philox")
    start = context.replica_id_in_sync_group * count
    kept = numbers[start : start + count] >= rate
    return tf.where(kept, inputs / (1.0 - rate), tf.zeros([], inputs.dtype))


def _require(layer: keras.layers.Layer, name: str, value) -> None:
    """Refuses an argument of Keras' layer that the computation here does not follow."""
    if getattr(layer, name) != value:
        raise ValueError(
            f"{type(layer).__name__} computes {name}={value!r} only; got {getattr(layer, name)!r}."
        )


@keras.saving.register_keras_serializable("dcgan")
class StridedConv2D(keras.layers.Conv2D):
    """Keras' `Conv2D` with stride 2 and "same" padding, computed by `convolutions.down`."""

    def __init__(self, filters, kernel_size, **kwargs):
        super().__init__(filters, kernel_size, **{"strides": STRIDE, "padding": "same", **kwargs})
        _require(self, "strides", (STRIDE, STRIDE))
        _require(self, "padding", "same")

    def call(self, inputs, training=None):
        """inputs [N, H, W, C] -> [N, ceil(H / 2), ceil(W / 2), filters]."""
        tensors = tf.convert_to_tensor(inputs), tf.convert_to_tensor(self.kernel)
        outputs = down(*tensors, training=bool(training))
        # Not by `bias_add`, whose gradient of many bfloat16 numbers is off by a seventh.
        return self.activation(outputs + self.bias if self.use_bias else outputs)


@keras.saving.register_keras_serializable("dcgan")
class StridedConv2DTranspose(keras.layers.Conv2DTranspose):
    """Keras' `Conv2DTranspose` with stride 2 to maps of a given size, by `convolutions.up`.

    Args:
        filters, kernel_size: as in Keras.
        side: (height, width) of the output, each twice the input's or one less: "same" padding
            brings both back to the input's. With strides=1 it is the input's.
        **kwargs: of `keras.layers.Conv2DTranspose`.
    """

    def __init__(self, filters, kernel_size, *, side, **kwargs):
        super().__init__(filters, kernel_size, **{"strides": STRIDE, "padding": "same", **kwargs})
        _require(self, "padding", "same")
        self.side = tuple(side)

    def call(self, inputs, training=None):
        """inputs [N, H, W, C] -> [N, *side, filters]."""
        tensors = tf.convert_to_tensor(inputs), tf.convert_to_tensor(self.kernel)
        outputs = up(*tensors, self.side, stride=self.strides[0], training=bool(training))
        return self.activation(outputs + self.bias if self.use_bias else outputs)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *self.side, self.filters)

    def get_config(self):
        return {**super().get_config(), "side": self.side}


@keras.saving.register_keras_serializable("dcgan")
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras' layer with the paper's lineage's constants, computed by TensorFlow's fused kernel.

    Momentum 0.9 and epsilon 1e-5. In training one kernel takes the place of Keras' means, squares
    and sums, with the same result. `synchronized` replicas, which have equal shares of the batch,
    normalize by the statistics of all of it; each sends one message where Keras' layer sends three.
    Statistics and parameters are float32 whatever the inputs are.

    Args:
        gamma_stddev: standard deviation of gamma's initial values around 1.
        seed: of those values.
        unbiased: whether the moving variance is of N / (N - 1) times the batch's, where N numbers
            are normalized together.
        **kwargs: of `keras.layers.BatchNormalization`.
    """

    def __init__(
        self, gamma_stddev: float = 0.0, seed: int = 0, *, unbiased: bool = False, **kwargs
    ):
        kwargs = {"momentum": 0.9, "epsilon": 1e-5, "synchronized": True, **kwargs}
        if gamma_stddev and "gamma_initializer" not in kwargs:
            kwargs["gamma_initializer"] = keras.initializers.RandomNormal(
                1.0, gamma_stddev, seed=seed
            )
        super().__init__(**kwargs)
        for name, value in (("axis", -1), ("center", True), ("scale", True), ("renorm", False)):
            _require(self, name, value)
        self.unbiased = unbiased

    def call(self, inputs, training=None):
        """inputs [N, H, W, C] or [N, C], float32 or bfloat16 -> the same shape and type."""
        context = tf.distribute.get_replica_context()
        if not (training and self.trainable and context):
            return super().call(inputs, training=training)
        maps = tf.convert_to_tensor(inputs)
        if self.synchronized and context.num_replicas_in_sync > 1:
            outputs, mean, variance = self._of_all_replicas(maps, context)
        else:
            outputs, mean, variance = self._of_this_replica(maps)
        for moving, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + value * (1.0 - self.momentum))
        return outputs

    def _of_this_replica(self, maps):
        """The normalized inputs, their mean, and the variance to keep."""
        # `exponential_avg_factor` would average for us, but with Bessel's correction N / (N - 1).
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            maps if len(maps.shape) == 4 else maps[:, None, None],
            tf.convert_to_tensor(self.gamma),
            tf.convert_to_tensor(self.beta),
            epsilon=self.epsilon,
            is_training=True,
        )
        outputs = outputs if len(maps.shape) == 4 else outputs[:, 0, 0]
        if self.unbiased:
            return outputs, mean, variance
        count = tf.cast(tf.size(maps) // maps.shape[-1], variance.dtype)
        return outputs, mean, variance * (count - 1.0) / count

    def _of_all_replicas(self, maps, context):
        """Likewise, over the inputs of all replicas."""
        inputs = tf.cast(maps, tf.float32)
        mean, variance = tf.nn.moments(inputs, list(range(len(maps.shape) - 1)))
        # The variance of all: that within the replicas and that of their means, which is measured
        # from the moving mean, where it loses no digits.
        near = tf.stop_gradient(tf.convert_to_tensor(self.moving_mean))
        within = tf.stack([mean - near, variance + tf.square(mean - near)])
        away, spread = tf.unstack(context.all_reduce(tf.distribute.ReduceOp.MEAN, within))
        mean, variance = near + away, tf.maximum(spread - tf.square(away), 0.0)
        outputs = tf.nn.batch_normalization(
            inputs,
            mean,
            variance,
            tf.convert_to_tensor(self.beta),
            tf.convert_to_tensor(self.gamma),
            self.epsilon,
        )
        if self.unbiased:
            count = tf.size(maps) // maps.shape[-1] * context.num_replicas_in_sync
            count = tf.cast(count, variance.dtype)
            variance *= count / (count - 1.0)
        return tf.cast(outputs, maps.dtype), mean, variance
