"""Parts of both networks: sizes, initial weights, activations, convolutions and normalization."""

import math

import keras
import numpy as np
import tensorflow as tf

from dcgan.models.convolutions import STRIDE, down, up


def sizes(height: int, width: int, smallest: int = 4) -> list[tuple[int, int]]:
    """Returns the sides of the feature maps, from the image down to about `smallest`.

    Sides are halved and rounded up: 28 gives 28, 14, 7, 4, and 48 gives 48, 24, 12, 6, 3. If the
    image is not square, the geometric mean of its sides decides how often they are halved.
    """
    stages = max(1, math.floor(math.log2(math.sqrt(height * width) / smallest) + 0.5))
    maps = [(height, width)]
    for _ in range(stages):
        height, width = -(-height // 2), -(-width // 2)
        maps.append((height, width))
    return maps


def layer_seed(seed: int, network: str, layer: str) -> int:
    """Returns the seed of a layer's initial weights, below 2**32: a hash of all arguments.

    If the hash or the name of a layer changed, every --seed would begin with other weights.
    With sums such as seed + layer number, a layer of one run would have the weights of the next
    layer of another run.
    """
    words = [seed, *f"{network}/{layer}".encode()]
    return int(np.random.SeedSequence(words).generate_state(1)[0])


def activation(inputs: tf.Tensor, leak: float) -> tf.Tensor:
    """Computes ReLU, or LeakyReLU with slope `leak` below 0 if it is not 0."""
    if not leak:
        return keras.ops.relu(inputs)

    # The gradient needs only signs. Taking them from the outputs, as ReLU does, saves keeping the
    # inputs in memory.
    @tf.custom_gradient
    def leaky_relu(inputs):
        outputs = tf.nn.leaky_relu(inputs, leak)

        def gradient(upstream):
            return tf.raw_ops.LeakyReluGrad(gradients=upstream, features=outputs, alpha=leak)

        return outputs, gradient

    return leaky_relu(inputs)


def dropout(inputs: tf.Tensor, rate: float, seed: tf.Tensor) -> tf.Tensor:
    """Sets numbers to 0 at random and divides the others by 1 - rate (Srivastava et al. 2014).

    Args:
        inputs: [N, H, W, C]; on several replicas, this replica's share of the batch.
        rate: share of the numbers to drop, in [0, 1).
        seed: int64 [2]. What an image loses depends on the seed and on the image's place in the
            whole batch, not on the number of replicas.
    """
    context = tf.distribute.get_replica_context()
    count = tf.shape(inputs)[0]
    shape = (count * context.num_replicas_in_sync, *inputs.shape[1:])
    numbers = tf.random.stateless_uniform(shape, seed, alg="philox")
    start = context.replica_id_in_sync_group * count
    kept = numbers[start : start + count] >= rate
    return tf.where(kept, inputs / (1.0 - rate), tf.zeros([], inputs.dtype))


def _require(layer: keras.layers.Layer, name: str, value) -> None:
    """Raises ValueError if a Keras layer has an argument that the computation here ignores."""
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
        # Not `bias_add`, whose gradient is off by a seventh if it sums many bfloat16 numbers.
        return self.activation(outputs + self.bias if self.use_bias else outputs)


@keras.saving.register_keras_serializable("dcgan")
class StridedConv2DTranspose(keras.layers.Conv2DTranspose):
    """Keras' `Conv2DTranspose` to maps of a given size, computed by `convolutions.up`.

    Args:
        filters, kernel_size: as in Keras.
        side: (height, width) of the output. With stride 2, the default, each is twice the input's
            or one less, as "same" convolutions halve and round up; with strides=1 the input's.
        **kwargs: further arguments of `keras.layers.Conv2DTranspose`; padding must be "same".
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
    """Keras' `BatchNormalization`, computed by TensorFlow's fused kernel.

    Momentum is 0.9 and epsilon 1e-5 by default, as in early DCGANs. Replicas with equal shares of
    the batch normalize by the statistics of the whole batch unless `synchronized` is False; each
    sends one message, where Keras' layer sends three. Statistics and parameters are float32.

    Args:
        gamma_stddev: standard deviation of gamma's initial values around 1.
        seed: seed of gamma's initial values.
        unbiased: whether the moving variance averages N / (N - 1) times the batch's variance, for N
            numbers that are normalized together.
        **kwargs: further arguments of `keras.layers.BatchNormalization`.
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
        """Returns the normalized inputs, their mean, and the variance to average."""
        # `exponential_avg_factor` would average too, but with Bessel's correction N / (N - 1).
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
        """Does the same with the statistics of all replicas' inputs."""
        inputs = tf.cast(maps, tf.float32)
        mean, variance = tf.nn.moments(inputs, list(range(len(maps.shape) - 1)))
        # The variance of the whole batch is that within replicas plus that of their means. It is
        # computed relative to the moving mean, near which no digits are lost.
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
