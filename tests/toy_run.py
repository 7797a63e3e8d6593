"""Makes a run folder as training leaves it, without training."""

import json
from pathlib import Path

import numpy as np

from dcgan.checkpoint import Checkpointer
from dcgan.models import Discriminator, Generator
from dcgan.run_dir import write_json
from dcgan.state import GANState

Z_DIM = 8


def toy_run(
    root: Path, *, step: int = 1234, seed: int = 0, dataset: str = "toy", shape=(16, 16, 3)
) -> Path:
    """Writes a run of 16x16 networks in bfloat16 with random weights; returns its folder.

    The weights are so large that images differ visibly from seed to seed.
    """
    common = {"dtype": "mixed_bfloat16"}
    state = GANState(
        Generator(shape, z_dim=Z_DIM, width=32, **common), Discriminator(shape, width=8, **common)
    )
    random = np.random.default_rng(seed)
    for name, variable in state.variables().items():
        if name == "step":
            variable.assign(step)
        elif name.endswith("kernel"):
            variable.assign(random.normal(0, 0.15, variable.shape))
        elif "optimizer" not in name:
            variable.assign(random.uniform(0.5, 1.5, variable.shape))
    checkpointer = Checkpointer(root / "checkpoints")
    checkpointer.folder.mkdir(parents=True, exist_ok=True)
    checkpointer.write_models(state.generator, state.discriminator)
    checkpointer.save(state, {"step": step})
    write_json(root / "config.json", {"dataset": dataset, "z_dist": "normal01"})
    lines = [{"step": step + more, "epoch": 1.5 + more, "d_loss": 0.5} for more in (-2, 0, 40)]
    (root / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return root
