"""`python main.py features`: classifies by the discriminator's features and a few labels."""

import logging
import time
from collections.abc import Sequence

import numpy as np

from dcgan import UserError
from dcgan.cli.run_options import Features
from dcgan.commands.open_run import open_run
from dcgan.datasets import parts
from dcgan.datasets.prepare import PreparedData
from dcgan.datasets.source import Source
from dcgan.evaluation import cache, linear_probe
from dcgan.evaluation.kept_results import is_accuracies
from dcgan.evaluation.linear_probe import Images, ProbeResult
from dcgan.evaluation.protocol import newest, write
from dcgan.outputs.evaluation_curve import draw_evaluations
from dcgan.run.trained_run import TrainedRun

# What the linear SVM is fitted on: the name in the record, and in words.
KINDS = {
    "discriminator": "the discriminator",
    "untrained": "the same, untrained",
    "pixels": "raw pixels",
}

logger = logging.getLogger("dcgan")


def run(options: Features) -> None:
    """Fits and scores the SVMs, records the results, and prints how the features compare."""
    trained = open_run(options)
    run_dir = trained.run
    own = options.splits is None
    if not own:
        _require_other(trained, options)
    labelling, names = _choose_labelling(options.labels, trained.source())
    learnt = trained.reals()
    asked = learnt if own else trained.read_part(options.splits)
    known = _label(learnt, labelling, names)
    tested = known if own else _label(asked, labelling, names)
    trials = linear_probe.draw_trials(
        known.labels,
        names,
        labels_per_class=options.labels_per_class,
        repeats=options.repeats,
        among=None if own else len(tested.labels),
        at_most=options.num_images,
        seed=options.seed,
    )
    what = _describe_measurement(options, trained, labelling, len(names)) | {
        "test_count": trials.count,
        "data": [cache.data_fingerprint(part.images) for part in (learnt, asked)],
    }
    path = run_dir.evaluation / f"features-{options.labels_per_class}.jsonl"
    record = None if options.again else newest(path, what, fits=is_accuracies)
    is_new = record is None
    if is_new:
        start = time.monotonic()
        network = trained.checkpoint.discriminator()
        fresh = linear_probe.make_untrained(network, known.pixels, seed=options.seed)
        kinds = {
            "discriminator": linear_probe.pooled_features(network),
            "untrained": linear_probe.pooled_features(fresh),
            "pixels": linear_probe.pixels,
        }
        results = linear_probe.compare(kinds, known, tested, trials, seed=options.seed)
        found = {"step": trained.step, "epoch": trained.epoch} | _flatten(results)
        record = write(path, what, found, time.monotonic() - start)
    for line in table(record):
        logger.info("%s", line)
    if trained.table:
        logger.warning(
            "The run was trained with --conditional: its discriminator knows the labels of all "
            "images that it learnt from, so this does not say what it has learnt without labels."
        )
    if is_new or not run_dir.evaluation_curve.exists():
        draw_evaluations(run_dir.evaluation, run_dir.evaluation_curve, title=trained.name)
        logger.info("\nWrote %s%s.", f"{path} and " * is_new, run_dir.evaluation_curve)
    if not is_new:
        logger.info("\nMeasured before (%s); --again measures again.", path)


def _require_other(trained: TrainedRun, options: Features) -> None:
    """Refuses a part of the data set that the run learns from."""
    learnt, asked = (
        {parts.part_of(word) for word in words.split(",")}
        for words in (trained.splits, options.splits)
    )
    if learnt & asked:
        raise UserError(
            f"The run learns from {trained.splits}, so --splits {options.splits} would classify "
            "images that it has learnt from: leave it out to use only others, or name another."
        )


def _choose_labelling(asked: str | None, source: Source) -> tuple[str, tuple[str, ...]]:
    """Returns the labels to classify by, and the names of their classes."""
    there = [name for name, one in source.labels.items() if len(one.names) > 1]
    if not there:
        raise UserError(
            f"{source.name} has no labels, without which nothing can be classified: "
            "expected mnist, svhn or another data set with labels, or a folder with one folder of "
            "pictures a class."
        )
    if asked is not None and asked not in there:
        raise UserError(
            f"--labels must be one of {', '.join(there)} for this data set; received {asked!r}."
        )
    name = asked or there[0]
    if asked is None and len(there) > 1:
        logger.info("Using the first of the labels %s.", ", ".join(there))
    return name, source.labels[name].names


def _label(part: PreparedData, labelling: str, names: Sequence[str]) -> Images:
    """Labels the images of a part by places in `names`; by -1, which is never right, if not there.

    A part in which a class does not occur may number its classes in another way.
    """
    if labelling not in part.labels:
        raise UserError(
            f"Not every picture has a label {labelling!r}: expected a class for each; give the "
            "others one, take them away, or name other labels with --labels."
        )
    labels = part.labels[labelling]
    places = [names.index(name) if name in names else -1 for name in labels.names]
    return Images(part.images, np.array(places)[labels.values])


def _describe_measurement(
    options: Features, trained: TrainedRun, labelling: str, classes: int
) -> dict:
    """Returns what is measured and how, as fields of the record, by which old ones are found."""
    return {
        "metric": "features",
        "version": linear_probe.VERSION,
        "generator": trained.fingerprint,
        "extractor": "discriminator",
        "labelling": labelling,
        "classes": classes,
        "labels_per_class": options.labels_per_class,
        "repeats": options.repeats,
        "split": options.splits or f"the rest of {trained.splits}",
        "seed": options.seed,
    }


def _flatten(results: dict[str, ProbeResult]) -> dict:
    """Makes a record of the results: the discriminator's on top, the others under their names."""
    flat = {
        kind: {name: getattr(found.accuracy, name) for name in ("value", "low", "high", "interval")}
        | {"dimensions": found.dimensions, "penalties": list(found.penalties)}
        for kind, found in results.items()
    }
    return flat.pop("discriminator") | {"better": "higher"} | flat


def table(record: dict) -> list[str]:
    """Formats the record as lines of text."""
    count = record["labels_per_class"] * record["classes"]
    lines = [
        f"{record['labelling']}: {count:,} labelled images ({record['labels_per_class']} of each "
        f"of {record['classes']} classes), {record['repeats']} times, then "
        f"{record['test_count']:,} images of {record['split']} classified.",
        "",
        f"{'linear SVM on':20} {'features':>9} {'accuracy':>9}   95 % interval",
    ]
    for kind, words in KINDS.items():
        found = record if kind == "discriminator" else record[kind]
        lines.append(
            f"{words:20} {found['dimensions']:9,} {found['value']:9.2%}   "
            f"{found['low']:.2%} to {found['high']:.2%}"
        )
    best = max((record["untrained"], record["pixels"]), key=lambda found: found["value"])
    more = 100 * (record["value"] - best["value"])
    return [*lines, "", f"Training has brought {more:+.1f} points over the better of the others."]
