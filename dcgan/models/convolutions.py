"""Convolutions of stride 2 and transposed ones with gradients of our own, faster on CPUs.

Where maps are small and deep, oneDNN's convolutions are slow: in training their place is taken by
products of matrices, over the same numbers. At 8x8x256 -> 4x4x512 (batch 64, two threads of a core
with AMX, another process beside it; milliseconds, oneDNN against products): forwards 70 and 55 in
bfloat16, 156 and 107 in float32; the gradient of the input 199 and 52, 174 and 123; that of the
kernel 313 and 44, 179 and 111. At 16x16 both ways are equal or oneDNN is faster.
"""

import tensorflow as tf

STRIDE = 2
PRODUCTS_UP_TO = 8  # side of the larger maps


def down(large: tf.Tensor, kernel: tf.Tensor, *, training: bool) -> tf.Tensor:
    """A convolution of stride 2 with "same" padding.

    Args:
        large: [N, H, W, C].
        kernel: [K, K, C, F].
        training: whether it need not be the same to the last bit in batches of every size.

    Returns:
        [N, ceil(H / 2), ceil(W / 2), F].
    """
    products = training and by_products(large.dtype, large.shape[1:3])
    return (_down_by_products if products else _down)(large, kernel)


def up(
    small: tf.Tensor, kernel: tf.Tensor, side: tuple[int, int], *, stride: int, training: bool
) -> tf.Tensor:
    """A transposed convolution with "same" padding.

    Args:
        small: [N, ceil(H / stride), ceil(W / stride), F].
        kernel: [K, K, C, F].
        side: (H, W) of the result.
        stride: 1 or 2.
        training: as above.

    Returns:
        [N, H, W, C].
    """

    @tf.custom_gradient
    def transposed(small, kernel):
        def gradient(large):
            large.set_shape((None, *side, kernel.shape[2]))
            if not products:
                downwards = tf.nn.conv2d(large, kernel, stride, "SAME")
                return downwards, _kernel_gradient(large, small, kernel.shape, stride)
            rows = _patches(large, kernel.shape[0], stride)
            return _product(rows, kernel, small.shape[1:3]), _sum_of_products(rows, small, kernel)

        if products and stride == STRIDE:
            return _spread(small, kernel, side), gradient
        shape = (tf.shape(small)[0], *side, kernel.shape[2])
        return tf.nn.conv2d_transpose(small, kernel, shape, stride, "SAME"), gradient

    products = training and by_products(small.dtype, side)
    return transposed(small, kernel)


def by_products(dtype: tf.DType, side: tuple[int, int]) -> bool:
    """Whether products of matrices are faster for maps of this type and (larger) side."""
    fitting = dtype in (tf.float32, tf.bfloat16) and max(side) <= PRODUCTS_UP_TO
    return fitting and not tf.config.list_logical_devices("GPU")


@tf.custom_gradient
def _down(large, kernel):
    def gradient(small):
        upwards = tf.nn.conv2d_transpose(small, kernel, tf.shape(large), STRIDE, "SAME")
        return upwards, _kernel_gradient(large, small, kernel.shape, STRIDE)

    return tf.nn.conv2d(large, kernel, STRIDE, "SAME"), gradient


@tf.custom_gradient
def _down_by_products(large, kernel):
    side = tuple(large.shape[1:3])
    rows = _patches(large, kernel.shape[0], STRIDE)

    def gradient(small):
        return _spread(small, kernel, side), _sum_of_products(rows, small, kernel)

    return _product(rows, kernel, [-(-length // STRIDE) for length in side]), gradient


def _kernel_gradient(large, small, shape, stride):
    """The gradient of the kernel of a convolution from `large`, by that of its output."""
    return tf.compat.v1.nn.conv2d_backprop_filter(
        large, shape, small, [1, stride, stride, 1], "SAME"
    )


def _product(rows, kernel, side):
    """The convolution of what `_patches` gave; `side` is that of the result."""
    filters = kernel.shape[3]
    return tf.reshape(tf.matmul(rows, tf.reshape(kernel, (-1, filters))), (-1, *side, filters))


def _sum_of_products(rows, small, kernel):
    """The gradient of the kernel, from what `_patches` gave of its input."""
    flat = tf.reshape(small, (-1, kernel.shape[3]))
    return tf.reshape(tf.matmul(rows, flat, transpose_a=True), kernel.shape)


def _before(length: int, kernel_size: int, stride: int) -> int:
    """The zeros that "same" padding puts in front of a row for a convolution."""
    outputs = -(-length // stride)
    return max((outputs - 1) * stride + kernel_size - length, 0) // 2


def _patches(large, kernel_size, stride):
    """What each output of a convolution sees: [N * h * w, K * K * C].

    For stride 2 maps are first sorted by even and odd rows and columns: slices of those are in one
    piece, and twice as fast to copy as `tf.image.extract_patches` does it.
    """
    height, width, channels = large.shape[1:]
    h, w = -(-height // stride), -(-width // stride)
    reach = (kernel_size - 1) // stride
    rows, columns = (_before(length, kernel_size, stride) for length in (height, width))
    below = stride * (h + reach) - height - rows
    right = stride * (w + reach) - width - columns
    padded = tf.pad(large, [[0, 0], [rows, below], [columns, right], [0, 0]])
    parted = tf.reshape(padded, (-1, h + reach, stride, w + reach, stride, channels))
    maps = tf.transpose(parted, (2, 4, 0, 1, 3, 5))
    seen = []
    for i in range(kernel_size):
        for j in range(kernel_size):
            y, x = i // stride, j // stride
            seen.append(maps[i % stride, j % stride, :, y : y + h, x : x + w])
    return tf.reshape(tf.concat(seen, 3), (-1, kernel_size * kernel_size * channels))


def _spread(small, kernel, side):
    """The transposed convolution of stride 2 to maps of `side`.

    Even and odd rows and columns of the result are convolutions of stride 1 with every second row
    and column of the kernel; they are computed apart and then put beside each other.
    """
    h, w = small.shape[1:3]
    kernel_size, _, channels, filters = kernel.shape
    reach = kernel_size // 2
    padded = tf.pad(small, [[0, 0], [reach, reach], [reach, reach], [0, 0]])
    rows, columns = (_before(length, kernel_size, STRIDE) for length in side)
    parts = []
    for odd_row in range(STRIDE):
        for odd_column in range(STRIDE):
            seen, weights = [], []
            for i in range((odd_row + rows) % 2, kernel_size, 2):
                for j in range((odd_column + columns) % 2, kernel_size, 2):
                    y = reach + (odd_row + rows - i) // 2
                    x = reach + (odd_column + columns - j) // 2
                    seen.append(padded[:, y : y + h, x : x + w])
                    weights.append(kernel[i, j])
            flat = tf.reshape(tf.concat(seen, 3), (-1, len(seen) * filters))
            part = tf.matmul(flat, tf.concat(weights, 1), transpose_b=True)
            parts.append(tf.reshape(part, (-1, h, w, channels)))
    return tf.nn.depth_to_space(tf.concat(parts, 3), STRIDE)[:, : side[0], : side[1]]
