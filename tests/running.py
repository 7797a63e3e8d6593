"""Starts `main.py` in a process of its own, as a user does, on the smallest training there is."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[1]
TIMEOUT = 300  # seconds; minutes where other work keeps the cores busy

# 8x8 images and networks of a few channels: a step takes milliseconds.
SMALL = (
    *("--output_size", "8", "--g_width", "16", "--d_width", "4", "--z_dim", "8"),
    *("--batch_size", "8", "--num_samples", "4"),
)


def write_pictures(
    folder: Path, count: int, size: tuple[int, int] = (16, 16), seed: int = 0
) -> Path:
    """Fills a folder with PNG files, each a colour with some noise; returns the folder.

    Args:
        size: (width, height).
    """
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    for i in range(count):
        colour = random.integers(40, 216, 3)
        noise = random.integers(-40, 40, (size[1], size[0], 3))
        Image.fromarray((colour + noise).astype(np.uint8)).save(folder / f"{i:04d}.png")
    return folder


def small_flags(pictures: Path, base: Path) -> tuple[str, ...]:
    """SMALL on a folder of pictures, with cache and run folder `base`/cache and `base`/run."""
    folders = ("--dataset", pictures, "--cache_dir", base / "cache", "--run_dir", base / "run")
    return (*map(str, folders), *SMALL)


def run(*words, timeout: float = TIMEOUT, **kwargs) -> subprocess.CompletedProcess:
    """Runs `main.py` to its end.

    Args:
        words: the command and its flags; anything that has a text.
        kwargs: for `subprocess.run`.

    Returns:
        with returncode and the texts stdout and stderr.
    """
    kwargs = {"capture_output": True, "text": True, "check": False, **_common(kwargs)}
    return subprocess.run(_command(words), timeout=timeout, **kwargs)


def start(*words, **kwargs) -> subprocess.Popen:
    """Starts `main.py` with its output in pipes; the caller ends it and reads them.

    Args:
        words: the command and its flags; anything that has a text.
        kwargs: for `subprocess.Popen`.
    """
    kwargs = {
        "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **_common(kwargs)
    }
    return subprocess.Popen(_command(words), **kwargs)


def _command(words) -> list[str]:
    return [sys.executable, str(ROOT / "main.py"), *map(str, words)]


def _common(kwargs: dict) -> dict:
    quiet = {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    return {
        **kwargs,
        "cwd": kwargs.get("cwd", ROOT),
        "env": {**os.environ, **quiet, **(kwargs.get("env") or {})},
    }
