"""The discriminator: images to one logit each (Radford et al. 2015)."""

import keras

from dcgan.models.layers import BatchNormalization, StridedConv2D, sizes, weight_initializer

LEAK = 0.2  # LeakyReLU's slope, Radford et al. 2015, section 4
# Layers double the channels up to so many times the first layer's: the 64x64 network's widest.
MAX_WIDENING = 8


@keras.saving.register_keras_serializable("dcgan")
class Discriminator(keras.Model):
    """images [N, height, width, channels] in [-1, 1] -> logits float32 [N, 1]; above 0 means real.

    5x5 stride-2 convolutions with LeakyReLU 0.2, batch normalization on all but the first, each
    halving the sides and doubling the channels; then one dense logit. No pooling, no hidden layer.

    Args:
        image_shape: (height, width, channels); sides from 8 to 256, channels 1 or 3.
        width: channels of the first convolution.
        kernel_size: side of the kernels.
        gamma_stddev: of batch normalization's initial gamma around 1.
        seed: of the initial weights.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        *,
        width: int = 64,
        kernel_size: int = 5,
        gamma_stddev: float = 0.0,
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(**{"name": "discriminator", **kwargs})
        self.image_shape = tuple(image_shape)
        self.width = width
        self.kernel_size = kernel_size
        self.gamma_stddev = gamma_stddev
        self.seed = seed

        self.maps = sizes(*image_shape[:2])
        policy = self.dtype_policy
        self.convs = [
            StridedConv2D(
                width * min(1 << i, MAX_WIDENING),
                kernel_size,
                use_bias=i == 0,  # batch normalization subtracts the others' again
                kernel_initializer=weight_initializer(seed + i),
                dtype=policy,
                name=f"conv_{i}",
            )
            for i in range(len(self.maps) - 1)
        ]
        self.norms = [
            BatchNormalization(gamma_stddev, seed + 100 + i, dtype=policy, name=f"norm_{i}")
            for i in range(1, len(self.convs))
        ]
        self.logit = keras.layers.Dense(
            1, kernel_initializer=weight_initializer(seed + 50), dtype="float32", name="logit"
        )

    def build(self, input_shape=None):
        """Makes every variable, so that a restore finds them all."""
        channels = self.image_shape[2]
        for conv, (height, width) in zip(self.convs, self.maps, strict=False):
            conv.build((None, height, width, channels))
            channels = conv.filters
        for norm, conv, (height, width) in zip(
            self.norms, self.convs[1:], self.maps[2:], strict=True
        ):
            norm.build((None, height, width, conv.filters))
        self.logit.build((None, self.maps[-1][0] * self.maps[-1][1] * channels))
        self.built = True

    def call(self, images, training=False):
        """images float [N, height, width, channels] -> logits float32 [N, 1]."""
        last = self.activations(images, training=training)[-1]
        return self.logit(keras.ops.reshape(last, (-1, self.logit.kernel.shape[0])))

    def activations(self, images, training=False) -> list:
        """What the convolutions see, after their LeakyReLU: [N, h, w, channels] of each in turn."""
        maps = [keras.ops.leaky_relu(self.convs[0](images), LEAK)]
        for conv, norm in zip(self.convs[1:], self.norms, strict=True):
            maps.append(keras.ops.leaky_relu(norm(conv(maps[-1]), training=training), LEAK))
        return maps

    def get_config(self):
        return {
            **super().get_config(),
            "image_shape": self.image_shape,
            "width": self.width,
            "kernel_size": self.kernel_size,
            "gamma_stddev": self.gamma_stddev,
            "seed": self.seed,
        }
