"""What happened in a run, from its metrics.jsonl and log.txt; both may be absent or cut short."""

import re
from dataclasses import dataclass

import numpy as np

from dcgan.outputs.plots import read_metrics
from dcgan.outputs.report.measurements import column, finite
from dcgan.run.run_dir import RunDir

RECENT_STEPS = 100  # steps over which present values are averaged
LINES_SHOWN = 400  # of the log, the last ones
# A message about the health of the training, behind the time that `commands.train` puts before it.
_MESSAGE = re.compile(r"(?:(\d{4}-\d\d-\d\d \d\d:\d\d):\d\d,\d{3} )?(Step \d+: .*)")


@dataclass(frozen=True)
class History:
    """The numbers and the log of a run."""

    rows: list[dict]  # of metrics.jsonl, in the order of their steps
    log: list[str]  # the lines of log.txt

    @property
    def steps(self) -> np.ndarray:
        return self.column("step")

    def column(self, key: str) -> np.ndarray:
        return column(self.rows, key)

    def last(self, key: str) -> float | None:
        """Returns the newest finite value; None if there is none."""
        known = finite(self.column(key))
        return float(known[-1]) if known.size else None

    def recent_mean(self, key: str) -> float | None:
        """Computes the mean over the last `RECENT_STEPS` steps; None if there is no value."""
        recent = self.column(key)[self.steps > self.steps[-1:].max(initial=0) - RECENT_STEPS]
        known = finite(recent)
        return float(known.mean()) if known.size else None

    @property
    def images_per_second(self) -> float | None:
        """The median over all lines, so that a pause of the machine does not count."""
        known = finite(self.column("images_per_second"))
        return float(np.median(known)) if known.size else None

    @property
    def messages(self) -> list[tuple[str, str]]:
        """(time, sentence) of each message in the log about the health of the training."""
        found = map(_MESSAGE.match, self.log)
        return [(one[1] or "", one[2]) for one in found if one]

    @property
    def starts(self) -> int:
        """How often training was started or continued, as far as the log says.

        Logs have these words from `training.trainer`.
        """
        return sum(" Training into " in line or " Resuming from " in line for line in self.log)


def read_history(run: RunDir) -> History:
    """Reads the files that exist; a line that is just being written is left out."""
    log = run.log.read_text("utf-8", errors="replace").splitlines() if run.log.exists() else []
    return History(read_metrics(run.metrics), log)
