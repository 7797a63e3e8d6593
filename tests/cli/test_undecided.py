"""What is chosen for the device and length of a run, and kept where it goes on."""

import dataclasses
import math

import pytest

from dcgan import UserError
from dcgan.cli import presets, undecided
from dcgan.cli.option import ENDLESS
from dcgan.cli.presets import DECIDED_LATER, PRESETS
from dcgan.cli.recorded import differences, to_dict
from dcgan.cli.resolve import resolve
from dcgan.models.layouts import LAYOUTS

ON_CPU = {name: PRESETS["best"].get(name, 2e-4) for name in DECIDED_LATER["best"]}


def decide(config, *, gpu: bool = False, precision: str = "bfloat16"):
    """As `train` does it, for 10,000 images."""
    config = undecided.choose_batch(config, gpu=gpu)
    return undecided.decide(config, 10_000, gpu=gpu, precision=precision)


def choose(*, gpu: bool = False, **given) -> dict:
    """What a run takes of all that the preset may choose, with the sentence under ""."""
    config = resolve({"dataset": "faces", "preset": "best", **given})
    config, sentence = decide(config, gpu=gpu)
    assert config.undecided == ()
    return {name: getattr(config, name) for name in DECIDED_LATER["best"]} | {"": sentence}


@pytest.mark.parametrize(
    ("given", "length"),
    [
        ({"epoch": 7}, "For 7 epochs of 10,000 images at 64x64 on a CPU the preset best takes --"),
        ({"steps": 1500}, "For 1,500 steps of 10,000 images"),
        ({"time_budget": "7m"}, "For 7m of"),
        ({"time_budget": "20m", "epoch": 2}, "For 20m and at most 2 epochs of"),
        ({"epoch": 7, "learning_rate": 1e-3}, "For 7 epochs of"),
    ],
)
def test_it_says_what_it_takes_and_leaves_what_is_given(given, length):
    chosen = choose(**given)
    assert all(chosen[name] == given.get(name, value) for name, value in ON_CPU.items())
    assert chosen[""].startswith(length)
    for name in DECIDED_LATER["best"]:
        assert (f"--{name} {chosen[name]}" in chosen[""]) == (name not in given)


def test_a_gpu_gets_a_larger_batch_with_what_goes_with_it():
    chosen = choose(gpu=True, epoch=1)
    assert {name: chosen[name] for name in presets.ON_GPU} == presets.ON_GPU
    # Half of the average is of as many images as on a CPU.
    for one in (chosen, ON_CPU):
        assert one["batch_size"] / -math.log2(one["ema_decay"]) == pytest.approx(5530, rel=0.01)
    given = choose(gpu=True, batch_size=32)
    assert (given["batch_size"], given["learning_rate"], given["ema_decay"]) == (32, 2e-4, 0.998)


@pytest.mark.parametrize(
    ("given", "widths"),
    [
        ({"time_budget": "20m"}, (384, 48)),
        ({"time_budget": "19m59s"}, (256, 32)),
        ({"time_budget": "20m", "epoch": 29}, (256, 32)),
        ({"time_budget": "19m59s", "epoch": 30}, (256, 32)),
        ({"epoch": 30}, (384, 48)),
        ({"epoch": 29}, (256, 32)),
        ({"steps": 18_750}, (384, 48)),
        ({"steps": 18_749}, (256, 32)),
        ({"steps": 18_749, "batch_size": 17}, (384, 48)),
        ({"epoch": 30, "g_width": 96}, (96, 32)),
        ({"epoch": 30, "d_width": 24}, (256, 24)),
        ({"epoch": 30, "preset": "fast"}, (128, 16)),
        ({"epoch": 30, "preset": "silva"}, (512, 64)),
        *(({"epoch": 30, "dataset": name}, (256, 32)) for name in ("mnist", "svhn", "avatars")),
    ],
)
def test_long_runs_get_wider_networks(given, widths):
    words = {"dataset": "faces", "preset": "best", **given}
    config, sentence = decide(resolve(words))
    assert (config.g_width, config.d_width) == widths
    assert ("--g_width 384 --d_width 48" in sentence) == (widths == (384, 48))
    # A run keeps its widths, however long it becomes.
    for length in ({"steps": 10}, {"steps": 10**6}):
        same = {name: value for name, value in words.items() if name != "epoch"}
        went_on = undecided.keep_recorded(resolve({**same, **length}), to_dict(config))
        went_on, _ = decide(went_on)
        assert (went_on.g_width, went_on.d_width) == widths


@pytest.mark.parametrize(
    "given",
    [{"preset": "silva"}, {"dataset": "mnist", "preset": "best", "conditional": False}],
)
def test_nothing_else_is_chosen(given):
    config = resolve({"dataset": "faces", "epoch": 10_000, "precision": "float32", **given})
    assert decide(config, gpu=True) == (config, "")


@pytest.mark.parametrize(
    ("preset", "dataset"),
    [("best", "mnist"), ("best", "svhn"), ("best", "avatars"), ("carpedm20", "mnist")],
)
def test_labels_are_learnt_unless_a_run_began_without(preset, dataset):
    words = {"dataset": dataset, "preset": preset, "epoch": 3}
    config, sentence = decide(resolve(words))
    assert config.conditional and "--conditional" in sentence
    assert ("--batch_size" in sentence) == (dataset != "mnist")  # there it is not chosen
    old = to_dict(resolve({**words, "conditional": False}))
    went_on = undecided.keep_recorded(resolve(words), old)
    assert not went_on.conditional and differences(went_on, old, alike=()) == []
    given = resolve({**words, "conditional": False})
    assert not given.conditional and "conditional" not in given.undecided
    # Whoever names columns wants them: that they cannot be learnt is then refused.
    assert "conditional" not in resolve({**words, "label_columns": "label"}).undecided


def test_runs_of_older_versions_go_on_as_they_began():
    words = {"dataset": "svhn", "preset": "best", "epoch": 1}
    for began, again in (({}, {}), ({"conditional": True}, {}), *[({"conditional": True},) * 2]):
        old = to_dict(resolve({"conditional": False, **words, **began, "class_loss": 0.0}))
        del old["class_loss"]  # as versions without the choice wrote it
        if not began:
            del old["conditional"]
        went_on = undecided.keep_recorded(resolve({**words, **again}), old)
        assert (went_on.conditional, went_on.class_loss) == (bool(began), 0.0)
        assert differences(went_on, old) == []
    assert undecided.keep_recorded(resolve({**words, "class_loss": 0.5}), old).class_loss == 0.5


@pytest.mark.parametrize("began", [{}, {"conditional": True, "class_loss": 0.2}])
def test_runs_from_before_a_layout_with_labels_go_on_as_they_began(began):
    words = {"dataset": "mnist", "preset": "carpedm20", "epoch": 1, **began}
    config, sentence = decide(resolve({**words, "class_loss": 0.0}))
    assert (config.layout, config.conditional) == ("carpedm20", True)
    assert "--layout carpedm20;" in sentence and ("--conditional" in sentence) == (not began)
    old = to_dict(resolve({"conditional": False, **words, "layout": "radford"}))
    for known in (old, {name: value for name, value in old.items() if name != "layout"}):
        went_on = undecided.keep_recorded(resolve(words), known)
        assert went_on.layout == "radford" and differences(went_on, known) == []
        assert decide(went_on)[0].conditional == ("conditional" in began)


def test_a_class_loss_needs_a_layout_with_vectors_of_the_classes():
    inside = tuple(name for name, one in LAYOUTS.items() if one.labels_inside)
    assert undecided.WITHOUT_VECTORS == inside
    words = {"dataset": "mnist", "preset": "carpedm20", "class_loss": 0.2}
    with pytest.raises(UserError, match=r"--class_loss 0.2 needs .* --layout carpedm20 does not"):
        decide(resolve(words))
    assert decide(resolve({**words, "layout": "radford"}))[0].class_loss == 0.2


def test_the_class_loss_is_the_presets_on_hard_classes():
    words = {"dataset": "svhn", "preset": "best", "epoch": 1}
    config, sentence = decide(resolve(words))
    assert config.class_loss == 0.2 and "--conditional --class_loss 0.2" in sentence
    assert undecided.keep_recorded(resolve(words), to_dict(config)).class_loss == 0.2
    assert resolve({"dataset": "pets", "conditional": True}).class_loss == 0.0


@pytest.mark.parametrize("preset", ["silva", "best"])
def test_the_arithmetic_is_the_devices_unless_it_is_given(preset):
    for given, expected in (({}, "bfloat16"), ({"precision": "auto"}, "bfloat16")):
        config, sentence = decide(resolve({"dataset": "faces", "preset": preset, **given}))
        assert config.precision == expected and "precision" not in sentence
    given = {"dataset": "faces", "preset": preset, "precision": "float16"}
    assert decide(resolve(given))[0].precision == "float16"


@pytest.mark.parametrize("name", ["float32", "bfloat16", None])
def test_a_run_keeps_its_arithmetic_on_other_hardware(name):
    """Runs without a record are older than any other arithmetic than float32."""
    recorded = {} if name is None else {"precision": name}
    config = undecided.keep_recorded(resolve({"dataset": "avatars"}), recorded)
    assert decide(config, precision="float16")[0].precision == (name or "float32")
    given = undecided.keep_recorded(
        resolve({"dataset": "avatars", "precision": "float16"}), recorded
    )
    assert given.precision == "float16"  # and refused, as any other change is
    assert any(line.startswith("--precision") for line in differences(given, to_dict(config)))


def test_a_foreign_record_is_not_believed():
    config = resolve({"dataset": "avatars"})
    assert decide(undecided.keep_recorded(config, {"precision": "auto"}))[0].precision == "bfloat16"
    with pytest.raises(UserError, match="--precision must be one of"):
        undecided.keep_recorded(config, {"precision": "float8"})
    config = resolve({"dataset": "faces"})
    for foreign in ({"batch_size": [16]}, {"batch_size": None}, {"augment": 5}, {"g_width": "256"}):
        with pytest.raises(
            UserError, match=rf"config.json has a {next(iter(foreign))} that no run"
        ):
            undecided.keep_recorded(config, foreign)
    assert undecided.keep_recorded(config, {"ema_decay": 0}).ema_decay == 0


def test_a_run_keeps_what_was_chosen_when_it_began():
    given = {"dataset": "faces", "preset": "best", "channels": 3}
    begun, _ = decide(resolve(given), gpu=True)
    recorded = to_dict(begun)
    assert "undecided" not in recorded and recorded["batch_size"] == 64
    on_another_day = undecided.keep_recorded(resolve({**given, "epoch": 1}), recorded)
    assert differences(on_another_day, recorded) == []
    assert on_another_day == dataclasses.replace(begun, epoch=1)
    otherwise = undecided.keep_recorded(resolve({**given, "batch_size": 16}), recorded)
    assert [line.split(":")[0] for line in differences(otherwise, recorded)] == ["--batch_size"]
    with pytest.raises(UserError, match="--batch_size must be at least 2"):
        undecided.keep_recorded(resolve(given), {"batch_size": 0})


def test_a_run_keeps_the_preset_with_which_it_began_where_none_is_given():
    begun = to_dict(resolve({"dataset": "faces", "preset": "silva", "d_width": 24}))
    went_on = undecided.keep_recorded(resolve({"dataset": "faces"}), begun)
    assert (went_on.preset, went_on.kernel_size, went_on.d_width) == ("silva", 5, 24)
    assert differences(went_on, begun) == [] and decide(went_on)[1] == ""
    for given in ({"preset": "best"}, {"kernel_size": 4}):
        went_on = undecided.keep_recorded(resolve({"dataset": "faces", **given}), begun)
        assert any(
            "--kernel_size: 5 in the run, 4 now" in one for one in differences(went_on, begun)
        )


def test_on_a_cpu_the_default_networks_come_with_a_word_about_better_ones():
    assert "--preset best" in decide(resolve({"dataset": "anime"}))[1]
    assert decide(resolve({"dataset": "anime"}), gpu=True)[1] == ""
    assert decide(resolve({"dataset": "anime", "preset": "silva"}))[1] == ""


@pytest.mark.parametrize(("given", "epoch"), [({}, ENDLESS), ({"epoch": 3}, 3), ({"steps": 3}, 25)])
def test_a_time_alone_has_no_other_end(given, epoch):
    assert resolve({"time_budget": "10m", "dataset": "faces", **given}).epoch == epoch
