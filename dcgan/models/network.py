"""The base class of both networks."""

from collections.abc import Iterable, Sequence

import keras

from dcgan.models.classes import one_hot, uniform
from dcgan.models.layers import BatchNormalization, layer_seed, sizes
from dcgan.models.layouts import DEFAULT, LAYOUTS


class Network(keras.Model):
    """Strided convolutions between an image and maps of about 4x4, wider as maps get smaller.

    The names of all layers are in checkpoint files: a renamed layer cannot be restored from them.

    Args:
        image_shape: (height, width, channels); sides from 8 to 256, channels 1 or 3.
        width: number of channels, see `Generator` and `Discriminator`.
        kernel_size: side of the kernels.
        gamma_stddev: standard deviation of batch normalization's initial gamma around 1.
        layout: name of a layout, a key of `LAYOUTS`.
        seed: seed of the initial weights, at least 0; see `layers.layer_seed`.
        classes: number of classes of each column of labels; empty for a network without labels.
        **kwargs: further arguments of `keras.Model`.

    Attributes:
        plan: the `Layout`.
        maps: (height, width) of the maps from the image down; see `sizes`.
        label_channels: number of label channels that each layer sees beside its input.
        hidden: the layout's dense layer, which takes `hidden_inputs` numbers; None without one.
        example_shape: shape of one input.
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
                use_bias=False,  # batch normalization would subtract it
                kernel_initializer=self.initializer("hidden"),
                dtype=self.dtype_policy,
                name="hidden",
            )

    def build(self, input_shape=None):
        """Creates all variables, so that a checkpoint can be restored at once."""
        labels = keras.ops.zeros((1, len(self.classes)), "int32") if self.classes else None
        self.call(keras.ops.zeros((1, *self.example_shape)), labels)

    def inside(self, labels):
        """Returns the numbers that each layer sees beside its input; None if the layout has none.

        Labels are as `classes.one_hot` takes them; None gives every class the same share.
        """
        if not self.label_channels:
            return None
        return uniform(self.classes) if labels is None else one_hot(labels, self.classes)

    def initializer(self, layer: str) -> keras.initializers.Initializer:
        """Returns the initializer of the kernel of the layer with this name."""
        seed, stddev = layer_seed(self.seed, self.name, layer), self.plan.weight_stddev
        if stddev is None:
            return keras.initializers.GlorotUniform(seed=seed)
        return keras.initializers.RandomNormal(0.0, stddev, seed=seed)

    def normalizations(self, numbers: Iterable[int]) -> list[BatchNormalization]:
        """Makes batch normalization layers named, and initialized, by these numbers."""
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
        """Returns all arguments, `classes` only if there are any.

        model.json of runs holds them by these names, and fingerprints of generators include them.
        """
        names = ["image_shape", "width", "kernel_size", "gamma_stddev", "layout", "seed"]
        names += ["classes"] if self.classes else []
        return super().get_config() | {name: getattr(self, name) for name in names}
