"""Training in float16: small gradients survive by a loss scale, overflows cost a step."""

import numpy as np
import pytest
import tensorflow as tf

from dcgan.latent.sampling import make_sampler
from dcgan.models import Discriminator, Generator
from dcgan.training.state import GANState
from dcgan.training.step import StepOptions, make_step

SHAPE, Z_DIM, BATCH = (8, 8, 3), 5, 16


def make_state(precision: str, *, kernel_size: int = 5, **kwargs) -> GANState:
    network = {"width": 8, "dtype": precision, "kernel_size": kernel_size}
    return GANState(
        Generator(SHAPE, z_dim=Z_DIM, seed=3, **network),
        Discriminator(SHAPE, seed=1003, **network),
        **{"loss_scaling": precision == "mixed_float16", **kwargs},
    )


def train(state: GANState, steps: int, **recipe) -> list[dict[str, float]]:
    step = make_step(state, StepOptions(BATCH, seed=5, **recipe), tf.distribute.get_strategy())
    shape = (BATCH * recipe.get("d_steps", 1), *SHAPE)
    images = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    return [{k: float(v) for k, v in step(tf.constant(images)).items()} for _ in range(steps)]


def gradient_length(state: GANState, network: str) -> float:
    """By the first moments of all weights."""
    moments = {k: v for k, v in state.arrays().items() if k.startswith(f"{network}_optimizer/")}
    return sum((v**2).sum() for k, v in moments.items() if k.endswith("momentum")) ** 0.5


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(
    "recipe",
    [
        {"d_steps": 2, "g_steps": 2, "augment": "translation", "ema_decay": 0.998},
        {"update": "simultaneous"},  # with narrower kernels
    ],
)
def test_it_computes_what_float32_computes(recipe):
    """Scalars of the same steps within float16's three digits, and weights in float32."""
    kernel_size = 4 if "update" in recipe else 5
    whole, half = (make_state(p, kernel_size=kernel_size) for p in ("float32", "mixed_float16"))
    for expected, found in zip(train(whole, 3, **recipe), train(half, 3, **recipe), strict=True):
        assert found == pytest.approx(expected, rel=0.02, abs=0.01)
    assert {v.dtype for v in half.generator.variables} == {"float32"}
    for name in ("generator", "discriminator"):  # Adam's steps hide a gradient's length
        one, other = (gradient_length(state, name) for state in (whole, half))
        assert other == pytest.approx(one, rel=0.1)
    scales = {k: v for k, v in half.arrays().items() if k.endswith("dynamic_scale")}
    assert list(scales.values()) == [2.0**15] * 2  # nothing overflowed


@pytest.mark.usefixtures("eager")
def test_a_gradient_below_float16_survives():
    """Without a scale the gradients of a discriminator that is sure would all be zero."""
    moved = {}
    for scaled in (True, False):
        state = make_state("mixed_float16", loss_scaling=scaled)
        # Sure that all is real: d loss / d logit is 8e-7 / 16, times a kernel near 0.02.
        state.discriminator.logit.bias.assign([14.0])
        before = state.arrays()
        train(state, 1)
        after = state.arrays()
        names = [k for k in before if k.startswith("generator/") and k.endswith("kernel")]
        moved[scaled] = sum(np.abs(after[k] - before[k]).max() > 0 for k in names)
        total = len(names)
    assert moved == {True: total, False: 0}


def test_an_overflow_costs_a_step_and_halves_the_scale():
    state = make_state("mixed_float16")
    for optimizer in (state.generator_optimizer, state.discriminator_optimizer):
        optimizer.dynamic_scale.assign(2.0**40)
    before = state.arrays()
    train(state, 1)
    after = state.arrays()
    assert after["step"] == 1
    for name in before:
        if name.endswith("dynamic_scale"):
            assert after[name] == 2.0**39
        elif "moving" not in name and name != "step":  # the statistics are of a forward pass
            np.testing.assert_array_equal(after[name], before[name], err_msg=name)


@pytest.mark.usefixtures("eager")
def test_a_scale_is_saved_and_restored():
    state, other = make_state("mixed_float16"), make_state("mixed_float16")
    state.discriminator_optimizer.dynamic_scale.assign(8.0)
    state.discriminator_optimizer.step_counter.assign(5)
    other.assign(state.arrays())
    assert float(other.discriminator_optimizer.dynamic_scale.numpy()) == 8.0
    assert int(other.discriminator_optimizer.step_counter.numpy()) == 5
    one, two = train(state, 2), train(other, 2)
    assert one == two


@pytest.mark.parametrize(
    ("averaged", "precision"), [(True, "mixed_float16"), (False, "mixed_bfloat16")]
)
def test_samples_are_float32s_whatever_the_training_computes_in(averaged, precision):
    state = make_state(precision, averaged=averaged)
    sample = make_sampler(state.sampler, z_dim=Z_DIM, z_dist="normal01")
    before, random = sample(range(9)), np.random.default_rng(0)
    for name, array in state.arrays().items():
        if name.startswith(("generator/", "averaged_generator/")):
            state.variables()[name].assign(array + random.normal(0, 0.1, array.shape))
    plain = Generator(SHAPE, z_dim=Z_DIM, width=8)
    plain.build()
    weights = (state.averaged_generator if averaged else state.generator).variables
    for one, other in zip(plain.variables, weights, strict=True):
        one.assign(other)
    expected = make_sampler(plain, z_dim=Z_DIM, z_dist="normal01")(range(9))
    np.testing.assert_array_equal(sample(range(9)), expected)
    assert (before != expected).any()  # also where it was compiled before the training
    averages = [name for name in state.arrays() if name.startswith("averaged_generator/")]
    assert len(averages) == (len(weights) if averaged else 0)
