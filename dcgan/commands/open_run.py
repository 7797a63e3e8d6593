"""Opens the run and the checkpoint that the options of a command name."""

from dcgan.cli.run_options import CheckpointOptions
from dcgan.run.trained_run import TrainedRun, choose_run


def open_run(options: CheckpointOptions) -> TrainedRun:
    """Opens the checkpoint that the options name: by default the newest one of the newest run.

    Raises UserError if there is no such run or checkpoint, or it is not whole.
    """
    run_dir = choose_run(options.run_dir, options.dataset, options.checkpoint)
    data_dir = getattr(options, "data_dir", None)  # of `RealImageOptions` alone
    return TrainedRun(run_dir, options.checkpoint, data_dir=data_dir)
