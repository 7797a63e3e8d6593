"""`python main.py benchmark`: measures speed and memory, in turns with a bare baseline."""

import contextlib
import json
import logging
import os
import platform
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import tensorflow as tf

from dcgan.benchmarks import pictures, processes, samples, steps
from dcgan.benchmarks.bare import BareStep
from dcgan.benchmarks.turns import HEADER, PairedFigures
from dcgan.cli.recorded import to_dict
from dcgan.cli.resolve import resolve
from dcgan.cli.run_options import Benchmark, Sample
from dcgan.commands import sample
from dcgan.commands.train import image_spec, require_a_step
from dcgan.datasets import catalog
from dcgan.datasets.cache_folder import cache_folder
from dcgan.datasets.prepare import PreparedData, prepare, summarize
from dcgan.datasets.workers import cores
from dcgan.distributed.devices import device_names, native_precision
from dcgan.outputs import provenance
from dcgan.run.run_dir import RunDir
from dcgan.training.state import GANState
from dcgan.training.trainer import Trainer, make_networks

# In this order: other processes must have the device's memory before this one takes it. The names
# are those of `Bench`'s methods and, but for compare, the words of --only.
PARTS = ("startup", "memory", "compare", "input", "sampling", "step")
TRAINING_OPTIONS = ("data_dir", "cache_dir", "output_size", "preset", "batch_size", "update")
DEFAULT = {"dataset": "avatars", "output_size": 64, "preset": "silva"}
SAMPLED_SIZE = 32  # side of the images that are sampled

logger = logging.getLogger("dcgan")


def run(options: Benchmark) -> None:
    to = Path(options.to or Path("runs", "benchmark.json"))
    provenance.refuse_foreign(to, ".json")
    bench = Bench(options)
    logger.info("%s\n%s", bench.description(), HEADER)
    found: list[PairedFigures] = []
    for part in parts(options):
        more = getattr(bench, part)()
        for comparison in more:
            logger.info("%s", comparison.row())
        found += more
        provenance.write(to, bench.json(found))  # after each part: a later one may be stopped
    logger.info("Wrote the figures as %s.", to)


def parts(options: Benchmark) -> list[str]:
    everything = () if options.compare else PARTS
    wanted = options.only.split(",") if options.only else everything
    return [p for p in PARTS if (options.compare if p == "compare" else p in wanted)]


@contextlib.contextmanager
def silence_logging(level: int = logging.WARNING) -> Iterator[None]:
    """Context manager that hides log messages below a level."""
    before = logger.level
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.setLevel(before)


class Bench:
    def __init__(self, options: Benchmark):
        self.pairs = options.pairs
        self.steps = options.steps_per_turn
        self.command = options.compare
        given = {name: getattr(options, name) for name in TRAINING_OPTIONS}
        given = {name: value for name, value in given.items() if value is not None}
        given = {**(DEFAULT if options.dataset is None else {"dataset": options.dataset}), **given}
        precision = native_precision() if options.precision == "auto" else options.precision
        # Both sides of each pair train without labels.
        own = {"precision": precision, "strategy": "none", "conditional": False}
        self.given = {**given, **own}
        config = resolve(self.given)
        self._source = catalog.find(config.dataset, config.data_dir)
        self._cache_dir = cache_folder(config.cache_dir)
        channels = summarize(self._source, cache_dir=self._cache_dir).channels
        self.config = replace(config, channels=channels)

    def step(self) -> list[PairedFigures]:
        """Compares the training loop with the bare step."""
        never = (self.pairs + 2) * self.steps
        config = replace(
            self.config,
            steps=(self.pairs + 1) * self.steps,
            sample_freq=never,
            ckpt_freq=never,
            evaluate_freq=0,
        )
        cadence = (self.config.sample_freq, self.config.ckpt_freq)
        with tempfile.TemporaryDirectory() as folder:
            run_dir = RunDir(Path(folder))
            run_dir.create()
            trainer = Trainer(config, run_dir, self._prepare)
            bare = BareStep(steps.bare_spec(config))
            # Warnings about the health of so short a training are of no use.
            with silence_logging(logging.ERROR):
                compared = steps.training(trainer, bare, steps=self.steps, cadence=cadence)
        return [compared]

    def input(self) -> list[PairedFigures]:
        """Compares decoding and batches with Pillow and NumPy."""
        return pictures.measure_reading(
            image_spec(self.config),
            batch_size=self.config.batch_size * self.config.d_steps,
            flip=self.config.flip,
            pairs=self.pairs,
        )

    def sampling(self) -> list[PairedFigures]:
        """Compares sampling in memory, and the command sample, with the bare forward pass."""
        config = resolve({**self.given, "output_size": SAMPLED_SIZE})
        config = replace(config, channels=self.config.channels)
        state = GANState(*make_networks(config), averaged=config.ema_decay > 0)

        def take(run: Path, to: Path, count: int) -> None:
            with silence_logging():
                sample.run(Sample(run_dir=str(run), to=str(to), num_images=count))

        return samples.sampling(state, to_dict(config), take, pairs=self.pairs)

    def startup(self) -> list[PairedFigures]:
        """Compares the command train with `import tensorflow`."""
        return [processes.startup(self._flags(), pairs=self.pairs)]

    def memory(self) -> list[PairedFigures]:
        """Compares a training process with a process of bare steps."""
        return [processes.memory(self._flags(), steps.bare_spec(self.config), pairs=self.pairs)]

    def compare(self) -> list[PairedFigures]:
        """Compares an outside program with our bare step."""
        spec = steps.bare_spec(self.config)
        return [processes.outside(self.command, spec, steps=self.steps, pairs=self.pairs)]

    def _prepare(self) -> PreparedData:
        """Prepares the images, which are in the cache from then on; UserError for too few."""
        made = prepare(self._source, image_spec(self.config), cache_dir=self._cache_dir)
        require_a_step(self.config, made.report.used, len(made.report.skipped))
        return made

    def _flags(self) -> list[str]:
        """Returns the flags for train, which finds its images in the cache."""
        self._prepare()
        chosen = {name: getattr(self.config, name) for name in self.config.undecided}
        return [f"--{name}={value}" for name, value in {**self.given, **chosen}.items()]

    def description(self) -> str:
        config, machine = self.config, _machine()
        return (
            f"{config.preset} at {config.output_height}x{config.output_width}x{config.channels}, "
            f"{config.update} updates, batches of {config.batch_size}, {config.precision}, "
            f"{self.pairs} pairs; {machine['cores']} cores of {machine['cpu']}, "
            f"{', '.join(machine['devices'])}."
        )

    def json(self, found: Sequence[PairedFigures]) -> bytes:
        value = {
            "made": provenance.mark("benchmark"),
            "machine": _machine(),
            "training": to_dict(self.config),
            "steps_a_turn": self.steps,
            "figures": [comparison.record() for comparison in found],
        }
        return (json.dumps(value, indent=2) + "\n").encode()


def _machine() -> dict:
    return {
        "cpu": _cpu(),
        "cores": cores(),
        "devices": device_names(tf.distribute.get_strategy()),
        "system": platform.platform(),
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }


def _cpu() -> str:
    known = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.*)", known.read_text()) if known.exists() else None
    return model[1] if model else platform.processor() or platform.machine()
