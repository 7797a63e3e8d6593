"""Evaluation during training: the same as by the command, on fewer images.

It does not change the training. It knows the best checkpoint so far, even after a restart, from the
record in that checkpoint.
"""

import logging
from collections.abc import Mapping
from pathlib import Path

from dcgan.datasets.prepare import PreparedData
from dcgan.datasets.source import Labels
from dcgan.evaluation import evaluator, extractors
from dcgan.evaluation.evaluator import Candidate, Evaluator
from dcgan.evaluation.kept_results import is_finite
from dcgan.evaluation.reals import choose_reals

# Generated images, and at most as many real ones: enough to compare checkpoints. With another
# number, a run's best checkpoint so far would no longer be comparable.
IMAGES = 2048

logger = logging.getLogger("dcgan")


def require(
    labels: Mapping[str, Labels], count: int, metric: str, *, extractor: str | None, cache_dir: Path
) -> None:
    """Raises UserError if the metric cannot be measured on up to `count` images; decodes none."""
    name = extractor or evaluator.default_extractor(labels, count, [metric])
    extractors.require(name, labels, count)
    evaluator.require([metric], name, labels, real=min(count, IMAGES), generated=IMAGES)
    extractors.fetch(name, cache_dir=cache_dir)


class PeriodicEvaluator:
    """Measures one metric repeatedly.

    Args:
        metric: one of `METRICS`.
        extractor: name of the extractor; None for the default of the data.
        split: the parts of the data set that the images are from.
        folder: folder of the run's records.
        kept: the record in the best checkpoint; None if there is none.
    """

    def __init__(
        self,
        prepared: PreparedData,
        metric: str,
        *,
        extractor: str | None,
        split: str,
        cache_dir: Path,
        folder: Path,
        kept: Mapping | None,
    ):
        self.metric = metric
        self._folder = folder
        name = extractor or evaluator.default_extractor(
            prepared.labels, len(prepared.images), [metric]
        )
        seed = evaluator.SEED
        learnt = extractors.find_learnt(name, prepared, seed=seed)
        reals = choose_reals(prepared, IMAGES, learnt=learnt, split=split, seed=seed)
        counts = {"real": reals.count, "generated": IMAGES}
        evaluator.require([metric], name, prepared.labels, **counts)
        self._evaluator = Evaluator(
            extractors.make(name, prepared, cache_dir=cache_dir, seed=seed),
            reals,
            count=IMAGES,
            seed=seed,
            cache_dir=cache_dir,
        )
        self._best = self._comparable_value(kept) if isinstance(kept, Mapping) else None

    def measure(self, generated: Candidate) -> dict:
        """Returns the record of a generator, measured now unless the folder has it."""
        return self._evaluator.evaluate([self.metric], generated, self._folder)[0]

    def is_best(self, record: Mapping) -> bool:
        """Tells whether a record's value is the best so far, and remembers it if it is."""
        value, best = record["value"], self._best
        higher = record["better"] == "higher"
        # NaN is never the best.
        if value != value or (best is not None and not (value > best if higher else value < best)):
            return False
        self._best = value
        return True

    def _comparable_value(self, kept: Mapping) -> float | None:
        """Returns the value of the best checkpoint, or None if it was measured differently."""
        value = kept.get("value")
        if self._evaluator.identify(self.metric).items() <= kept.items() and is_finite(value):
            return value
        logger.warning(
            "The best checkpoint was chosen by another measure (%s, %s): the next evaluation "
            "replaces it.",
            kept.get("metric"),
            kept.get("extractor"),
        )
        return None
