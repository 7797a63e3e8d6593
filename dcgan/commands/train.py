"""`python main.py train`: trains a DCGAN, or continues the run in its folder."""

import contextlib
import functools
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import tensorflow as tf

from dcgan import UserError
from dcgan.benchmarks.estimate import estimate
from dcgan.benchmarks.steps import bare_spec
from dcgan.cli import undecided
from dcgan.cli.option import ENDLESS, parse_seconds
from dcgan.cli.recorded import differences, run_name, to_dict
from dcgan.cli.train_options import FIELDS, Config
from dcgan.datasets import catalog, label_columns
from dcgan.datasets.cache_folder import cache_folder, known_folder
from dcgan.datasets.prepare import PreparedData, look, prepare, summarize
from dcgan.datasets.source import ImageSpec, Source, Summary
from dcgan.distributed.cluster import find_cluster
from dcgan.distributed.devices import make_strategy, native_precision, on_gpu
from dcgan.distributed.workers import Workers
from dcgan.evaluation import periodic
from dcgan.files import read_json, remove_temporaries
from dcgan.models import summary as network_summary
from dcgan.run.checkpoint import Checkpointer
from dcgan.run.run_dir import RunDir
from dcgan.terminal import console
from dcgan.training.by_class import TrainingLabels
from dcgan.training.trainer import Trainer, make_networks

# The options that say which images a run learns from.
DATASET_OPTIONS = ("dataset", "input_fname_pattern", "splits")
# The options that can be compared only when the data set has been opened.
SOURCE_OPTIONS = (*DATASET_OPTIONS, "train_size", "channels")

# Names of the classes to learn, by label column.
Columns = Mapping[str, tuple[str, ...]]

logger = logging.getLogger("dcgan")


def run(config: Config) -> int:
    """Starts a run, or continues it from its newest checkpoint."""
    if not config.train:
        raise UserError("--train false leaves nothing to do; leave the flag out to train.")
    try:
        workers = _gather(config)
        config = undecided.choose_batch(config, gpu=on_gpu())
        with workers.translate_errors():
            return _train(config, workers) if workers.is_chief else _follow(config, workers)
    except tf.errors.ResourceExhaustedError as error:
        raise UserError(
            f"There is not enough memory for --batch_size {config.batch_size} at "
            f"{config.output_height}x{config.output_width}; use a smaller --batch_size."
        ) from error


def _gather(config: Config) -> Workers:
    """Connects to the other workers, if there are any; a dry run needs none, and no devices."""
    if config.dry_run:
        return Workers()
    cluster = find_cluster(config.strategy, os.environ)
    if cluster is None:
        return Workers(strategy=make_strategy(config.strategy))
    logger.info("Worker %d of %d is waiting for the others.", cluster.rank, len(cluster.addresses))
    # First of all, as TensorFlow refuses to connect once it has been used.
    return Workers.join(cluster, limit_seconds=config.worker_wait)


def _train(config: Config, workers: Workers) -> int:
    """Resolves the options that depend on data and device, and trains.

    Options are refused as early as possible: before the data set is opened, then before any picture
    is decoded.
    """
    if config.run_dir and not config.dry_run:  # what is undecided will be as in the run
        alike = (*SOURCE_OPTIONS, *config.undecided)
        _refuse_other_config(config, RunDir(Path(config.run_dir)), alike=alike)
    if "batch_size" not in config.undecided:
        _require_shares(config, workers)
    config, source, summary, columns = _look_at_data(config, _keep_recorded_choices)
    native = {"gpu": on_gpu(), "precision": native_precision()}
    config, chosen = undecided.decide(config, _count(config, source), **native)
    _require_shares(config, workers)
    if config.dry_run:
        return _dry_run(config, chosen, source, summary, columns)
    prepared = _prepare_once(config, source)
    run_dir = RunDir(Path(config.run_dir))
    made = run_dir.create()
    with run_dir.lock(), _log_file(run_dir.log):
        try:
            alike = _find_alike(config, run_dir, source, prepared)
            _refuse_other_config(config, run_dir, alike=alike)
            for folder in (run_dir.root, run_dir.samples):  # the checkpointer cleans its own folder
                remove_temporaries(folder)
            is_unused = made and config.preset in ("best", "fast") and not config.conditional
            hint = label_columns.hint(source) if is_unused else ""
            for sentence in filter(None, (chosen, hint)):
                logger.info("%s", sentence)
            workers.broadcast_json(to_dict(config))
            return _make_trainer(config, run_dir, prepared, workers, columns).run()
        finally:
            if made:
                run_dir.remove_if_unused()


def _follow(config: Config, workers: Workers) -> int:
    """Trains as a worker that is not the chief, with the chief's options."""
    _require_shares(config, workers)
    take = functools.partial(_take_chiefs_options, workers=workers)
    config, source, _, columns = _look_at_data(config, take)
    prepared, run_dir = _prepare_once(config, source), RunDir(Path(config.run_dir))
    return _make_trainer(config, run_dir, prepared, workers, columns).run()


def _look_at_data(
    config: Config, take_choices: Callable[[Config], Config]
) -> tuple[Config, Source, Summary, Columns]:
    """Opens the data set and chooses the labels to learn, without decoding pictures.

    The options are returned with channels and run folder, which follow from the data set, then with
    the choices that `take_choices` takes over from the run, and whether labels are learnt.

    Raises UserError if the data set is not found or too small to train on.
    """
    source = catalog.find(
        config.dataset,
        config.data_dir,
        pattern=config.input_fname_pattern,
        splits=config.splits.split(","),
        download=not config.dry_run,
        sheets=config.conditional,
    )
    labels = label_columns.choose(source, config.label_columns) if config.conditional else {}
    if not config.dry_run:  # a dry run shows even what would be refused, and downloads nothing
        _require_data(config, source)
    cache_dir = None if config.dry_run else cache_folder(config.cache_dir)
    summary = summarize(source, cache_dir=cache_dir)
    config = replace(config, channels=config.channels or summary.channels)
    config = replace(config, run_dir=config.run_dir or str(Path("runs") / run_name(config)))
    config = take_choices(config)
    if not config.dry_run:
        require_a_step(config, _count(config, source))
    if not config.conditional:
        return config, source, summary, {}
    rows = label_columns.usable(source, summary, config.train_size)
    if problem := label_columns.problem(labels, rows, names=getattr(source, "names", ())):
        if "conditional" not in config.undecided:
            raise UserError(problem)
        logger.info("Trains without labels, which --preset %s has: %s", config.preset, problem)
        return replace(config, conditional=False), source, summary, {}
    return config, source, summary, {name: one.names for name, one in labels.items()}


def _require_shares(config: Config, workers: Workers) -> None:
    """Refuses a batch size that the devices cannot divide evenly."""
    devices = workers.strategy.num_replicas_in_sync if workers.strategy else 1
    if config.batch_size % devices:
        raise UserError(
            f"--batch_size {config.batch_size} cannot be shared by {devices} devices; use a "
            "multiple of that number."
        )


def _require_data(config: Config, source: Source) -> None:
    """Refuses a data set that is too small even if all of its pictures can be used."""
    count = _count(config, source)
    if "batch_size" not in config.undecided:
        require_a_step(config, count)
    if config.evaluate_freq:
        periodic.require(
            source.labels,
            count,
            config.evaluate_metric,
            extractor=config.evaluate_extractor,
            cache_dir=cache_folder(config.cache_dir),
        )


def _count(config: Config, source: Source) -> int:
    """Returns the number of pictures to use, if all of them can be used."""
    return min(len(source), config.train_size or len(source))


def require_a_step(config: Config, num_images: int, skipped: int = 0) -> None:
    """Refuses data that do not suffice for one step, and suggests a batch size."""
    needed = config.batch_size * config.d_steps
    if num_images >= needed:
        return
    fitting = max(2, num_images // (2 * config.d_steps))
    enough = num_images >= fitting * config.d_steps
    advice = f"use --batch_size {fitting}, or add images" if enough else "add images"
    left_out = f" ({skipped} more were skipped)" if skipped else ""
    raise UserError(
        f"There are {num_images} images{left_out}, fewer than the {needed} of a step (a batch of "
        f"{config.batch_size} for each discriminator update); {advice}."
    )


def _take_chiefs_options(config: Config, workers: Workers) -> Config:
    """Returns the chief's options, with this worker's own folders.

    Raises UserError if this worker was started with other options.
    """
    told = workers.broadcast_json()
    config = undecided.keep_recorded(config, told)
    alike = ("dataset",) if _place(told) == _place(to_dict(config)) is not None else ()
    if lines := differences(config, told, there="on worker 0", alike=alike):
        raise UserError(
            f"Worker {workers.rank} was started with other options than worker 0 "
            f"({'; '.join(lines)}); give all workers the same command."
        )
    own = ("data_dir", "cache_dir", "run_dir")
    return Config(**told | {name: getattr(config, name) for name in own})


def _make_trainer(
    config: Config,
    run_dir: RunDir,
    prepared: Callable[[], PreparedData],
    workers: Workers,
    columns: Columns,
) -> Trainer:
    """Makes the trainer, which prepares the images after everything else."""

    def images() -> PreparedData:
        """Prepares the images; raises UserError if they are too few or not worker 0's."""
        made = prepared()
        require_a_step(config, made.report.used, len(made.report.skipped))
        labels = TrainingLabels.of(made, columns, **config.z_options)
        content = {"images": made.content, **labels.meta()}
        if workers.count > 1 and workers.broadcast_json(content) != content:
            raise UserError(
                f"Worker {workers.rank} has other images than worker 0 ({len(made.images):,} of "
                "them here); give all machines the same files."
            )
        return made

    return Trainer(config, run_dir, images, workers, columns)


def _prepare_once(config: Config, source: Source) -> Callable[[], PreparedData]:
    return functools.cache(
        lambda: prepare(
            source,
            image_spec(config),
            cache_dir=cache_folder(config.cache_dir),
            limit=config.train_size,
        )
    )


def image_spec(config: Config) -> ImageSpec:
    return ImageSpec(
        config.output_height,
        config.output_width,
        config.channels,
        crop=config.crop,
        crop_height=config.input_height,
        crop_width=config.input_width,
    )


def _keep_recorded_choices(config: Config) -> Config:
    """Takes over the choices that the first start made for the run, whatever its device."""
    recorded = RunDir(Path(config.run_dir)).config
    return undecided.keep_recorded(config, read_json(recorded)) if recorded.exists() else config


def _refuse_other_config(config: Config, run_dir: RunDir, *, alike: tuple[str, ...]) -> None:
    if not run_dir.config.exists():
        return
    if lines := differences(config, read_json(run_dir.config), alike=alike):
        raise UserError(
            f"{run_dir.root} holds a run with other options ({'; '.join(lines)}); use the same "
            "options to continue it, or another --run_dir to start a new run."
        )


def _find_alike(
    config: Config, run_dir: RunDir, source: Source, prepared: Callable[[], PreparedData]
) -> tuple[str, ...]:
    """Finds the options that mean the run's own images although their values differ.

    The images are the same if they are in the same place, if the newest checkpoint has learnt from
    files of the same names, sizes and times, or if all their pixels are the same. The last needs
    decoding, which is done only when all other options agree.
    """
    if not run_dir.config.exists():
        return ()
    recorded, alike = read_json(run_dir.config), []
    if _place(recorded) == _place(to_dict(config)) is not None:
        alike += ["dataset"]
    # A limit that is not smaller than the number of images has no effect.
    limits = [config.train_size, recorded.get("train_size")]
    if all(limit is None or (type(limit) is int and limit >= len(source)) for limit in limits):
        alike += ["train_size"]
    meta = Checkpointer(run_dir.checkpoints).newest_meta() or {}
    if meta.get("data") == source.fingerprint:
        return *alike, *DATASET_OPTIONS
    only_place = differences(config, recorded, alike=alike) and not differences(
        config, recorded, alike=(*alike, *DATASET_OPTIONS)
    )
    return (*alike, *DATASET_OPTIONS) if only_place and prepared().is_same(meta) else tuple(alike)


def _place(options: dict) -> str | None:
    """Returns the place of a run's data set; None if its options do not say."""
    named = [options.get(name, FIELDS[name].default) for name in ("dataset", "data_dir")]
    return catalog.place(*named) if all(isinstance(one, str) for one in named) else None


def _dry_run(
    config: Config, chosen: str, source: Source, summary: Summary, columns: Columns
) -> int:
    for name, value in to_dict(config).items():
        logger.info("%-20s %s", name, value)
    report = look(
        source,
        image_spec(config),
        summary=summary,
        cache_dir=known_folder(config.cache_dir),
        limit=config.train_size,
    )
    lines = ["", *filter(None, (chosen, *report.sentences()))]
    lines += [f"Classes of {name}: {', '.join(classes)}." for name, classes in columns.items()]
    for line in lines:
        logger.info("%s", line)
    generator, discriminator = make_networks(config, [len(names) for names in columns.values()])
    labels = [tf.zeros([1, len(columns)], tf.int32)] * bool(columns)
    for network, shape in (
        (generator, (config.z_dim,)),
        (discriminator, discriminator.image_shape),
    ):
        network.build()
        rows = network_summary.rows(network, tf.zeros([1, *shape]), *labels)
        for line in ("", *network_summary.table(network.name, rows)):
            logger.info("%s", line)
    _estimate(config, report.used, generator.classes)
    logger.info("\nDry run: would train into %s; nothing was written.", config.run_dir)
    return 0


def _estimate(config: Config, num_images: int, classes: tuple[int, ...]) -> None:
    """Says how long the training would take here, or that the images are too few for it."""
    try:
        require_a_step(config, num_images)
    except UserError as error:
        logger.warning("\n%s", error)
        return
    found = estimate(bare_spec(config, classes))
    steps = config.steps
    if steps is None and config.epoch < ENDLESS:
        steps = config.epoch * (num_images // (config.batch_size * config.d_steps))
    limit = parse_seconds(config.time_budget) if config.time_budget else None
    logger.info("")
    for sentence in found.sentences(steps, limit):
        logger.info("%s", sentence)


class _LogFile(logging.FileHandler):
    """A log file whose write errors (a full disk) end the run like any other."""

    def handleError(self, record):
        raise  # noqa: PLE0704 - called by logging inside its `except`


@contextlib.contextmanager
def _log_file(path: Path) -> Iterator[None]:
    """Context manager that also writes log messages to the run's log.txt.

    `outputs.report.history` reads the lines in this form.
    """
    handler = _LogFile(path, encoding="utf-8", delay=True)
    handler.setFormatter(console.Formatter("%(asctime)s %(message)s"))
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()
