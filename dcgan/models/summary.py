"""What a network does, layer by layer, in the order in which its call goes through them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import keras
import tensorflow as tf


@dataclass(frozen=True)
class Row:
    """A layer."""

    name: str
    kind: str
    shape: tuple[int, ...]  # of what it gives for one example
    parameters: int  # trainable or not
    multiply_adds: int  # of one example; those of kernels, beside which others are few


def rows(network: keras.Model, *inputs: tf.Tensor) -> list[Row]:
    """The layers that a call of a built network with inputs [1, ...] takes an example through."""
    found: list[Row] = []
    layers = [layer for layer in network.layers if layer is not network]
    for layer in layers:
        layer.call = _watched(layer, found)
    try:
        network(*inputs, training=False)
    finally:
        for layer in layers:
            del layer.call  # the class's own again
    return found


def _watched(layer: keras.layers.Layer, found: list[Row]):
    """The layer's `call`, which writes down that it was called."""
    call = layer.call

    def watched(inputs, *args, **kwargs):
        outputs = call(inputs, *args, **kwargs)
        shape, places = tuple(outputs.shape[1:]), outputs.shape[1:-1]
        if isinstance(layer, keras.layers.Conv2DTranspose):  # each input goes through the kernel
            places = inputs.shape[1:-1]
        kernel = math.prod(layer.kernel.shape) if hasattr(layer, "kernel") else 0
        counts = layer.count_params(), kernel * math.prod(places)
        found.append(Row(layer.name, type(layer).__name__, shape, *counts))
        return outputs

    return watched


def table(name: str, layers: Sequence[Row]) -> list[str]:
    """The rows as lines of text, below their sums."""
    parameters = sum(row.parameters for row in layers)
    work = sum(row.multiply_adds for row in layers)
    cells = [("layer", "type", "output", "parameters", "multiply-adds"), *map(_cells, layers)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [f"{name}: {parameters:,} parameters, {2e-9 * work:.3g} GFLOP per image"]
    for row in cells:
        padded = [
            text.rjust(width) if i > 2 else text.ljust(width)
            for i, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(["", *padded]))
    return lines


def _cells(row: Row) -> tuple[str, ...]:
    shape = "x".join(map(str, row.shape))
    return row.name, row.kind, shape, f"{row.parameters:,}", f"{row.multiply_adds:,}"
