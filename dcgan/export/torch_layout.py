"""Converts variables to the names and shapes of PyTorch's DCGAN tutorial, and back.

pytorch.org/tutorials/beginner/dcgan_faces_tutorial.html: each network is one `nn.Sequential` of
convolutions without biases and normalization, the layout "torch_tutorial" here:

    generator      0 ConvTranspose2d(nz, ngf * 8, 4, 1, 0), 1 BatchNorm2d, 2 ReLU, 3 ConvTranspose2d
                   (ngf * 8, ngf * 4, 4, 2, 1), 4 BatchNorm2d, ...
    discriminator  0 Conv2d(nc, ndf, 4, 2, 1), 1 LeakyReLU, 2 Conv2d(ndf, ndf * 2, 4, 2, 1),
                   3 BatchNorm2d, ... and finally Conv2d(ndf * 8, 1, 4, 1, 0)

Smaller images have fewer layers of the same kind, larger images more. This module handles names,
shapes and arrays; it uses neither PyTorch nor files.
"""

from collections.abc import Mapping

import numpy as np

from dcgan import UserError
from dcgan.models import Discriminator, Generator
from dcgan.models.discriminator import MAX_WIDENING

LAYOUT = "torch_tutorial"
KERNEL, BASE = 4, 4  # sides of the kernels and of the smallest maps
SIDES = tuple(BASE << stages for stages in range(1, 7))  # sides of images: 8 to 256
# Variables of normalization, ours and PyTorch's. PyTorch also counts batches, without any effect.
PARTS = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
COUNTER = "num_batches_tracked"
# For each network, by our name: the tutorial's name, the values that we allow, and these in words.
CHANNELS = ("nc", (1, 3), "1 or 3")
OPTIONS = {
    "generator": {
        "width": ("ngf * 8", range(8, 4097), "8 to 4096"),
        "channels": CHANNELS,
        "z_dim": ("nz", range(1, 4097), "1 to 4096"),
    },
    "discriminator": {"width": ("ndf", range(1, 1025), "1 to 1024"), "channels": CHANNELS},
}

Shape = tuple[int, ...]


def to_torch(network: Generator | Discriminator) -> dict[str, np.ndarray]:
    """Returns a network's weights and statistics by PyTorch's names, such as 0.weight, in order.

    Raises UserError if the tutorial has no such network.
    """
    height, width, _ = network.image_shape
    if (network.layout, network.kernel_size) != (LAYOUT, KERNEL) or not height == width in SIDES:
        raise UserError(
            f"The tutorial has no network such as this run's: expected --layout {LAYOUT}, "
            f"--kernel_size {KERNEL} and squares of {', '.join(map(str, SIDES))}, as with --preset "
            f"torch; received {network.layout}, {network.kernel_size} and {height}x{width}."
        )
    arrays = {v.path.partition("/")[2]: v.numpy() for v in network.variables}
    table = _table(network.name, len(network.maps) - 1)
    return {name: _transpose_to_torch(ours, arrays[ours]) for ours, (name, _) in table.items()}


def from_torch(network: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Converts arrays that `arguments` has accepted to our names, such as project/kernel."""
    table = _table(network, _stages(network, arrays))
    return {ours: _transpose_from_torch(ours, arrays[name]) for ours, (name, _) in table.items()}


def arguments(network: str, shapes: Mapping[str, Shape]) -> dict:
    """Finds the arguments of a network from the shapes of its weights, by PyTorch's names.

    Returns image_shape, width and, for a generator, z_dim, as `dcgan.models` takes them. Raises
    UserError if these are not the weights of the tutorial's network.
    """
    stages = _stages(network, shapes)
    names = [name for name, _ in _table(network, stages).values()]
    if BASE << stages not in SIDES:
        raise _other_network_error(network, f"{stages} convolutions of stride 2")
    wrong = [f"no {name}" for name in names if name not in shapes]
    if wrong := wrong or [f"a {name}, which it has not" for name in shapes if name not in names]:
        raise _other_network_error(network, wrong[0])
    first, last = shapes[names[0]], shapes[names[-1]]
    if not len(first) == len(last) == 4:
        raise _other_network_error(network, f"a {names[0]} of {first} and a {names[-1]} of {last}")
    if network == "generator":
        found = {"z_dim": first[0], "width": first[1], "channels": last[1]}
    else:
        found = {"width": first[0], "channels": first[1]}
    for name, (theirs, allowed, expected) in OPTIONS[network].items():
        if found[name] not in allowed:
            raise _other_network_error(network, f"{theirs} = {found[name]} (expected {expected})")
    for name, shape in _table(network, stages, **found).values():
        if shapes[name] != shape:
            raise _other_network_error(
                network, f"a {name} of {shapes[name]}, where it would be {shape}"
            )
    return {"image_shape": (BASE << stages, BASE << stages, found.pop("channels")), **found}


def _table(
    network: str, stages: int, *, width: int = 1, channels: int = 1, z_dim: int = 1
) -> dict[str, tuple[str, Shape]]:
    """Returns PyTorch's name and shape of each variable by our name, in the order of the layers."""
    square, table = (KERNEL, KERNEL), {}
    if network == "generator":
        widths = [*(max(1, width >> i) for i in range(stages)), channels]
        table["project/kernel"] = ("0.weight", (z_dim, widths[0], *square))
        for i in range(stages):
            table |= _normalization(i, 3 * i + 1, widths[i])
            table[f"deconv_{i}/kernel"] = (f"{3 * i + 3}.weight", (*widths[i : i + 2], *square))
        return table
    widths = [channels, *(width * min(1 << i, MAX_WIDENING) for i in range(stages))]
    for i in range(stages):
        name = f"{3 * i - 1 if i else 0}.weight"
        table[f"conv_{i}/kernel"] = (name, (widths[i + 1], widths[i], *square))
        table |= _normalization(i, 3 * i, widths[i + 1]) if i else {}
    return table | {"logit/kernel": (f"{3 * stages - 1}.weight", (1, widths[-1], *square))}


def _normalization(number: int, index: int, width: int) -> dict[str, tuple[str, Shape]]:
    return {f"norm_{number}/{o}": (f"{index}.{theirs}", (width,)) for o, theirs in PARTS.items()}


def _stages(network: str, named: Mapping) -> int:
    """Returns the number of convolutions of stride 2, from the number of the last convolution.

    Convolutions have the numbers 0, 3, 6 ... in a generator and 0, 2, 5, 8 ... in a discriminator.
    """
    last = max((int(name.partition(".")[0]) for name in named), default=0)
    return last // 3 if network == "generator" else (last + 1) // 3


def _other_network_error(network: str, found: str) -> UserError:
    return UserError(
        f"These are not weights of the {network} of PyTorch's DCGAN tutorial, which is all that "
        f"can be read: found {found}."
    )


def _transpose_to_torch(name: str, array: np.ndarray) -> np.ndarray:
    """Transposes our array to PyTorch's shape."""
    if name == "project/kernel":  # [nz, 4 * 4 * C] -> [nz, C, 4, 4]
        return array.reshape(len(array), BASE, BASE, -1).transpose(0, 3, 1, 2)
    if name == "logit/kernel":  # [4 * 4 * C, 1] -> [4, 4, C, 1]
        array = array.reshape(BASE, BASE, -1, 1)
    # [K, K, in, out] -> [out, in, K, K]; transposed [K, K, out, in] -> [in, out, K, K]
    return array.transpose(3, 2, 0, 1) if array.ndim == 4 else array


def _transpose_from_torch(name: str, array: np.ndarray) -> np.ndarray:
    """Transposes PyTorch's array to our shape."""
    if name == "project/kernel":
        return array.transpose(0, 2, 3, 1).reshape(len(array), -1)
    array = array.transpose(2, 3, 1, 0) if array.ndim == 4 else array
    return array.reshape(-1, 1) if name == "logit/kernel" else array
