"""Reads files of PyTorch's weights, such as netG.pth, without running their code; writes them too.

Files are not trusted: PyTorch's own reader makes only tensors and plain containers of them, and
reading takes at most twice the file's size in memory. A file may hold one network or several, in
dictionaries with any names, also those of `nn.DataParallel`.
"""

import errno
import io
import pickle
import re
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import BinaryIO

import numpy as np

from dcgan import UserError, extras
from dcgan.export.torch_layout import COUNTER

OLDEST = (2, 6)  # in older versions, files can run code despite weights_only (CVE-2025-32434)
DEPTH = 4  # the deepest nesting of dictionaries
# If a file holds several networks of one kind, these names mean the one in training.
PREFERRED = {
    "generator": ("netG", "generator", "G"),
    "discriminator": ("netD", "discriminator", "D"),
}
_KEY = re.compile(
    r"((?:.*\.)?)([0-9]{1,3}\.(?:weight|bias|running_mean|running_var|" + COUNTER + "))"
)


def require(command: str) -> None:
    """Raises UserError if PyTorch is not installed, or not a safe version."""
    extras.require(command, "torch", "torch")
    version = metadata.version("torch")
    if tuple(map(int, re.findall("[0-9]+", version)[:2])) < OLDEST:
        raise UserError(
            f"{command} needs PyTorch 2.6 or later, as earlier ones may run code that a file "
            f"holds; found {version}: run {extras.install_command('torch')}."
        )


class TorchFile:
    """Reads a file of weights; raises UserError if it is damaged or holds other objects."""

    def __init__(self, path: Path):
        self.path = path
        if not path.is_file():
            raise UserError(f"There is no file {path}: expected one of weights, such as netG.pth.")
        self._room = path.stat().st_size
        self._networks: dict[str, list[tuple[str, dict]]] = {"generator": [], "discriminator": []}
        for place, tensors in _groups(_load(path), set()):
            # Only a generator has normalization after its first convolution.
            kind = "generator" if "1.weight" in tensors else "discriminator"
            self._networks[kind].append((place, tensors))

    def has(self, network: str) -> bool:
        """Tells whether the file holds a network of this kind, with any layers."""
        return bool(self._networks[network])

    def weights(self, network: str) -> dict[str, np.ndarray]:
        """Returns a network's float32 arrays by names such as 0.weight.

        Raises UserError if there is not exactly one such network, or its numbers are not finite.
        """
        tensors = self._choose(network)
        sizes = [one.numel() * one.element_size() for one in tensors.values()]
        if sum(sizes) > self._room:
            raise _unreadable(self.path, "its weights are announced as more than the file holds")
        arrays = {name: self._array(name, tensor) for name, tensor in tensors.items()}
        return {name: array for name, array in arrays.items() if not name.endswith(COUNTER)}

    def _choose(self, network: str) -> dict:
        found = self._networks[network]
        preferred = [one for one in found if one[0].split(".")[0] in PREFERRED[network]]
        if len(found) > 1 and len(preferred) == 1:
            found = preferred
        if len(found) == 1:
            return found[0][1]
        if found:
            there = ", ".join(repr(place.rstrip(".")[:40]) for place, _ in found)
            raise UserError(
                f"{self.path} holds several that may be the {network}: {there}; save the one that "
                "is meant to a file of its own."
            )
        other = "discriminator" if network == "generator" else "generator"
        there = f"only a {other}" if self.has(other) else "no layers such as main.0.weight"
        raise UserError(
            f"{self.path} holds no {network} as PyTorch's DCGAN tutorial has it: found {there}; "
            "expected what its state_dict() gives."
        )

    def _array(self, name: str, tensor) -> np.ndarray:
        try:
            if not (tensor.is_floating_point() or name.endswith(COUNTER)):
                raise TypeError(f"{name} is of {tensor.dtype}")
            with np.errstate(over="ignore"):
                array = tensor.float().numpy()
        except (RuntimeError, TypeError, NotImplementedError) as error:  # sparse, quantized, meta
            raise _unreadable(self.path, _first_line(error)) from error
        if not np.isfinite(array).all() or (name.endswith("running_var") and (array < 0).any()):
            raise UserError(
                f"{self.path} holds numbers in {name} that no trained network has (not finite, or "
                "a variance below 0): take a checkpoint of before the training diverged."
            )
        return array


def write(path: Path, arrays: Mapping[str, np.ndarray], *, batches: int) -> None:
    """Writes a state_dict for the tutorial's classes.

    Arrays are in the order of the layers, with names such as 0.weight; `batches` is the number of
    batches that normalization has seen in training.
    """
    import torch

    state: OrderedDict = OrderedDict()
    for name, array in arrays.items():
        state[f"main.{name}"] = torch.tensor(np.ascontiguousarray(array))
        if name.endswith("running_var"):  # the last of its layer
            counter = name.replace("running_var", COUNTER)
            state[f"main.{counter}"] = torch.tensor(batches)
    with open(path, "wb") as file:
        torch.save(state, file)  # given a path, it would write the file's name into it


def _load(path: Path):
    """Loads tensors and plain containers; raises UserError for anything else."""
    import torch

    try:
        with open(path, "rb") as file:
            packed = file.read(2) == b"PK"
            file.seek(0)
            source = _copy_checked(file, path) if packed else file
            return torch.load(source, map_location="cpu", weights_only=True)
    except Exception as error:  # damage in different places raises different errors
        # EINVAL: a damaged file gives a wrong position.
        is_disk = isinstance(error, OSError) and error.errno not in (None, errno.EINVAL)
        if is_disk or isinstance(error, UserError):
            raise
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        if named and isinstance(error, pickle.UnpicklingError):
            raise UserError(
                f"{path} holds a Python object ({named[1]}), which would have to run code, and "
                "not only weights; expected what torch.save(netG.state_dict(), ...) writes."
            ) from error
        raise _unreadable(path, _first_line(error)) from error


def _copy_checked(file: BinaryIO, path: Path) -> BinaryIO:
    """Copies a zip whose entries take no more memory than the file takes on the disk.

    PyTorch's reader finds entries in its own way; the copy holds only entries that were checked.
    Raises UserError for packed, overlapping or repeated entries.
    """
    copy = io.BytesIO()
    with zipfile.ZipFile(file) as entries, zipfile.ZipFile(copy, "w") as target:
        found = entries.filelist
        packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in found)
        room = sum(entry.file_size for entry in found) <= path.stat().st_size
        if packed or not room or len(found) > len(entries.NameToInfo):
            raise _unreadable(path, "its entries are packed, overlap or are there twice")
        for entry in found:
            target.writestr(entry.filename, entries.read(entry))
    copy.seek(0)
    return copy


def _groups(
    value, seen: set[int], place: str = "", depth: int = DEPTH
) -> Iterator[tuple[str, dict]]:
    """Yields each `nn.Sequential`'s place in the file, and its tensors by names such as 0.weight.

    Methods are called on the classes, as objects in a file may have attributes of the same names.
    """
    import torch

    if not isinstance(value, dict) or depth == 0 or id(value) in seen:
        return
    seen.add(id(value))
    groups: dict[str, dict] = {}
    for key, one in dict.items(value):
        parts = _KEY.fullmatch(key) if isinstance(key, str) else None
        if parts and isinstance(one, torch.Tensor):
            groups.setdefault(parts[1], {})[parts[2]] = torch.Tensor.detach(one)
    for prefix, tensors in groups.items():
        if "0.weight" in tensors and tensors["0.weight"].ndim == 4:
            yield place + prefix, tensors
    for key, one in dict.items(value):
        yield from _groups(one, seen, f"{place}{key}.", depth - 1)


def _unreadable(path: Path, reason: str) -> UserError:
    return UserError(
        f"{path} is not a complete file of PyTorch's weights ({reason}); expected what "
        "torch.save(netG.state_dict(), ...) writes: save or copy it again."
    )


def _first_line(error: Exception) -> str:
    """Returns the beginning of an error's text, which may be long and have several lines."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].split(". ")[0].rstrip(".")[:160]
