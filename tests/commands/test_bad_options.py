"""Options of the commands on a run that are wrong: one sentence, exit code 2, nothing changed."""

import pytest
from learnt import learnt_run
from running import command, content, write_pictures
from toy_run import toy_run

from dcgan.commands.compare import MAX_SEEDS
from dcgan.outputs.comparison.runs import MAX_RUNS


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """Runs in toy/, and with their data in plain/run and labelled/run; few/ has three pictures."""
    base = tmp_path_factory.mktemp("base")
    toy_run(base / "toy")
    learnt_run(base / "plain", {"": 110}, shape=(8, 8, 3))
    learnt_run(base / "labelled", {"a": 30, "b": 9})
    write_pictures(base / "few", 3)
    (base / "empty").mkdir()
    for number in range(MAX_RUNS + 1):
        (base / f"r{number}").mkdir()
        (base / f"r{number}" / "config.json").write_text("{}")
    return base


def files(base) -> dict[str, bytes]:
    """All but what is kept of the pictures."""
    return {name: data for name, data in content(base).items() if "/cache/" not in name}


TWO = "compare --runs {base}/r0 {base}/r1"
MANY = " ".join(f"{{base}}/r{number}" for number in range(MAX_RUNS + 1))
PLAIN = "evaluate --run_dir {base}/plain/run"
LABELLED = "features --run_dir {base}/labelled/run"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("sample --num_images 0", "--num_images must be at least 1"),
        ("sample --seed -1", "--first_seed must be at least 0"),
        ("sample --seed 9223372036854775807 --num_images 2", "9223372036854775807 is too large"),
        ("sample --seeds 3,x", "--seeds must be seeds such as 1,5,9-20"),
        ("sample --seeds 0-1000000", "fewer"),
        ("sample --seeds 1 --seed 2", "leave out --first_seed and --num_images, or --seeds"),
        ("sample --seeds 1 --num_images 2", "leave out --first_seed and --num_images, or --seeds"),
        ("sample --checkpoint 77", "expected newest, a file, or of"),
        ("sample --to {base}/toy/config.json", "is a file"),
        ("sample --seeds 1 --to .", ". is not empty and was not made by sample"),
        ("sample --seeds 1 --to /", "/ is not empty and was not made by sample"),
        ("sample --run_dir {base}/toy/checkpoints", "is not a run folder"),
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
        ("compare --runs {base}/toy", "--runs must be 2 to 24 different run folders; received 1 ("),
        ("compare --runs {base}/r0 {base}/./r0 {base}/r1/../r0", "received 1"),
        ("compare --runs {base}/r0 {base}/few", "few is not a run folder"),
        ("compare --runs , ,", "received 0"),
        (f"compare --runs {MANY}", f"received {MAX_RUNS + 1}"),
        (f"{TWO} --seeds x", "--seeds must be seeds such as"),
        (f"{TWO} --seeds 0-{MAX_SEEDS}", f"1 to {MAX_SEEDS} seeds"),
        (f"{TWO} --to page.pdf", "--to must end in .html or .htm"),
        ("neighbours --seeds x", "--seeds must be seeds such as"),
        ("neighbours --seeds 0-100", "--seeds must be 1 to 100 seeds"),
        ("neighbours --k 21", "--k must be at least 1 and at most 20"),
        ("neighbours --to near.gif", "--to must end in .png"),
        ("neighbours --to .", "--to must end in .png; received ."),
        (f"{PLAIN} --metrics fid,kld", "--metrics must be one of fid, kid, "),
        (f"{PLAIN} --num_images 99", "needs at least 100 generated images, there are 99"),
        (f"{PLAIN} --extractor classifier --metrics is", "The classifier needs labels"),
        (f"{PLAIN} --extractor vgg", "one of inception, classifier, self_supervised, pixels, or a"),
        (f"{PLAIN} --checkpoint best", "no checkpoint {base}/plain/run/checkpoints/best.npz"),
        (f"{PLAIN} --images {{base}}/none", "no pictures for --images {base}/none: There is no"),
        (f"{PLAIN} --images {{base}}/empty", "no pictures for --images {base}/empty: "),
        (f"{PLAIN} --images {{base}}/few", "needs at least 100 generated images, there are 3"),
        (f"{PLAIN} --images x --checkpoint 1234", "--checkpoint 1234 names what makes"),
        (f"{LABELLED} --labels_per_class 10", "of them 9 of the class b"),
        (f"{LABELLED} --labels hair", "--labels must be one of label"),
        (f"{LABELLED} --labels_per_class 1", "--labels_per_class must be at least 2"),
        (f"{LABELLED} --splits test", "no images for --splits test"),
        (f"{LABELLED} --checkpoint 9", "There is no checkpoint"),
    ],
)
def test_bad_options_of_a_command_on_a_run(base, capsys, line, words):
    before = files(base)
    name, *more = line.format(base=base).split()
    of_a_run = [] if name == "compare" else ["--run_dir", base / "toy"]
    assert command(name, *of_a_run, *more) == 2
    message = capsys.readouterr().err
    assert words.format(base=base) in message and message.count("\n") == 2
    assert files(base) == before
