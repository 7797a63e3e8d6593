"""`python main.py arithmetic`: adds and subtracts averages of seeds."""

import logging
from pathlib import Path

import numpy as np
import tensorflow as tf

from dcgan.cli.run_options import Arithmetic
from dcgan.commands.open_run import open_run
from dcgan.latent import paths
from dcgan.latent.noise import latents
from dcgan.latent.seeds import parse_terms
from dcgan.outputs import provenance
from dcgan.outputs.equation import Term, draw_equation
from dcgan.run.trained_run import TrainedRun

MAX_TERMS = 16  # terms, and seeds in each: more would be too small to see

logger = logging.getLogger("dcgan")


def run(options: Arithmetic) -> None:
    terms = parse_terms(options.terms, flag="--terms (or --plus, --minus)", at_most=MAX_TERMS)
    trained = open_run(options)
    to = Path(options.to) if options.to else trained.run.root / "generated" / "arithmetic.png"
    provenance.refuse_foreign(to, ".png")
    comment = provenance.mark(
        f"arithmetic --terms '{options.terms}', {trained.name}, step {trained.step}"
    )
    provenance.write(to, _draw(trained, terms, options.noise, comment))
    logger.info("Wrote %s: %s of %s, step %d.", to, options.terms, trained.run.root, trained.step)


def _draw(trained: TrainedRun, terms: list, noise: float, comment: str) -> bytes:
    vectors = [trained.points(seeds) for _, seeds in terms]  # classes are added like z
    z_dim = trained.generator.z_dim
    result = paths.arithmetic([(sign, z) for (sign, _), z in zip(terms, vectors, strict=True)])
    # The noise of figure 7 is uniform, whatever z is drawn from.
    uniform = latents(tf.range(8, dtype=tf.int64), z_dim=z_dim, z_dist="uniform_signed").numpy()
    uniform = np.pad(uniform, ((0, 0), (0, len(result) - z_dim)))  # classes are as they are
    around = paths.surround(result, uniform, scale=noise)
    averages = [paths.average(z)[np.newaxis] for z in vectors]
    parts = [*vectors, *averages, around]
    pictures = trained.render(np.concatenate(parts))
    split = np.split(pictures, np.cumsum([len(part) for part in parts])[:-1])
    drawn = [
        Term(sign, seeds, samples, average[0])
        for (sign, seeds), samples, average in zip(
            terms, split[: len(terms)], split[len(terms) : -1], strict=True
        )
    ]
    return draw_equation(drawn, split[-1], noise=noise, comment=comment)
