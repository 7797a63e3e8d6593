"""The JSON description of an exported model: where it comes from and how to use it."""

import platform
from importlib import metadata

import numpy as np

from dcgan.files import read_json, read_json_lines
from dcgan.latent.labels import ClassTable
from dcgan.run.checkpoint import Checkpoint
from dcgan.run.run_dir import RunDir

MAX_DIRECTIONS = 16
# What the signature discriminate returns. D(x) and D(G(z)) of training need whole batches. With the
# moving statistics of training, the score is higher for the real image in 75 % of pairs of a real
# and a generated anime face; with statistics of reals alone, which were tried too, in 66 %.
SCORE = (
    "The discriminator's probability that an image is real, by itself: normalization, where there "
    "is any, takes the running statistics of real and generated images. So it is not the D(x) of "
    "the training's log, for which a batch of reals and one of fakes are normalized each by its "
    "own. Compare scores with one another: 0.5 need not part real from generated."
)


def directions(kernel: np.ndarray, count: int = MAX_DIRECTIONS) -> tuple[np.ndarray, np.ndarray]:
    """Computes the directions in z that change the generator's first layer most (SeFa).

    Shen and Zhou 2021, "Closed-form factorization of latent semantics in GANs" (arXiv 2007.06600),
    equation 3: eigenvectors of W W^T, for the first layer's kernel W [z_dim, units].

    Returns directions float64 [count, z_dim], of length 1, strongest first, whose largest component
    is positive; and scales [count], the length of the change of features per unit of z along each.
    """
    kernel = np.asarray(kernel, np.float64)
    values, vectors = np.linalg.eigh(kernel @ kernel.T)  # ascending, in columns
    vectors = vectors.T[::-1][:count]
    largest = np.take_along_axis(vectors, np.abs(vectors).argmax(1, keepdims=True), 1)
    return vectors * np.sign(largest), np.sqrt(np.maximum(values[::-1][:count], 0.0))


def describe(run: RunDir, checkpoint: Checkpoint, table: ClassTable | None = None) -> dict:
    """Describes a checkpoint's networks, including their classes if there are any.

    `serve`, the explorer and pages that embed a model read dcgan.json by these keys.
    """
    config = read_json(run.config)
    network = checkpoint.configs["generator"]
    height, width, channels = network["image_shape"]
    found, scales = directions(checkpoint.generator_arrays()["project/kernel"])
    step = checkpoint.step
    lines = [line for line in read_json_lines(run.metrics) if line.get("step", step + 1) <= step]
    metrics = lines[-1] if lines else {}
    columns = zip(table.names.items(), table.inputs, strict=True) if table else ()
    classes = [
        {"column": name, "input": given, "names": list(known)} for (name, known), given in columns
    ]
    return {
        "dataset": run.dataset_name(config.get("dataset")),
        "height": height,
        "width": width,
        "channels": channels,
        "z_dim": network["z_dim"],
        "z_dist": network["z_dist"],
        "step": step,
        "epoch": metrics.get("epoch"),
        "metrics": metrics,
        "versions": {
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in ("tensorflow", "keras", "numpy")},
        },
        "score": SCORE,
        **({"classes": classes} if table else {}),
        "directions": [[round(float(x), 7) for x in direction] for direction in found],
        "direction_scales": [round(float(scale), 6) for scale in scales],
    }
