"""An exported version in memory, loaded by `tf.saved_model.load` without the code that made it.

Folders that this project's `export` did not write, or that are not whole, raise UnusableVersion. No
file is unpickled, and none of more than `MAX_BYTES` is read here.
"""

import functools
import hashlib
import json
import math
import sys
import types
from pathlib import Path

import numpy as np
import orjson
from google.protobuf.json_format import MessageToDict

from dcgan.latent.class_words import by_class
from dcgan.plain_path import plain
from dcgan.serving.batching import Arrays, ModelFailure
from dcgan.serving.classes import columns_of
from dcgan.serving.tfserving_json import DEFAULT_SIGNATURE, Signature, Tensor
from dcgan.serving.versions import UnusableVersion

INFO = Path("assets.extra", "dcgan.json")  # where `export` writes it
MAX_BYTES = 64 << 20  # of graph, index and description each; a DCGAN's have less than 1 MB
MAX_NUMBERS = 1 << 22  # in a row of an input or output: four channels of 1024 x 1024


@functools.cache
def load_tensorflow() -> types.ModuleType:
    """Imports TensorFlow, in seconds, without Keras, which a saved model does not need."""
    if is_hidden := "keras" not in sys.modules:
        sys.modules["keras"] = None
    try:
        import tensorflow
    finally:
        if is_hidden:
            del sys.modules["keras"]
    return tensorflow


class SavedModel:
    """One version folder of an export, loaded; UnusableVersion if it is not whole, or not one.

    Attributes:
        version: its number.
        info: the description by `export`: dataset, size, z prior, step, metrics, directions.
        signatures: the model's signatures by name.
        signature_def: the signatures as TensorFlow Serving shows them.
        fingerprint: hash that changes when the graph or the weights do.
    """

    def __init__(self, folder: Path):
        tf = load_tensorflow()
        self.version = int(folder.name)
        with plain(folder) as place:
            try:  # TensorFlow's loader trusts files: a damaged one may raise any error
                self.info = json.loads(_read(folder / INFO))
                graph = _read(folder / "saved_model.pb")
                index = _read(folder / "variables" / "variables.index")
                self.signature_def = _signature_def(graph)
                self._loaded = tf.saved_model.load(place)  # it checks the weights' checksums
                self._functions = dict(self._loaded.signatures)
                self.signatures = {name: _signature(f) for name, f in self._functions.items()}
                self._check()
            except Exception as error:
                reason = _first_line(error).replace(f"{place}/", "")
                raise UnusableVersion(reason) from error
        self.fingerprint = hashlib.sha256(graph + index).hexdigest()[:16]

    def _check(self) -> None:
        """Refuses a model that the endpoints could not answer with, before a client asks."""
        if not isinstance(self.info, dict):
            raise UnusableVersion(f"{INFO} is not a JSON object")
        kinds = {"z_dim": int, "height": int, "width": int, "channels": int, "z_dist": str}
        for name, kind in kinds.items():
            if type(self.info.get(name)) is not kind:
                raise UnusableVersion(f"{INFO} has no {name} that is {kind.__name__}")
        orjson.dumps(self.info)  # raises now what /model.json would raise later
        labels = [Tensor(one.input, "int32", (None,)) for one in columns_of(self.info)]
        z_dim, *picture = (self.info[name] for name in ("z_dim", "height", "width", "channels"))
        seed = Tensor("seed", "int64", (None,))
        z = Tensor("z", "float32", (None, z_dim))
        needed = {DEFAULT_SIGNATURE: (z, "float32", *picture)}
        needed |= {"generate": (seed, "uint8", *picture), "png": (seed, "string")}
        for name, (first, *output) in needed.items():
            self._require_signature(name, [first], *output)
            if labels:
                self._require_signature(by_class(name), [first, *labels], *output)
        known = Signature({"seed": seed}, {label.name: label for label in labels})
        if labels and self.signatures.get("classes") != known:
            raise UnusableVersion(
                f"it has no signature classes(seed) of the classes that {INFO} names"
            )
        for name, signature in self.signatures.items():
            for tensor in (*signature.inputs.values(), *signature.outputs.values()):
                if tensor.shape[:1] != (None,):
                    raise UnusableVersion(f"its signature {name} has no free batch size")
                if math.prod(size or 1 for size in tensor.shape[1:]) > MAX_NUMBERS:
                    raise UnusableVersion(
                        f"its signature {name} has a row of more than {MAX_NUMBERS:,}"
                    )

    def _require_signature(self, name: str, inputs: list[Tensor], dtype: str, *shape: int) -> None:
        """Refuses a model without a signature that the server's own pictures need.

        It takes exactly these inputs and has one output, with rows of this dtype and shape.
        """
        signature = self.signatures.get(name)
        if signature is None or signature.inputs != {one.name: one for one in inputs}:
            given = ", ".join(one.name for one in inputs)
            raise UnusableVersion(
                f"it has no signature {name}({given}) of the shape that {INFO} names"
            )
        output, *others = signature.outputs.values()
        known = [size or 0 for size in output.shape[1:]]  # a graph may leave sizes open
        fits = len(known) == len(shape) and all(
            size in (0, wanted) for size, wanted in zip(known, shape, strict=True)
        )
        if others or output.dtype != dtype or not fits:
            raise UnusableVersion(f"its signature {name} does not give what {INFO} names")

    def compute(self, signature: str, inputs: Arrays) -> Arrays:
        """Computes the outputs of a signature; raises ModelFailure if TensorFlow fails."""
        tf = load_tensorflow()
        try:  # a graph may raise any error, and none may end the thread that runs all batches
            tensors = {name: tf.constant(rows) for name, rows in inputs.items()}
            outputs = self._functions[signature](**tensors)
            arrays = {name: tensor.numpy() for name, tensor in outputs.items()}
            rows = {len(array) for array in (*inputs.values(), *arrays.values())}
        except Exception as error:
            raise ModelFailure(_first_line(error)) from error
        if len(rows) > 1:
            raise ModelFailure(f"its outputs have {max(rows)} and {min(rows)} rows")
        return arrays

    def warm_up(self, sizes: list[int]) -> None:
        """Runs every signature at every batch size, as the first run takes longer than others.

        Raises UnusableVersion if one does not run.
        """
        for name, signature in self.signatures.items():
            for size in sizes:
                inputs = {tensor.name: _zeros(tensor, size) for tensor in signature.inputs.values()}
                try:
                    self.compute(name, inputs)
                except ModelFailure as error:
                    raise UnusableVersion(f"its signature {name} fails: {error}") from error

    def latents(self, seeds: list[int]) -> np.ndarray:
        """Returns the latent vectors that signatures with seeds start from, float32 [N, z_dim]."""
        from dcgan.latent.noise import latents  # TensorFlow, without Keras

        seeds = load_tensorflow().constant(seeds, "int64")
        return latents(seeds, z_dim=self.info["z_dim"], z_dist=self.info["z_dist"]).numpy()


def _read(path: Path) -> bytes:
    """Reads a file; raises UnusableVersion if it is too large, as a hostile one may be."""
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise UnusableVersion(f"{path.name} has {size:,} bytes, more than {MAX_BYTES:,}")
    return path.read_bytes()


def _signature_def(graph: bytes) -> dict:
    """Returns the signatures of a saved_model.pb in protobuf's JSON mapping."""
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel.FromString(graph)
    if not saved.meta_graphs:
        raise ValueError("saved_model.pb holds no graph")
    return {
        name: MessageToDict(
            definition, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
        for name, definition in sorted(saved.meta_graphs[0].signature_def.items())
    }


def _signature(function) -> Signature:
    _, inputs = function.structured_input_signature
    return Signature(_tensors(inputs), _tensors(function.structured_outputs))


def _tensors(specs: dict) -> dict[str, Tensor]:
    return {
        name: Tensor(name, spec.dtype.name, tuple(spec.shape.as_list()))
        for name, spec in sorted(specs.items())
    }


def _zeros(tensor: Tensor, rows: int) -> np.ndarray:
    shape = (rows, *(size or 1 for size in tensor.shape[1:]))
    if tensor.dtype == "string":
        return np.full(shape, b"", object)
    return np.zeros(shape, tensor.dtype)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
