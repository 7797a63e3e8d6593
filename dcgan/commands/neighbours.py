"""`python main.py neighbours`: the training images nearest to generated ones."""

import json
import logging
from pathlib import Path

import numpy as np

from dcgan import UserError, images
from dcgan.cli.run_options import Neighbours
from dcgan.commands.open_run import open_run
from dcgan.evaluation import nearest
from dcgan.images import Cell, labelled_grid
from dcgan.latent.seeds import parse_seeds
from dcgan.outputs import provenance
from dcgan.run.trained_run import TrainedRun
from dcgan.terminal.progress import Bar

MAX_ROWS = 100  # rows of the picture
BLOCK_GAP = 14  # white pixels around the pictures of each space

logger = logging.getLogger("dcgan")


def run(options: Neighbours) -> None:
    """Finds the neighbours, draws them, writes the distances, and says what they mean."""
    seeds = parse_seeds(options.seeds, flag="--seeds", at_most=MAX_ROWS)
    trained = open_run(options)
    to = Path(options.to) if options.to else trained.run.root / "generated" / "neighbours.png"
    provenance.refuse_foreign(to, ".png")
    notes = to.with_suffix(".json")
    provenance.refuse_foreign(notes, ".json")
    _require(trained.count(), options)
    prepared = trained.reals()
    reals = prepared.images
    _require(len(reals), options)
    generated = trained.sample(seeds)
    spaces, found = search(trained, generated, reals, k=options.k)
    comment = provenance.mark(
        f"neighbours --seeds {options.seeds}, {trained.name}, step {trained.step}"
    )
    provenance.write(notes, _json(trained, seeds, prepared.used, spaces, found))
    provenance.write(to, _draw(generated, seeds, reals, spaces, found, comment=comment))
    for line in sentences(seeds, spaces, found):
        logger.info("%s", line)
    logger.info("Wrote %s, and the distances as %s.", to, notes)


def search(
    trained: TrainedRun, generated: np.ndarray, reals: np.ndarray, *, k: int
) -> tuple[list[nearest.Space], list[nearest.NearestImages]]:
    """Finds the `k` images of `reals`, uint8 [N, H, W, C], nearest to each of `generated`."""
    spaces = [nearest.pixel_space(trained.shape), nearest.feature_space(trained.features())]
    with Bar("searching", len(reals)) as bar:
        found = nearest.find(generated, reals, spaces, k=k, flip=trained.flips, progress=bar.update)
    return spaces, found


def format_distance(distance: float) -> str:
    return f"{distance:.3g}" if distance >= 1e-3 else "0"


def _require(count: int, options: Neighbours) -> None:
    if count < max(options.k, 2):
        raise UserError(
            f"The run has {count} training images, fewer than the {max(options.k, 2)} that --k "
            f"{options.k} needs: use a smaller --k, or a run on more images."
        )


def _draw(
    generated: np.ndarray, seeds: list[int], reals: np.ndarray, spaces, found, *, comment: str
) -> bytes:
    """Draws each generated image and its neighbours in each space, as a PNG file."""
    titles = ["generated", *(f"training images nearest in {space.name}" for space in spaces)]
    blocks = [_block(generated[:, np.newaxis], [[f"seed {seed}"] for seed in seeds])]
    for near in found:
        pictures = np.stack([reals[rows] for rows in near.rows])
        pictures[near.mirrored] = pictures[near.mirrored][:, :, ::-1]
        blocks.append(_block(pictures, [map(format_distance, row) for row in near.distances]))
    rows = [[Cell(caption=title) for title in titles], [Cell(block) for block in blocks]]
    return images.png_bytes(labelled_grid(rows, gap=BLOCK_GAP), comment=comment)


def _block(pictures: np.ndarray, captions: list) -> np.ndarray:
    """Draws rows of pictures, uint8 [Q, k, H, W, C], each over its caption."""
    scale = images.natural_scale(*pictures.shape[2:4])
    return labelled_grid(
        [
            [Cell(*one) for one in zip(images.enlarge(row, scale), texts, strict=True)]
            for row, texts in zip(pictures, captions, strict=True)
        ]
    )


def _json(trained: TrainedRun, seeds, used: np.ndarray, spaces, found) -> bytes:
    value = {
        "made": f"{provenance.MARK}: neighbours",
        "run": trained.name,
        "step": trained.step,
        "training_images": len(used),
        "mirrored_too": trained.flips,
        "spaces": {
            space.name: {
                "distance": space.unit,
                "usual": near.usual,
                "suspects": [seeds[i] for i in near.suspects()],
            }
            for space, near in zip(spaces, found, strict=True)
        },
        "images": [
            {"seed": seed}
            | {s.name: _nearest(n, i, used) for s, n in zip(spaces, found, strict=True)}
            for i, seed in enumerate(seeds)
        ],
    }
    return (json.dumps(value, indent=2) + "\n").encode()


def _nearest(found: nearest.NearestImages, i: int, used: np.ndarray) -> dict:
    """Describes one image's neighbours; "image" is a training image's index in the data set."""
    return {
        "relative": float(found.relative[i]),
        "nearest": [
            {"image": int(used[row]), "mirrored": bool(mirrored), "distance": float(distance)}
            for row, mirrored, distance in zip(
                found.rows[i], found.mirrored[i], found.distances[i], strict=True
            )
        ],
    }


def sentences(
    seeds: list[int], spaces: list[nearest.Space], found: list[nearest.NearestImages]
) -> list[str]:
    """Says what the distances tell about memorising, one line per space, and how to read them."""
    lines = []
    for space, near in zip(spaces, found, strict=True):
        unit = " levels" if space.name == "pixels" else ""
        suspects = [str(seeds[i]) for i in near.suspects()]
        which = f": seeds {', '.join(suspects)}" if suspects else ""
        lines.append(
            f"In {space.name}: the nearest training image is {np.median(near.distances[:, 0]):.3g}"
            f"{unit} away (median; {near.usual:.3g}{unit} between training images); "
            f"{len(suspects)} of {len(seeds)} may be copies{which}."
        )
    return [
        *lines,
        "An image may be a copy if its nearest training image is much nearer than the next ones "
        f"(under {nearest.COPY:g} of the mean distance of the {nearest.CROWD} nearest).",
    ]
