"""A toy run, and pictures that it says it has learnt from."""

from pathlib import Path

import numpy as np
from toy_run import toy_run

from dcgan import images
from dcgan.run_dir import write_json

SHAPE = (16, 16, 3)


def learnt_run(
    base: Path, classes: dict[str, int], *, shape=SHAPE, seed: int = 0, **config
) -> Path:
    """Writes a run and its pictures; returns the run's folder.

    Args:
        classes: how many pictures of each class; one class "" makes a folder without labels. Each
            class has a colour of its own, with noise.
        config: options of its config.json that differ.
    """
    root = toy_run(base / "run", shape=shape)
    options = {"data_dir": str(base), "input_fname_pattern": "*", "splits": "train"}
    options |= {"train_size": None, "cache_dir": str(base / "cache"), "crop": True, "flip": True}
    options |= {"input_height": None, "input_width": None, "z_dist": "normal01"}
    options |= {"dataset": str(base / "pictures")}
    write_json(root / "config.json", options | config)
    random = np.random.default_rng(0)
    for number, (name, count) in enumerate(classes.items()):
        folder = base / "pictures" / name
        folder.mkdir(parents=True)
        for i in range(count):
            noise = random.integers(-30, 30, shape)
            picture = np.clip(60 + 90 * number + noise, 0, 255).astype(np.uint8)
            (folder / f"{i:03d}.png").write_bytes(images.png_bytes(picture))
    return root
