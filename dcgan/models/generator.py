"""The generator: latent vectors to images (Radford et al. 2015, figure 1)."""

import math

import keras

from dcgan.models.classes import append_labels, one_hot, require
from dcgan.models.layers import STRIDE, StridedConv2DTranspose, activation
from dcgan.models.network import Network


@keras.saving.register_keras_serializable("dcgan")  # "dcgan>Generator" in .keras exports
class Generator(Network):
    """z [N, z_dim] -> images float32 [N, height, width, channels] in [-1, 1].

    Dense -> h x w x width -> BN -> ReLU, then 5x5 stride-2 transposed convolutions with BN and
    ReLU, each doubling the sides and halving the channels, the last one to the image with tanh.
    That is the layout "radford"; see `layouts` for the others. If the network has classes, their
    one-hot numbers are appended to z (Mirza and Osindero 2014, arXiv 1411.1784).

    Args:
        image_shape, **kwargs: see `Network`.
        z_dim: length of the latent vectors.
        z_dist: distribution of the latent vectors, see `latent.noise.DISTRIBUTIONS`. It does not
            change the network; the config keeps it to say how to draw samples.
        width: channels of the first maps.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        *,
        z_dim: int = 100,
        z_dist: str = "normal01",
        width: int = 512,
        **kwargs,
    ):
        super().__init__(image_shape, width=width, **{"name": "generator", **kwargs})
        self.z_dim = z_dim
        self.z_dist = z_dist
        self.example_shape = (z_dim,)
        self.maps = self.maps[::-1]  # from the smallest up to the image
        if self.plan.keeps_first:
            self.maps.insert(0, self.maps[0])
        widths = [width, *(max(1, width >> i) for i in range(1, len(self.maps) - 1))]
        if self.label_channels:
            widths = [max(1, width // 4)] * len(widths)
        self.first = (*self.maps[0], widths[0])  # shape of the smallest maps
        self.hidden_inputs = z_dim + self.label_channels
        policy = self.dtype_policy
        self.project = keras.layers.Dense(
            math.prod(self.first),
            use_bias=False,  # batch normalization would subtract it
            kernel_initializer=self.initializer("project"),
            dtype=policy,
            name="project",
        )
        # The classes' part of the first layer: the rows of its kernel that multiply their numbers.
        self.of_classes = None
        if self.classes and not self.label_channels:
            self.of_classes = keras.layers.Dense(
                self.project.units,
                use_bias=False,
                kernel_initializer=self.initializer("classes"),
                dtype=policy,
                name="classes",
            )
        self.norms = self.normalizations(range(bool(self.hidden) + len(widths)))
        self.deconvs = [
            StridedConv2DTranspose(
                filters,
                self.kernel_size,
                side=self.maps[i + 1],
                strides=1 if self.plan.keeps_first and i == 0 else STRIDE,
                use_bias=last and self.plan.image_bias,
                kernel_initializer=self.initializer(f"deconv_{i}"),
                dtype="float32" if last else policy,  # the images have full precision
                name=f"deconv_{i}",
            )
            for i, filters in enumerate([*widths[1:], image_shape[2]])
            for last in [i == len(widths) - 1]
        ]

    def call(self, z, labels=None, training=False):
        """z float32 [N, z_dim] -> images float32 [N, height, width, channels] in [-1, 1].

        Labels are needed only by a network with classes, see `classes.one_hot`.
        """
        require(labels, self.classes, self.name)
        inside, norms, x = self.inside(labels), iter(self.norms), z
        if self.hidden:
            x = next(norms)(self.hidden(append_labels(x, inside)), training=training)
            x = activation(x, self.plan.g_leak)
        x = self.project(append_labels(x, inside))
        if self.of_classes:
            x = x + self.of_classes(one_hot(labels, self.classes))
        if not self.plan.by_unit:
            x = self._as_maps(x)
        for i, (norm, deconv) in enumerate(zip(norms, self.deconvs, strict=True)):
            x = activation(norm(x, training=training), self.plan.g_leak)
            x = deconv(append_labels(self._as_maps(x) if i == 0 else x, inside), training=training)
        return keras.ops.tanh(x / 2 if self.plan.from_0 else x)  # tanh(x / 2) is 2 sigmoid(x) - 1

    def _as_maps(self, x):
        """Reshapes the first tensor, [N, units], to maps [N, height, width, channels]."""
        return keras.ops.reshape(x, (-1, *self.first))

    def get_config(self):
        return {**super().get_config(), "z_dim": self.z_dim, "z_dist": self.z_dist}
