"""Classes as the networks take them: numbers that are 1 for an image's own classes, else 0.

An image has one class in each column of labels, such as its hair and its eyes. Between two classes
lie numbers that add up to 1.
"""

import keras
import tensorflow as tf


def one_hot(labels: tf.Tensor, classes: tuple[int, ...]) -> tf.Tensor:
    """Columns of classes side by side: float32 [N, sum(classes)].

    Labels are whole numbers [N, columns], each from 0 to below the column's number of classes; or
    what this function returns, or numbers between several such rows.
    """
    labels = tf.convert_to_tensor(labels)
    if not labels.dtype.is_integer:
        return labels
    columns = [
        keras.ops.one_hot(labels[:, i], count, dtype="float32") for i, count in enumerate(classes)
    ]
    return tf.concat(columns, 1)


def undecided(classes: tuple[int, ...]) -> tf.Tensor:
    """As `one_hot`, of an image that may be of any class: float32 [1, sum(classes)]."""
    return tf.constant([[1 / count for count in classes for _ in range(count)]])


def beside(inputs: tf.Tensor, numbers: tf.Tensor | None) -> tf.Tensor:
    """What a layer sees, [N, ..., channels], and the labels at each of its places.

    Numbers are of `one_hot`, [N or 1, classes]; None for the inputs alone. Returns [N, ...,
    channels + classes].
    """
    if numbers is None:
        return inputs
    numbers = keras.ops.cast(numbers, inputs.dtype)
    numbers = keras.ops.reshape(numbers, (-1, *[1] * (len(inputs.shape) - 2), numbers.shape[-1]))
    return keras.ops.concatenate([inputs, numbers * keras.ops.ones_like(inputs[..., :1])], -1)


class ClassLogits(keras.layers.Layer):
    """What a network sees, [N, units], times a vector for each class: float32 [N, classes].

    Args:
        classes: how many.
        units: how many numbers the network sees.
        kernel_initializer: of the vectors [classes, units].
        **kwargs: of `keras.layers.Layer`.
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
    """Raises ValueError for labels where none were learnt, and for none where they were."""
    if bool(classes) != (labels is not None):
        raise ValueError(
            f"The {network} {'needs' if classes else 'knows no'} labels: its classes are {classes}."
        )
