"""The discriminator: images to one logit each (Radford et al. 2015)."""

import math

import keras

from dcgan.models.classes import ClassLogits, append_labels, one_hot, require
from dcgan.models.layers import StridedConv2D, activation, dropout
from dcgan.models.network import Network

# Layers double the channels up to this multiple of the first layer's, as wide as at 64x64.
MAX_WIDENING = 8
# Where the layer's number begins in dropout's seed, above the draw's own bits. With another place,
# resumed runs would go on differently.
_LAYER_BITS = 48


@keras.saving.register_keras_serializable("dcgan")
class Discriminator(Network):
    """images [N, height, width, channels] in [-1, 1] -> logits float32 [N, 1]; above 0 means real.

    5x5 stride-2 convolutions with LeakyReLU 0.2, batch normalization on all but the first, each
    halving the sides and doubling the channels; then one dense logit. No pooling, no hidden layer.
    That is the layout "radford"; see `layouts` for the others. If the network has classes, each has
    a vector, and inner products of the last layer's input with the vectors of an image's classes
    are added to its logit (Miyato and Koyama 2018, arXiv 1802.05637, equation 4, but with weights
    for each place, see docs/conditional.md). The products with all vectors are the class logits.

    Args:
        image_shape, **kwargs: see `Network`.
        width: channels of the first convolution.
    """

    def __init__(self, image_shape: tuple[int, int, int], *, width: int = 64, **kwargs):
        super().__init__(image_shape, width=width, **{"name": "discriminator", **kwargs})
        self.example_shape = self.image_shape
        widths = [width * min(1 << i, MAX_WIDENING) for i in range(len(self.maps) - 1)]
        if self.label_channels:
            widths = [one + self.label_channels for one in (image_shape[2], *widths[:-1])]
        self.convs = [
            StridedConv2D(
                filters,
                self.kernel_size,
                # Batch normalization would subtract it.
                use_bias=self.plan.d_bias and (i == 0 or not self.plan.d_norm),
                kernel_initializer=self.initializer(f"conv_{i}"),
                dtype=self.dtype_policy,
                name=f"conv_{i}",
            )
            for i, filters in enumerate(widths)
        ]
        self.seen = math.prod(self.maps[-1]) * widths[-1]  # inputs of what follows the convolutions
        self.hidden_inputs = self.seen + self.label_channels
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

    def call(self, images, labels=None, training=False, seed=None, with_classes=False):
        """images float [N, height, width, channels] -> logits float32 [N, 1].

        Args:
            labels: needed only by a network with classes, see `classes.one_hot`.
            seed: int64 [2], needed only by layouts with dropout, in training.
            with_classes: whether to return (logits, class logits) instead. Class logits are float32
                [N, classes of all columns]; None if the network computes none.
        """
        require(labels, self.classes, self.name)
        last = self.activations(images, labels, training=training, seed=seed)[-1]
        inside = self.inside(labels)
        seen = append_labels(keras.ops.reshape(last, (-1, self.seen)), inside)
        if self.hidden:
            seen = self.norms[-1](self.hidden(seen), training=training)
            seen = append_labels(activation(seen, self.plan.d_leak), inside)
        logits = self.logit(seen)
        class_logits = None
        if self.of_classes:
            class_logits = self.of_classes(seen)
            own = class_logits * one_hot(labels, self.classes)
            logits = logits + keras.ops.sum(own, axis=1, keepdims=True)
        return (logits, class_logits) if with_classes else logits

    def activations(self, images, labels=None, training=False, seed=None) -> list:
        """Returns the outputs of all convolutions, [N, h, w, channels] each, after LeakyReLU.

        Labels matter only if convolutions see them; None gives every class the same share.
        """
        if training and self.plan.dropout and seed is None:
            raise ValueError(f"The layout {self.layout} has dropout: training needs a seed.")
        maps, inside = [(images + 1) / 2 if self.plan.from_0 else images], self.inside(labels)
        for i, conv in enumerate(self.convs):
            x = conv(append_labels(maps[-1], inside), training=training)
            if i and self.norms:
                x = self.norms[i - 1](x, training=training)
            x = activation(x, self.plan.d_leak)
            if training and self.plan.dropout:
                x = dropout(x, self.plan.dropout, seed + [i << _LAYER_BITS, 0])
            maps.append(x)
        return maps[1:]
