"""An exported version in memory: `tf.saved_model.load`, and nothing of the code that made it.

Folders that this project's `export` did not write, or that are not whole, are `Unusable`.
"""

import contextlib
import functools
import hashlib
import json
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError

from dcgan.serving.batching import Arrays, ModelFailure
from dcgan.serving.tensorflow_rest import DEFAULT_SIGNATURE, Signature, Tensor
from dcgan.serving.versions import Unusable

INFO = Path("assets.extra", "dcgan.json")
NEEDED = {  # what the server's own pictures are made with: signature -> its input
    DEFAULT_SIGNATURE: "z",
    "generate": "seed",
    "png": "seed",
}
# What reading a damaged folder ends in, besides TensorFlow's own errors: its loader trusts files.
LOADING_ERRORS = (
    *(OSError, ValueError, DecodeError, LookupError),
    *(RuntimeError, TypeError, AttributeError, AssertionError),
)


@contextlib.contextmanager
def _without_keras() -> Iterator[None]:
    """TensorFlow loads Keras at its start, where there is one; a saved model needs none."""
    if "keras" in sys.modules:
        yield
        return
    sys.modules["keras"] = None
    try:
        yield
    finally:
        del sys.modules["keras"]


@functools.cache
def load_tensorflow() -> types.ModuleType:
    """TensorFlow, loaded at the first call, which takes seconds."""
    with _without_keras():
        import tensorflow
    return tensorflow


class SavedModel:
    """One version folder, loaded.

    Args:
        folder: of an export, its name the version.

    Attributes:
        version: its number.
        info: what `export` knew of the run: dataset, size, z prior, step, metrics, directions.
        signatures: by name.
        signature_def: the same as TensorFlow Serving shows them.
        fingerprint: changes when graph or weights do.

    Raises:
        Unusable: the folder is not whole, or not of this project.
    """

    def __init__(self, folder: Path):
        tf = load_tensorflow()
        self.version = int(folder.name)
        try:
            self.info = json.loads((folder / INFO).read_text("utf-8"))
            graph = (folder / "saved_model.pb").read_bytes()
            index = (folder / "variables" / "variables.index").read_bytes()
            self.signature_def = _signature_def(graph)
            self._loaded = tf.saved_model.load(str(folder))  # checks the weights' checksums
        except (*LOADING_ERRORS, tf.errors.OpError) as error:
            raise Unusable(_first_line(error)) from error
        self._functions = dict(self._loaded.signatures)
        self.signatures = {name: _signature(f) for name, f in self._functions.items()}
        self._check()
        self.fingerprint = hashlib.sha256(graph + index).hexdigest()[:16]

    def _check(self) -> None:
        if not isinstance(self.info, dict):
            raise Unusable(f"{INFO} is no JSON object")
        missing = {"z_dim", "z_dist", "height", "width", "channels"} - set(self.info)
        if missing:
            raise Unusable(f"{INFO} lacks {', '.join(sorted(missing))}")
        for name, only_input in NEEDED.items():
            if name not in self.signatures or list(self.signatures[name].inputs) != [only_input]:
                raise Unusable(f"it has no signature {name}({only_input})")
        for name, signature in self.signatures.items():
            for tensor in (*signature.inputs.values(), *signature.outputs.values()):
                if tensor.shape[:1] != (None,):
                    raise Unusable(f"its signature {name} has no free batch size")

    def compute(self, signature: str, inputs: Arrays) -> Arrays:
        """The outputs of a signature.

        Args:
            signature: its name.
            inputs: arrays of its dtypes and shapes.

        Raises:
            ModelFailure: TensorFlow could not compute them.
        """
        tf = load_tensorflow()
        try:
            tensors = {name: tf.constant(rows) for name, rows in inputs.items()}
            outputs = self._functions[signature](**tensors)
        except (tf.errors.OpError, RuntimeError, ValueError, MemoryError) as error:
            raise ModelFailure(_first_line(error)) from error
        return {name: tensor.numpy() for name, tensor in outputs.items()}

    def warm(self, sizes: list[int]) -> None:
        """Runs every signature at every batch size: the first time takes longer than the rest.

        Raises:
            Unusable: it does not run.
        """
        for name, signature in self.signatures.items():
            for size in sizes:
                inputs = {tensor.name: _zeros(tensor, size) for tensor in signature.inputs.values()}
                try:
                    self.compute(name, inputs)
                except ModelFailure as error:
                    raise Unusable(f"its signature {name} fails: {error}") from error

    def latents(self, seeds: list[int]) -> np.ndarray:
        """The latent vectors that the signatures with seeds begin with, float32 [N, z_dim]."""
        tf = load_tensorflow()
        from dcgan.sampling import latents  # needs TensorFlow, but neither Keras nor networks

        z = latents(
            tf.constant(seeds, tf.int64), z_dim=self.info["z_dim"], z_dist=self.info["z_dist"]
        )
        return z.numpy()


def _signature_def(graph: bytes) -> dict:
    """The signatures of a saved_model.pb in protobuf's JSON mapping."""
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
