"""Classes as the networks take them: one-hot numbers, 1 for an image's own classes and 0 elsewhere.

An image has one class in each column of labels, such as its hair and its eyes. A blend of two
classes has numbers between 0 and 1 that add up to 1 in each column.
"""

import keras
import tensorflow as tf


def one_hot(labels: tf.Tensor, classes: tuple[int, ...]) -> tf.Tensor:
    """Encodes labels one-hot, the columns side by side: float32 [N, sum(classes)].

    Labels are integers [N, columns], each from 0 to one less than the column's number of classes.
    Floats [N, sum(classes)] are returned as they are: one-hot rows already, or blends of them.
    """
    labels = tf.convert_to_tensor(labels)
    if not labels.dtype.is_integer:
        return labels
    columns = [
        keras.ops.one_hot(labels[:, i], count, dtype="float32") for i, count in enumerate(classes)
    ]
    return tf.concat(columns, 1)


def uniform(classes: tuple[int, ...]) -> tf.Tensor:
    """Returns float32 [1, sum(classes)], in each column every class with the same share."""
    return tf.constant([[1 / count for count in classes for _ in range(count)]])


def append_labels(inputs: tf.Tensor, numbers: tf.Tensor | None) -> tf.Tensor:
    """Appends labels to a layer's inputs: [N, ..., channels] -> [N, ..., channels + classes].

    Numbers are [N or 1, classes], the same at every place, see `one_hot`; None for no labels.
    """
    if numbers is None:
        return inputs
    numbers = keras.ops.cast(numbers, inputs.dtype)
    numbers = keras.ops.reshape(numbers, (-1, *[1] * (len(inputs.shape) - 2), numbers.shape[-1]))
    return keras.ops.concatenate([inputs, numbers * keras.ops.ones_like(inputs[..., :1])], -1)


class ClassLogits(keras.layers.Layer):
    """Multiplies features [N, units] by one learnt vector per class: float32 [N, classes].

    `kernel_initializer` initializes the vectors, [classes, units].
    """

    def __init__(self, classes: int, units: int, *, kernel_initializer, **kwargs):
        super().__init__(**kwargs)
        self.classes = classes
        self.units = units
        self.kernel_initializer = kernel_initializer

    def build(self, input_shape=None):
        shape, how = (self.classes, self.units), self.kernel_initializer
        self.kernel = self.add_weight(shape=shape, initializer=how, name="kernel")
        self.built = True

    def call(self, seen):
        return keras.ops.matmul(seen, keras.ops.transpose(self.kernel))


def require(labels, classes: tuple[int, ...], network: str) -> None:
    """Raises ValueError if a network with classes gets no labels, or one without gets some."""
    if bool(classes) != (labels is not None):
        raise ValueError(
            f"The {network} {'needs' if classes else 'knows no'} labels: its classes are {classes}."
        )
