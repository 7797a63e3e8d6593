"""Whether an exported model computes what the Keras model computes, seen from a fresh process.

On a CPU the SavedModel gives the bytes of `sample`, in batches of every size: `models.convolutions`
sees to that, and the tests hold x86 processors to it. An export is refused only above
`LEVELS_TOLERANCE`, for processors whose kernels we have not seen. Other runtimes (ONNX Runtime,
LiteRT, a browser) have kernels of their own; they are held to `TOLERANCE`, which is below a
hundredth of a level, and with float16 weights to a level.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

from dcgan import UserError, images
from dcgan.export import fresh
from dcgan.export.format import Format, Subject
from dcgan.latent.sampling import latents, make_sampler
from dcgan.plain_path import plain

BATCH_SIZES = (1, 3, 64)
TOLERANCE = 1e-5
# Of images from float16 weights: one of the 256 levels of [-1, 1].
FLOAT16_TOLERANCE = 2 / 255
LEVELS_TOLERANCE = 1.0  # of uint8 images
IN_LEVELS = ("generate", "png")

# Signature -> output, and for each batch size the values given by input and those expected.
Cases = dict[str, tuple[str, list[tuple[dict[str, np.ndarray], np.ndarray]]]]


def make_cases(subject: Subject) -> Cases:
    """What the Keras models give for fixed seeds, at each batch size."""
    generator, discriminator = subject.generator, subject.discriminator
    table, of_z = subject.table, {"z_dim": generator.z_dim, "z_dist": generator.z_dist}
    sample = make_sampler(generator, **of_z, table=table)
    cases: Cases = {
        "serving_default": ("images", []),
        "generate": ("images", []),
        "png": ("png_bytes", []),
        "discriminate": ("score", []),
    }
    for size in BATCH_SIZES:
        seeds = np.arange(size, dtype=np.int64)
        z = latents(tf.constant(seeds), **of_z)
        pictures = sample(seeds)
        reals = tf.constant(images.to_float(pictures.astype(np.float32)))
        labels, given, own = None, {}, {}
        if table:
            labels = table.of_seeds(tf.constant(seeds))
            given = dict(zip(table.inputs, labels.numpy().T.copy(), strict=True))
            own = dict.fromkeys(table.inputs, np.full(size, -1, np.int32))
        logits = discriminator(reals, labels=labels, training=False)
        faces = generator(z, labels=labels, training=False)
        cases["serving_default"][1].append(({"z": z.numpy(), **given}, faces.numpy()))
        cases["generate"][1].append(({"seed": seeds, **own}, pictures))
        cases["png"][1].append(({"seed": seeds, **given}, pictures))
        score = tf.sigmoid(logits[:, 0]).numpy()
        cases["discriminate"][1].append(({"images": pictures, **given}, score))
    return cases


def tolerance(signature: str, weights: str) -> float:
    """The largest difference that is allowed."""
    if signature in IN_LEVELS:
        return LEVELS_TOLERANCE
    return FLOAT16_TOLERANCE if weights == "float16" else TOLERANCE


def check(form: Format, path: Path, cases: Cases, *, weights: str = "float32") -> dict[str, float]:
    """Compares an exported model with the Keras model.

    Args:
        form: its format.
        path: the format's target.
        cases: of `make_cases`.
        weights: float32 or float16.

    Returns:
        the largest difference by signature.

    Raises:
        UserError: one is above the tolerance, or the model does not run.
    """
    differences = _differences(form, path / form.model, cases)
    for signature in form.signatures:
        allowed, found = tolerance(signature, weights), differences[signature]
        if not found <= allowed:  # so that what is not a number is refused as well
            raise UserError(
                f"The {form.name} export differs from the Keras model by {found:.3g} in "
                f"{signature} (allowed: {allowed:.3g}); nothing was written: try another "
                "--checkpoint or other versions of the packages, and report it."
            )
    return differences


def _differences(form: Format, model: Path, cases: Cases) -> dict[str, float]:
    arrays = {}
    for signature in form.signatures:
        wanted, pairs = cases[signature]
        for number, (given, expected) in enumerate(pairs):
            name = f"{signature}/{wanted}/{number}"
            arrays |= {f"{name}/given/{input_}": values for input_, values in given.items()}
            arrays[f"{name}/expected"] = expected
    with tempfile.TemporaryDirectory() as folder, plain(model) as place:
        path = Path(folder, "cases.npz")
        np.savez(path, **arrays)
        words = [form.runtime, place, str(path)]
        process = subprocess.run(
            [sys.executable, fresh.__file__, *words],
            cwd=folder,
            env={**os.environ, **_ON_THE_CPU},
            capture_output=True,
            text=True,
            check=False,
        )
    if process.returncode:
        last = (process.stderr.strip().splitlines() or [f"exit code {process.returncode}"])[-1]
        raise UserError(
            f"The {form.name} export does not run in a process of its own ({last}); nothing was "
            "written: try other versions of the packages, and report it."
        )
    return json.loads(process.stdout.splitlines()[-1])


# The graphics card may be busy with the training, and multiplies less exactly.
_ON_THE_CPU = {
    "CUDA_VISIBLE_DEVICES": "-1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "KERAS_BACKEND": "tensorflow",
}
