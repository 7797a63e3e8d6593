"""Convolutions of stride 2 and transposed convolutions with custom gradients, faster on CPUs.

oneDNN's convolutions are slow if maps are small and deep, so training uses matrix products over the
same numbers instead: at 8x8x256 -> 4x4x512 in bfloat16 they take 48 ms in place of 56 forwards, 38
of 130 for the gradient of the input, and 43 of 165 for that of the kernel (batch 64, two threads of
a core with AMX). At 16x16x128 -> 8x8x256 only the last gains. With few output channels, as for
images, one convolution of stride 1 is faster.

Outside training, an image must not depend on how many others are computed with it. oneDNN's
transposed convolutions may split the sum of one output among threads, depending on the number of
images, and so may convolutions of stride 1 with 5x5 kernels; those with up to 3x3 did not, with 2
to 16 threads and up to 1,024 channels. So there, transposed convolutions are made of small ones.
"""

import numpy as np
import tensorflow as tf

STRIDE = 2
# Largest side of the larger maps at which products are used: in all three computations, and in the
# gradient of the kernel alone.
PRODUCTS_UP_TO = {tf.float32: 8, tf.bfloat16: 8}
KERNEL_PRODUCTS_UP_TO = {tf.float32: 8, tf.bfloat16: 16}
THIN = 4  # output channels up to which `_spread_thin` is used, as for images
UNSHARED = 3  # kernel rows up to which oneDNN does not split sums among threads, at stride 1


def down(large: tf.Tensor, kernel: tf.Tensor, *, training: bool) -> tf.Tensor:
    """Computes a convolution of stride 2 with "same" padding.

    Inputs are [N, H, W, C], the kernel is [K, K, C, F]; returns [N, ceil(H / 2), ceil(W / 2), F].
    `training` allows a faster computation, whose last bits may depend on the batch size.
    """
    side = tuple(large.shape[1:3])
    products = training and _products_are_faster(PRODUCTS_UP_TO, large.dtype, side)

    @tf.custom_gradient
    def convolution(large, kernel):
        rows = _patches(large, kernel.shape[0], STRIDE) if products else None

        def gradient(small):
            if products:
                of_kernel = _sum_of_products(rows, small, kernel)
            else:
                of_kernel = _kernel_gradient(large, small, kernel, STRIDE)
            return _upwards(small, kernel, side), of_kernel

        if products:
            return _product(rows, kernel, [-(-length // STRIDE) for length in side]), gradient
        return tf.nn.conv2d(large, kernel, STRIDE, "SAME"), gradient

    return convolution(large, kernel)


def up(
    small: tf.Tensor, kernel: tf.Tensor, side: tuple[int, int], *, stride: int, training: bool
) -> tf.Tensor:
    """Computes a transposed convolution with "same" padding: [N, H, W, C], with `side` (H, W).

    Inputs are [N, ceil(H / stride), ceil(W / stride), F], the kernel is [K, K, C, F], the stride 1
    or 2. For `training` see `down`.
    """
    products = training and _products_are_faster(PRODUCTS_UP_TO, small.dtype, side)

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
        return _transposed_convolution(small, kernel, side, stride), gradient

    return transposed(small, kernel)


def _products_are_faster(
    up_to: dict[tf.DType, int], dtype: tf.DType, side: tuple[int, int]
) -> bool:
    """Tells whether matrix products are faster for maps of this type, `side` that of the larger."""
    return max(side) <= up_to.get(dtype, 0) and not _on_gpus()


def _on_gpus() -> bool:
    return bool(tf.config.list_logical_devices("GPU"))


def _kernel_gradient(large, small, kernel, stride):
    """Computes a kernel's gradient from the input `large` and the output's gradient `small`."""
    if _products_are_faster(KERNEL_PRODUCTS_UP_TO, large.dtype, large.shape[1:3]):
        return _sum_of_products(_patches(large, kernel.shape[0], stride), small, kernel)
    return tf.compat.v1.nn.conv2d_backprop_filter(
        large, kernel.shape, small, [1, stride, stride, 1], "SAME"
    )


def _transposed_convolution(small, kernel, side, stride):
    shape = (tf.shape(small)[0], *side, kernel.shape[2])
    return tf.nn.conv2d_transpose(small, kernel, shape, stride, "SAME")


def _upwards(small, kernel, side):
    """Computes a transposed convolution of stride 2 to maps of `side`, by the fastest way."""
    if _products_are_faster(PRODUCTS_UP_TO, small.dtype, side):
        return _spread(small, kernel, side)
    if kernel.shape[2] <= THIN and not _on_gpus():
        return _spread_thin(small, kernel, side)
    return _transposed_convolution(small, kernel, side, STRIDE)


def _by_convolutions(small, kernel, side, stride):
    """Computes a transposed convolution, the same to the last bit at any batch size.

    At stride 2, even and odd rows and columns of the result are convolutions of stride 1 with every
    second row and column of the kernel. They are computed separately and then interleaved.
    """
    parts = []
    for odd in np.ndindex(stride, stride):
        axes = (_taps(*axis, kernel.shape[0], stride) for axis in zip(odd, side, strict=True))
        (rows, above), (columns, left) = axes
        # Convolutions take their taps from the top left, transposed ones from the bottom right.
        taps = tf.gather(tf.gather(kernel, rows[::-1]), columns[::-1], axis=1)
        pads = [[-min(places), max(places)] for places in (above, left)]
        padded = tf.pad(small, [[0, 0], *pads, [0, 0]])
        parts.append(_convolution(padded, tf.transpose(taps, (0, 1, 3, 2))))
    return _beside(tf.concat(parts, 3), side) if stride == STRIDE else parts[0]


def _convolution(padded, kernel):
    """Computes a convolution of stride 1 without padding; large kernels one row at a time."""
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
    """Convolves the patches that `_patches` made; `side` is that of the result."""
    filters = kernel.shape[3]
    return tf.reshape(tf.matmul(rows, tf.reshape(kernel, (-1, filters))), (-1, *side, filters))


def _sum_of_products(rows, small, kernel):
    """Computes a kernel's gradient from patches of the input and the output's gradient `small`."""
    flat = tf.reshape(small, (-1, kernel.shape[3]))
    return tf.reshape(tf.matmul(rows, flat, transpose_a=True), kernel.shape)


def _padding_before(length: int, kernel_size: int, stride: int) -> int:
    """Returns the number of zeros that "same" padding of a convolution puts before a row."""
    outputs = -(-length // stride)
    return max((outputs - 1) * stride + kernel_size - length, 0) // 2


def _patches(large, kernel_size, stride):
    """Gathers the inputs of each output of a convolution: [N * h * w, K * K * C]."""
    sides = large.shape[1:3]
    outputs = [-(-length // stride) for length in sides]
    before = [_padding_before(length, kernel_size, stride) for length in sides]
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
    """Gathers the numbers at [top + row, left + column] for all combinations of the four.

    Returns [N, combinations, C]. One gather takes half the time of `tf.image.extract_patches` or
    of slices.
    """
    y = tops[:, None, None, None] + rows[:, None]
    x = lefts[:, None, None] + columns
    height, width, channels = maps.shape[1:]
    flat = tf.reshape(maps, (-1, height * width, channels))
    return tf.gather(flat, (y * width + x).reshape(-1).astype(np.int32), axis=1)


def _spread(small, kernel, side):
    """Computes a transposed convolution of stride 2 to maps of `side`, by matrix products.

    See `_by_convolutions` for the even and odd rows and columns.
    """
    h, w = small.shape[1:3]
    kernel_size, _, channels, filters = kernel.shape
    reach = kernel_size // 2
    padded = tf.pad(small, [[0, 0], [reach, reach], [reach, reach], [0, 0]])
    taps = [tf.unstack(row) for row in tf.unstack(kernel)]
    parts = []
    for odd in np.ndindex(STRIDE, STRIDE):
        (rows, up), (columns, left) = map(_taps, odd, side, [kernel_size] * 2)
        seen = _windows(padded, np.arange(h), np.arange(w), reach + up, reach + left)
        flat = tf.reshape(seen, (-1, len(rows) * len(columns) * filters))
        weights = tf.concat([taps[i][j] for i in rows for j in columns], 1)
        part = tf.matmul(flat, weights, transpose_b=True)
        parts.append(tf.reshape(part, (-1, h, w, channels)))
    return _beside(tf.concat(parts, 3), side)


def _spread_thin(small, kernel, side):
    """Does the same by one convolution of stride 1, faster if the result has few channels."""
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
    """Returns the taps of even and odd rows at each input row that either of them sees.

    Also returns how many of these input rows lie before and after. The taps are [2, places]; the
    number `kernel_size`, one after the last tap, stands for no tap.
    """
    seen = [_taps(odd, length, kernel_size) for odd in range(STRIDE)]
    places = np.concatenate([place for _, place in seen])
    taps = np.full((STRIDE, np.ptp(places) + 1), kernel_size)
    for odd, (known, place) in enumerate(seen):
        taps[odd, place - places.min()] = known
    return taps, [-places.min(), places.max()]


def _taps(odd, length, kernel_size, stride=STRIDE):
    """Returns the kernel taps that make even (0) or odd (1) rows, and the input row of each.

    Input rows are counted from the output row's index divided by the stride.
    """
    first = odd + _padding_before(length, kernel_size, stride)
    taps = np.arange(first % stride, kernel_size, stride)
    return taps, (first - taps) // stride


def _beside(parts, side):
    return tf.nn.depth_to_space(parts, STRIDE)[:, : side[0], : side[1]]
