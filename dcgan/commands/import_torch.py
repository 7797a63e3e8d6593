"""`python main.py import-torch`: makes a run from the weights of PyTorch's DCGAN tutorial."""

import logging
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from dcgan import UserError, images, program
from dcgan.cli.recorded import to_dict
from dcgan.cli.resolve import resolve
from dcgan.cli.run_options import ImportTorch
from dcgan.cli.train_options import FIELDS, Config
from dcgan.distributed.devices import avoid_remapper, native_precision
from dcgan.export import torch_file
from dcgan.export.torch_file import TorchFile
from dcgan.export.torch_layout import arguments, from_torch
from dcgan.files import flush_tree, write_bytes, write_json
from dcgan.latent.sampling import make_sampler
from dcgan.run import model_file
from dcgan.run.checkpoint import Checkpointer
from dcgan.run.run_dir import RunDir
from dcgan.training.state import GANState
from dcgan.training.trainer import make_networks, optimizer_options

PRESET = "torch"

logger = logging.getLogger("dcgan")


def run(options: ImportTorch) -> None:
    torch_file.require("import-torch")
    to = Path(options.to)
    if to.name in ("", ".."):
        raise UserError(f"--to {to} is no name of a new run folder: expected one like runs/mine.")
    if to.is_file() or (to.is_dir() and any(to.iterdir())):
        raise UserError(f"--to {to} is not empty: expected the name of a new run folder.")
    source = TorchFile(Path(options.from_))
    weights = {"generator": source.weights("generator")}
    judge = TorchFile(Path(options.discriminator)) if options.discriminator else source
    if options.discriminator or judge.has("discriminator"):
        weights["discriminator"] = judge.weights("discriminator")
    config = _config(options, weights)
    avoid_remapper()
    state = GANState(*make_networks(config), averaged=False, **optimizer_options(config))
    arrays = state.arrays()
    for network, theirs in weights.items():
        ours = from_torch(network, theirs)
        arrays |= {f"{network}/{name}": array for name, array in ours.items()}
    state.assign(arrays)
    _write(state, config, to, {"imported": source.path.name})  # the trainer looks for this key
    _report(config, to, weights)


def _config(options: ImportTorch, weights: dict[str, dict[str, np.ndarray]]) -> Config:
    """Makes the options of the run from the preset and from the shapes of the weights."""
    found = {
        network: arguments(network, {name: array.shape for name, array in arrays.items()})
        for network, arrays in weights.items()
    }
    height, width, channels = shape = found["generator"]["image_shape"]
    judged = found.get("discriminator", {"image_shape": shape, "width": FIELDS["d_width"].default})
    if judged["image_shape"] != shape:
        raise UserError(
            f"The two networks do not belong together: the generator makes images of {shape}, the "
            f"discriminator judges images of {judged['image_shape']} (height, width, channels)."
        )
    given = {
        **{"preset": PRESET, "dataset": options.dataset, "channels": channels},
        **{"output_height": height, "output_width": width, "z_dim": found["generator"]["z_dim"]},
        **{"g_width": found["generator"]["width"], "d_width": judged["width"]},
    }
    config = resolve({**given, "run_dir": options.to})
    return replace(config, precision=native_precision())  # as train would choose it


def _write(state: GANState, config: Config, to: Path, meta: dict) -> None:
    """Makes the run folder under another name, and renames it when it is whole."""
    run_dir = RunDir(to.with_name(f".{to.name}.{os.getpid()}.tmp"))
    sample = make_sampler(state.sampler, z_dim=config.z_dim, z_dist=config.z_dist)
    try:
        try:
            run_dir.create()
        except UserError as error:
            raise UserError(
                f"The folder {to} cannot be written ({error.__cause__.strerror}); choose another "
                "with --to."
            ) from error
        write_json(run_dir.config, to_dict(config))
        checkpointer = Checkpointer(run_dir.checkpoints)
        model_file.write(checkpointer.folder, state.generator, state.discriminator)
        checkpointer.save(state, {"step": 0, "seconds": 0.0, **meta})
        grid = images.grid(sample(range(config.num_samples)))
        write_bytes(run_dir.sample(0), images.png_bytes(grid))
        flush_tree(run_dir.root)
        if to.is_dir():
            to.rmdir()  # empty: see `run`
        os.rename(run_dir.root, to)
    finally:
        shutil.rmtree(run_dir.root, ignore_errors=True)


def _report(config: Config, to: Path, weights: dict) -> None:
    logger.info(
        "Read the weights of %s: images of %dx%dx%d, nz = %d, ngf = %d, ndf = %d.",
        " and ".join(weights),
        *(config.output_height, config.output_width, config.channels, config.z_dim),
        *(config.g_width // 8, config.d_width),
    )
    if "discriminator" not in weights:
        logger.warning("Its discriminator is untrained: --discriminator reads a trained one.")
    run_dir = RunDir(to)
    logger.info("Wrote %-12s %s", "samples", run_dir.sample(0))
    logger.info("Wrote %-12s %s", "checkpoint", Checkpointer(run_dir.checkpoints).paths()[-1])
    plain = resolve({"preset": PRESET, "dataset": config.dataset})
    options = {"dataset": config.dataset, "preset": PRESET}
    for name in ("output_height", "output_width", "channels", "z_dim", "g_width", "d_width"):
        if getattr(config, name) != getattr(plain, name):
            options[name] = getattr(config, name)
    words = [
        w for name, value in {**options, "run_dir": to}.items() for w in (f"--{name}", str(value))
    ]
    logger.info(
        "These files hold no moments of Adam. To continue training, with new ones: %s",
        program.command_line(*words),
    )
