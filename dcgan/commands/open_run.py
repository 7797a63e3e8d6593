"""How the commands that look at a trained run begin: they open what their options name."""

from dcgan.cli.run_options import OfCheckpoint
from dcgan.run.trained_run import TrainedRun, choose_run


def open_run(options: OfCheckpoint) -> TrainedRun:
    """Opens a checkpoint of a run: of the newest run, and its newest one, unless named otherwise.

    Raises UserError where there is no such run or checkpoint, or it is not whole.
    """
    run_dir = choose_run(options.run_dir, options.dataset, options.checkpoint)
    return TrainedRun(run_dir, options.checkpoint)
