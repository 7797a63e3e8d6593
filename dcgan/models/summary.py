"""Summarizes a network layer by layer, in the order in which its layers are called."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import keras
import tensorflow as tf


@dataclass(frozen=True)
class Row:
    """One layer of a summary."""

    name: str
    kind: str  # name of the layer's class
    shape: tuple[int, ...]  # shape of the output for one example
    parameters: int  # trainable or not
    multiply_adds: int  # per example; only those of kernels, as the others are few


def rows(network: keras.Model, *inputs: tf.Tensor) -> list[Row]:
    """Calls a built network on inputs [1, ...]; returns its layers in the order of the calls."""
    found: list[Row] = []
    layers = [layer for layer in network.layers if layer is not network]
    for layer in layers:
        layer.call = _watch(layer, found)
    try:
        network(*inputs, training=False)
    finally:
        for layer in layers:
            del layer.call  # restores the method of the class
    return found


def _watch(layer: keras.layers.Layer, found: list[Row]):
    """Wraps the layer's `call` so that each call appends a row to `found`."""
    call = layer.call

    def call_and_record(inputs, *args, **kwargs):
        outputs = call(inputs, *args, **kwargs)
        shape, places = tuple(outputs.shape[1:]), outputs.shape[1:-1]
        if isinstance(layer, keras.layers.Conv2DTranspose):  # each input meets the whole kernel
            places = inputs.shape[1:-1]
        kernel = math.prod(layer.kernel.shape) if hasattr(layer, "kernel") else 0
        counts = layer.count_params(), kernel * math.prod(places)
        found.append(Row(layer.name, type(layer).__name__, shape, *counts))
        return outputs

    return call_and_record


def table(name: str, layers: Sequence[Row]) -> list[str]:
    """Formats the rows as lines of text, below a line with their sums."""
    parameters = sum(row.parameters for row in layers)
    work = sum(row.multiply_adds for row in layers)
    cells = [("layer", "type", "output", "parameters", "multiply-adds")]
    for row in layers:
        shape, counts = "x".join(map(str, row.shape)), (row.parameters, row.multiply_adds)
        cells.append((row.name, row.kind, shape, *(f"{count:,}" for count in counts)))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [f"{name}: {parameters:,} parameters, {2e-9 * work:.3g} GFLOP per image"]
    for row in cells:
        padded = [
            text.rjust(width) if i > 2 else text.ljust(width)
            for i, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(["", *padded]))
    return lines
