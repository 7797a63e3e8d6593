"""Checks in a fresh process that an exported model computes the same as the Keras model.

On a CPU the SavedModel gives the same bytes as the command `sample`, at every batch size, by means
of `models.convolutions`; the tests check this on x86 processors. An export is refused only if it
differs by more than `LEVELS_TOLERANCE`, as processors that were not tested may have other kernels.
Other runtimes (ONNX Runtime, LiteRT, a browser) have their own kernels; for them the limit is
`TOLERANCE`, below a hundredth of a level, or one level with float16 weights.
"""

import json
import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

from dcgan import UserError, images
from dcgan.export import fresh
from dcgan.export.format import Format, Subject
from dcgan.export.saved_model import shares
from dcgan.latent.class_words import OWN, by_class
from dcgan.latent.noise import latents
from dcgan.latent.sampling import make_sampler
from dcgan.plain_path import plain

BATCH_SIZES = (1, 3, 64)
TOLERANCE = 1e-5
# For images from float16 weights: one of the 256 levels of [-1, 1].
FLOAT16_TOLERANCE = 2 / 255
LEVELS_TOLERANCE = 1.0  # for uint8 images
IN_LEVELS = ("generate", "png")
_LABELLED = "labelled"  # z and the number of a class in each column, for `Format.labels` "numbers"

# Signature -> its output, and for each batch size the inputs' values and the expected output.
Cases = dict[str, tuple[str, list[tuple[dict[str, np.ndarray], np.ndarray]]]]


def make_cases(subject: Subject) -> Cases:
    """Computes the Keras models' outputs for fixed seeds, at each batch size."""
    generator, discriminator, table = subject.generator, subject.discriminator, subject.table
    z_dim, z_dist = generator.z_dim, generator.z_dist
    sample = make_sampler(generator, z_dim=z_dim, z_dist=z_dist, table=table)
    cases: Cases = {}

    def add(seeds: np.ndarray, labels: np.ndarray | None, given: dict) -> None:
        """Adds the outputs for seeds and `labels`; signatures get the labels as `given`."""
        z = latents(tf.constant(seeds), z_dim=z_dim, z_dist=z_dist)
        pictures = sample(seeds, labels)
        faces = generator(z, labels=labels, training=False).numpy()
        reals = tf.constant(images.to_float(pictures.astype(np.float32)))
        # Images have no class of their own: for `OWN` the discriminator gets the classes' shares.
        numbers = shares(table, list(given.values()), len(seeds)) if table else None
        score = tf.sigmoid(discriminator(reals, labels=numbers, training=False)[:, 0]).numpy()
        for name, wanted, first, values in (
            ("serving_default", "images", {"z": z.numpy()}, faces),
            ("generate", "images", {"seed": seeds}, pictures),
            ("png", "png_bytes", {"seed": seeds}, pictures),
            ("discriminate", "score", {"images": pictures}, score),
        ):
            known = cases.setdefault(by_class(name) if given else name, (wanted, []))
            known[1].append(({**first, **given}, values))
        if given:
            whole = dict(zip(given, labels.T.copy(), strict=True))
            known = cases.setdefault(_LABELLED, ("images", []))
            known[1].append(({"z": z.numpy(), **whole}, faces))

    for size in BATCH_SIZES:
        seeds = np.arange(size, dtype=np.int64)
        if table is None:
            add(seeds, None, {})
            continue
        own = table.of_seeds(tf.constant(seeds)).numpy()
        add(seeds, own, {})
        # Each seed with the classes of the next one; the last with its own.
        asked = np.concatenate([own[1:], np.full_like(own[:1], OWN)])
        given = dict(zip(table.inputs, asked.T.copy(), strict=True))
        add(seeds, np.where(asked == OWN, own, asked), given)
    return cases


def signatures(form: Format, cases: Cases) -> list[str]:
    """Returns the signatures of a format to check; with classes, those with labels too."""
    if _LABELLED not in cases:
        return [*form.signatures]
    labelled = [by_class(name) for name in form.signatures]
    return {
        "optional": [*form.signatures, *labelled],
        "needed": labelled,
        "numbers": [_LABELLED],
    }[form.labels]


def is_in_levels(signature: str) -> bool:
    """Tells whether a signature returns uint8 images, or files of them."""
    return signature in (*IN_LEVELS, *map(by_class, IN_LEVELS))


def tolerance(signature: str, weights: str) -> float:
    if is_in_levels(signature):
        return LEVELS_TOLERANCE
    return FLOAT16_TOLERANCE if weights == "float16" else TOLERANCE


def check(form: Format, path: Path, cases: Cases, *, weights: str = "float32") -> dict[str, float]:
    """Returns the largest differences of an exported model from the expected outputs, by signature.

    Raises UserError if a difference is above its tolerance, or if the model does not run.
    """
    differences = _differences(form, path / form.model, cases)
    for signature in signatures(form, cases):
        allowed, found = tolerance(signature, weights), differences[signature]
        if not found <= allowed:  # refuses NaN as well
            raise UserError(
                f"The {form.name} export differs from the Keras model by {found:.3g} in "
                f"{signature} (allowed: {allowed:.3g}); nothing was written: try another "
                "--checkpoint or other versions of the packages, and report it."
            )
    return differences


def _differences(form: Format, model: Path, cases: Cases) -> dict[str, float]:
    chosen = {signature: cases[signature] for signature in signatures(form, cases)}
    with tempfile.TemporaryDirectory() as folder, plain(model) as place:
        path = Path(folder, "cases")
        path.write_bytes(pickle.dumps(chosen))
        words = [form.runtime, place, str(path)]
        # On the CPU: a GPU may be busy with training, and is less exact.
        own = {"CUDA_VISIBLE_DEVICES": "-1", "KERAS_BACKEND": "tensorflow"}
        process = subprocess.run(
            [sys.executable, fresh.__file__, *words],
            cwd=folder,
            env={**os.environ, **own, "TF_CPP_MIN_LOG_LEVEL": "3"},
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
