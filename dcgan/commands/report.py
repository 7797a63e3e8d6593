"""`python main.py report`: one HTML file that shows what a run has learnt.

It only reads the run folder, apart from writing the report, and works while training goes on.
"""

import datetime
import logging
from pathlib import Path

import numpy as np

from dcgan import UserError
from dcgan.cli.run_options import Report
from dcgan.cli.train_options import FIELDS
from dcgan.commands.neighbours import format_distance, search, sentences
from dcgan.commands.open_run import open_run
from dcgan.evaluation import nearest
from dcgan.files import read_json
from dcgan.latent import paths
from dcgan.latent.seeds import parse_seeds
from dcgan.outputs import provenance
from dcgan.outputs.plots import read_metrics
from dcgan.outputs.report.contents import (
    CheckpointSummary,
    Contents,
    CopySearch,
    Health,
    Lookalike,
    Match,
    Option,
    Walk,
)
from dcgan.outputs.report.page import render
from dcgan.run.run_dir import RunDir
from dcgan.run.trained_run import TrainedRun
from dcgan.training.health import COLLAPSED_DIVERSITY, START_STEPS, SUSTAINED_STEPS, HealthMonitor

MAX_SEEDS = 1000
GRID_IMAGES = 64  # generated images in the grid
WALKS, FRAMES = 5, 9  # rows, and images in each
CLOSEST, NEIGHBOURS = 6, 4  # generated images shown with their neighbours, and how many of these
MAX_SEARCHED = 60_000  # training images: a minute or two for small ones on two cores

logger = logging.getLogger("dcgan")


def run(options: Report) -> None:
    seeds = parse_seeds(options.seeds, flag="--seeds", at_least=2, at_most=MAX_SEEDS)
    trained = open_run(options)
    run_dir = trained.run
    to = Path(options.to) if options.to else run_dir.root / "report.html"
    provenance.refuse_foreign(to, ".html", ".htm")
    config = read_json(run_dir.config)
    reals, copies = _search_copies(trained, seeds)
    contents = Contents(
        dataset=run_dir.dataset_name(config.get("dataset")),
        folder=str(run_dir.root),
        made=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        training_images=reals,
        model=model_of(trained, seeds[:GRID_IMAGES]),
        options=options_of(config),
        health=_health(run_dir, config),
        walks=_walks(trained, seeds[: WALKS + 1]),
        method=paths.natural_method(trained.z_dist),
        copy_search=copies,
    )
    page = render(run_dir, contents)
    provenance.write(to, page)
    logger.info("Wrote %s (%.1f MB): open it in a browser.", to, len(page) / 1e6)


def model_of(trained: TrainedRun, seeds: list[int]) -> CheckpointSummary:
    """Describes a checkpoint for a page: its images of some seeds, and the size of its networks."""
    arrays = trained.checkpoint.arrays
    return CheckpointSummary(
        step=trained.step,
        shape=trained.shape,
        generator_weights=sum(a.size for a in trained.checkpoint.generator_arrays().values()),
        discriminator_weights=sum(
            array.size for name, array in arrays.items() if name.startswith("discriminator/")
        ),
        seeds=seeds,
        samples=trained.sample(seeds),
    )


def options_of(config: dict) -> list[Option]:
    """Returns the recorded options; those that this version does not know come last."""
    known = [
        Option(name, config[name], field.default, field.metadata["help"], field.metadata["group"])
        for name, field in FIELDS.items()
        if name in config
    ]
    return known + [Option(n, value, None) for n, value in config.items() if n not in FIELDS]


def _health(run_dir: RunDir, config: dict) -> Health:
    """Judges all numbers again, as training does, since its log may be missing."""
    rate = config.get("learning_rate")
    monitor = HealthMonitor(
        config.get("real_label", FIELDS["real_label"].default),
        learning_rate=rate if isinstance(rate, float) else None,
        augment=config.get("augment"),
    )
    messages = monitor.replay(read_metrics(run_dir.metrics))
    told = [(message.kind, message.text, message.advice) for message in messages]
    judged_from = START_STEPS + SUSTAINED_STEPS
    return Health(told, judged_from, COLLAPSED_DIVERSITY, monitor.trouble, monitor.summary)


def _walks(trained: TrainedRun, seeds: list[int]) -> list[Walk]:
    method, leg = paths.natural_method(trained.z_dist), FRAMES - 1
    frames = trained.walk(trained.points(seeds), leg, method=method)
    ends = zip(seeds[:-1], seeds[1:], strict=True)
    return [Walk(*both, frames[i * leg : (i + 1) * leg + 1]) for i, both in enumerate(ends)]


def _search_copies(trained: TrainedRun, seeds: list[int]) -> tuple[int | None, CopySearch | str]:
    """Returns the number of training images, and the search for copies of them.

    The number is None without data, or if these are not what the run has learnt from. Without a
    search, the reason is returned in its place.
    """
    try:
        prepared = trained.reals()
    except UserError as error:
        return None, str(error)
    every = -(-len(prepared.images) // MAX_SEARCHED)
    reals, numbers = prepared.images[::every], prepared.used[::every]
    if len(reals) < NEIGHBOURS:
        return len(reals), f"The run learns from {len(reals)} images only."
    generated = trained.sample(seeds)
    spaces, found = search(trained, generated, reals, k=NEIGHBOURS)
    suspects = sorted({int(row) for near in found for row in near.suspects()})
    # The most suspicious first: those whose nearest image is far nearer than the next ones.
    order = np.min([near.relative for near in found], axis=0).argsort(kind="stable")[:CLOSEST]
    near = [
        [
            (space.name, _matches(one, row, reals, numbers))
            for space, one in zip(spaces, found, strict=True)
        ]
        for row in order
    ]
    remark = trained.remark_on(prepared)
    return None if remark else len(prepared.images), CopySearch(
        searched=len(reals),
        training_images=len(prepared.images),
        seeds=len(seeds),
        suspects=[seeds[row] for row in suspects],
        sentences=sentences(seeds, spaces, found),
        closest=[
            Lookalike(seeds[row], generated[row], of_row)
            for row, of_row in zip(order, near, strict=True)
        ],
        remark=remark,
    )


def _matches(
    found: nearest.NearestImages, query: int, reals: np.ndarray, numbers: np.ndarray
) -> list[Match]:
    return [
        Match(
            int(numbers[row]),
            reals[row][:, ::-1] if mirrored else reals[row],
            bool(mirrored),
            format_distance(distance),
        )
        for row, mirrored, distance in zip(
            found.rows[query], found.mirrored[query], found.distances[query], strict=True
        )
    ]
