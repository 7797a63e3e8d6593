"""Training on ten times more images than the process may have memory for.

Run as a script, this file is that process: it puts itself under the limit and says what it took.
"""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from running import results_of

GROUP = Path("/sys/fs/cgroup/memory") / f"dcgan-test-{os.getpid()}"
ALLOWANCE = 2 << 30  # TensorFlow with its libraries takes half of it
SHAPE = (64, 64, 3)
BATCH, BATCHES, STEPS = 64, 400, 10


def write_images(path: Path, size: int) -> Path:
    """A cache file of black images that takes no room on the disk, but memory when it is read."""
    count = size // int(np.prod(SHAPE))
    with open(path, "wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (count, *SHAPE)}
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + count * int(np.prod(SHAPE)))
    return path


def resident() -> dict[str, int]:
    """MiB of this process's own (RssAnon) and of files' pages (RssFile)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    pairs = (line.split() for line in lines if line.startswith("Rss"))
    return {name[3:-1].lower(): int(kib) >> 10 for name, kib, _ in pairs}


def main(path: str, group: str) -> None:
    if group:
        Path(group, "cgroup.procs").write_text(str(os.getpid()))
    import tensorflow as tf

    from dcgan.datasets import prepare
    from dcgan.datasets.pipeline import make_dataset
    from dcgan.models import Discriminator, Generator
    from dcgan.training.state import GANState
    from dcgan.training.step import StepOptions, make_step

    images = prepare._open(Path(path))
    networks = Generator(SHAPE, width=32), Discriminator(SHAPE, width=4)
    step = make_step(GANState(*networks), StepOptions(BATCH), tf.distribute.get_strategy())
    batches = iter(make_dataset(images, batch_size=BATCH, seed=0, flip=True))
    for _ in range(STEPS):
        step(next(batches))
    early = resident()
    for _ in range(BATCHES):
        next(batches)
    for _ in range(STEPS):
        step(next(batches))
    late = resident()
    print(json.dumps({"mapped": isinstance(images, np.memmap), "early": early, "late": late}))


@pytest.fixture
def group():
    """A control group with the allowance; an empty word where there can be none."""
    try:
        GROUP.mkdir()
        (GROUP / "memory.limit_in_bytes").write_text(str(ALLOWANCE))
    except OSError:
        yield ""
        return
    yield str(GROUP)
    GROUP.rmdir()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks Linux for its memory")
def test_resident_memory_stays_flat(group, tmp_path):
    path = write_images(tmp_path / "images.npy", 10 * ALLOWANCE)
    found = json.loads(results_of(__file__, path, group))
    print(f"\nlimited: {bool(group)}, {found}")
    assert found["mapped"]
    # An epoch's order of the 1,747,626 images takes 14 MB, and as much while it is made.
    assert found["late"]["anon"] - found["early"]["anon"] < 64
    if group:
        assert sum(found["late"].values()) < ALLOWANCE >> 20


if __name__ == "__main__":
    main(*sys.argv[1:])
