"""Models for the tests of the server: in NumPy, and a small exported one as `export` writes it."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dcgan.serving import tensorflow_rest
from dcgan.serving.batching import Arrays
from dcgan.serving.metrics import Metrics
from dcgan.serving.refusals import RequestError
from dcgan.serving.service import Served, Service
from dcgan.serving.tensorflow_rest import Signature, Tensor
from dcgan.serving.versions import Versions

SIDE, Z_DIM = 8, 4
INFO = {
    **{"dataset": "toy", "height": SIDE, "width": SIDE, "channels": 3, "z_dim": Z_DIM},
    **{"z_dist": "normal01", "step": 1, "epoch": 1, "metrics": {"d_loss": float("nan")}},
    **{"versions": {}, "directions": [[1.0, 0.0, 0.0, 0.0]], "direction_scales": [1.0]},
}


def tensors(**specs: tuple) -> dict[str, Tensor]:
    """Inputs or outputs: name=(dtype, sizes behind the rows)."""
    return {name: Tensor(name, dtype, (None, *shape)) for name, (dtype, *shape) in specs.items()}


class FakeModel:
    """A model of NumPy functions.

    Args:
        signatures: (signature, function of its arrays) by name.
        info: what it knows of itself.
    """

    def __init__(self, version: int, signatures: dict[str, tuple[Signature, Callable]], info=INFO):
        self.version = version
        self.info = info
        self.signatures = {name: signature for name, (signature, _) in signatures.items()}
        self.signature_def = {name: {"inputs": {}} for name in signatures}
        self.fingerprint = f"fake-{version}"
        self._functions = {name: function for name, (_, function) in signatures.items()}

    def warm(self, sizes: list[int]) -> None:
        """Nothing gets warm."""

    def compute(self, signature: str, inputs: Arrays) -> Arrays:
        """See `service.Model`."""
        return self._functions[signature](**inputs)

    def latents(self, seeds: list[int]) -> np.ndarray:
        """Seed 7 is [7, 7, 7, 7]."""
        return np.repeat(np.float32(seeds)[:, np.newaxis], Z_DIM, axis=1)


def echo(**specs: tuple) -> FakeModel:
    """Version 1, whose outputs are its inputs."""
    both = tensors(**specs)
    return FakeModel(1, {"serving_default": (Signature(both, both), lambda **inputs: inputs)})


def grey(z) -> Arrays:
    """The first number of z as the level of the whole picture."""
    levels = np.clip(z[:, 0], -1, 1).astype(np.float32)
    return {"images": np.broadcast_to(levels[:, None, None, None], (len(z), SIDE, SIDE, 3))}


def faces(version: int = 1) -> FakeModel:
    """The signatures of an export; the picture of a seed is all of the level seed modulo 256."""

    def generate(seed):
        level = (seed % 256).astype(np.uint8)[:, None, None, None]
        return {"images": np.broadcast_to(level, (len(seed), SIDE, SIDE, 3))}

    def png(seed):
        return {"png_bytes": np.array([b"\x89PNG" + str(s).encode() for s in seed], object)}

    picture, seed = (SIDE, SIDE, 3), tensors(seed=("int64",))
    signatures = {
        "serving_default": (
            Signature(tensors(z=("float32", Z_DIM)), tensors(images=("float32", *picture))),
            grey,
        ),
        "generate": (Signature(seed, tensors(images=("uint8", *picture))), generate),
        "png": (Signature(seed, tensors(png_bytes=("string",))), png),
        "discriminate": (
            Signature(tensors(images=("uint8", *picture)), tensors(score=("float32",))),
            lambda images: {"score": images.mean((1, 2, 3)).astype(np.float32) / 255},
        ),
    }
    return FakeModel(version, signatures)


def service_of(model: FakeModel, folder: Path, name: str = "dcgan", **limits) -> Service:
    """A service with one version in a folder made for it."""
    (folder / str(model.version)).mkdir(parents=True)
    (folder / str(model.version) / "file").touch()
    metrics, rows = Metrics(), limits.get("row_limit", 64)
    versions = Versions(
        folder, lambda path: Served(model, row_limit=rows, max_delay=0.005, metrics=metrics)
    )
    assert versions.start() == model.version
    return Service(name, versions, metrics=metrics, **limits)


def write_saved_model(folder: Path, version: int) -> Path:
    """A SavedModel with the signatures of an export: a random projection of z, by version."""
    import tensorflow as tf

    class Exported(tf.Module):
        def __init__(self):
            weights = np.random.default_rng(version).normal(size=(Z_DIM, SIDE * SIDE * 3))
            self.weights = tf.Variable(weights, dtype=tf.float32)

        @tf.function(input_signature=[tf.TensorSpec([None, Z_DIM], tf.float32, name="z")])
        def images(self, z):
            return {"images": tf.tanh(tf.reshape(z @ self.weights, [-1, SIDE, SIDE, 3]))}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.int64, name="seed")])
        def generate(self, seed):
            z = tf.map_fn(
                lambda s: tf.random.stateless_normal([Z_DIM], tf.stack([s, -1]), alg="philox"),
                seed,
                fn_output_signature=tf.TensorSpec([Z_DIM], tf.float32),
            )
            levels = (self.images(z)["images"] + 1.0) * (255 / 2)
            return {"images": tf.saturate_cast(tf.round(levels), tf.uint8)}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.int64, name="seed")])
        def png(self, seed):
            return {"png_bytes": tf.io.encode_png(self.generate(seed)["images"])}

        @tf.function(
            input_signature=[tf.TensorSpec([None, SIDE, SIDE, 3], tf.uint8, name="images")]
        )
        def discriminate(self, images):
            return {"score": tf.reduce_mean(tf.cast(images, tf.float32), [1, 2, 3]) / 255.0}

    model, path = Exported(), folder / str(version)
    signatures = {"serving_default": model.images, "generate": model.generate}
    signatures |= {"png": model.png, "discriminate": model.discriminate}
    tf.saved_model.save(model, str(path), signatures=signatures)
    (path / "assets.extra").mkdir()
    (path / "assets.extra" / "dcgan.json").write_text(json.dumps({**INFO, "step": version}))
    return path


def read_when_told(body, signatures, row_limit):
    """`tensorflow_rest.read_predict`, blocked until a test says so.

    The files begun and go are in the folder that the body names.
    """
    request = tensorflow_rest.parse(body)
    marks = Path(request.pop("marks"))
    (marks / "begun").touch()
    for _ in range(6000):  # half a minute at most
        if (marks / "go").exists():
            break
        time.sleep(0.005)
    return tensorflow_rest.Predict("generate", {"seed": np.int64([os.getpid() % 256])}, True)


def die(*_):
    """A task that ends its process."""
    os._exit(1)


def refuse(*_):
    """A task that refuses."""
    raise RequestError(418, "no \ud800")
