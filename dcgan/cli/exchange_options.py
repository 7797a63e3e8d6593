"""The options of the commands that exchange weights with other projects."""

from dataclasses import dataclass
from typing import ClassVar

from dcgan.cli.option import option
from dcgan.cli.run_options import OfCheckpoint


@dataclass(frozen=True)
class ImportTorch:
    """The choices of an import."""

    does: ClassVar[str] = "make a run of weights that PyTorch's DCGAN tutorial has trained"

    from_: str | None = option(
        None,
        "File of its generator's state_dict, or of several in a dictionary. No code in it is run.",
        required=True,
        example="netG.pth",
        path=True,
    )
    discriminator: str | None = option(
        None,
        "File of its discriminator's; when not given, that in --from, else one that has learnt "
        "nothing.",
        path=True,
    )
    to: str | None = option(
        None, "Folder of the run, a new one.", required=True, example="runs/imported", path=True
    )
    dataset: str = option(
        "celeba",
        "What it has learnt from, as train takes it: evaluate compares with this, and training "
        "goes on with it.",
        path=True,
    )


@dataclass(frozen=True)
class ExportTorch(OfCheckpoint):
    """The choices of an export to PyTorch."""

    does: ClassVar[str] = "write netG.pth and netD.pth for the classes of PyTorch's DCGAN tutorial"

    to: str | None = option(
        None, "Folder for the files; export/torch/<step>/ in the run when not given.", path=True
    )
