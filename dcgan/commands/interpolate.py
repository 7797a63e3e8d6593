"""`python main.py interpolate`: walks from seed to seed in latent space."""

import logging
from pathlib import Path

import numpy as np

from dcgan import UserError, images
from dcgan.cli.run_options import Interpolate
from dcgan.commands.open_run import open_run
from dcgan.latent import paths
from dcgan.latent.seeds import parse_seeds
from dcgan.outputs import provenance, walks

MAX_SEEDS, MAX_FRAMES = 100, 2000
STRIP_WIDTH = 2000  # pixels; a strip is not enlarged beyond this

logger = logging.getLogger("dcgan")


def run(options: Interpolate) -> None:
    seeds = parse_seeds(options.seeds, flag="--seeds", at_least=2, at_most=MAX_SEEDS)
    if len(seeds) * options.frames > MAX_FRAMES:
        raise UserError(
            f"{len(seeds)} --seeds with {options.frames} --frames each are more than "
            f"{MAX_FRAMES:,} images: give fewer of either."
        )
    trained = open_run(options)
    to = Path(options.to) if options.to else trained.run.root / "generated" / "interpolation.gif"
    provenance.refuse_foreign(to, ".gif", ".mp4", ".png")
    if to.suffix.lower() == ".mp4":
        walks.require_mp4()
    method = options.method or paths.natural_method(trained.z_dist)
    points = trained.points(seeds, trained.requested_classes(options.label))
    frames = trained.walk(points, options.frames, method=method, loop=options.loop)
    comment = provenance.mark(
        f"interpolate --seeds {options.seeds}{f' --label {options.label}' * bool(options.label)} "
        f"--method {method}, {trained.name}, step {trained.step}"
    )
    provenance.write(to, _bytes(options, to.suffix.lower(), frames, comment))
    logger.info(
        "Wrote %s: %d images along %d seeds (%s) of %s, step %d.",
        *(to, len(frames), len(seeds), method, trained.run.root, trained.step),
    )


def _bytes(options: Interpolate, suffix: str, frames: np.ndarray, comment: str) -> bytes:
    height, width = frames.shape[1:3]
    scale = options.scale or images.natural_scale(height, width)
    if suffix == ".png":
        if not options.scale:
            scale = max(1, min(scale, STRIP_WIDTH // ((options.frames + 1) * (width + 1))))
        return walks.strip(frames, options.frames, loop=options.loop, scale=scale, comment=comment)
    if suffix == ".mp4":
        return walks.mp4(frames, fps=options.fps, scale=scale, comment=comment)
    return walks.gif(frames, fps=options.fps, loop=options.loop, scale=scale, comment=comment)
