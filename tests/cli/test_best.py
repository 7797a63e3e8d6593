"""What the preset best chooses for the device and the length of a run."""

import dataclasses
import math

import pytest

from dcgan import UserError
from dcgan.cli import best, presets
from dcgan.cli.option import ENDLESS
from dcgan.cli.presets import CHOSEN, PRESETS
from dcgan.cli.recorded import differences, to_dict
from dcgan.cli.resolve import resolve

ON_CPU = {name: PRESETS["best"][name] for name in ("batch_size", "ema_decay")}
ON_CPU["learning_rate"] = 2e-4


def choose(*, gpu: bool = False, **given) -> dict:
    """What a run takes of all that the preset may choose, with the sentence under ""."""
    config = resolve({"dataset": "faces", "preset": "best", **given})
    config, sentence = best.decided(best.choose_for_device(config, gpu=gpu), 10_000, gpu=gpu)
    assert config.undecided == ()
    return {name: getattr(config, name) for name in CHOSEN["best"]} | {"": sentence}


@pytest.mark.parametrize(
    ("given", "length"),
    [
        ({"epoch": 7}, "For 7 epochs of 10,000 images at 64x64 on a CPU the preset best takes --"),
        ({"steps": 900}, "For 900 steps of 10,000 images"),
        ({"time_budget": "20m"}, "For 20m of"),
        ({"time_budget": "20m", "epoch": 2}, "For 20m and at most 2 epochs of"),
        ({"epoch": 7, "learning_rate": 1e-3}, "For 7 epochs of"),
    ],
)
def test_it_says_what_it_takes_and_leaves_what_is_given(given, length):
    chosen = choose(**given)
    assert all(chosen[name] == given.get(name, value) for name, value in ON_CPU.items())
    assert chosen[""].startswith(length)
    for name in CHOSEN["best"]:
        assert (f"--{name} {chosen[name]}" in chosen[""]) == (name not in given)


def test_a_gpu_gets_a_larger_batch_with_what_goes_with_it():
    chosen = choose(gpu=True, epoch=1)
    assert {name: chosen[name] for name in presets.ON_GPU} == presets.ON_GPU
    # Half of the average is of as many images as on a CPU.
    for one in (chosen, ON_CPU):
        assert one["batch_size"] / -math.log2(one["ema_decay"]) == pytest.approx(5530, rel=0.01)
    given = choose(gpu=True, batch_size=32)
    assert (given["batch_size"], given["learning_rate"], given["ema_decay"]) == (32, 2e-4, 0.998)


@pytest.mark.parametrize("given", [{"preset": "silva"}, {"dataset": "mnist", "preset": "best"}])
def test_nothing_else_is_chosen(given):
    config = resolve({"dataset": "faces", "epoch": 10_000, **given})
    assert best.decided(best.choose_for_device(config, gpu=True), 9999, gpu=True) == (config, "")


def test_a_run_keeps_what_was_chosen_when_it_began():
    given = {"dataset": "faces", "preset": "best", "channels": 3}
    begun, _ = best.decided(best.choose_for_device(resolve(given), gpu=True), 9999, gpu=True)
    recorded = to_dict(begun)
    assert "undecided" not in recorded and recorded["batch_size"] == 64
    on_another_day = best.recorded_choices(resolve({**given, "epoch": 1}), recorded)
    assert differences(on_another_day, recorded) == []
    assert on_another_day == dataclasses.replace(begun, epoch=1)
    otherwise = best.recorded_choices(resolve({**given, "batch_size": 16}), recorded)
    assert [line.split(":")[0] for line in differences(otherwise, recorded)] == ["--batch_size"]
    with pytest.raises(UserError, match="--batch_size must be at least 2"):
        best.recorded_choices(resolve(given), {"batch_size": 0})


@pytest.mark.parametrize(("given", "epoch"), [({}, ENDLESS), ({"epoch": 3}, 3), ({"steps": 3}, 25)])
def test_a_time_alone_has_no_other_end(given, epoch):
    assert resolve({"time_budget": "10m", "dataset": "faces", **given}).epoch == epoch
