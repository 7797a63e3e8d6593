"""The losses of both networks, one value per example (Goodfellow et al. 2014, arXiv 1406.2661)."""

import tensorflow as tf


def discriminator_loss(
    real_logits: tf.Tensor, fake_logits: tf.Tensor, *, real_label: float
) -> tf.Tensor:
    """Computes the binary cross-entropy of the discriminator, with one-sided label smoothing.

    Args:
        real_logits, fake_logits: float32 [N, 1], of N real and N generated images.
        real_label: target of real images, such as 0.9 (Salimans et al. 2016, arXiv 1606.03498,
            section 3.4). The target of generated images is 0.

    Returns:
        float32 [N], each the sum of the loss of a real and of a generated image.
    """
    real_losses = tf.nn.sigmoid_cross_entropy_with_logits(
        labels=tf.fill(tf.shape(real_logits), real_label), logits=real_logits
    )
    fake_losses = tf.nn.sigmoid_cross_entropy_with_logits(
        labels=tf.zeros_like(fake_logits), logits=fake_logits
    )
    return tf.squeeze(real_losses + fake_losses, axis=-1)


def generator_loss(fake_logits: tf.Tensor) -> tf.Tensor:
    """Computes -log D(G(z)), float32 [N], of logits [N, 1] (Goodfellow et al. 2014, section 3)."""
    return tf.squeeze(tf.nn.softplus(-fake_logits), axis=-1)


def class_loss(class_logits: tf.Tensor, numbers: tf.Tensor, classes: tuple[int, ...]) -> tf.Tensor:
    """Computes the cross-entropy of telling classes apart (Odena et al. 2017, arXiv 1610.09585).

    In the paper the discriminator learns classes from real and generated images. Here it learns
    them from real ones alone, as a generator at first draws images that do not fit their labels.

    Args:
        class_logits: float32 [N, classes of all columns], see `Discriminator.call`.
        numbers: float32 of the same shape, the labels as `classes.one_hot` returns them.
        classes: number of classes of each column.

    Returns:
        float32 [N], the sum over the columns.
    """
    pairs = zip(tf.split(class_logits, classes, 1), tf.split(numbers, classes, 1), strict=True)
    return tf.add_n([tf.nn.softmax_cross_entropy_with_logits(labels=y, logits=x) for x, y in pairs])
