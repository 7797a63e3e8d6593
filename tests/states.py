"""Small states and their checkpoints, for tests."""

import numpy as np

from dcgan.checkpoint import Checkpointer
from dcgan.models import Discriminator, Generator
from dcgan.state import GANState

Z_DIM = 8


def make_state(seed: int = 0, *, width: int = 8, averaged: bool = True) -> GANState:
    """16x16 networks: two layers each, so that the discriminator has a normalization too."""
    generator = Generator((16, 16, 3), z_dim=Z_DIM, width=width, seed=seed)
    return GANState(generator, Discriminator((16, 16, 3), width=2, seed=seed), averaged=averaged)


def scrambled(seed: int = 1, step: int = 7, **kwargs) -> GANState:
    """A state with another value in every place, as after training."""
    state = make_state(seed, **kwargs)
    random = np.random.default_rng(seed)
    for name, variable in state.variables().items():
        value = random.uniform(0.5, 1.5, tuple(variable.shape))
        variable.assign(step if name == "step" or name.endswith("iteration") else value)
    return state


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def save_steps(folder, *steps: int) -> list:
    state = scrambled()
    paths = []
    for step in steps:
        state.step.assign(step)
        paths.append(Checkpointer(folder).save(state, {"step": step}))
    return paths
