"""`python main.py train`: trains a DCGAN, or goes on with its run folder."""

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import tensorflow as tf

from dcgan import UserError
from dcgan.config import Config, differences, run_name, to_dict
from dcgan.datasets import catalog
from dcgan.datasets.prepare import cache_folder, prepare, summarize
from dcgan.datasets.source import ImageSpec, Source, Summary
from dcgan.run_dir import RunDir, read_json, remove_temporaries
from dcgan.session import Session, make_networks
from dcgan.training.strategy import native_precision

logger = logging.getLogger("dcgan")


def run(config: Config) -> int:
    """Trains, or goes on where the run folder stands.

    Returns:
        the exit code.

    Raises:
        UserError: for everything that the user can mend.
    """
    try:
        return _train(config)
    except tf.errors.ResourceExhaustedError as error:
        raise UserError(
            f"There is not enough memory for --batch_size {config.batch_size} at "
            f"{config.output_height}x{config.output_width}; give a smaller --batch_size."
        ) from error


def _train(config: Config) -> int:
    if not config.train:
        raise UserError(
            "--train false leaves nothing to do: training is this command's work; "
            "leave the flag out to train."
        )
    source = catalog.find(
        config.dataset,
        config.data_dir,
        pattern=config.input_fname_pattern,
        splits=config.splits.split(","),
        download=not config.dry_run,
    )
    cache_dir = cache_folder(config.cache_dir)
    summary = summarize(source, cache_dir=None if config.dry_run else cache_dir)
    config = replace(config, channels=config.channels or summary.channels)
    config = replace(config, run_dir=config.run_dir or str(Path("runs") / run_name(config)))
    run_dir = RunDir(Path(config.run_dir))
    config = replace(config, precision=_precision(config, run_dir))
    if config.dry_run:
        return _dry_run(config, source, summary)
    made = run_dir.create()
    with run_dir.lock(), _log_file(run_dir.log):
        try:
            _refuse_other_config(config, run_dir)
            for folder in (run_dir.root, run_dir.samples):  # the checkpointer tidies its own
                remove_temporaries(folder)
            prepared = prepare(
                source, _image_spec(config), cache_dir=cache_dir, limit=config.train_size
            )
            return Session(config, run_dir, prepared).run()
        finally:
            if made:
                run_dir.remove_if_unused()


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
