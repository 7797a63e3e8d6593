"""The flags are the fields of the commands' dataclasses, and flags.md is what they say."""

import re
from pathlib import Path

import pytest

from dcgan import UserError
from dcgan.cli import command_options, flags, help, option
from dcgan.cli.flags import COMMANDS, parse
from dcgan.cli.presets import DATASETS, PRESETS
from dcgan.cli.resolve import resolve
from dcgan.cli.train_options import FIELDS

ROOT = Path(__file__).parents[2]
EVERY_FIELD = [(c, f) for c, taken in COMMANDS.items() for f in option.fields(taken).values()]


def given(line: str) -> dict:
    return parse(line.split())[1]


def refusal(line: str) -> str:
    with pytest.raises(UserError) as caught:
        parse(line.split())
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_flags_md_is_not_stale():
    assert (ROOT / "flags.md").read_text("utf-8") == help.markdown(), (
        "run: python -m dcgan.cli.help > flags.md"
    )


def test_flags_md_and_help_name_every_command_flag_preset_and_data_set():
    markdown, help_text = help.markdown(), help.help_text()
    for command, field in EVERY_FIELD:
        section = re.search(rf"^## {command}\n.*?(?=^## |\Z)", markdown, re.M | re.S)[0]
        for spelling in flags.spellings(field, shown=True):
            assert f"`--{spelling}`" in section
            assert re.search(rf"--{spelling}\b", help.help_text(command))
        for spelling in field.metadata.get("formerly", ()):
            assert f"`--{spelling}`" not in section
    for name in (*PRESETS, *DATASETS):
        assert f"| `{name}` |" in markdown
    for command in COMMANDS:
        assert f"| [{command}](#{command}) | {command_options.DESCRIPTIONS[command]} |" in markdown
        assert f"  {command} " in help_text


def test_flags_md_leads_to_its_own_headings_and_says_what_is_shared_once():
    markdown = help.markdown()
    headings = re.findall(r"^#+ (.*)$", markdown, re.M)
    anchors = [heading.lower().replace(" ", "-") for heading in headings]
    assert len(set(anchors)) == len(anchors)
    assert set(re.findall(r"\(#([^)]*)\)", markdown)) <= set(anchors)
    assert len(re.findall(r"^\| `--checkpoint` ", markdown, re.M)) == 1
    assert markdown.count("(default: the run's own)") == 1


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_help_fits_the_screen(columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    assert len(help.help_text().splitlines()) <= (45 if columns >= 80 else 80)
    for command in (None, *COMMANDS):
        for line in help.help_text(command).splitlines():
            assert len(line) <= min(columns, help.MAX_WIDTH) or " " not in line.strip(), line


def test_the_common_flags_are_flags_of_train():
    assert len(help.COMMON) == 8 and set(help.COMMON) <= FIELDS.keys()


def test_every_option_has_a_help_and_a_group_and_a_required_one_an_example():
    for command, field in EVERY_FIELD:
        meta, name = field.metadata, f"{command} --{field.name}"
        assert meta["help"].endswith((".", ")")) and "\n" not in meta["help"], name
        groups = ("data", "sizes", "networks", "training", "run folder")
        shared = (None, "which run", "which pictures")
        assert meta["group"] in (groups if command == "train" else shared), name
        assert not meta.get("required") or field.default is None and meta["example"], name


def test_no_spelling_is_used_twice():
    for command in COMMANDS:
        spellings = [s for c, f in EVERY_FIELD if c == command for s in flags.spellings(f)]
        assert len(set(spellings)) == len(spellings), command
        assert not {"log_dir", "help", "h"} & set(spellings)  # absl's own, and ours
        # --nocrop must not mean something else
        assert not {f"no{name}" for name in spellings} & set(spellings), command


def test_a_flag_is_a_switch_in_every_command_or_in_none():
    """A line is taken apart before its command is known."""
    for command, field in EVERY_FIELD:
        for spelling in flags.spellings(field):
            is_switch = flags.kind(field) is bool
            assert (spelling in flags.SWITCHES) == is_switch, (command, spelling)


def test_a_flag_takes_a_list_in_every_command_or_in_none():
    for command, field in EVERY_FIELD:
        for spelling in flags.spellings(field):
            is_list = bool(field.metadata.get("list"))
            assert (spelling in flags.LISTS) == is_list, (command, spelling)


def test_training_is_the_default_and_a_flag_that_is_not_given_is_not_there():
    assert parse([]) == ("train", {})
    assert parse(["train"]) == ("train", {})
    assert parse(["--epoch", "3"]) == ("train", {"epoch": 3})


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("--epoch 3 --beta1=0.25", {"epoch": 3, "beta1": 0.25}),
        ("--epoch 3 --epoch 4", {"epoch": 4}),
        ("--is_crop=false", {"crop": False}),
        (
            "--image-size=96 --input-fname-pattern a-b",
            {"image_size": 96, "input_fname_pattern": "a-b"},
        ),
        ("--no-flip --no-crop", {"flip": False, "crop": False}),
        ("--lr 1e-3 --epochs 3 --bs=8", {"learning_rate": 1e-3, "epoch": 3, "batch_size": 8}),
        ("mypics", {"dataset": "mypics"}),
        ("pictures", {"dataset": "pictures"}),  # has much in common with features
        ("train mypics", {"dataset": "mypics"}),
        ("--epoch 3 ./trian", {"epoch": 3, "dataset": "./trian"}),
        ("train train", {"dataset": "train"}),
        ("--crop True --flip False", {"crop": True, "flip": False}),
        ("--is_crop yes --noflip", {"crop": True, "flip": False}),
        ("--crop --flip", {"crop": True, "flip": True}),
        ("--crop False train", {"crop": False}),
        ("--crop train", {"crop": True}),
        ("-crop True -flip False", {"crop": True, "flip": False}),
        ("--crop=yes --flip=N", {"crop": True, "flip": False}),
        ("--dataset help", {"dataset": "help"}),
        ("--dataset --help", {"dataset": "--help"}),
        ("--dataset crop --run_dir -h", {"dataset": "crop", "run_dir": "-h"}),
        ("--input_fname_pattern a=b", {"input_fname_pattern": "a=b"}),
        ("--dataset true", {"dataset": "true"}),  # no switch: the word is its value
    ],
)
def test_spellings(line, values):
    assert parse(line.split()) == ("train", values)


TERMS = {"terms": "+3,8 -4 +5 +6"}


@pytest.mark.parametrize(
    ("line", "command", "values"),
    [
        ("crop --from a --to b", "crop", {"from_": "a", "to": "b"}),
        ("--from a --to b crop", "crop", {"from_": "a", "to": "b"}),
        ("--from pack crop --to train", "crop", {"from_": "pack", "to": "train"}),
        ("pack --crop False --split 0.1", "pack", {"crop": False, "test_share": 0.1}),
        ("evaluate --split test", "evaluate", {"splits": "test"}),
        ("sample --hair blue --eyes=red", "sample", {"label": "hair=blue,eyes=red"}),
        ("--label a=1 b=2 --hair x sample", "sample", {"label": "a=1,b=2,hair=x"}),
        ("sample --breed poodle", "sample", {"label": "breed=poodle"}),  # like --seed
        ("interpolate --style buns", "interpolate", {"label": "style=buns"}),  # like --scale
        ("benchmark --steps 3 --bs 4", "benchmark", {"steps_per_turn": 3, "batch_size": 4}),
        ("crop --min_neighbors 3", "crop", {"min_neighbours": 3}),
        ("neighbors --k 3", "neighbours", {"k": 3}),
        ("export_torch --to a", "export-torch", {"to": "a"}),
        ("inspect anime", "inspect", {"dataset": "anime"}),
        ("--crop pack", "pack", {"crop": True}),
        ("--nocrop pack", "pack", {"crop": False}),
        ("--yes crawl --tags help", "crawl", {"yes": True, "tags": "help"}),
        ("compare --runs a,b c --to x", "compare", {"runs": "a,b,c", "to": "x"}),
        ("compare --to x --runs=a b", "compare", {"runs": "a,b", "to": "x"}),
        ("compare --runs a --seeds 1 --runs b", "compare", {"runs": "a,b", "seeds": "1"}),
        ("--runs a b compare", "compare", {"runs": "a,b"}),
        ("--runs train b compare --to x", "compare", {"runs": "train,b", "to": "x"}),
        ("compare --runs train export", "compare", {"runs": "train,export"}),
        ("arithmetic --plus 3,8 --minus 4 --plus=5 --terms +6", "arithmetic", TERMS),
        ("crop", "crop", {}),  # what is missing is not this module's to say
    ],
)
def test_the_command_is_the_first_word_that_is_no_value(line, command, values):
    assert parse(line.split()) == (command, values)


@pytest.mark.parametrize("word", ["--help", "-h", "-help", "--helpfull", "help"])
def test_help_is_help_wherever_it_stands(word):
    assert parse([word]) == ("help", {"command": None})
    assert parse([*"--dataset anime --crop".split(), word]) == ("help", {"command": None})
    assert parse(["train", "--epoch", "3", word]) == ("help", {"command": "train"})
    assert parse([word, "crop"]) == ("help", {"command": "crop"})
    assert parse(["compare", "--runs", "a", "b", word]) == ("help", {"command": "compare"})
    assert parse(["crop", "--quux", word]) == ("help", {"command": "crop"})
    assert parse(["mypics", word]) == ("help", {"command": None})
    assert parse(["neighbors", word]) == ("help", {"command": "neighbours"})


def test_the_version_is_asked_for_wherever_it_stands():
    for line in ("--version", "-version", "crop --version", "--version x", "--version --help"):
        assert parse(line.split()) == ("version", {})


def test_what_is_there_is_a_data_set_even_where_its_name_is_near_a_commands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("samples", "data/reports"):
        (tmp_path / folder).mkdir(parents=True)
        assert parse([Path(folder).name]) == ("train", {"dataset": Path(folder).name})
    for name in DATASETS:
        assert parse([name]) == ("train", {"dataset": name})


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--epch 3", ("--epch", "did you mean --epoch?")),
        ("--is_corp True", ("--is_corp", "did you mean --is_crop?")),
        ("--quux", ("--quux", "--help")),
        ("trian", ("'trian'", "did you mean train?")),
        ("samples", ("'samples'", "mean sample?", "--dataset samples")),
        ("a --dataset b", ("'a'", "--dataset b", "one of them")),
        ("a b", ("'b'", "'train'", "quotes")),
        ("sample a", ("'a'", "'sample'", "quotes")),
        ("report runs/a", ("'runs/a'", "a run is named by --run_dir.")),
        ("compare runs/a runs/b", ("'runs/a'", "a run is named by --runs.")),
        ("crop a", ("'a'", "needs quotes.")),
        ("--no-epoch", ("--no_epoch",)),
        ("cropp --help", ("'cropp'", "did you mean crop?")),
        ("--site konachan", ("--site", "of crawl, not of train", "python main.py crawl --to")),
        ("--to x", ("of crawl, crop, pack, inspect", "not of train", "name the command")),
        ("train --to x", ("not of train", "python main.py train --help")),
        ("crop --noyes", ("--noyes", "of crawl, not of crop")),
        ("sample --num_image 3", ("--num_image", "did you mean --num_images?")),
        ("sample --lable 7", ("--lable", "did you mean --label?")),
        ("sample --size 3", ("--size is a flag of", "not of sample")),
        ("crop --hair blue", ("There is no flag --hair",)),
        ("--noflip True", ("--noflip takes no value", "'True'", "--flip")),
        ("--flagfile x", ("There is no flag --flagfile",)),  # absl's own
        ("compare --runs", ("--runs", "--help")),
        ("--dataset x --input_fname_pattern a.jpg b.jpg", ("'b.jpg'", "quotes")),
        ("--epoch", ("Missing value for flag --epoch", "--help")),
        ("sample --label hair=blue --run_dir", ("Missing value for flag --run_dir", "sample")),
        ("--bs many", ("--bs must be", "'many'")),  # as it was written
        ("--epoch 1.5", ("--epoch", "1.5", "whole number")),
        ("--beta1 fast", ("--beta1", "fast", "number")),
        ("--crop=maybe", ("--crop", "maybe", "true or false")),
        ("--dry_run pictures", ("--dry_run", "'pictures'", "true or false", "name it first")),
    ],
)
def test_what_is_unknown_or_of_another_type_is_refused(line, words):
    message = refusal(line)
    assert all(word in message for word in words), message


def test_every_flag_takes_its_own_default():
    """What --help shows as default may be given, so that a command line can be complete."""
    shown = {n: f.default for n, f in FIELDS.items() if f.default is not None and n != "epoch"}
    line = " ".join(f"--{name}={flags.as_text(value)}" for name, value in shown.items())
    assert given(line) == shown
    assert resolve(given(line)).z_dim == FIELDS["z_dim"].default
