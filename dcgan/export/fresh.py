"""Runs an exported model with only its runtime, and measures the errors of its outputs.

parity.py starts it as a separate process, `python fresh.py RUNTIME MODEL CASES`, in which
neither this project nor another runtime can be imported, except the project's classes for .keras
files. It prints a JSON object with the largest difference by signature.
"""

import json
import pickle
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
# (signature, values by input, output) -> the output's values
Model = Callable[[str, dict[str, np.ndarray], str], np.ndarray]


def saved_model(path: str) -> Model:
    import tensorflow as tf

    loaded = tf.saved_model.load(path)

    def run(signature, given, wanted):
        tensors = {name: tf.constant(values) for name, values in given.items()}
        output = loaded.signatures[signature](**tensors)[wanted]
        if output.dtype == tf.string:
            return np.stack([tf.io.decode_png(png).numpy() for png in output])
        return output.numpy()

    return run


def keras(path: str) -> Model:
    sys.path.insert(0, str(PROJECT))
    import keras

    import dcgan.models  # noqa: F401 - registers the classes

    loaded = keras.saving.load_model(path, compile=False)

    def run(signature, given, wanted):
        z, *columns = given.values()  # z comes first
        labels = np.stack(columns, 1) if columns else None
        return np.asarray(loaded(z, labels=labels, training=False))

    return run


def litert(path: str) -> Model:
    from ai_edge_litert.interpreter import Interpreter

    # Given a path, it would map the file into memory, which not every file system can.
    interpreter = Interpreter(model_content=Path(path).read_bytes())
    return lambda signature, given, wanted: interpreter.get_signature_runner(signature)(**given)[
        wanted
    ]


def onnx(path: str) -> Model:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda signature, given, wanted: session.run([wanted], given)[0]


# Runtime -> the function that loads a model, and packages that a user of the model may lack. Each
# `Format.runtime` is a key.
RUNTIMES = {
    "saved_model": (saved_model, ("dcgan", "keras")),
    "keras": (keras, ()),
    "litert": (litert, ("dcgan", "keras", "tensorflow")),
    "onnx": (onnx, ("dcgan", "keras", "tensorflow")),
}


def difference(found: np.ndarray, expected: np.ndarray) -> float:
    """Computes the largest difference of two arrays; infinity if shapes or types differ."""
    if (found.shape, found.dtype) != (expected.shape, expected.dtype):
        return float("inf")
    return float(np.abs(found.astype(np.float64) - expected.astype(np.float64)).max())


def main(runtime: str, path: str, cases: str) -> None:
    """Does what the module says; CASES holds pickled `parity.Cases`."""
    load, absent = RUNTIMES[runtime]
    # Python puts this file's folder on the path; its onnx.py would hide the package onnx. The
    # project's folder stays: in an installation all other packages lie there too.
    sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != HERE]
    sys.modules.update(dict.fromkeys(absent))  # None makes their import fail
    model, largest = load(path), {}
    with open(cases, "rb") as file:
        for signature, (wanted, pairs) in sorted(pickle.load(file).items()):
            errors = [difference(model(signature, given, wanted), known) for given, known in pairs]
            largest[signature] = float(np.max(errors))  # NaN if one of them is
    print(json.dumps(largest))


if __name__ == "__main__":
    main(*sys.argv[1:])
