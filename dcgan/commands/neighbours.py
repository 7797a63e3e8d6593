"""`python main.py neighbours`: the training images nearest to generated ones."""

import json
import logging
from pathlib import Path

import numpy as np

from dcgan import UserError
from dcgan.cli.run_options import Neighbours
from dcgan.commands.open_run import open_run
from dcgan.evaluation import nearest
from dcgan.latent.seeds import parse_seeds
from dcgan.outputs import provenance
from dcgan.outputs.neighbour_rows import NeighbourColumn, draw_rows
from dcgan.run.trained_run import TrainedRun
from dcgan.terminal.progress import Bar

MOST = 100  # rows of the picture

logger = logging.getLogger("dcgan")


def run(options: Neighbours) -> int:
    """Searches, draws, writes the distances, and says what they mean."""
    seeds = parse_seeds(options.seeds, flag="--seeds", at_most=MOST)
    trained = open_run(options)
    to = Path(options.to) if options.to else trained.run.root / "generated" / "neighbours.png"
    notes = to.with_suffix(".json")
    provenance.refuse_foreign(to, ".png")
    provenance.refuse_foreign(notes, ".json")
    _require(trained.count(trained.source(options.data_dir)), options)
    prepared = trained.reals(options.data_dir)
    reals = prepared.images
    _require(len(reals), options)
    generated = trained.sample(seeds)
    spaces, found = search(trained, generated, reals, k=options.k)
    comment = provenance.mark(
        f"neighbours --seeds {options.seeds}, {trained.name}, step {trained.step}"
    )
    columns = [_column(s, n, reals) for s, n in zip(spaces, found, strict=True)]
    provenance.write(notes, _json(trained, seeds, prepared.used, spaces, found))
    provenance.write(to, draw_rows(generated, seeds, columns, comment=comment))
    for line in sentences(seeds, spaces, found):
        logger.info("%s", line)
    logger.info("Wrote %s, and the distances as %s.", to, notes)
    return 0


def search(
    trained: TrainedRun, generated: np.ndarray, reals: np.ndarray, *, k: int
) -> tuple[list[nearest.Space], list[nearest.NearestImages]]:
    """The `k` images of uint8 [N, height, width, channels] nearest to each of `generated`."""
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
            f"{options.k} needs: give a smaller --k, or a run on more images."
        )


def _column(
    space: nearest.Space, found: nearest.NearestImages, reals: np.ndarray
) -> NeighbourColumn:
    """The images themselves, mirrored where that is nearer."""
    pictures = np.stack([reals[rows] for rows in found.rows])
    pictures[found.mirrored] = pictures[found.mirrored][:, :, ::-1]
    captions = [list(map(format_distance, row)) for row in found.distances]
    return NeighbourColumn(f"training images nearest in {space.name}", pictures, captions)


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
    """The neighbours of one image; "image" is a training image's number in the data set."""
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
    """What the distances say about memorising, a line a space and one on how to read them."""
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
        "Memorising would be an image whose nearest training image is the same picture, far nearer "
        f"than the others near it (under {nearest.COPY:g} of the mean distance of the "
        f"{nearest.CROWD} nearest).",
    ]
