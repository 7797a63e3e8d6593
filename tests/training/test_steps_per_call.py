"""Many steps in one call are the same steps."""

import numpy as np
import pytest
import tensorflow as tf

from dcgan.datasets.pipeline import make_dataset
from dcgan.models import Discriminator, Generator
from dcgan.training.state import GANState
from dcgan.training.step import SCALARS, StepOptions, make_call, make_step

SHAPE, Z_DIM, BATCH = (8, 8, 3), 5, 4


def trained(counts: list[int] | None, precision: str) -> tuple[dict, list[dict]]:
    """The state and the scalars after 7 steps, in calls of so many or step by step."""
    state = GANState(
        Generator(SHAPE, z_dim=Z_DIM, width=8, seed=3, dtype=precision),
        Discriminator(SHAPE, width=8, seed=1003, dtype=precision),
    )
    strategy = tf.distribute.get_strategy()
    step = make_step(
        state, StepOptions(BATCH, seed=5, ema_decay=0.9, augment="translation"), strategy
    )
    images = np.random.default_rng(0).integers(0, 256, (18, *SHAPE)).astype(np.uint8)
    dataset = make_dataset(images, batch_size=BATCH, seed=1, flip=True)
    batches = iter(strategy.experimental_distribute_dataset(dataset))
    if counts is None:
        found = [{k: float(v) for k, v in step(next(batches)).items()} for _ in range(7)]
        return state.arrays(), found
    call = make_call(step)
    found = [(call(batches, count), count) for count in counts]
    return state.arrays(), [
        {k: float(v[i]) for k, v in scalars.items()}
        for scalars, count in found
        for i in range(count)
    ]


@pytest.mark.parametrize(
    "precision", [pytest.param("float32", marks=pytest.mark.slow), "mixed_bfloat16"]
)
def test_calls_of_several_steps_equal_single_steps_bit_for_bit(precision):
    state, scalars = trained(None, precision)
    other, others = trained([3, 1, 3], precision)
    assert len(scalars) == len(others) == 7
    assert scalars == others and scalars[0].keys() == set(SCALARS)
    for name, array in state.items():
        np.testing.assert_array_equal(array, other[name], err_msg=name)
    # Whatever a step computes in, weights and moments are kept in float32.
    assert {a.dtype for n, a in state.items() if a.ndim} == {np.dtype(np.float32)}
