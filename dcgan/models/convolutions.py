"""Convolutions of stride 2 and transposed ones with gradients of our own, faster on CPUs.

Where maps are small and deep, oneDNN's convolutions are slow: in training their place is taken by
products of matrices, over the same numbers. At 8x8x256 -> 4x4x512 (batch 64, two threads of a core
with AMX; milliseconds, oneDNN against products): forwards 56 and 48 in bfloat16, 81 and 58 in
float32; the gradient of the input 130 and 38, 90 and 77; that of the kernel 165 and 43, 78 and 63.
At 16x16x128 -> 8x8x256 only the kernel's in bfloat16 gains, 84 and 38. To few channels,
32x32x64 -> 64x64x3, one convolution of stride 1 is faster: 14 and 10, 26 and 13.

Where nothing is learnt, an image must not depend on how many others are computed with it. oneDNN's
transposed convolutions may share out the sums of one number among threads, by the number of images,
and so may those of stride 1 with 5x5 kernels; with up to 3x3 they did not, from 2 to 16 threads and
up to 1,024 channels. So there a transposed convolution is made of small ones.
"""

import numpy as np
import tensorflow as tf

STRIDE = 2
# Sides of the larger maps, for products forwards and backwards, and for a kernel's gradient alone.
PRODUCTS_UP_TO = {tf.float32: 8, tf.bfloat16: 8}
KERNEL_PRODUCTS_UP_TO = {tf.float32: 8, tf.bfloat16: 16}
THIN = 4  # channels of images
UNSHARED = 3  # rows of a kernel of stride 1 up to which its sums are not shared out


def down(large: tf.Tensor, kernel: tf.Tensor, *, training: bool) -> tf.Tensor:
    """A convolution of stride 2 with "same" padding: [N, H, W, C] to half the sides and F channels.

    The kernel is [K, K, C, F]; sides are rounded up. In training it need not be the same to the
    last bit in batches of every size.
    """
    products = training and _faster(PRODUCTS_UP_TO, large.dtype, large.shape[1:3])
    return (_down_by_products if products else _down)(large, kernel)


def up(
    small: tf.Tensor, kernel: tf.Tensor, side: tuple[int, int], *, stride: int, training: bool
) -> tf.Tensor:
    """A transposed convolution of [N, ceil(H / stride), ceil(W / stride), F] with "same" padding.

    The kernel is [K, K, C, F], `side` is (H, W) of the result [N, H, W, C], the stride 1 or 2; for
    `training` see `down`.
    """

    products = training and _faster(PRODUCTS_UP_TO, small.dtype, side)

    @tf.custom_gradient
    def transposed(small, kernel):
        def gradient(large):
            large.set_shape((None, *side, kernel.shape[2]))
            if not products:
                downwards = tf.nn.conv2d(large, kernel, stride, "SAME")
                return downwards, _kernel_gradient(large, small, kernel, stride)
            rows = _patches(large, kernel.shape[0], stride)
            return _product(rows, kernel, small.shape[1:3]), _sum_of_products(rows, small, kernel)

        if not training and not _on_gpus():
            return _by_convolutions(small, kernel, side, stride), gradient
        if stride == STRIDE:
            return _upwards(small, kernel, side), gradient
        return _transposed(small, kernel, side, stride), gradient

    return transposed(small, kernel)


def _faster(up_to: dict[tf.DType, int], dtype: tf.DType, side: tuple[int, int]) -> bool:
    """Whether products of matrices are faster for maps of this type and (larger) side."""
    return max(side) <= up_to.get(dtype, 0) and not _on_gpus()


def _on_gpus() -> bool:
    return bool(tf.config.list_logical_devices("GPU"))


@tf.custom_gradient
def _down(large, kernel):
    def gradient(small):
        upwards = _upwards(small, kernel, large.shape[1:3])
        return upwards, _kernel_gradient(large, small, kernel, STRIDE)

    return tf.nn.conv2d(large, kernel, STRIDE, "SAME"), gradient


@tf.custom_gradient
def _down_by_products(large, kernel):
    side = tuple(large.shape[1:3])
    rows = _patches(large, kernel.shape[0], STRIDE)

    def gradient(small):
        return _upwards(small, kernel, side), _sum_of_products(rows, small, kernel)

    return _product(rows, kernel, [-(-length // STRIDE) for length in side]), gradient


def _kernel_gradient(large, small, kernel, stride):
    """The gradient of the kernel of a convolution from `large`, by that of its output."""
    if _faster(KERNEL_PRODUCTS_UP_TO, large.dtype, large.shape[1:3]):
        return _sum_of_products(_patches(large, kernel.shape[0], stride), small, kernel)
    return tf.compat.v1.nn.conv2d_backprop_filter(
        large, kernel.shape, small, [1, stride, stride, 1], "SAME"
    )


def _transposed(small, kernel, side, stride):
    shape = (tf.shape(small)[0], *side, kernel.shape[2])
    return tf.nn.conv2d_transpose(small, kernel, shape, stride, "SAME")


def _upwards(small, kernel, side):
    """The transposed convolution of stride 2 to maps of `side`, in training."""
    if _faster(PRODUCTS_UP_TO, small.dtype, side):
        return _spread(small, kernel, side)
    if kernel.shape[2] <= THIN and not _on_gpus():
        return _spread_thin(small, kernel, side)
    return _transposed(small, kernel, side, STRIDE)


def _by_convolutions(small, kernel, side, stride):
    """The transposed convolution to maps of `side`, the same to the last bit in every batch.

    With a stride of 2, even and odd rows and columns of the result are convolutions of stride 1
    with every second row and column of the kernel; they are computed apart and then put beside each
    other.
    """
    parts = []
    for odd in np.ndindex(stride, stride):
        axes = (_seen(*axis, kernel.shape[0], stride) for axis in zip(odd, side, strict=True))
        (rows, above), (columns, left) = axes
        # Convolutions take their taps from the top left, transposed ones from the bottom right.
        taps = tf.gather(tf.gather(kernel, rows[::-1]), columns[::-1], axis=1)
        pads = [[-min(places), max(places)] for places in (above, left)]
        padded = tf.pad(small, [[0, 0], *pads, [0, 0]])
        parts.append(_convolution(padded, tf.transpose(taps, (0, 1, 3, 2))))
    return _beside(tf.concat(parts, 3), side) if stride == STRIDE else parts[0]


def _convolution(padded, kernel):
    """The convolution of stride 1 without padding, a row of taps at a time if there are many."""
    if kernel.shape[0] <= UNSHARED:
        return tf.nn.conv2d(padded, kernel, 1, "VALID")
    rows = padded.shape[1] - kernel.shape[0] + 1
    return tf.add_n(
        [
            tf.nn.conv2d(padded[:, i : i + rows], kernel[i : i + 1], 1, "VALID")
            for i in range(kernel.shape[0])
        ]
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
    """What each output of a convolution sees: [N * h * w, K * K * C]."""
    sides = large.shape[1:3]
    outputs = [-(-length // stride) for length in sides]
    before = [_before(length, kernel_size, stride) for length in sides]
    padded = [stride * (count - 1) + kernel_size for count in outputs]
    zeros = [
        [first, max(whole - length - first, 0)]
        for first, whole, length in zip(before, padded, sides, strict=True)
    ]
    tops, lefts = (stride * np.arange(count) for count in outputs)
    taps = np.arange(kernel_size)
    seen = _windows(tf.pad(large, [[0, 0], *zeros, [0, 0]]), tops, lefts, taps, taps)
    return tf.reshape(seen, (-1, kernel_size * kernel_size * large.shape[3]))


def _windows(maps, tops, lefts, rows, columns):
    """The numbers at [top + row, left + column] for all of these: [N, their number, C].

    One gather copies them in half the time of `tf.image.extract_patches` or of slices.
    """
    y = tops[:, None, None, None] + rows[:, None]
    x = lefts[:, None, None] + columns
    height, width, channels = maps.shape[1:]
    flat = tf.reshape(maps, (-1, height * width, channels))
    return tf.gather(flat, (y * width + x).reshape(-1).astype(np.int32), axis=1)


def _spread(small, kernel, side):
    """The transposed convolution of stride 2 to maps of `side`, by products of matrices.

    Even and odd rows and columns of the result are convolutions of stride 1 with every second row
    and column of the kernel; they are computed apart and then put beside each other.
    """
    h, w = small.shape[1:3]
    kernel_size, _, channels, filters = kernel.shape
    reach = kernel_size // 2
    padded = tf.pad(small, [[0, 0], [reach, reach], [reach, reach], [0, 0]])
    taps = [tf.unstack(row) for row in tf.unstack(kernel)]
    parts = []
    for odd in np.ndindex(STRIDE, STRIDE):
        (rows, up), (columns, left) = map(_seen, odd, side, [kernel_size] * 2)
        seen = _windows(padded, np.arange(h), np.arange(w), reach + up, reach + left)
        flat = tf.reshape(seen, (-1, len(rows) * len(columns) * filters))
        weights = tf.concat([taps[i][j] for i in rows for j in columns], 1)
        part = tf.matmul(flat, weights, transpose_b=True)
        parts.append(tf.reshape(part, (-1, h, w, channels)))
    return _beside(tf.concat(parts, 3), side)


def _spread_thin(small, kernel, side):
    """The same in one convolution of stride 1, which is faster for few channels."""
    kernel_size, _, channels, filters = kernel.shape
    (rows, above), (columns, beside) = (_taps_of_places(length, kernel_size) for length in side)
    taps = tf.pad(kernel, [[0, 1], [0, 1], [0, 0], [0, 0]])
    parted = tf.gather(tf.gather(taps, columns, axis=1), rows, axis=0)  # [2, P, 2, P', C, F]
    together = tf.reshape(
        tf.transpose(parted, (1, 3, 5, 0, 2, 4)),
        (rows.shape[1], columns.shape[1], filters, STRIDE * STRIDE * channels),
    )
    return _beside(tf.nn.conv2d(small, together, 1, [[0, 0], above, beside, [0, 0]]), side)


def _taps_of_places(length, kernel_size):
    """Which tap even and odd rows have at each place that one of them sees: [2, places].

    The tap after the last stands for none. Also, how many places there are on either side.
    """
    seen = [_seen(odd, length, kernel_size) for odd in range(STRIDE)]
    places = np.concatenate([place for _, place in seen])
    taps = np.full((STRIDE, np.ptp(places) + 1), kernel_size)
    for odd, (known, place) in enumerate(seen):
        taps[odd, place - places.min()] = known
    return taps, [-places.min(), places.max()]


def _seen(odd, length, kernel_size, stride=STRIDE):
    """The taps of a kernel that an even or odd row sees, and how far from its half they look."""
    first = odd + _before(length, kernel_size, stride)
    taps = np.arange(first % stride, kernel_size, stride)
    return taps, (first - taps) // stride


def _beside(parts, side):
    return tf.nn.depth_to_space(parts, STRIDE)[:, : side[0], : side[1]]
