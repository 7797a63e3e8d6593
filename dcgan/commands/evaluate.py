"""`python main.py evaluate`: how good a run's generated images are, in numbers."""

import logging
import textwrap
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from dcgan import UserError
from dcgan.cli.run_options import Evaluate
from dcgan.commands.open_run import open_run
from dcgan.datasets.prepare import PreparedData
from dcgan.datasets.source import Labels
from dcgan.evaluation import evaluator, extractors
from dcgan.evaluation.evaluator import Candidate, Evaluator, as_generator
from dcgan.evaluation.metrics import CLASSES, FACES, METRICS
from dcgan.evaluation.network_file import InputOptions
from dcgan.evaluation.protocol import Protocol
from dcgan.evaluation.reals import Reals, choose_reals
from dcgan.evaluation.unseen import copies
from dcgan.outputs.evaluation_curve import draw_evaluations
from dcgan.outputs.report import judgement
from dcgan.run.trained_run import TrainedRun

WIDTH = 100  # columns of printed text
CLASSES_SHOWN = 20

logger = logging.getLogger("dcgan")


def run(options: Evaluate) -> None:
    """Measures what was not measured before, prints all that was asked for, and draws the curve."""
    trained = open_run(options)
    run_dir = trained.run
    split = options.splits or trained.choose_held_out()
    pictures = _pictures(options, trained)
    count = min(options.num_images, len(pictures)) if options.images else options.num_images
    _require(options, trained, split, count)
    learnt = trained.reals()
    compared = learnt if split == trained.splits else trained.read_part(split)
    name, metrics = _choose_measures(options, learnt.labels, len(learnt.images))
    reals = choose_reals(
        compared,
        count,
        learnt=extractors.find_learnt(name, learnt, seed=evaluator.SEED),
        split=split,
        seed=options.seed,
    )
    evaluator.require(metrics, name, learnt.labels, real=reals.count, generated=count)
    if reals.count < count:
        logger.info(
            "There are %s real images of %s%s, fewer than %s: all are taken.",
            f"{reals.count:,}",
            reals.split,
            f" that the {name} has not learnt from" if reals.unseen else "",
            "the pictures" if options.images else f"--num_images {count:,}",
        )
    finder = None
    if FACES in metrics:
        finder = _finder(options.cascade, reals, trained.cache_dir)
    side = options.extractor_size
    size = (side, side) if side else None
    looks = InputOptions(size, options.extractor_range, options.extractor_layout)
    judge = Evaluator(
        extractors.make(
            name, learnt, cache_dir=trained.cache_dir, seed=evaluator.SEED, looks=looks
        ),
        reals,
        count=count,
        seed=options.seed,
        cache_dir=trained.cache_dir,
        finder=finder,
    )
    if options.images:
        _warn_of_copies(options.images, pictures, learnt, compared)
        generated = as_generator(pictures, count, seed=options.seed)
        folder = run_dir.evaluation / "images"  # apart from the records of the run itself
    else:
        generated = Candidate(
            trained.sample,
            trained.fingerprint,
            trained.step,
            trained.epoch,
            trained.table.class_names if trained.table else None,
        )
        folder = run_dir.evaluation
    records = judge.evaluate((*metrics, CLASSES), generated, folder, again=options.again)
    epoch = f", epoch {trained.epoch:.4g}" if trained.epoch is not None else ""
    _print_table(options.images or f"{run_dir.root}, step {trained.step}{epoch}", records)
    _explain_measuring(judge, records, folder, options.images)
    if not options.images and (judge.measured or not run_dir.evaluation_curve.exists()):
        draw_evaluations(folder, run_dir.evaluation_curve, title=trained.name)
        logger.info("Wrote %s.", run_dir.evaluation_curve)


def _pictures(options: Evaluate, trained: TrainedRun) -> np.ndarray | None:
    """Reads the pictures that --images names, at the size of the run's images."""
    if not options.images:
        return None
    if options.checkpoint != "newest":
        raise UserError(
            f"--checkpoint {options.checkpoint} names what makes samples, and --images measures "
            "pictures in place of samples: use only one of them."
        )
    try:
        prepared = trained.read_pictures(options.images)
    except UserError as error:
        raise UserError(f"There are no pictures for --images {options.images}: {error}") from error
    for line in prepared.report.sentences():
        logger.info("%s", line)
    return prepared.images


def _warn_of_copies(
    place: str, pictures: np.ndarray, learnt: PreparedData, compared: PreparedData
) -> None:
    others = () if compared is learnt else (compared.images,)
    if found := copies(pictures, learnt.images, *others):
        logger.warning(
            "%s of the %s pictures of %s are real images of the data set: figures of copies say "
            "nothing about new images.",
            f"{found:,}",
            f"{len(pictures):,}",
            place,
        )


def _finder(cascade: str | None, reals: Reals, cache_dir: Path):
    """Chooses the cascade that finds faces, and logs its name."""
    from dcgan.evaluation import face_share  # OpenCV takes a while to load

    images = reals.images[np.sort(reals.rows[: face_share.LOOKED_AT])]
    found = face_share.choose(images, cascade=cascade, cache_dir=cache_dir)
    logger.info("Finding faces with the cascade %s.", found.name)
    return found


def _require(options: Evaluate, trained: TrainedRun, split: str, count: int) -> None:
    """Refuses what cannot be measured with `count` images, before a real one is decoded."""
    source = trained.source()
    learnt = compared = trained.count()
    if split != trained.splits:
        compared = len(trained.read_part(split, trained.source))
    name, metrics = _choose_measures(options, source.labels, learnt)
    extractors.require(name, source.labels, learnt)
    real = min(compared, count)
    evaluator.require(metrics, name, source.labels, real=real, generated=count)
    extractors.fetch(name, cache_dir=trained.cache_dir)


def _choose_measures(
    options: Evaluate, labels: Mapping[str, Labels], count: int
) -> tuple[str, tuple[str, ...]]:
    """Returns the extractor and the metrics that were asked for, else those that suit the data."""
    asked = tuple(dict.fromkeys(options.metrics.split(","))) if options.metrics else ()
    name = options.extractor or evaluator.default_extractor(labels, count, asked or METRICS)
    return name, asked or evaluator.possible_metrics(name, labels)


def _print_table(what: str, records: list[dict]) -> None:
    logger.info("\n%s:\n", what)
    lines = table([record for record in records if record["metric"] != CLASSES])
    found = judgement.judge(records)
    for sentence in [*explain_floors(records), *([found.text] if found else [])]:
        lines += textwrap.wrap(sentence, WIDTH)
    for record in records:
        if record["metric"] == CLASSES:
            lines += ["", *histogram(record)]
    for line in lines:
        logger.info("%s", line)


def _explain_measuring(
    judge: Evaluator, records: list[dict], folder: Path, images: str | None
) -> None:
    """Logs how the numbers were measured, and which files hold them."""
    seen: dict[Protocol, dict[str, bool]] = {}
    for metric in dict.fromkeys(record["metric"] for record in records):
        protocol = judge.protocol(metric)
        seen.setdefault(protocol, {})[protocol.file_name(metric)] = metric in judge.measured
    for protocol, files in seen.items():
        logger.info("\nProtocol: %s", protocol.sentence(images))
        if new := [file for file, is_new in files.items() if is_new]:
            logger.info("Wrote %s in %s.", ", ".join(new), folder)
        if old := [file for file, is_new in files.items() if not is_new]:
            logger.info(
                "Measured before (%s in %s); --again measures again.", ", ".join(old), folder
            )


def table(records: list[dict]) -> list[str]:
    """Formats one line per metric: value, interval, floor, and which way is better."""
    head = f"{'metric':10} {'value':>10}   {'95 % interval':22} {'floor':>18}   better"
    lines = [head] if records else []
    for record in records:
        low, high = record["low"], record["high"]
        interval = "" if low is None else f"{low:.4g} to {high:.4g}"
        parts = ", ".join(f"{name} {value:.4g}" for name, value in record.get("parts", {}).items())
        lines.append(
            f"{record['metric']:10} {record['value']:10.4g}   {interval:22} "
            f"{_floor(record['floor']):>18}   {record['better']}{f' ({parts})' if parts else ''}"
        )
    return lines


def _floor(floor: dict | None) -> str:
    if floor is None:
        return "-"
    return f"{floor['value']:.4g}{' (reals)' if floor['of'] == 'reals' else ''}"


def explain_floors(records: list[dict]) -> list[str]:
    """Says what floors compare, and how near to them a perfect generator would score."""
    records = [record for record in records if "floor" in record]
    found = {r["floor"]["of"]: (r, r["floor"]["count"]) for r in records if r["floor"]}
    lines = []
    if "halves" in found:
        record, count = found["halves"]
        lines.append(
            f"Floor: {count:,} real images compared with {count:,} others in the same way; a "
            "perfect generator scores about that."
        )
        if count < max(record["real_count"], record["generated_count"]):
            lines.append(
                f"These are fewer than the figures compare ({record['generated_count']:,} "
                f"generated images with {record['real_count']:,} real ones), and FID and SWD are "
                "larger for fewer images: a perfect generator would score below their floors."
            )
    if "reals" in found:
        lines.append(f"Floor (reals): the score of {found['reals'][1]:,} real images themselves.")
    if any(record["floor"] is None for record in records):
        lines.append("No floor: two halves of the real images would be fewer than a metric needs.")
    return lines


def histogram(record: dict) -> list[str]:
    """Formats how often each class occurs among real and generated images, and explains it."""
    rows = list(zip(record["names"], record["real"], record["generated"], strict=True))
    shown = sorted(rows, key=lambda row: -abs(row[2] - row[1]))[:CLASSES_SHOWN]
    kept = [row for row in rows if row in shown]
    more = f", the {len(kept)} that differ most of {len(rows)}" if len(kept) < len(rows) else ""
    width = max(len(record["labelling"]), *(len(name) for name, _, _ in kept))
    lines = [f"{record['labelling']:{width}} {'real':>9} {'generated':>10}{more}"]
    lines += [f"{name:{width}} {real:9.1%} {drawn:10.1%}" for name, real, drawn in kept]
    accuracy, asked = record["accuracy"], record.get("asked")
    right = f", which is right on {accuracy:.1%} of held-out real images," if accuracy else ""
    notes = (
        f"{record['total_variation']:.1%} of the generated images are of other classes than they "
        f"should be ({record['by_chance']:.1%} by chance alone; of real ones "
        f"{record['real_total_variation']:.1%}). Entropy {record['entropy']:.2f} of "
        f"{record['true_entropy']:.2f} bits. The classifier{right} is sure of {record['sure']:.1%} "
        f"(of real ones {record['real_sure']:.1%})."
    )
    if asked:  # of a generator by class
        notes += (
            f" It sees the class asked for in {asked['value']:.1%} (95 % interval "
            f"{asked['low']:.1%} to {asked['high']:.1%})."
        )
    return lines + textwrap.wrap(notes, WIDTH)
