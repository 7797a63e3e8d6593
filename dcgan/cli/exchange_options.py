"""The options of the commands that exchange weights with other projects."""

from dataclasses import dataclass

from dcgan.cli.option import option
from dcgan.cli.run_options import OfCheckpoint


@dataclass(frozen=True)
class ImportTorch:
    """Make a run from the weights of PyTorch's DCGAN tutorial."""

    from_: str | None = option(
        None,
        "File with its generator's state_dict, or a dictionary of several. No code in it is run.",
        required=True,
        example="netG.pth",
        path=True,
    )
    discriminator: str | None = option(
        None,
        "File with its discriminator's state_dict (default: the one in --from, else an untrained "
        "one).",
        path=True,
    )
    to: str | None = option(
        None, "New folder for the run.", required=True, example="runs/imported", path=True
    )
    dataset: str = option(
        "celeba",
        "Data set that it has learnt from, as in train: evaluate compares with it, and training "
        "continues on it.",
        path=True,
    )


@dataclass(frozen=True)
class ExportTorch(OfCheckpoint):
    """Write netG.pth and netD.pth for PyTorch's DCGAN tutorial."""

    to: str | None = option(
        None, "Folder for the files (default: export/torch/<step>/ in the run).", path=True
    )
