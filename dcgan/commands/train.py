"""`python main.py train`: trains a DCGAN, or goes on with its run folder."""

import contextlib
import hashlib
import logging
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import tensorflow as tf

from dcgan import UserError
from dcgan.config import Config, differences, run_name, to_dict
from dcgan.datasets import catalog
from dcgan.datasets.prepare import cache_folder, prepare, summarize
from dcgan.datasets.source import ImageSpec, Source, Summary
from dcgan.run_dir import RunDir, read_json, remove_temporaries
from dcgan.session import Session, make_networks
from dcgan.training.cluster import find_cluster
from dcgan.training.strategy import native_precision
from dcgan.training.workers import Workers

logger = logging.getLogger("dcgan")


def run(config: Config) -> int:
    """Trains, or goes on where the run folder stands.

    Returns:
        the exit code.

    Raises:
        UserError: for everything that the user can mend.
    """
    _require_training(config)
    cluster = None if config.dry_run else find_cluster(config.strategy, os.environ)
    try:
        if cluster is None:
            return _train(config, Workers())
        logger.info("Worker %d of %d meets the others.", cluster.number, len(cluster.addresses))
        # First of all: TensorFlow refuses to do this once it has begun.
        workers = Workers.join(cluster, limit_seconds=config.worker_wait)
        with workers.explained():
            return _train(config, workers)
    except tf.errors.ResourceExhaustedError as error:
        raise UserError(
            f"There is not enough memory for --batch_size {config.batch_size} at "
            f"{config.output_height}x{config.output_width}; give a smaller --batch_size."
        ) from error


def _require_training(config: Config) -> None:
    if not config.train:
        raise UserError(
            "--train false leaves nothing to do: training is this command's work; "
            "leave the flag out to train."
        )


def _train(config: Config, workers: Workers) -> int:
    source = catalog.find(
        config.dataset,
        config.data_dir,
        pattern=config.input_fname_pattern,
        splits=config.splits.split(","),
        download=not config.dry_run,
    )
    summary = summarize(
        source, cache_dir=None if config.dry_run else cache_folder(config.cache_dir)
    )
    config = replace(config, channels=config.channels or summary.channels)
    config = replace(config, run_dir=config.run_dir or str(Path("runs") / run_name(config)))
    run_dir = RunDir(Path(config.run_dir))
    if not workers.is_chief:
        config = _as_the_chief(config, workers)
        return _session(config, run_dir, source, workers).run()
    config = replace(config, precision=_precision(config, run_dir))
    if config.dry_run:
        return _dry_run(config, source, summary)
    made = run_dir.create()
    with run_dir.lock(), _log_file(run_dir.log):
        try:
            _refuse_other_config(config, run_dir)
            for folder in (run_dir.root, run_dir.samples):  # the checkpointer tidies its own
                remove_temporaries(folder)
            workers.tell_json(to_dict(config))
            return _session(config, run_dir, source, workers).run()
        finally:
            if made:
                run_dir.remove_if_unused()


def _as_the_chief(config: Config, workers: Workers) -> Config:
    """Worker 0's options, but for the folders; those that matter must be the same here.

    Raises:
        UserError: they are not.
    """
    told = workers.tell_json()
    if config.precision == "auto":
        config = replace(config, precision=told["precision"])
    if lines := differences(config, told, there="on worker 0"):
        raise UserError(
            f"Worker {workers.number} was started with other options than worker 0 "
            f"({'; '.join(lines)}); give all workers the same command."
        )
    return Config(**told | {name: getattr(config, name) for name in ("data_dir", "cache_dir")})


def _session(config: Config, run_dir: RunDir, source: Source, workers: Workers) -> Session:
    """The images, made ready, and what trains on them.

    Raises:
        UserError: the images are not worker 0's.
    """
    folder, spec = cache_folder(config.cache_dir), _image_spec(config)
    prepared = prepare(source, spec, cache_dir=folder, limit=config.train_size)
    if workers.count > 1:
        images = prepared.images
        some = images[np.linspace(0, len(images) - 1, 256).astype(int)]
        mine = {"count": len(images), "some": hashlib.sha256(some.tobytes()).hexdigest()}
        if workers.tell_json(mine) != mine:
            raise UserError(
                f"Worker {workers.number} has other images than worker 0 ({len(images):,} of them "
                "here); give all machines the same files."
            )
    return Session(config, run_dir, prepared, workers)


def _image_spec(config: Config) -> ImageSpec:
    return ImageSpec(
        config.output_height,
        config.output_width,
        config.channels,
        crop=config.crop,
        crop_height=config.input_height,
        crop_width=config.input_width,
    )


def _precision(config: Config, run_dir: RunDir) -> str:
    """The precision to train in; a run keeps its own wherever it goes on."""
    if config.precision != "auto":
        return config.precision
    if run_dir.config.exists():
        return read_json(run_dir.config).get("precision", "float32")
    return native_precision()


def _refuse_other_config(config: Config, run_dir: RunDir) -> None:
    if not run_dir.config.exists():
        return
    lines = differences(config, read_json(run_dir.config))
    if lines:
        raise UserError(
            f"{run_dir.root} holds a run with other options ({'; '.join(lines)}); give the same "
            "options to go on with it, or another --run_dir to start anew."
        )


def _dry_run(config: Config, source: Source, summary: Summary) -> int:
    """Prints what a run would be, and leaves no trace."""
    for name, value in to_dict(config).items():
        print(f"{name:20} {value}")
    print(f"\n{source.name}: {summary.found:,} images, {len(summary.skipped):,} of them unusable")
    for (height, width), count in summary.sizes[:5]:
        print(f"  {height}x{width}: {count:,}")
    for network in make_networks(config):
        network.build()
        print(f"\n{network.name}: {network.count_params():,} parameters")
        for layer in network.layers:
            for variable in layer.trainable_variables[:1]:
                print(f"  {layer.name:10} {type(layer).__name__:20} {tuple(variable.shape)}")
    print(f"\nDry run: would train into {config.run_dir}; nothing was written.")
    return 0


class _LogFile(logging.FileHandler):
    """A log file whose write errors (a full disk) end the run like any other."""

    def handleError(self, record):
        raise  # noqa: PLE0704 - called by logging inside its `except`


@contextlib.contextmanager
def _log_file(path: Path) -> Iterator[None]:
    """While it is entered, what is logged goes to the run's log.txt as well."""
    handler = _LogFile(path, encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()
