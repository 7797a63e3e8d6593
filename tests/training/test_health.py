"""The health monitor: what it says, when, and what it keeps quiet about."""

import math

import numpy as np
import pytest

from dcgan.training import health
from dcgan.training.health import HealthMonitor, diversity, relative_diversity, stop_sentence

HEALTHY = {"d_loss": 0.9, "g_loss": 1.8, "d_real": 0.7, "d_fake": 0.25}
WON = {"d_loss": 0.34, "g_loss": 6.0, "d_real": 0.9, "d_fake": 0.004}  # D(x) at the smoothed label
EVERY = 20  # steps between two updates


def run(monitor, values, steps):
    """All messages, as (step, kind), of constant values over a range of steps."""
    return [
        (step, message.kind)
        for step in range(*steps, EVERY)
        for message in monitor.update(step, values)
    ]


def faces(count, seed=0):
    """Random smooth pictures, uint8 [count, 32, 32, 3]: large patches that averaging keeps."""
    patches = np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    return patches.repeat(4, axis=1).repeat(4, axis=2)


def test_a_healthy_run_is_never_interrupted():
    assert run(HealthMonitor(0.9), HEALTHY | {"diversity": 0.8}, (0, 30_000)) == []


def test_the_equilibrium_is_no_illness():
    """Images that are as good as real ones still differ in a batch."""
    equal = {"d_loss": math.log(4), "g_loss": math.log(2), "d_real": 0.51, "d_fake": 0.49}
    assert run(HealthMonitor(0.9), equal, (0, 30_000)) == []


def test_a_discriminator_that_tells_nothing_apart_is_told_and_its_end_too():
    blind = {"d_loss": 1.38, "g_loss": 0.8, "d_real": 0.4501, "d_fake": 0.4499}
    monitor = HealthMonitor(0.9, learning_rate=0.0002)
    assert [kind for _, kind in run(monitor, blind, (0, 3000))] == ["stuck"]
    assert "no better than a coin" in monitor.trouble and "(0.0001)" in monitor.trouble
    assert [kind for _, kind in run(monitor, HEALTHY, (3000, 5000))] == ["recovered"]
    assert monitor.trouble == ""


@pytest.mark.parametrize("steps", [(0, 300), (0, 10_000)])
def test_a_generated_image_in_ten_taken_for_real_is_no_illness(steps):
    """What a strong discriminator shows at first: a weaker one gave grey masks."""
    assert run(HealthMonitor(0.9), WON | {"d_fake": 0.1, "g_loss": 3.0}, steps) == []


def test_the_advice_has_what_helped_and_the_runs_own_numbers():
    for augment, helps in (("none", True), ("translation", False), (None, False)):
        monitor = HealthMonitor(0.9, learning_rate=0.0002, augment=augment)
        run(monitor, WON | {"diversity": 0.1}, (0, 2000))
        assert ("--augment translation" in monitor.trouble) == helps
        assert "D(G(z)) 0.004" in monitor.trouble and "--learning_rate (0.0001)" in monitor.trouble
        assert set(monitor.troubles) == {"discriminator", "collapse"}
    run(monitor, WON | {"diversity": 0.9}, (2000, 2100))
    assert set(monitor.troubles) == {"discriminator"}


def test_what_was_seen_is_said_where_nothing_is_wrong():
    monitor = HealthMonitor(0.9)
    assert monitor.summary == monitor.trouble == ""
    run(monitor, HEALTHY, (0, 400))
    assert monitor.summary == "Too early to judge the training; D(x) is 0.70 and D(G(z)) 0.25."
    run(monitor, HEALTHY | {"diversity": 0.94}, (400, 900))
    numbers = "D(x) is 0.70 and D(G(z)) 0.25, and images differ 94 % as much as real ones."
    assert monitor.summary == f"Nothing is wrong with the training: {numbers}"


def test_all_rows_of_a_run_are_judged_again():
    rows = [{"step": step, **WON} for step in range(0, 1000, EVERY)]
    rows.insert(3, {"step": 50, "kid": 0.1})  # which has no losses
    monitor = HealthMonitor(0.9)
    assert [message.kind for message in monitor.replay(rows)] == ["discriminator"]


def test_an_ordinary_beginning_is_no_illness():
    monitor = HealthMonitor(0.9)
    assert run(monitor, WON | {"diversity": 0.05}, (0, 500)) == []
    assert run(monitor, HEALTHY | {"diversity": 0.7}, (500, 5000)) == []


def test_a_discriminator_that_has_won_is_told_once_and_its_end_too():
    monitor = HealthMonitor(0.9)
    run(monitor, HEALTHY, (0, 2000))
    told = run(monitor, WON, (2000, 5000))
    assert [kind for _, kind in told] == ["discriminator"]
    # 500 steps of condition, after the averages have passed the thresholds (D(x): from 0.7 to 0.85
    # of 0.9 is exp(-t / 100) = 1 / 4, t = 139; D(G(z)): 0.246 exp(-t / 100) = 0.016, t = 273).
    assert 2500 + 273 - EVERY <= told[0][0] <= 2500 + 273 + 2 * EVERY
    assert [kind for _, kind in run(monitor, HEALTHY, (5000, 9000))] == ["recovered"]
    assert [kind for _, kind in run(monitor, WON, (9000, 11_000))] == ["discriminator"]


@pytest.mark.parametrize("label", [0.55, 0.7, 0.85, 0.9, 1.0])
def test_a_discriminator_wins_with_every_label(label):
    """Its D(x) nears the label; one that is still clearly below it has not won."""
    assert run(HealthMonitor(label), WON | {"d_real": label - 0.03}, (0, 2000)) == [
        (300 + 500, "discriminator")
    ]
    assert run(HealthMonitor(label), WON | {"d_real": label - 0.16}, (0, 2000)) == []


def test_what_lasts_is_told_again_only_after_a_long_while():
    told = run(HealthMonitor(0.9), WON, (0, 12_000))
    assert [kind for _, kind in told] == ["discriminator"] * 3
    assert np.diff([step for step, _ in told]).tolist() == [health.REPEAT_STEPS] * 2


def test_single_good_batches_do_not_hide_a_won_game():
    monitor, told = HealthMonitor(0.9), []
    for i, step in enumerate(range(0, 3000, 50)):
        values = WON | ({"d_fake": 0.03} if i % 10 == 9 else {})
        told += [message.kind for message in monitor.update(step, values)]
    assert told == ["discriminator"]


@pytest.mark.parametrize("change", [{"d_fake": 0.08}, {"d_real": 0.75}, {"g_loss": 2.5}])
def test_a_strong_discriminator_alone_is_no_illness(change):
    assert run(HealthMonitor(0.9), WON | change, (0, 10_000)) == []


def test_it_needs_no_memory_of_an_earlier_process():
    told = run(HealthMonitor(0.9), WON | {"diversity": 0.1}, (50_000, 51_000))
    assert sorted(kind for _, kind in told) == ["collapse", "discriminator"]
    assert {step for step, _ in told} == {50_500}


def test_collapse_is_told_from_rare_measurements_and_its_end_too():
    monitor, told = HealthMonitor(0.9), []
    for step in range(0, 8000, EVERY):
        ratio = 0.1 if 2000 <= step < 6000 else 0.8
        measured = {"diversity": ratio} if step % 200 == 0 else {}
        told += [(step, m.kind) for m in monitor.update(step, HEALTHY | measured)]
    assert told == [(2600, "collapse"), (6000, "recovered")]


def test_a_diversity_between_the_thresholds_changes_nothing():
    monitor = HealthMonitor(0.9)
    run(monitor, HEALTHY | {"diversity": 0.1}, (0, 2000))
    assert run(monitor, HEALTHY | {"diversity": 0.35}, (2000, 4000)) == []
    assert run(HealthMonitor(0.9), HEALTHY | {"diversity": 0.35}, (0, 4000)) == []


@pytest.mark.parametrize("name", ["d_loss", "g_loss"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_is_fatal_at_once(name, value):
    [message] = HealthMonitor(0.9).update(7, HEALTHY | {name: value})
    assert message.kind == "fatal"
    sentence = stop_sentence(message, "checkpoints/step-00000006")
    for part in ("Step 7", name, str(value), "checkpoints/step-00000006", "--learning_rate"):
        assert part in sentence
    assert "no checkpoint" in stop_sentence(message, None)


def test_diversity_of_copies_is_zero():
    assert diversity(np.repeat(faces(1), 16, axis=0)) == 0
    assert diversity(np.repeat(faces(2), 8, axis=0)) == 0  # two modes: zero too
    assert diversity(np.zeros((4, 28, 28, 1), np.uint8)) == 0


def test_diversity_by_hand():
    # Grey levels 0, 10, 40: the nearest are at 10, 10, 30; the mean is 50 / 3.
    levels = np.array([0, 10, 40], np.uint8).reshape(3, 1, 1, 1)
    images = np.broadcast_to(levels, (3, 16, 16, 1))
    assert diversity(images) == pytest.approx(50 / 3)


def test_pixel_noise_does_not_pass_for_diversity():
    noise = np.random.default_rng(0).normal(0, 20, (64, 32, 32, 3))
    copies = np.clip(np.repeat(faces(4), 16, axis=0) + noise, 0, 255).astype(np.uint8)
    assert relative_diversity(copies, faces(64, seed=1)) < health.COLLAPSED_DIVERSITY


def test_relative_diversity_of_reals_is_one_whatever_their_number():
    reals = faces(64)
    assert relative_diversity(faces(64, seed=1), reals) == pytest.approx(1, abs=0.1)
    assert relative_diversity(reals[:16], reals) == pytest.approx(1)
    assert relative_diversity(reals, reals[:16]) == pytest.approx(1)


def test_reals_that_are_all_alike_are_nothing_to_collapse_from():
    one = np.repeat(faces(1), 8, axis=0)
    assert relative_diversity(one, one) == 1


def test_a_single_image_is_no_collapse():
    one = np.zeros((1, 8, 8, 3), np.uint8)
    assert relative_diversity(one, one) == 1.0
