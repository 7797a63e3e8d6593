"""Opens networks in files: ONNX (by ONNX Runtime), .keras files, and folders of a SavedModel.

ONNX and .keras files only compute: a .keras file that needs code, such as a Lambda layer or a class
of another package, is refused before Keras loads it. A SavedModel is a program of TensorFlow
operations, which may read and write files: use only those from people you trust.
"""

import hashlib
import json
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dcgan import UserError, extras
from dcgan.cli.option import did_you_mean
from dcgan.plain_path import plain

# Types of the input that are supported: ONNX Runtime's names, and NumPy's.
DTYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(uint8)": "uint8"}
WEIGHTS_FOLDER = "session.model_external_initializers_file_folder_path"
KERAS_CONFIG = "config.json"
CODE = ("Lambda", "__lambda__", "function", "TorchModuleWrapper", "TFSMLayer")
FROM_LEVELS = 0.01  # a Rescaling layer with a smaller factor, as 1/255, takes levels from 0 to 255
SAVED_MODEL = "saved_model.pb"


@dataclass(frozen=True)
class OpenedNetwork:
    """An opened network."""

    # a batch of images with `shape` and `dtype` -> features [N, ...]
    run: Callable[[np.ndarray], np.ndarray]
    # shape of the input, batch first; None for lengths that the file leaves open
    shape: tuple[int | None, ...]
    dtype: str  # type of the input: float32, float16 or uint8
    rescales: bool = False  # whether its first layer scales levels from 0 to 255 to its own range


def open_network(path: Path, output: str | None = None) -> OpenedNetwork:
    """Opens the network in an .onnx or .keras file, or in a SavedModel's folder.

    `output` is the name of the output, in a .keras file perhaps of a layer; it may be None if there
    is only one output. Raises UserError if the file or the output is refused.
    """
    if (path / SAVED_MODEL).is_file():
        return _open_saved_model(path, output)
    if path.is_file() and path.suffix == ".onnx":
        return _open_onnx(path, output)
    if path.is_file() and path.suffix == ".keras":
        return _open_keras(path, output)
    received = "a folder without it" if path.is_dir() else "another file"
    raise UserError(
        f"--extractor {path} is not a network: expected an .onnx or .keras file, or the folder of "
        f"a SavedModel, which holds {SAVED_MODEL}; received "
        f"{received if path.exists() else 'a path where there is nothing'}."
    )


def checksum(path: Path) -> str:
    """Returns the SHA-256 of a file, or of the names and contents of all files in a folder."""
    if path.is_dir():
        found = hashlib.sha256()
        for part in sorted(p for p in path.rglob("*") if p.is_file()):
            found.update(f"{part.relative_to(path).as_posix()} {checksum(part)}\n".encode())
        return found.hexdigest()
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _open_onnx(path: Path, output: str | None) -> OpenedNetwork:
    extras.require(f"--extractor {path}", "export", "onnxruntime")
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as errors

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are reported below
    try:
        with tempfile.TemporaryDirectory() as empty:
            # An empty folder, as the checksum would not cover weights in other files.
            options.add_session_config_entry(WEIGHTS_FOLDER, empty)
            session = onnxruntime.InferenceSession(
                path.read_bytes(), options, providers=["CPUExecutionProvider"]
            )
    except (
        *(errors.Fail, errors.InvalidArgument, errors.InvalidGraph, errors.InvalidProtobuf),
        *(errors.NoSuchFile, errors.NotImplemented, errors.RuntimeException, OSError),
    ) as error:
        expected = "one complete file, weights included"
        raise _unreadable(path, "ONNX Runtime", error, expected) from error
    name = _one_input(path, [one.name for one in session.get_inputs()])
    found = session.get_inputs()[0]
    wanted = _choose(path, [one.name for one in session.get_outputs()], output)
    shape = tuple(side if isinstance(side, int) else None for side in found.shape)

    def run(images: np.ndarray) -> np.ndarray:
        return session.run([wanted], {name: images})[0]

    return _check(path, OpenedNetwork(run, shape, DTYPES.get(found.type, found.type)))


def _open_saved_model(path: Path, output: str | None) -> OpenedNetwork:
    import tensorflow as tf

    try:
        with plain(path) as place:
            loaded = tf.saved_model.load(place)
    except (OSError, ValueError, KeyError, TypeError, tf.errors.OpError) as error:
        raise _unreadable(path, "TensorFlow", error, "a complete SavedModel") from error
    signatures = dict(loaded.signatures)
    if "serving_default" not in signatures and len(signatures) != 1:
        raise UserError(
            f"--extractor {path} has no signature serving_default: expected that or one signature "
            f"only, received {', '.join(sorted(signatures)) or 'none'}; export it with one."
        )
    function = signatures.get("serving_default") or next(iter(signatures.values()))
    inputs = function.structured_input_signature[1]
    name = _one_input(path, list(inputs))
    wanted = _choose(path, sorted(function.structured_outputs), output)
    shape = tuple(inputs[name].shape) if inputs[name].shape.rank is not None else ()

    def run(images: np.ndarray) -> np.ndarray:
        # Using `loaded` keeps the variables alive, which the function alone does not.
        return (loaded, function(**{name: tf.constant(images)})[wanted])[1].numpy()

    return _check(path, OpenedNetwork(run, shape, inputs[name].dtype.name))


def _open_keras(path: Path, output: str | None) -> OpenedNetwork:
    import keras

    _refuse_code(path)
    try:
        with plain(path) as place:
            model = keras.saving.load_model(place, compile=False, safe_mode=True)
        inputs, outputs = model.inputs, dict(zip(model.output_names, model.outputs, strict=True))
    except Exception as error:  # Keras raises whatever a layer raises
        raise _unreadable(path, "Keras", error, "a functional or Sequential model") from error
    layers = {layer.name: layer for layer in model.layers}
    if output in layers and output not in outputs:
        outputs = {output: layers[output].output}
    _one_input(path, [one.name for one in inputs])
    wanted = outputs[_choose(path, list(outputs), output, more=list(layers))]
    if isinstance(wanted, list | tuple | dict):
        raise UserError(
            f"The layer {output} of --extractor {path} has several outputs: expected one; name "
            "another layer."
        )
    cut = keras.Model(inputs[0], wanted)
    behind = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    rescales = isinstance(behind[0], keras.layers.Rescaling) and behind[0].scale < FROM_LEVELS

    def run(images: np.ndarray) -> np.ndarray:
        return keras.ops.convert_to_numpy(cut(images, training=False))

    return _check(path, OpenedNetwork(run, tuple(inputs[0].shape), inputs[0].dtype, rescales))


def _refuse_code(path: Path) -> None:
    """Raises UserError if a .keras file has layers of other packages than Keras, or code."""
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read(KERAS_CONFIG))
    except (zipfile.BadZipFile, KeyError, ValueError, OSError, RecursionError) as error:
        raise _unreadable(path, "Keras", error, "a file that model.save wrote") from error
    left = [config]
    while left:
        part = left.pop()
        if isinstance(part, list):
            left += part
        elif isinstance(part, dict):
            left += part.values()
            name, module = part.get("class_name"), str(part.get("module") or "keras")
            own = module == "builtins" or module.split(".")[0] == "keras"
            # Functions come by name from a module: Keras has some that read and fetch files.
            code = name in CODE and "activations" not in module
            if isinstance(name, str) and (code or not own):
                raise UserError(
                    f"--extractor {path} asks for code ({name} of {module}), which is not run: "
                    "expected layers of Keras only; export the network as ONNX instead."
                )


def _one_input(path: Path, names: Sequence[str]) -> str:
    if len(names) != 1:
        raise UserError(
            f"--extractor {path} takes {len(names)} inputs ({', '.join(names)}): expected one, the "
            "images; export a network of one input."
        )
    return names[0]


def _choose(path: Path, names: Sequence[str], wanted: str | None, more: Sequence[str] = ()) -> str:
    if wanted is None and len(names) == 1:
        return names[0]
    if wanted in names:
        return wanted
    if wanted is None:
        raise UserError(
            f"--extractor {path} has {len(names)} outputs: say which one, as in "
            f"--extractor {path}:{names[0]}; there are {', '.join(names)}."
        )
    raise UserError(
        f"--extractor {path} has no output {wanted!r}{did_you_mean(wanted, [*names, *more])}: "
        f"expected {', '.join(names)}{' or the name of a layer' if more else ''}."
    )


def _check(path: Path, network: OpenedNetwork) -> OpenedNetwork:
    if len(network.shape) != 4 or network.dtype not in DTYPES.values():
        raise UserError(
            f"The input of --extractor {path} takes no images: expected float32, float16 or uint8 "
            "[batch, height, width, channels] or [batch, channels, height, width], received "
            f"{network.dtype} {list(network.shape)}."
        )
    return network


def _unreadable(path: Path, who: str, error: Exception, expected: str) -> UserError:
    said = " ".join(str(error).split())[:200] or type(error).__name__
    return UserError(f"{who} cannot read --extractor {path}: expected {expected}; it says: {said}")
