"""The messages that end a training: where its files are."""

import logging
from pathlib import Path

from dcgan.run.checkpoint import BEST
from dcgan.run.run_dir import RunDir

logger = logging.getLogger("dcgan")


def log_files(run_dir: RunDir, checkpoints: list[Path], *, is_new: bool) -> None:
    """Names the newest file of each kind that the run has written.

    Args:
        is_new: whether this start has trained any steps; if not, only the plots are new.
    """
    for what, paths in (
        ("samples", run_dir.sample_grids()),
        ("real images", [run_dir.reals]),
        ("animation", [run_dir.animation]),
        ("curves", [run_dir.losses]),
        ("evaluation", [run_dir.evaluation_curve]),
        ("best", [run_dir.checkpoints / BEST]),
        ("checkpoint", checkpoints),
    ):
        if paths and paths[-1].exists():  # a user may have tidied up
            new = is_new or what in ("animation", "curves", "evaluation")
            logger.info("%s %-12s %s", "Wrote" if new else "Holds", what, paths[-1])
