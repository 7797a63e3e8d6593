"""What the two networks have in common."""

from collections.abc import Iterable, Sequence

import keras

from dcgan.models.classes import one_hot, undecided
from dcgan.models.layers import BatchNormalization, layer_seed, sizes, weight_initializer
from dcgan.models.layouts import DEFAULT, LAYOUTS


class Network(keras.Model):
    """Strided convolutions of doubling width between an image and maps of about 4x4.

    Args:
        image_shape: (height, width, channels); sides from 8 to 256, channels 1 or 3.
        width: channels of the layer that each network names.
        kernel_size: side of the kernels.
        gamma_stddev: of batch normalization's initial gamma around 1.
        layout: one of `LAYOUTS`.
        seed: of the initial weights, see `layers.layer_seed`; at least 0.
        classes: how many classes each column of labels has; none for a network without labels.
        **kwargs: of `keras.Model`.

    Attributes:
        plan: what the layout says.
        maps: the sides of the maps from the image down; see `sizes`.
        label_channels: that each layer sees beside its input.
        hidden: the layout's dense layer, which takes `hidden_inputs` numbers; None without.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        *,
        width: int,
        kernel_size: int = 5,
        gamma_stddev: float = 0.0,
        layout: str = DEFAULT,
        seed: int = 0,
        classes: Sequence[int] = (),
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.image_shape = tuple(image_shape)
        self.width = width
        self.kernel_size = kernel_size
        self.gamma_stddev = gamma_stddev
        self.seed = seed
        self.classes = tuple(classes)
        self.layout = layout if classes or not LAYOUTS[layout].labels_inside else DEFAULT
        self.plan = LAYOUTS[self.layout]
        self.maps = sizes(*image_shape[:2], self.plan.smallest)
        self.label_channels = sum(self.classes) if self.plan.labels_inside else 0
        self.hidden = None
        if self.plan.hidden:
            self.hidden = keras.layers.Dense(
                self.plan.hidden,
                use_bias=False,  # batch normalization subtracts it again
                kernel_initializer=self.initializer("hidden"),
                dtype=self.dtype_policy,
                name="hidden",
            )

    def inside(self, labels):
        """What layers see of labels beside their inputs; None where the layout has it otherwise.

        Labels are as `classes.one_hot` takes them; None for images that may be of each class.
        """
        if not self.label_channels:
            return None
        return undecided(self.classes) if labels is None else one_hot(labels, self.classes)

    def initializer(self, layer: str) -> keras.initializers.Initializer:
        """Of the kernel of a layer with this name."""
        return weight_initializer(layer_seed(self.seed, self.name, layer), self.plan)

    def normalizations(self, numbers: Iterable[int]) -> list[BatchNormalization]:
        """Layers with these numbers, which their names and initial values have."""
        return [
            BatchNormalization(
                self.gamma_stddev,
                layer_seed(self.seed, self.name, f"norm_{number}"),
                momentum=self.plan.momentum,
                epsilon=self.plan.epsilon,
                unbiased=self.plan.unbiased,
                dtype=self.dtype_policy,
                name=f"norm_{number}",
            )
            for number in numbers
        ]

    def get_config(self):
        """All of the arguments; `classes` where there are any."""
        return {
            **super().get_config(),
            "image_shape": self.image_shape,
            "width": self.width,
            "kernel_size": self.kernel_size,
            "gamma_stddev": self.gamma_stddev,
            "layout": self.layout,
            "seed": self.seed,
            **({"classes": self.classes} if self.classes else {}),
        }
