"""The generator: latent vectors to images (Radford et al. 2015, figure 1)."""

import keras

from dcgan.models.layers import (
    STRIDE,
    StridedConv2DTranspose,
    activation,
    normalizations,
    sizes,
    weight_initializer,
)
from dcgan.models.layouts import DEFAULT, LAYOUTS


@keras.saving.register_keras_serializable("dcgan")
class Generator(keras.Model):
    """z [N, z_dim] -> images float32 [N, height, width, channels] in [-1, 1].

    Dense -> h x w x width -> BN -> ReLU, then 5x5 stride-2 transposed convolutions with BN and
    ReLU, each doubling the sides and halving the channels, the last one to the image with tanh.
    That is the layout "radford"; see `layouts` for what others change.

    Args:
        image_shape: (height, width, channels); sides from 8 to 256, channels 1 or 3.
        z_dim: length of the latent vectors.
        width: channels of the first tensor.
        kernel_size: side of the kernels.
        gamma_stddev: of batch normalization's initial gamma around 1.
        layout: one of `LAYOUTS`.
        seed: of the initial weights.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        *,
        z_dim: int = 100,
        width: int = 512,
        kernel_size: int = 5,
        gamma_stddev: float = 0.0,
        layout: str = DEFAULT,
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(**{"name": "generator", **kwargs})
        self.image_shape = tuple(image_shape)
        self.z_dim = z_dim
        self.width = width
        self.kernel_size = kernel_size
        self.gamma_stddev = gamma_stddev
        self.layout = layout
        self.seed = seed

        self.plan = LAYOUTS[layout]
        # From the smallest map up to the image.
        self.maps = sizes(*image_shape[:2], self.plan.smallest)[::-1]
        if self.plan.by_unit:
            self.maps.insert(0, self.maps[0])
        widths = [max(1, width >> i) for i in range(len(self.maps) - 1)]
        policy = self.dtype_policy
        self.project = keras.layers.Dense(
            self.maps[0][0] * self.maps[0][1] * width,
            use_bias=False,  # batch normalization subtracts it again
            kernel_initializer=weight_initializer(seed, self.plan),
            dtype=policy,
            name="project",
        )
        self.norms = normalizations(range(len(widths)), self.plan, gamma_stddev, seed, policy)
        self.deconvs = [
            StridedConv2DTranspose(
                filters,
                kernel_size,
                side=self.maps[i + 1],
                strides=1 if self.plan.by_unit and i == 0 else STRIDE,
                use_bias=last and self.plan.image_bias,
                kernel_initializer=weight_initializer(seed + 1 + i, self.plan),
                dtype="float32" if last else policy,  # the picture itself keeps full precision
                name=f"deconv_{i}",
            )
            for i, filters in enumerate([*widths[1:], image_shape[2]])
            for last in [i == len(widths) - 1]
        ]

    def build(self, input_shape=None):
        """Makes every variable, so that a restore finds them all."""
        self.project.build((None, self.z_dim))
        channels = self.width
        for i, (norm, deconv) in enumerate(zip(self.norms, self.deconvs, strict=True)):
            maps = (None, *self.maps[i], channels)
            norm.build((None, self.project.units) if self.plan.by_unit and i == 0 else maps)
            deconv.build(maps)
            channels = deconv.filters
        self.built = True

    def call(self, z, training=False):
        """z float32 [N, z_dim] -> images float32 [N, height, width, channels] in [-1, 1]."""
        x = self.project(z)
        if not self.plan.by_unit:
            x = self._as_maps(x)
        for i, (norm, deconv) in enumerate(zip(self.norms, self.deconvs, strict=True)):
            x = activation(norm(x, training=training), self.plan.g_leak)
            x = deconv(self._as_maps(x) if i == 0 else x)
        return keras.ops.tanh(x)

    def _as_maps(self, x):
        """The first tensor [N, units] as maps [N, height, width, channels]."""
        return keras.ops.reshape(x, (-1, *self.maps[0], self.width))

    def get_config(self):
        return {
            **super().get_config(),
            "image_shape": self.image_shape,
            "z_dim": self.z_dim,
            "width": self.width,
            "kernel_size": self.kernel_size,
            "gamma_stddev": self.gamma_stddev,
            "layout": self.layout,
            "seed": self.seed,
        }
