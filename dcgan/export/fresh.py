"""Runs an exported model with nothing but its runtime, and says how far off its outputs are.

parity.py starts it as a process of its own, `python fresh.py RUNTIME MODEL CASES.npz`: neither this
project nor another runtime can be imported there, except the project's classes for .keras files.
Prints a JSON object, the largest difference by signature.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
# (signature, input, output, values) -> the output's values
Model = Callable[[str, str, str, np.ndarray], np.ndarray]


def saved_model(path: str) -> Model:
    import tensorflow as tf

    loaded = tf.saved_model.load(path)

    def run(signature, given, wanted, values):
        output = loaded.signatures[signature](**{given: tf.constant(values)})[wanted]
        if output.dtype == tf.string:
            return np.stack([tf.io.decode_png(png).numpy() for png in output])
        return output.numpy()

    return run


def keras(path: str) -> Model:
    sys.path.insert(0, str(PROJECT))
    import keras

    import dcgan.models  # noqa: F401 - registers the classes

    loaded = keras.saving.load_model(path, compile=False)
    return lambda signature, given, wanted, values: np.asarray(loaded(values, training=False))


def litert(path: str) -> Model:
    from ai_edge_litert.interpreter import Interpreter

    # By its path it would be mapped into memory, which not every file system can.
    interpreter = Interpreter(model_content=Path(path).read_bytes())
    return lambda signature, given, wanted, values: interpreter.get_signature_runner(signature)(
        **{given: values}
    )[wanted]


def onnx(path: str) -> Model:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda signature, given, wanted, values: session.run([wanted], {given: values})[0]


# Runtime -> how it loads a model, and the packages that a user of the model may not have.
RUNTIMES = {
    "saved_model": (saved_model, ("dcgan", "keras")),
    "keras": (keras, ()),
    "litert": (litert, ("dcgan", "keras", "tensorflow")),
    "onnx": (onnx, ("dcgan", "keras", "tensorflow")),
}


def difference(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference of two arrays; infinite when they are not of one shape and type."""
    if (found.shape, found.dtype) != (expected.shape, expected.dtype):
        return float("inf")
    return float(np.abs(found.astype(np.float64) - expected.astype(np.float64)).max())


def main(runtime: str, path: str, cases: str) -> None:
    """See the module; a case's name is signature/input/output/number."""
    load, absent = RUNTIMES[runtime]
    # Python puts this file's folder on the path, where onnx.py is another one than the package's.
    sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() not in (HERE, PROJECT)]
    sys.modules.update(dict.fromkeys(absent))  # None: their import fails
    model, largest = load(path), {}
    with np.load(cases) as arrays:
        for name in sorted({key.rpartition("/")[0] for key in arrays.files}):
            signature, given, wanted, _ = name.split("/")
            found = model(signature, given, wanted, arrays[f"{name}/values"])
            off = difference(found, arrays[f"{name}/expected"])
            largest[signature] = max(largest.get(signature, 0.0), off, key=_order)
    print(json.dumps(largest))


def _order(value: float) -> float:
    """So that what is not a number is the largest."""
    return float("inf") if np.isnan(value) else value


if __name__ == "__main__":
    main(*sys.argv[1:])
