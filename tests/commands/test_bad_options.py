"""Options of the commands on a run that are wrong: one sentence, exit code 2, nothing changed."""

import pytest
from running import content
from toy_run import toy_run

import main


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return toy_run(tmp_path_factory.mktemp("toy") / "run")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("sample --num_images 0", "--num_images must be at least 1"),
        ("sample --seed -1", "--first_seed must be at least 0"),
        (
            "sample --seed 9223372036854775807 --num_images 2",
            "9223372036854775807 is too large",
        ),
        ("sample --seeds 3,x", "--seeds must be seeds such as 1,5,9-20"),
        ("sample --seeds 0-1000000", "fewer"),
        ("sample --seeds 1 --seed 2", "leave out --first_seed and --num_images, or --seeds"),
        ("sample --seeds 1 --num_images 2", "leave out --first_seed and --num_images, or --seeds"),
        ("sample --checkpoint 77", "expected newest, a file, or of"),
        ("sample --to {toy}/config.json", "is a file"),
        ("sample --run_dir {toy}/checkpoints", "is not a run folder"),
        ("interpolate --seeds 1,x", "--seeds must be seeds such as"),
        ("interpolate --seeds 7", "--seeds must be 2 to 100 seeds; received 1: give more."),
        ("interpolate --seeds 0-99 --frames 30", "give fewer of either"),
        ("interpolate --method cubic", "--method must be one of slerp, linear"),
        ("interpolate --to walk.avi", "--to must end in .gif or .mp4 or .png"),
        ("interpolate --to /dev/null/walk.gif", "not a folder that may be written"),
        ("interpolate --checkpoint best", "There is no checkpoint"),
        ("arithmetic", "needs --terms, as in: python main.py arithmetic --terms '+3,8,12"),
        ("arithmetic --plus 1,,2", "--terms (or --plus, --minus) must be seeds such as"),
        ("arithmetic --plus 0-16", "must be 1 to 16 seeds"),
        ("arithmetic --plus 1 --noise nan", "--noise must be at least 0.0"),
        ("arithmetic --plus 1 --to sum.gif", "--to must end in .png"),
        ("report --seeds x", "--seeds must be seeds such as"),
        ("report --seeds 1", "--seeds must be 2 to 1,000 seeds"),
        ("report --to page.pdf", "--to must end in .html or .htm"),
    ],
)
def test_bad_options_of_a_command_on_a_run(toy, capsys, line, words):
    before = content(toy)
    command, *more = line.format(toy=toy).split()
    assert main.main([command, "--run_dir", str(toy), *more]) == 2
    message = capsys.readouterr().err
    assert words in message and message.count("\n") == 2
    assert content(toy) == before
