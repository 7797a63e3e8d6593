"""The check of values, and the options of the commands beside train."""

import os
from dataclasses import FrozenInstanceError, dataclass

import pytest

from dcgan import UserError
from dcgan.cli import flags
from dcgan.cli.command_options import COMMANDS, GROUPS, complete
from dcgan.cli.option import check_value, did_you_mean, fields, option

ENOUGH = {"crawl": {"to": "raw"}, "crop": {"from_": "raw", "to": "faces"}}
ENOUGH |= {"pack": {"dataset": "faces", "to": "faces.zip"}, "inspect": {}}
ENOUGH |= {"arithmetic": {"terms": "+1 -2"}, "compare": {"runs": "runs/a,runs/b"}}
ENOUGH |= {"import-torch": {"from_": "netG.pth", "to": "runs/imported"}}


@dataclass(frozen=True)
class Toy:
    """Every kind of check."""

    above: float = option(1.5, "Above 1, at most 2.", above=1.0, maximum=2.0)
    count: int | None = option(None, "At least 3.", minimum=3)
    colour: str = option("red", "One of two.", choices=("red", "green"))
    from_: int = option(1, "At most 5.", maximum=5)


def refusal(function, *args) -> str:
    with pytest.raises(UserError) as caught:
        function(*args)
    message = str(caught.value)
    assert "\n" not in message and message.endswith(".")
    return message


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("above", 1.0, "--above must be above 1.0 and at most 2.0; received 1.0."),
        ("above", 2.1, "--above must be above 1.0 and at most 2.0; received 2.1."),
        ("above", float("nan"), "--above must be above 1.0 and at most 2.0; received nan."),
        ("count", 2, "--count must be at least 3; received 2."),
        ("colour", "blue", "--colour must be one of red, green; received 'blue'."),
        (
            *("colour", "gren"),
            "--colour must be one of red, green; received 'gren' (did you mean green?).",
        ),
        ("from_", 6, "--from must be at most 5; received 6."),
    ],
)
def test_values_out_of_range_are_refused(name, value, message):
    assert refusal(check_value, fields(Toy)[name], value) == message


def test_did_you_mean_says_nothing_when_nothing_is_near():
    assert did_you_mean("epch", ["epoch", "seed"], prefix="--") == " (did you mean --epoch?)"
    assert did_you_mean("quux", ["epoch", "seed"]) == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_required_is_enough_and_the_rest_takes_its_default(command):
    made = complete(command, ENOUGH.get(command, {}))
    assert type(made) is COMMANDS[command]
    for name, field in fields(COMMANDS[command]).items():
        assert getattr(made, name) == ENOUGH.get(command, {}).get(name, field.default)
        check_value(field, field.default)
    with pytest.raises(FrozenInstanceError):
        made.to = "elsewhere"


@pytest.mark.parametrize(
    ("command", "given", "words"),
    [
        ("crawl", {}, "crawl needs --to, as in: python main.py crawl --to data/raw."),
        ("crop", {}, "needs --from and --to, as in: python main.py crop --from data/raw --to "),
        ("crop", {"to": "x"}, "crop needs --from, as in: python main.py crop --from "),
        ("pack", {"dataset": "x", "to": ""}, "needs --to, as in: python main.py pack --dataset "),
        ("crop", {"size": 7}, "--size must be at least 8"),  # before anything else
    ],
)
def test_what_is_missing_or_out_of_range_is_refused(command, given, words):
    assert words in refusal(complete, command, given)


def test_each_command_is_in_one_group_of_the_help():
    grouped = [command for commands in GROUPS.values() for command in commands]
    assert sorted(grouped) == sorted(flags.COMMANDS)


# ---- paths ----

WORDS = {"input_fname_pattern", "splits", "split", "site", "tags", "rating", "contact", "seeds"}
WORDS |= {"terms", "method", "format", "weights", "name", "host", "allowed_hosts", "cors"}
WORDS |= {"metrics", "extractor_range", "extractor_layout", "labels", "only", "compare", "preset"}
WORDS |= {"update", "precision", "layout", "z_dist", "g_noise", "augment", "strategy"}
WORDS |= {"evaluate_metric", "evaluate_extractor", "time_budget", "root_path"}
WORDS |= {"forwarded_allow_ips", "adam_epsilon_on", "label_columns", "label"}


@pytest.mark.parametrize("command", flags.COMMANDS)
def test_each_text_is_a_path_or_words(command):
    """A new option says which: what is a path is expanded."""
    for name, field in fields(flags.COMMANDS[command]).items():
        if flags.kind(field) is str:
            assert bool(field.metadata.get("path")) == (name not in WORDS), name


def paths() -> list:
    return [
        (command, name, spelling)
        for command, taken in flags.COMMANDS.items()
        for name, field in fields(taken).items()
        if field.metadata.get("path")
        for spelling in flags.spellings(field)
    ]


@pytest.mark.parametrize(("command", "name", "flag"), paths())
def test_each_path_begins_at_home_where_it_says_so(command, name, flag, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    for line in ([f"--{flag}=~/x"], [f"--{flag}", "~/x"]):
        assert flags.parse([command, *line]) == (command, {name: "/home/me/x"})
    root = os.path.expanduser("~root")
    assert flags.parse([command, f"--{flag}=~root/x"])[1] == {name: f"{root}/x"}
    for here in ("./~/x", "a~", "/~", "x/~/y", "gs://bucket/~"):
        assert flags.parse([command, f"--{flag}={here}"])[1] == {name: here}


def test_each_of_several_paths_begins_at_home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    for line in (["--runs", "~/a", "b", "~/c"], ["--runs=~/a,b,~/c"]):
        assert flags.parse(["compare", *line])[1] == {"runs": "/home/me/a,b,/home/me/c"}


def test_words_keep_their_tilde():
    assert flags.parse(["crawl", "--tags=~solo"])[1] == {"tags": "~solo"}


def test_a_home_that_nobody_knows_is_refused():
    said = refusal(flags.parse, ["sample", "--to=~nobody-of-that-name/x"])
    assert said.startswith("--to ~nobody-of-that-name/x is in the home folder ~nobody-of-that-name")
    assert "./~nobody-of-that-name/x" in said
