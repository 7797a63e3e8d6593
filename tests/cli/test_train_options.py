"""`Config`: what wins over what, the sizes, what contradicts itself, and what may change."""

import dataclasses
import json

import pytest

from dcgan import UserError
from dcgan.cli.option import parse_seconds
from dcgan.cli.presets import DATASETS, ON_DATASET, PRESETS
from dcgan.cli.recorded import SHORTHANDS, differences, run_name, to_dict
from dcgan.cli.resolve import resolve
from dcgan.cli.train_options import FIELDS, Config


def refusal(**given) -> str:
    with pytest.raises(UserError) as caught:
        resolve(given)
    return str(caught.value)


# ---- precedence ----


def test_default_then_data_set_then_preset_then_flag(monkeypatch):
    monkeypatch.setitem(DATASETS, "toys", {"epoch": 2, "batch_size": 20, "z_dim": 22, "seed": 2})
    monkeypatch.setitem(PRESETS, "torch", {"batch_size": 30, "z_dim": 33})
    got = resolve({"dataset": "toys", "preset": "torch", "z_dim": 44})
    assert got.beta1 == FIELDS["beta1"].default  # nobody says otherwise
    assert got.epoch == 2  # the data set's, not the default
    assert got.batch_size == 30  # the preset's, not the data set's 20
    assert got.z_dim == 44  # the flag's, not the preset's 33
    assert got.preset == "torch"


def test_a_preset_may_set_otherwise_on_a_data_set(monkeypatch):
    monkeypatch.setitem(PRESETS, "torch", {"batch_size": 30, "z_dim": 33, "seed": 3})
    monkeypatch.setitem(ON_DATASET, ("torch", "mnist"), {"batch_size": 40, "z_dim": 44})
    got = resolve({"dataset": "MNIST", "preset": "torch", "z_dim": 55})
    assert (got.batch_size, got.z_dim, got.seed) == (40, 55, 3)
    assert resolve({"dataset": "svhn", "preset": "torch"}).batch_size == 30
    assert resolve({"dataset": "mnist"}).batch_size == FIELDS["batch_size"].default


def test_what_a_bundle_sets_out_of_range_is_refused(monkeypatch):
    for bundles, key in ((PRESETS, "silva"), (DATASETS, "mnist"), (ON_DATASET, ("silva", "mnist"))):
        with monkeypatch.context() as changed:
            changed.setitem(bundles, key, {"z_dim": 0})
            assert "--z_dim" in refusal(dataset="mnist", preset="silva")


def test_the_preset_fast_differs_from_best_in_its_widths_on_every_data_set():
    for dataset in ("mnist", "svhn", "avatars", "anime"):
        fast, best = (resolve({"dataset": dataset, "preset": name}) for name in ("fast", "best"))
        widths = {name: getattr(best, name) for name in ("preset", "g_width", "d_width")}
        fast = dataclasses.replace(fast, **widths, undecided=best.undecided)
        assert resolve({"dataset": dataset, "preset": "fast"}).g_width == 128 and fast == best


@pytest.mark.parametrize(("preset", "dataset"), ON_DATASET)
def test_what_a_preset_sets_on_a_data_set_resolves(preset, dataset):
    got = resolve({"dataset": dataset, "preset": preset})
    values = ON_DATASET[preset, dataset]
    assert {name: getattr(got, name) for name in values} == values


# All that decides what a run computes, as the silva preset has it.
SILVA = {
    **{"layout": "radford", "z_dim": 100, "z_dist": "normal01", "g_width": 512, "d_width": 64},
    **{"kernel_size": 5, "gamma_stddev": 0.0, "batch_size": 64, "learning_rate": 0.0002},
    **{"adam_epsilon": 1e-7, "adam_epsilon_on": "raw"},
    **{"beta1": 0.5, "real_label": 0.9, "d_steps": 1, "g_steps": 1, "g_noise": "new"},
    **{"update": "alternating", "ema_decay": 0.99, "augment": "none", "flip": True, "crop": True},
    **{"channels": None, "sync_batch_norm": True, "precision": "auto", "epoch": 25, "seed": 0},
}
PLAIN = {"real_label": 1.0, "ema_decay": 0.0, "flip": False}  # none of the sources has these
UNIFORM = {"z_dist": "uniform_signed"}
# Otherwise than silva. As it stands in the paper, in the two tutorials, in carpedm20's code, and
# for best in docs/recipes.md.
OTHERWISE = {
    "silva": {},
    "carpedm20": {**PLAIN, **UNIFORM, "g_steps": 2, "g_noise": "same", "adam_epsilon": 1e-8},
    "paper": {**PLAIN, **UNIFORM, "batch_size": 128, "g_width": 1024, "d_width": 128},
    "torch": {
        **PLAIN,
        **{"layout": "torch_tutorial", "batch_size": 128, "kernel_size": 4, "gamma_stddev": 0.02},
        **{"adam_epsilon": 1e-8, "adam_epsilon_on": "corrected"},
    },
    "tf_tutorial": {
        **PLAIN,
        **{"layout": "tf_tutorial", "update": "simultaneous", "batch_size": 256, "g_width": 256},
        **{"learning_rate": 0.0001, "beta1": 0.9},
    },
    "best": {
        **{"g_width": 256, "d_width": 32, "kernel_size": 4, "batch_size": 16},
        **{"augment": "translation", "ema_decay": 0.998},
    },
}
OTHERWISE["fast"] = OTHERWISE["best"] | {"g_width": 128, "d_width": 16}


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_has_the_values_of_its_source_and_no_others(name):
    got = resolve({"preset": name, "dataset": "celeba"})
    assert {k: getattr(got, k) for k in SILVA} == SILVA | OTHERWISE[name]


@pytest.mark.parametrize(
    ("name", "side", "otherwise"),
    [
        ("avatars", 48, {**OTHERWISE["fast"], "epoch": 8}),
        ("anime", 48, {}),
        ("celeba", 64, OTHERWISE["best"]),
        ("mnist", 28, {"flip": False}),  # neither figures nor clothes may be mirrored
        ("fashion_mnist", 28, {"flip": False}),
        ("svhn", 32, {"flip": False}),
        ("cifar10", 32, {}),
        ("a folder", 64, OTHERWISE["best"]),
    ],
)
def test_a_data_set_has_its_own_size_and_nothing_else_but_what_suits_it(name, side, otherwise):
    got = resolve({"dataset": name})
    assert (got.output_height, got.output_width) == (side, side)
    assert {k: getattr(got, k) for k in SILVA} == SILVA | otherwise


def test_the_best_of_mnist():
    got = resolve({"dataset": "mnist", "preset": "best"})
    digits = {"z_dim": 32, "batch_size": 64, "learning_rate": 0.0032, "augment": "none"}
    digits |= {"ema_decay": 0.992, "flip": False}  # see docs/recipes.md
    assert {k: getattr(got, k) for k in SILVA} == SILVA | OTHERWISE["best"] | digits
    assert got.conditional


# ---- sizes ----


@pytest.mark.parametrize(
    ("given", "height", "width"),
    [
        ({"dataset": "folder"}, 64, 64),
        ({"dataset": "anime"}, 48, 48),
        ({"dataset": "anime", "output_size": 96}, 96, 96),
        ({"dataset": "anime", "output_height": 64}, 64, 64),  # the other side follows
        ({"dataset": "anime", "output_width": 24}, 24, 24),
        ({"dataset": "anime", "output_height": 64, "output_width": 40}, 64, 40),
        ({"dataset": "anime", "output_size": 64, "output_height": 64}, 64, 64),
        ({"dataset": "folder", "output_size": 8}, 8, 8),
        ({"dataset": "folder", "output_height": 256, "output_width": 9}, 256, 9),
    ],
)
def test_output_sizes(given, height, width):
    got = resolve(given)
    assert (got.output_height, got.output_width) == (height, width)
    assert got.output_size == (height if height == width else None)


@pytest.mark.parametrize(
    ("given", "box"),
    [
        ({}, (None, None)),
        ({"image_size": 96}, (96, 96)),
        ({"input_height": 108}, (108, 108)),
        ({"input_width": 90}, (90, 90)),
        ({"input_height": 218, "input_width": 178}, (218, 178)),
        ({"image_size": 96, "input_width": 96}, (96, 96)),
    ],
)
def test_the_crop_box(given, box):
    got = resolve({"dataset": "folder", **given})
    assert (got.input_height, got.input_width) == box


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"output_size": 7}, ("--output_size", "at least 8", "at most 256", "received 7")),
        ({"output_size": 257}, ("--output_size", "at least 8", "at most 256", "received 257")),
        ({"output_height": 7, "output_width": 8}, ("--output_height", "received 7")),
        ({"output_height": 8, "output_width": 300}, ("--output_width", "received 300")),
        ({"output_size": 0}, ("--output_size", "at least 8", "received 0")),
        ({"output_height": 0}, ("--output_height", "at least 8", "received 0")),
        ({"image_size": 0}, ("--image_size", "at least 1", "received 0")),
        ({"input_width": 0}, ("--input_width", "at least 1", "received 0")),
        ({"output_size": 48, "output_width": 64}, ("--output_size 48", "--output_width 64")),
        ({"image_size": 96, "input_height": 90}, ("--image_size 96", "--input_height 90")),
        ({"image_size": 96, "crop": False}, ("--crop false", "96x96", "--crop true")),
        ({"augment": "none,color"}, ("--augment none", "'none,color'")),
        ({"steps": 5, "epoch": 2}, ("--steps 5", "--epoch 2", "one of them")),
        ({"update": "simultaneous", "g_steps": 2}, ("--g_steps 2", "--update alternating")),
        ({"update": "simultaneous", "preset": "carpedm20"}, ("--g_steps 2",)),
        ({"time_budget": "soon"}, ("--time_budget", "10m", "'soon'")),
        ({"class_loss": 0.2}, ("--class_loss 0.2 is for --conditional", "leave out")),
    ],
)
def test_what_is_out_of_range_or_in_contradiction_is_refused(given, words):
    message = refusal(dataset="folder", **given)
    assert all(word in message for word in words), message


# ---- values ----


def test_steps_may_take_the_place_of_a_data_sets_epochs(monkeypatch):
    monkeypatch.setitem(DATASETS, "toys", {"epoch": 8})
    assert resolve({"dataset": "toys", "steps": 5}).steps == 5


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("10m", 600),
        ("1.5h", 5400),
        ("1h30m", 3600 + 30 * 60),
        ("1h1m1s", 3661),
        ("0.5s", 0.5),
    ],
)
def test_durations(text, seconds):
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        *("", "0", "0s", "-5m", "10 m", "m", "1d", "1h30x", "1..5h", "1e3", "٣m", "5m\n"),
        *("1h30", "5m5m", "5m5", "30s1h", "1m1h", "5 5", "5s5s"),  # in which order, of what unit?
    ],
)
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(UserError, match=r"--time_budget .*90s"):
        parse_seconds(text)


# ---- the recorded run ----


def test_config_survives_json_exactly():
    given = {"learning_rate": 0.1 + 0.2, "time_budget": "1h", "precision": "bfloat16"}
    config = resolve({"dataset": "mnist", "preset": "silva", **given})
    assert Config(**json.loads(json.dumps(to_dict(config)))) == config


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ({"preset": "best"}, {"g_width": 256, "d_width": 32}),
        ({"output_size": 48}, {"output_height": 48, "output_width": 48}),
        ({"image_size": 90}, {"input_height": 90}),
        ({"learning_rate": 0.0002, "beta1": 0.5}, {"learning_rate": 2e-4}),
        ({"dataset": "MNIST"}, {"dataset": "mnist"}),
    ],
)
def test_options_are_compared_by_what_they_mean(typed, meant):
    one, other = (resolve({"dataset": "folder", **given}) for given in (typed, meant))
    assert differences(one, to_dict(other)) == differences(other, to_dict(one)) == []


def test_a_value_of_a_strangers_run_is_cut_in_the_sentence():
    before = to_dict(resolve({"dataset": "folder"})) | {"z_dist": "x\x1b" * 1000}
    (line,) = differences(resolve({"dataset": "folder"}), before)
    assert len(line) < 150 and "\x1b" not in line


def test_each_difference_is_a_line_with_both_values():
    before = to_dict(resolve({"dataset": "anime", "z_dim": 64, "image_size": 90}))
    now = resolve({"dataset": "anime", "output_size": 64, "image_size": 80, "flip": False})
    # anime's own size is 48; --output_size and --image_size only name both sides.
    assert sorted(differences(now, before)) == [
        "--flip: true in the run, false now",
        "--input_height: 90 in the run, 80 now",
        "--input_width: 90 in the run, 80 now",
        "--output_height: 48 in the run, 64 now",
        "--output_width: 48 in the run, 64 now",
        "--z_dim: 64 in the run, 100 now",
    ]


def test_how_long_how_often_and_where_may_change():
    other = {
        "epoch": 300,
        "time_budget": "1h",
        "log_freq": 7,
        "sample_freq": 7,
        "ckpt_freq": 7,
        "max_to_keep": 9,
        "run_dir": "elsewhere",
        "data_dir": "elsewhere",
        "cache_dir": "elsewhere",
        "strategy": "none",
    }
    before = to_dict(resolve({"dataset": "folder"}))
    assert differences(resolve({"dataset": "folder", **other}), before) == []
    assert differences(resolve({"dataset": "folder", "steps": 9}), before) == []


def test_what_makes_other_weights_may_not_change():
    """Every option that training reads for its arithmetic stands in the way."""
    harmless = {name for name, field in FIELDS.items() if field.metadata.get("harmless")}
    harmless |= set(SHORTHANDS)
    assert not harmless & {
        *("dataset", "splits", "train_size", "channels", "flip", "crop", "input_fname_pattern"),
        *("output_height", "output_width", "input_height", "input_width", "seed"),
        *("z_dim", "z_dist", "g_width", "d_width", "kernel_size", "gamma_stddev", "batch_size"),
        *("learning_rate", "beta1", "real_label", "d_steps", "g_steps", "update", "ema_decay"),
        *("precision", "num_samples"),
    }


def test_options_that_an_older_run_does_not_know_count_as_their_defaults():
    config = resolve({"dataset": "folder", "preset": "silva"})
    before = to_dict(config)
    del before["ema_decay"]
    assert differences(config, {**before, "an_option_of_later": 1}) == []
    changed = dataclasses.replace(config, ema_decay=0.5)
    default = FIELDS["ema_decay"].default
    assert differences(changed, before) == [f"--ema_decay: {default} in the run, 0.5 now"]
    assert differences(changed, before, alike=["ema_decay"]) == []


@pytest.mark.parametrize(
    ("dataset", "name"),
    [
        ("anime", "anime-32x40x3"),
        ("AniMe", "anime-32x40x3"),
        ("/pictures/My Cats!/", "my-cats-32x40x3"),
        ("faces.ZIP", "faces-32x40x3"),
        ("a/b/img_align.v2", "img_align.v2-32x40x3"),
        ("/", "data-32x40x3"),
    ],
)
def test_the_name_of_a_run(dataset, name):
    config = resolve({"dataset": dataset, "output_height": 32, "output_width": 40, "channels": 3})
    assert run_name(config) == name


def test_the_folder_that_one_stands_in_gives_its_name(tmp_path, monkeypatch):
    (tmp_path / "cats").mkdir()
    monkeypatch.chdir(tmp_path / "cats")
    size = {"output_height": 32, "output_width": 40, "channels": 3}
    assert run_name(resolve({"dataset": ".", **size})) == "cats-32x40x3"
