"""Starts `main.py` in a process of its own, as a user does, on the smallest training there is.

And looks at the run folder that it leaves.
"""

import contextlib
import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from nursery import Nursling
from PIL import Image

from dcgan.run_dir import read_json_lines

ROOT = Path(__file__).parents[1]
TIMEOUT = 300  # seconds; minutes where other work keeps the cores busy

# Commands that need no TensorFlow start in a moment, as a user starts them.
LIGHT = ("crawl", "crop", "pack", "inspect", "help", "--help")

CLOCK = {"seconds", "images_per_second"}  # of a line of metrics.jsonl: differ from run to run

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
    """Runs `main.py` to its end; arguments of `start`.

    Returns:
        with returncode and the texts stdout and stderr.
    """
    with started(*words, **kwargs) as process:
        output, errors = process.communicate(timeout=timeout)
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def start(*words, warm: bool | None = None, **kwargs) -> subprocess.Popen | Nursling:
    """Starts `main.py`; the caller ends it and reads its output by `communicate`.

    Args:
        words: the command and its flags; anything that has a text.
        warm: whether TensorFlow is imported already; None: unless the command needs none.
        kwargs: cwd, env (added to this process's) and preexec_fn, see `subprocess.Popen`.
    """
    kwargs = _common(kwargs)
    words = [str(ROOT / "main.py"), *map(str, words)]
    if warm is None:
        warm = words[1] not in LIGHT
    if warm:
        return Nursling(words, **kwargs)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, *words], **pipes, **kwargs)


@contextlib.contextmanager
def started(*words, **kwargs) -> Iterator[subprocess.Popen | Nursling]:
    """`start`, whose process does not outlive the block."""
    process = start(*words, **kwargs)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def wait_until(condition: Callable[[], bool], process: subprocess.Popen | Nursling) -> None:
    """Asks thousands of times a second; fails when the process ends before or it takes too long."""
    end = time.monotonic() + TIMEOUT
    while not condition():
        if process.poll() is not None or time.monotonic() > end:
            process.kill()
            raise AssertionError(f"it never came to that: {''.join(process.communicate())}")
        time.sleep(0.0003)


def kill_when(flags, condition, proof, *, attempts: int = 6, before=lambda: None) -> None:
    """Kills a training at a moment; again where the process was quicker.

    Args:
        condition: that the moment has come.
        proof: what the dead process must have left for the moment to have been hit.
        before: each attempt.
    """
    for _ in range(attempts):
        before()
        with started(*flags) as process:
            wait_until(condition, process)
            process.kill()
            assert process.wait() == -signal.SIGKILL
        if proof():
            return
    raise AssertionError(f"not hit in {attempts} attempts")


def send_when(flags, condition, number: int) -> tuple[int, str]:
    """Sends a signal at a moment; returns the exit code and the output."""
    with started(*flags) as process:
        wait_until(condition, process)
        process.send_signal(number)
        output, errors = process.communicate(timeout=TIMEOUT)
        return process.returncode, output + errors


def _common(kwargs: dict) -> dict:
    quiet = {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    return {
        # Where the tests run in the background, a shell has them and their children ignore Ctrl-C.
        "preexec_fn": functools.partial(signal.signal, signal.SIGINT, signal.default_int_handler),
        **kwargs,
        "cwd": kwargs.get("cwd", ROOT),
        "env": {**os.environ, **quiet, **(kwargs.get("env") or {})},
    }


def checkpoints(run_dir: Path) -> list[int]:
    """Their steps, oldest first."""
    return sorted(int(path.stem) for path in run_dir.glob("checkpoints/*.npz"))


def arrays_of(run_dir: Path, step: int) -> dict[str, np.ndarray]:
    with np.load(run_dir / "checkpoints" / f"{step:08d}.npz") as file:
        return {name: file[name] for name in file.files if name != "meta.json"}


def logged(run_dir: Path) -> list[dict]:
    """The lines of metrics.jsonl without what depends on the clock."""
    lines = read_json_lines(run_dir / "metrics.jsonl")
    return [{k: v for k, v in line.items() if k not in CLOCK} for line in lines]


def last_step(run_dir: Path) -> int:
    lines = logged(run_dir)
    return lines[-1]["step"] if lines else 0


def grids(run_dir: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in run_dir.glob("samples/*.png")}


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def temporaries(folder: Path) -> list[Path]:
    return list(folder.rglob("*.tmp"))
