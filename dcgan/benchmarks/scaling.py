"""What a step costs on many GPUs, on the back of an envelope: the numbers of docs/scaling.md.

`python -m dcgan.benchmarks.scaling` prints them. Parameters, arithmetic and messages are counted
from the real networks; what a GPU and its links do is assumed, not measured, and stands in
`Machine`. It knows nothing of input, evaluation or checkpoints.
"""

import math
from dataclasses import dataclass

import keras

from dcgan.models import Discriminator, Generator
from dcgan.models.layers import BatchNormalization


@dataclass(frozen=True)
class Machine:
    """Assumptions on a GPU and on what joins them.

    Attributes:
        flops: what a GPU really does a second in such convolutions, in bfloat16: 30 % of the 312e12
            of an A100's data sheet.
        start_seconds: to start the kernels of a step, whatever the batch is.
        bandwidth: bytes a second that a GPU sends while all send.
        latency_seconds: of the smallest all-reduce.
    """

    flops: float = 0.3 * 312e12
    start_seconds: float = 3e-3
    bandwidth: float = 200e9  # NVLink, of 300e9 each way
    latency_seconds: float = 20e-6


# GPUs -> what joins them: NVLink within a machine, 200 Gbit/s to each machine of 8 between them.
MACHINES = {1: Machine(), 8: Machine(), 64: Machine(bandwidth=20e9, latency_seconds=60e-6)}


@dataclass(frozen=True)
class Cost:
    """Of an alternating step with one update of each network.

    Attributes:
        flops: of an image, two a multiplication and addition.
        gradient_bytes: that all replicas add up.
        messages: all-reduces of synchronized batch normalization.
    """

    flops: float
    gradient_bytes: int
    messages: int


def forward_flops(network: keras.Model) -> float:
    """Of one image through the convolutions and dense layers; the rest is small beside them."""
    maps = {}
    if isinstance(network, Discriminator):
        maps = dict(zip(network.convs, network.maps[1:], strict=True))  # each output's positions
    if isinstance(network, Generator):
        maps = dict(zip(network.deconvs, network.maps, strict=False))  # each input's
    total = 0
    for layer in network.layers:
        if hasattr(layer, "kernel"):
            height, width = maps.get(layer, (1, 1))
            total += 2 * height * width * math.prod(layer.kernel.shape)
    return float(total)


def step_cost(generator: Generator, discriminator: Discriminator) -> Cost:
    """Counts what the step of `training.step` does.

    A backward pass is two forward ones: to the inputs and to the weights. The generator goes
    forward once and back; the discriminator forward on reals and fakes and back, then forward once
    more and back to its inputs only. Normalization sends a message in each pass and direction.
    """
    g, d = forward_flops(generator), forward_flops(discriminator)
    variables = generator.trainable_variables + discriminator.trainable_variables
    g_norms, d_norms = (
        sum(isinstance(layer, BatchNormalization) for layer in network.layers)
        for network in (generator, discriminator)
    )
    return Cost(
        flops=(1 + 2) * g + (2 * (1 + 2) + 1 + 1) * d,
        gradient_bytes=sum(4 * math.prod(v.shape) for v in variables),
        messages=2 * g_norms + 2 * 3 * d_norms,
    )


def step_seconds(cost: Cost, replicas: int, local_batch: int, *, synchronized: bool) -> float:
    """A step's time when nothing overlaps: computing, adding up gradients, waiting for messages."""
    machine = MACHINES[replicas]
    computing = machine.start_seconds + local_batch * cost.flops / machine.flops
    if replicas == 1:
        return computing
    # A ring sends each byte 2 (N - 1) / N times; the networks' gradients go one after the other.
    sending = 2 * (replicas - 1) / replicas * cost.gradient_bytes / machine.bandwidth
    messages = 2 + cost.messages * synchronized
    return computing + sending + messages * machine.latency_seconds


def table(cost: Cost) -> list[str]:
    """The rows of docs/scaling.md."""
    lines = []
    one = 64 / step_seconds(cost, 1, 64, synchronized=True)
    for replicas, local in ((1, 64), (8, 64), (8, 8), (64, 64), (64, 1)):
        cells = [f"{replicas}", f"{local}", f"{replicas * local:,}"]
        for synchronized in (True, False):
            seconds = step_seconds(cost, replicas, local, synchronized=synchronized)
            speed = replicas * local / seconds
            cells += [f"{seconds * 1e3:.1f} ms", f"{speed:,.0f}", f"{speed / one / replicas:.0%}"]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def counted(cost: Cost) -> str:
    """The sentence of docs/scaling.md on what was counted."""
    return (
        f"{cost.flops / 1e9:.2f} GFLOP an image, {cost.gradient_bytes / 1e6:.1f} MB of gradients "
        f"and {cost.messages} messages of batch normalization a step"
    )


def main() -> None:
    networks = Generator((64, 64, 3)), Discriminator((64, 64, 3))
    for network in networks:
        network.build()
    cost = step_cost(*networks)
    print(f"{counted(cost)}.")
    print("\n".join(table(cost)))


if __name__ == "__main__":
    main()
