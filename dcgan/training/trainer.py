"""One start of a training run: builds the parts and connects them.

Before that, the command `train` checks the options and locks the run folder.
"""

import functools
import logging
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from dcgan import UserError, images
from dcgan.cli.option import ENDLESS, parse_seconds
from dcgan.cli.recorded import to_dict
from dcgan.cli.train_options import Config
from dcgan.datasets.cache_folder import cache_folder
from dcgan.datasets.prepare import PreparedData
from dcgan.distributed.devices import avoid_remapper, device_names, make_strategy, steps_per_call
from dcgan.distributed.workers import Workers
from dcgan.evaluation.evaluator import Candidate
from dcgan.evaluation.kept_results import is_seconds
from dcgan.evaluation.periodic import PeriodicEvaluator
from dcgan.files import append_json_line, write_bytes, write_json
from dcgan.latent.sampling import describe_source, make_sampler
from dcgan.models import Discriminator, Generator
from dcgan.outputs.animation import make_gif
from dcgan.outputs.evaluation_curve import draw_evaluations
from dcgan.outputs.plots import draw_losses, read_metrics
from dcgan.outputs.report.judgement import verdict
from dcgan.outputs.report.measurements import read_series
from dcgan.outputs.tensorboard import open_writer
from dcgan.run import classes_file, model_file
from dcgan.run.checkpoint import Checkpointer, state_fingerprint
from dcgan.run.run_dir import RunDir
from dcgan.training.averaging import AverageStatistics
from dcgan.training.by_class import TrainingLabels, make_sample_grid
from dcgan.training.ending import log_files
from dcgan.training.environment import environment
from dcgan.training.health import HealthMonitor, Message, fatal, relative_diversity, stop_sentence
from dcgan.training.hooks import REASONS, SIGNALS, MetricsLog, Progress, StopSignals, stop_reason
from dcgan.training.input import feed
from dcgan.training.loop import Hook, PeriodicHook
from dcgan.training.loop import train as train_loop
from dcgan.training.state import GANState
from dcgan.training.step import StepOptions, make_call, make_step

logger = logging.getLogger("dcgan")


def make_networks(config: Config, classes: Sequence[int] = ()) -> tuple[Generator, Discriminator]:
    """Makes the networks that the options describe, not built yet. See `Network` for `classes`."""
    shape = (config.output_height, config.output_width, config.channels)
    common = {
        "kernel_size": config.kernel_size,
        "gamma_stddev": config.gamma_stddev,
        "layout": config.layout,
        "seed": config.seed,
        "classes": classes,
        "dtype": "float32" if config.precision == "float32" else f"mixed_{config.precision}",
    }
    generator = Generator(shape, **config.z_options, width=config.g_width, **common)
    discriminator = Discriminator(shape, width=config.d_width, **common)
    for norm in (*generator.norms, *discriminator.norms):
        norm.synchronized = config.sync_batch_norm  # how to train, so not in their configs
    return generator, discriminator


def step_options(config: Config) -> StepOptions:
    return StepOptions(**{name: getattr(config, name) for name in StepOptions.__dataclass_fields__})


def optimizer_options(config: Config) -> dict:
    """Returns the options of the optimizers, arguments of `GANState`."""
    return {
        "learning_rate": config.learning_rate,
        "beta1": config.beta1,
        "epsilon": (config.adam_epsilon, config.adam_epsilon_on),
        "loss_scaling": config.precision == "float16",
    }


class Trainer:
    """One start of a run: its parts, and the hooks that connect them.

    Args:
        config: the options, all decided.
        run_dir: the run folder, locked by this process.
        prepare: prepares the images; called last, after everything that may be refused.
        workers: the processes that train together; None for this one alone.
        columns: class names of each label column to learn; None for no labels.

    Raises:
        UserError: the options are refused, or no checkpoint of the run is whole.
    """

    def __init__(
        self,
        config: Config,
        run_dir: RunDir,
        prepare: Callable[[], PreparedData],
        workers: Workers | None = None,
        columns: Mapping[str, Sequence[str]] | None = None,
    ):
        self.config = config
        self.workers = workers or Workers()
        self.run_dir = run_dir
        self.strategy = self.workers.strategy or make_strategy(config.strategy)
        avoid_remapper()
        with self.strategy.scope():
            self.state = GANState(
                *make_networks(config, [len(names) for names in (columns or {}).values()]),
                averaged=config.ema_decay > 0,
                **optimizer_options(config),
            )
        self.checkpointer = Checkpointer(run_dir.checkpoints, max_to_keep=config.max_to_keep)
        if columns and self.checkpointer.paths():
            classes_file.refuse_other(run_dir.checkpoints, columns)
        restore = self.checkpointer.restore_newest if self.workers.is_chief else lambda _: None
        self._restored = restore(self.state) or {}  # the checkpoint's meta
        self.health = self._monitor()
        self.prepared = prepared = prepare()
        self.reals, self.report = prepared.images, prepared.report
        # Keys of the checkpoints' meta, see `_meta`.
        self.data = {"data": prepared.source.fingerprint, "images": prepared.content}
        self.labels = TrainingLabels.of(prepared, columns or {}, **config.z_options)
        self.data |= self.labels.meta()
        self.sample_grid = make_sample_grid(config.num_samples, table := self.labels.table)
        self.statistics = AverageStatistics(self.state, config.batch_size, table)
        self.sample_images = make_sampler(self.state.sampler, **config.z_options, table=table)
        self.images_per_step = config.batch_size * config.d_steps
        self.steps_per_epoch = len(self.reals) // self.images_per_step
        self.until = config.steps or config.epoch * self.steps_per_epoch
        self.endless = config.steps is None and config.epoch == ENDLESS
        self.budget = parse_seconds(config.time_budget) if config.time_budget else None
        seconds = self._restored.get("seconds")
        self.metrics = MetricsLog(
            steps_per_epoch=self.steps_per_epoch,
            images_per_step=self.images_per_step,
            seconds=seconds if is_seconds(seconds) else 0.0,
        )
        self.writer = None

    def run(self, *more_hooks: Hook) -> int:
        """Trains to the end or until stopped; returns the exit code.

        The trainer calls `more_hooks` after its own hooks, see `training.loop`.
        """
        if self.workers.count > 1:
            self.state.assign(self.workers.broadcast_arrays(self.state.arrays()))
        start = int(self.state.step.numpy())
        if not self.workers.is_chief:
            return self._follow(start)
        self._begin(start)
        evaluator, self.writer = self._make_evaluator(), open_writer(self.run_dir.tensorboard)
        epochs = self.until / self.steps_per_epoch
        progress = Progress(start=start, until=self.until, epochs=epochs, seconds=self.budget)
        self.metrics.listeners += [self._record, progress.line]
        periodic_hooks = self._periodic_hooks(evaluator)
        looks_on = (self.metrics.collect, progress.step, *periodic_hooks, *more_hooks)
        try:
            with StopSignals() as signals:
                done, reason = self._loop(start, looks_on, signals)
                if done > start:
                    if self.endless and reason not in SIGNALS and done % self.config.sample_freq:
                        self.sample(done)  # a planned end gets a last grid
                    self.metrics.flush(done)
                    if done % self.config.ckpt_freq:
                        self._save(done)
                progress.close()
                logger.info("Drawing the curves and the animation of the grids.")
                self._draw_curves()
                make_gif(self.run_dir.sample_grids(), self.run_dir.animation)
                self.workers.leave()
        except KeyboardInterrupt:
            paths, done = self.checkpointer.paths(), progress.done
            saved = int(paths[-1].stem) if paths else 0
            lost = f"steps {saved + 1} to {done} are lost" if done > saved else "no step is lost"
            logger.warning("Aborted: %s; the same command continues from step %d.", lost, saved)
            raise
        finally:
            progress.close()
            if self.writer:
                self.writer.close()
        return self._end(start, done, reason, signals)

    def _follow(self, start: int) -> int:
        """Trains on a worker that is not the chief: takes the same steps and writes no file."""
        logger.info("Worker %s of %s trains from step %d.", *self.workers.share, start)
        # The chief's hooks without actions, so that calls of several steps end at the same steps.
        hooks = [PeriodicHook(hook.period, lambda *_: None) for hook in self._periodic_hooks()]
        with StopSignals() as signals:
            done, reason = self._loop(start, hooks, signals)
            self.workers.leave()
        logger.info("Worker %s ends after step %d, as worker 0 does.", self.workers.rank, done)
        return _exit_code(signals, reason)

    def _periodic_hooks(self, evaluator: PeriodicEvaluator | None = None) -> list[PeriodicHook]:
        """Makes the periodic hooks. Those that measure come before the one that writes the line."""
        config = self.config
        measures = [PeriodicHook(config.sample_freq, self.sample, self.until)]
        if config.evaluate_freq:
            evaluate = functools.partial(self._evaluate, evaluator)
            measures.append(PeriodicHook(config.evaluate_freq, evaluate, self.until))
        lines = PeriodicHook(config.log_freq, self.metrics.flush)
        return [*measures, lines, PeriodicHook(config.ckpt_freq, self.checkpoint)]

    def _loop(self, start: int, hooks: Sequence[Hook], signals: StopSignals):
        config = self.config
        batches, step = feed(
            self.labels.with_labels(self.reals),
            make_step(self.state, step_options(config), self.strategy, self.labels.table),
            self.strategy,
            batch_size=self.images_per_step,
            seed=config.seed,
            start_step=start,
            flip=config.flip,
            share=self.workers.share,
        )
        at_once = steps_per_call(config.steps_per_call)
        self.metrics.start()
        return train_loop(
            self.workers.distribute(batches, self.strategy),
            make_call(step) if at_once > 1 else lambda batches, _: step(next(batches)),
            start=start,
            until=self.until,
            hooks=hooks,
            stop=self.workers.agree_on(stop_reason(signals, self.metrics, self.budget), REASONS),
            steps_per_call=at_once,
        )

    def _begin(self, start: int) -> None:
        config, run_dir, meta = self.config, self.run_dir, self._restored
        for sentence in self.report.sentences():
            logger.info("%s", sentence)
        write_json(run_dir.config, to_dict(config))
        write_json(run_dir.environment, environment(self.strategy, config.precision))
        model_file.write(run_dir.checkpoints, self.state.generator, self.state.discriminator)
        if self.labels.table:
            classes_file.write(run_dir.checkpoints, self.labels.table)
        if start:
            epoch = start / self.steps_per_epoch
            # `outputs.report.history` counts starts in log.txt by these words and those below.
            logger.info("Resuming from step %d, epoch %.2f, in %s.", start, epoch, run_dir.root)
        else:
            given = ", from imported weights" * ("imported" in meta)
            logger.info("Training into %s%s.", run_dir.root, given)
            if warning := self.report.warning():  # only at the first start
                logger.warning("%s", warning)
        others = ["images"] * (not self.prepared.is_same(meta))
        others += ["labels"] * (meta.get("labels") != self.labels.digest)
        if start and others:
            logger.warning(
                "The %s of the data set have changed since the checkpoint; the run goes on "
                "with these, so it may differ from one that was never interrupted.",
                " and ".join(others),
            )
        logger.info(
            "%s images of %dx%dx%d, %d steps an epoch, %s, on %s, %s.",
            f"{len(self.reals):,}",
            *self.reals.shape[1:],
            self.steps_per_epoch,
            f"{config.time_budget} of training" if self.endless else f"{self.until} steps in total",
            ", ".join(device_names(self.strategy))
            + (f" of each of {self.workers.count} workers" if self.workers.count > 1 else ""),
            config.precision,
        )
        if not run_dir.reals.exists():
            grid = images.grid(self._choose_reals(config.num_samples))
            write_bytes(run_dir.reals, images.png_bytes(grid))
        if start == 0:
            self.sample(0)

    def _monitor(self) -> HealthMonitor:
        c = self.config
        return HealthMonitor(c.real_label, learning_rate=c.learning_rate, augment=c.augment)

    def _record(self, line: dict) -> None:
        for message in self.health.update(line["step"], line):
            if message.kind == "fatal":
                raise self._fatal(message)
            logger.warning("%s %s", message.text, message.advice)
        append_json_line(self.run_dir.metrics, line)
        if self.writer:
            numbers = {k: v for k, v in line.items() if k not in ("step", "images", "seconds")}
            self.writer.scalars(line["step"], numbers)

    def sample(self, done: int, scalars: dict | None = None) -> None:
        """Writes a grid of samples and notes their diversity; a hook."""
        self.statistics.measure()
        samples = self.sample_grid(self.sample_images)
        grid = images.grid(samples, columns=self.sample_grid.images_per_row)
        write_bytes(self.run_dir.sample(done), images.png_bytes(grid))
        if done:
            if self.sample_grid.labels is not None:  # a seed's classes may be nearly one picture
                samples = self.sample_images(range(len(samples)))
            reals = self._choose_reals(len(samples))
            self.metrics.note(diversity=round(relative_diversity(samples, reals), 4))
            if self.writer:
                self.writer.image(done, "samples", grid)

    def _make_evaluator(self) -> PeriodicEvaluator | None:
        config = self.config
        if not config.evaluate_freq:
            return None
        return PeriodicEvaluator(
            self.prepared,
            config.evaluate_metric,
            extractor=config.evaluate_extractor,
            split=config.splits,
            cache_dir=cache_folder(config.cache_dir),
            folder=self.run_dir.evaluation,
            kept=(self.checkpointer.best_meta() or {}).get("evaluation"),
        )

    def _evaluate(self, evaluator: PeriodicEvaluator, done: int, scalars: dict) -> None:
        """Evaluates the samples and saves the best checkpoint so far; a hook."""
        start, metric = time.monotonic(), self.config.evaluate_metric
        self.statistics.measure()
        network = self.state.generator.get_config()
        drawn = describe_source(self.config.z_dist, self.labels.table)
        try:
            fingerprint = state_fingerprint(self.state, network, drawn)
        except FloatingPointError as error:
            raise self._fatal(fatal(done, str(error))) from error
        table, epoch = self.labels.table, round(done / self.steps_per_epoch, 4)
        names = table.class_names if table else None
        generated = Candidate(self.sample_images, fingerprint, done, epoch, names)
        record = evaluator.measure(generated)
        seconds = round(time.monotonic() - start, 3)
        self.metrics.leave_out(seconds)
        self.metrics.note(**{metric: record["value"]}, evaluation_seconds=seconds)
        self.metrics.flush(done)  # a loss that is not finite must not be saved
        is_best = evaluator.is_best(record)
        if is_best:
            self._save(done, evaluation=record)
        said = "Evaluation at step %d: %s %.4g%s."
        logger.info(said, done, metric, record["value"], ", the best so far" * is_best)

    def _choose_reals(self, count: int) -> np.ndarray:
        """Returns evenly spaced real images, as neighbours in the data may be of one class."""
        return self.reals[images.even_indices(len(self.reals), count)]

    def checkpoint(self, done: int, scalars: dict) -> None:
        """Saves the state and draws the curves; a hook."""
        self.metrics.flush(done)  # a loss that is not finite must not be saved
        self._save(done)
        self._draw_curves()

    def _meta(self, done: int) -> dict:
        """Returns what a checkpoint records; its keys must stay, as the next start reads them."""
        seconds = round(self.metrics.seconds, 3)
        return {"step": done, "seconds": seconds, **self.data}

    def _save(self, done: int, **evaluation: dict) -> None:
        """Saves a checkpoint; given an `evaluation` record, saves it as the best one."""
        self.statistics.measure()
        save = self.checkpointer.save_best if evaluation else self.checkpointer.save
        try:
            save(self.state, self._meta(done) | evaluation)
        except FloatingPointError as error:
            raise self._fatal(fatal(done, str(error))) from error

    def _fatal(self, message: Message) -> UserError:
        paths = self.checkpointer.paths()
        return UserError(stop_sentence(message, str(paths[-1]) if paths else None))

    def _draw_curves(self) -> None:
        title = f"{self.config.dataset} {self.config.output_height}x{self.config.output_width}"
        draw_losses(self.run_dir.metrics, self.run_dir.losses, title=title)
        if self.config.evaluate_freq:
            draw_evaluations(self.run_dir.evaluation, self.run_dir.evaluation_curve, title=title)

    def _end(self, start: int, done: int, reason: str | None, signals: StopSignals) -> int:
        """Logs what was done and where the results are; returns the exit code."""
        if done == start:
            logger.info(
                "The run already has its %d steps; use a larger --epoch or --steps to continue.",
                done,
            )
        else:
            stopped = f"Stopped by {reason} after" if reason else "Trained"
            epochs, minutes = done / self.steps_per_epoch, self.metrics.seconds / 60
            said = "%s %d steps (%.2f epochs, %.1f minutes in total)."
            logger.info(said, stopped, done, epochs, minutes)
        log_files(self.run_dir, self.checkpointer.paths(), is_new=done > start)
        if reason and done < self.until:
            logger.info("The same command continues from here.")
        health, series = self._monitor(), read_series(self.run_dir.evaluation)
        health.replay(read_metrics(self.run_dir.metrics))  # those of earlier starts too
        told = {"trouble": health.trouble, "summary": health.summary}
        logger.info("Verdict: %s", verdict(series, **told, run_dir=str(self.run_dir.root)))
        return _exit_code(signals, reason)


def _exit_code(signals: StopSignals, reason: str | None) -> int:
    """Returns 128 plus the number of the signal that stopped any worker, or 0."""
    number = signals.received or SIGNALS.get(reason)
    return 128 + number if number else 0
