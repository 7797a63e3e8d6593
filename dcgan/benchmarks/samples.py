"""Measures sampling, in memory and to files by the command, against the bare forward pass."""

import math
import tempfile
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from dcgan.benchmarks.turns import PairedFigures, measure_in_turn, seconds_of
from dcgan.distributed.devices import avoid_remapper
from dcgan.files import write_json
from dcgan.latent.sampling import BATCH_SIZE, make_sampler
from dcgan.run import model_file
from dcgan.run.checkpoint import Checkpointer
from dcgan.run.run_dir import RunDir
from dcgan.training.averaging import make_measurement
from dcgan.training.state import GANState

IMAGES = 10_000
FEWER = 4  # the command, which takes longer, has fewer turns by this factor


def sampling(
    state: GANState,
    config: dict,
    sample: Callable[[Path, Path, int], object],
    *,
    pairs: int,
    images: int = IMAGES,
) -> list[PairedFigures]:
    """Measures sampling from seeds to uint8 images, and from opening a run to PNG files.

    It changes the moving statistics of the generator's normalization. `config` is the content of
    config.json; `sample` takes a run folder, a new folder and the number of PNG files to write.
    """
    generator, z_dim = state.sampler, state.generator.z_dim
    # The initial statistics give nearly grey images, which PNG compresses much faster than usual.
    make_measurement(state.averaged_generator or state.generator, BATCH_SIZE)()
    bare = _bare(generator, z_dim, images)
    draw = make_sampler(generator, z_dim=z_dim, z_dist=state.generator.z_dist)
    draw([0])  # compiles

    def in_memory() -> float:
        return images / seconds_of(lambda: draw(range(images)))

    with tempfile.TemporaryDirectory() as folder:
        run = RunDir(Path(folder) / "run")
        run.create()
        write_json(run.config, config)
        checkpointer = Checkpointer(run.checkpoints)
        model_file.write(checkpointer.folder, state.generator, state.discriminator)
        checkpointer.save(state, {"step": 0})

        def to_files() -> float:
            with tempfile.TemporaryDirectory(dir=folder) as to:
                return images / seconds_of(lambda: sample(run.root, Path(to) / "images", images))

        figures = {
            "sampling": measure_in_turn(in_memory, bare, pairs=pairs, name="sampling"),
            "to files": measure_in_turn(to_files, bare, pairs=-(-pairs // FEWER), name="to files"),
        }
    height, width, _ = generator.image_shape
    baseline = f"bare forward pass, {height}x{width}"
    return [PairedFigures(name, "images/s", *both, baseline) for name, both in figures.items()]


def _bare(generator: Callable, z_dim: int, images: int) -> Callable[[], float]:
    """Measures the compiled forward pass in images per second."""
    avoid_remapper()
    z = tf.random.stateless_normal((BATCH_SIZE, z_dim), [0, 0])
    forward = tf.function(lambda: generator(z, training=False), autograph=False)
    forward().numpy()
    calls = math.ceil(images / BATCH_SIZE)

    def forward_all() -> None:
        for _ in range(calls):
            forward().numpy()

    return lambda: calls * BATCH_SIZE / seconds_of(forward_all)
