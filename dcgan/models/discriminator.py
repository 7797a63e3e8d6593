"""The discriminator: images to one logit each (Radford et al. 2015)."""

import math

import keras

from dcgan.models.classes import ClassLogits, beside, one_hot, require
from dcgan.models.layers import StridedConv2D, activation, dropout
from dcgan.models.network import Network

# Layers double the channels up to so many times the first layer's: the 64x64 network's widest.
MAX_WIDENING = 8
_LAYER_BITS = 48  # of dropout's seed, above those that the training step uses


@keras.saving.register_keras_serializable("dcgan")
class Discriminator(Network):
    """images [N, height, width, channels] in [-1, 1] -> logits float32 [N, 1]; above 0 means real.

    5x5 stride-2 convolutions with LeakyReLU 0.2, batch normalization on all but the first, each
    halving the sides and doubling the channels; then one dense logit. No pooling, no hidden layer.
    That is the layout "radford"; see `layouts` for what others change. Where it knows classes, the
    logit is more by the product of what the last layer sees with vectors of the image's classes
    (Miyato and Koyama 2018, arXiv 1802.05637, equation 4). There it is added up over all places
    first; here each place counts, as in the last layer itself (docs/conditional.md: why). The
    products with the vectors of all classes are also logits of the class.

    Args:
        image_shape, **kwargs: of `Network`.
        width: channels of the first convolution.
    """

    def __init__(self, image_shape: tuple[int, int, int], *, width: int = 64, **kwargs):
        super().__init__(image_shape, width=width, **{"name": "discriminator", **kwargs})
        widths = [width * min(1 << i, MAX_WIDENING) for i in range(len(self.maps) - 1)]
        if self.label_channels:
            widths = [one + self.label_channels for one in (image_shape[2], *widths[:-1])]
        self.convs = [
            StridedConv2D(
                filters,
                self.kernel_size,
                # Batch normalization subtracts it again.
                use_bias=self.plan.d_bias and (i == 0 or not self.plan.d_norm),
                kernel_initializer=self.initializer(f"conv_{i}"),
                dtype=self.dtype_policy,
                name=f"conv_{i}",
            )
            for i, filters in enumerate(widths)
        ]
        self.seen = math.prod(self.maps[-1]) * widths[-1]  # by what follows the convolutions
        self.hidden_inputs = self.seen + self.label_channels
        self.logit_inputs = (self.plan.hidden or self.seen) + self.label_channels
        normalized = range(1, len(self.convs) + bool(self.hidden))
        self.norms = self.normalizations(normalized if self.plan.d_norm else ())
        self.logit = keras.layers.Dense(
            1,
            use_bias=self.plan.d_bias,
            kernel_initializer=self.initializer("logit"),
            dtype="float32",
            name="logit",
        )
        self.of_classes = None
        if self.classes and not self.label_channels:
            self.of_classes = ClassLogits(
                sum(self.classes),
                self.seen,
                kernel_initializer=self.initializer("classes"),
                dtype="float32",
                name="classes",
            )

    def build(self, input_shape=None):
        """Makes every variable, so that a restore finds them all."""
        channels = self.image_shape[2]
        for conv, (height, width) in zip(self.convs, self.maps, strict=False):
            conv.build((None, height, width, channels + self.label_channels))
            channels = conv.filters
        of_maps = self.norms[: len(self.convs) - 1]
        for norm, conv, (height, width) in zip(
            of_maps, self.convs[1:], self.maps[2:], strict=self.plan.d_norm
        ):
            norm.build((None, height, width, conv.filters))
        if self.hidden:
            self.hidden.build((None, self.hidden_inputs))
            self.norms[-1].build((None, self.hidden.units))
        self.logit.build((None, self.logit_inputs))
        if self.of_classes:
            self.of_classes.build()
        self.built = True

    def call(self, images, labels=None, training=False, seed=None, with_classes=False):
        """images float [N, height, width, channels] -> logits float32 [N, 1].

        Args:
            labels: as `classes.one_hot` takes them, where the network knows classes.
            seed: int64 [2], of what dropout leaves out in training; a layout without it needs none.
            with_classes: whether to return a tuple, in which the logits of the classes are second:
                float32 [N, classes of all columns], or None where the network knows no classes.
        """
        require(labels, self.classes, self.name)
        last = self.activations(images, labels, training=training, seed=seed)[-1]
        inside = self.inside(labels)
        seen = beside(keras.ops.reshape(last, (-1, self.seen)), inside)
        if self.hidden:
            seen = self.norms[-1](self.hidden(seen), training=training)
            seen = beside(activation(seen, self.plan.d_leak), inside)
        logits = self.logit(seen)
        class_logits = None
        if self.of_classes:
            class_logits = self.of_classes(seen)
            own = class_logits * one_hot(labels, self.classes)
            logits = logits + keras.ops.sum(own, axis=1, keepdims=True)
        return (logits, class_logits) if with_classes else logits

    def activations(self, images, labels=None, training=False, seed=None) -> list:
        """What follows the convolutions sees: [N, h, w, channels] after each one's LeakyReLU.

        Labels are for a layout whose convolutions see them; without, each image may be of every
        class.
        """
        maps, inside = [(images + 1) / 2 if self.plan.from_0 else images], self.inside(labels)
        for i, conv in enumerate(self.convs):
            x = conv(beside(maps[-1], inside), training=training)
            if i and self.norms:
                x = self.norms[i - 1](x, training=training)
            x = activation(x, self.plan.d_leak)
            maps.append(self._with_dropout(x, i, seed) if training else x)
        return maps[1:]

    def _with_dropout(self, x, i: int, seed):
        """The activations of layer `i` in training."""
        if not self.plan.dropout:
            return x
        if seed is None:
            raise ValueError(f"The layout {self.layout} has dropout: training needs a seed.")
        return dropout(x, self.plan.dropout, seed + [i << _LAYER_BITS, 0])
