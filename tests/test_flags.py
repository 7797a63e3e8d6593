"""The flags are `Config`'s fields, and flags.md is what they say."""

import re
from pathlib import Path

import pytest

from dcgan import UserError, flags
from dcgan.config import FIELDS, resolve
from dcgan.presets import DATASETS, PRESETS
from main import COMMANDS

ROOT = Path(__file__).parents[1]


def parse(line: str):
    return flags.parse(line.split(), COMMANDS)


def given(line: str) -> dict:
    return parse(line)[1]


def refusal(line: str) -> str:
    with pytest.raises(UserError) as caught:
        parse(line)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_flags_md_is_not_stale():
    assert (ROOT / "flags.md").read_text("utf-8") == flags.markdown(), (
        "run: python -m dcgan.flags > flags.md"
    )


def test_flags_md_and_help_name_every_flag_preset_and_data_set():
    markdown, help_text = flags.markdown(), flags.help_text(COMMANDS)
    for name, field in FIELDS.items():
        for spelling in (name, *field.metadata.get("aliases", ())):
            assert f"`--{spelling}`" in markdown
            assert re.search(rf"--{spelling}\b", help_text)
    for name in (*PRESETS, *DATASETS):
        assert f"| `{name}` |" in markdown
    for command in COMMANDS:
        assert f"  {command} " in help_text


@pytest.mark.parametrize("name", FIELDS)
def test_every_option_has_a_help_and_a_group(name):
    meta = FIELDS[name].metadata
    assert meta["help"].endswith((".", ")")) and "\n" not in meta["help"]
    assert meta["group"] in ("data", "sizes", "networks", "training", "run folder")


def test_no_spelling_is_used_twice():
    spellings = [s for n, f in FIELDS.items() for s in (n, *f.metadata.get("aliases", ()))]
    assert len(set(spellings)) == len(spellings)
    assert "log_dir" not in spellings  # absl's own
    for name in spellings:  # --nocrop must not mean something else
        assert f"no{name}" not in spellings


def test_training_is_the_default_and_a_flag_that_is_not_given_is_not_there():
    assert parse("") == ("train", {})
    assert parse("train") == ("train", {})
    assert parse("--epoch 3") == ("train", {"epoch": 3})


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("--epoch 3 --beta1=0.25", {"epoch": 3, "beta1": 0.25}),
        ("train --epoch 3", {"epoch": 3}),
        ("--epoch 3 train", {"epoch": 3}),
        ("--epoch 3 --epoch 4", {"epoch": 4}),
        ("--is_crop=false", {"crop": False}),
        ("--is_train True", {"train": True}),
        ("--c_dim 1", {"channels": 1}),
        ("--df_dim 32", {"d_width": 32}),
        ("--crop True --flip False", {"crop": True, "flip": False}),
        ("--crop true --flip f", {"crop": True, "flip": False}),
        ("--is_crop yes --noflip", {"crop": True, "flip": False}),
        ("--flip 0 --crop 1", {"crop": True, "flip": False}),
        ("--crop --flip", {"crop": True, "flip": True}),
        ("--crop False train", {"crop": False}),
        ("--crop train", {"crop": True}),
        ("--dry_run --epoch 1", {"dry_run": True, "epoch": 1}),
        ("--dataset true", {"dataset": "true"}),  # no switch: the word is its value
        ("--seed 0", {"seed": 0}),  # the default, but given
        ("--input_fname_pattern *.jpg", {"input_fname_pattern": "*.jpg"}),
    ],
)
def test_spellings(line, values):
    assert parse(line) == ("train", values)


@pytest.mark.parametrize("word", ["--help", "-h", "-help", "help"])
def test_help_is_help_wherever_it_stands(word):
    assert parse(word)[0] == "help"
    assert parse(f"train --epoch 3 {word}")[0] == "help"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--epch 3", ("--epch", "did you mean --epoch?")),
        ("--batchsize=3", ("--batchsize", "did you mean --batch_size?")),
        ("--is_corp True", ("--is_corp", "did you mean --is_crop?")),
        ("--quux", ("--quux", "--help")),
        ("trian", ("'trian'", "did you mean train?")),
        ("quux", ("'quux'", "expected one of train")),
        ("train train", ("'train'", "quotes")),
        ("--input_fname_pattern a.jpg b.jpg", ("'b.jpg'", "--")),
        ("--epoch", ("--epoch", "--help")),
        ("--epoch three", ("--epoch", "three", "whole number")),
        ("--epoch 1.5", ("--epoch", "1.5", "whole number")),
        ("--beta1 fast", ("--beta1", "fast", "number")),
        ("--crop=maybe", ("--crop", "maybe", "true or false")),
        ("--crop maybe", ("--crop", "maybe", "true or false")),
    ],
)
def test_what_is_unknown_or_of_another_type_is_refused(line, words):
    message = refusal(line)
    assert all(word in message for word in words), message


def test_parsing_again_forgets_what_was_given_before():
    assert given("--epoch 3 --nocrop") == {"epoch": 3, "crop": False}
    assert given("--seed 1") == {"seed": 1}


def test_every_flag_takes_its_own_default():
    """What --help shows as default may be given, so that a command line can be complete."""
    shown = {n: f.default for n, f in FIELDS.items() if f.default is not None and n != "epoch"}
    line = " ".join(f"--{name}={flags._shown(value)}" for name, value in shown.items())
    assert given(line) == shown
    assert resolve(given(line)).z_dim == FIELDS["z_dim"].default
