"""`python main.py export-torch`: writes netG.pth and netD.pth for PyTorch's DCGAN tutorial."""

import contextlib
import logging
from pathlib import Path

from dcgan import UserError
from dcgan.cli.run_options import ExportTorch
from dcgan.commands.open_run import open_run
from dcgan.export import torch_file
from dcgan.export.torch_layout import to_torch
from dcgan.files import remove_temporaries, replace_atomically

FILES = {"generator": "netG.pth", "discriminator": "netD.pth"}
PASSES = {"generator": 1, "discriminator": 3}  # per step, as PyTorch's normalization counts

logger = logging.getLogger("dcgan")


def run(options: ExportTorch) -> None:
    torch_file.require("export-torch")
    trained = open_run(options)
    root, step = trained.run.root, trained.step
    networks = trained.generator, trained.checkpoint.discriminator()
    if networks[0].classes:
        raise UserError(
            f"{root} was trained with --conditional, and the tutorial's networks know no "
            "classes: name a run without it, or write another format with export."
        )
    weights = {network.name: to_torch(network) for network in networks}
    folder = Path(options.to) if options.to else root / "export" / "torch" / f"{step:08d}"
    for path in (folder / file for file in FILES.values()):
        if path.exists() or any(parent.is_file() for parent in path.parents):
            raise UserError(
                f"{path} exists already, or its folder is a file: nothing is overwritten; choose "
                "another --to, or move it away."
            )
    with contextlib.ExitStack() as stack:  # both get their names at the end, or neither
        for name, arrays in weights.items():
            remove_temporaries(folder, FILES[name])  # of an export that was killed
            path = stack.enter_context(replace_atomically(folder / FILES[name]))
            torch_file.write(path, arrays, batches=PASSES[name] * step)
    for name in weights:
        logger.info("Wrote %-13s %s", name, folder / FILES[name])
    generator, discriminator = networks
    side, _, channels = generator.image_shape
    logger.info(
        "They are of step %d: nz = %d, ngf = %d, ndf = %d, nc = %d, image_size = %d. To load one: "
        'netG.load_state_dict(torch.load("netG.pth")).',
        *(step, generator.z_dim, generator.width // 8, discriminator.width),
        *(channels, side),
    )
    if generator.z_dist != "normal01":
        said = "The run's z is drawn from %s, not from torch.randn's N(0, 1)."
        logger.warning(said, generator.z_dist)
