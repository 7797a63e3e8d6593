"""Whatever can be refused without pixels is refused before one is decoded; and what is the same
run, however it is typed, goes on."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from idle import learning_nothing
from running import SMALL, command, content, small_flags, write_pictures

import main
from dcgan import UserError
from dcgan.commands import train
from dcgan.datasets import catalog
from dcgan.datasets.picture_files import PictureFiles
from dcgan.evaluation import inception
from dcgan.files import read_json, write_json
from dcgan.run.run_dir import RunDir

pytestmark = pytest.mark.usefixtures("idle")

COUNT = 16
BY_SWD = ("--evaluate_freq", 4, "--evaluate_metric", "swd")


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A folder with pictures, the cache and the run folder of two steps; only to be read."""
    base = tmp_path_factory.mktemp("trained")
    flags = small_flags(write_pictures(base / "data" / "toys", COUNT), base)
    with learning_nothing():
        assert command(*flags, "--steps", 2) == 0
    write_pictures(base / "data" / "many", 110)
    return base


@pytest.fixture
def copy(trained, tmp_path, monkeypatch) -> Path:
    """The same with the pictures in their place, and no cache: decoding is to do again."""
    shutil.copytree(trained / "run", tmp_path / "run")
    monkeypatch.chdir(trained)
    return tmp_path


def forbid(monkeypatch, owner, name: str) -> None:
    def fail(*_, **__):
        raise AssertionError(f"{name} was called")

    monkeypatch.setattr(owner, name, fail)


def go(base: Path, *more, dataset: str = "toys") -> int:
    folders = ("--cache_dir", base / "cache", "--run_dir", base / "run", "--dataset", dataset)
    return command(*folders, *SMALL, *more)


def kept(base: Path) -> dict[str, bytes]:
    """All that must stay as it is; a checkpoint that is set aside counts as itself."""
    files = {name.removesuffix(".damaged"): data for name, data in content(base).items()}
    return {n: d for n, d in files.items() if n[:5] != "cache" and n[-4:] not in (".txt", "lock")}


def refused(base: Path, capsys, *more, words: str, **kwargs) -> None:
    before = kept(base)
    assert go(base, *more, **kwargs) == 2
    assert words in capsys.readouterr().err
    assert kept(base) == before


# ---- train: refused before the data set is opened ----


def test_a_batch_that_devices_cannot_share(copy, monkeypatch, capsys):
    forbid(monkeypatch, catalog, "find")
    three = SimpleNamespace(num_replicas_in_sync=3)
    monkeypatch.setattr(train, "make_strategy", lambda name: three)
    refused(copy, capsys, words="--batch_size 8 cannot be shared by 3 devices")


def test_other_options_than_the_run_folders(copy, monkeypatch, capsys):
    forbid(monkeypatch, catalog, "find")
    refused(copy, capsys, "--z_dim", 9, words="--z_dim: 8 in the run, 9 now")


def test_a_run_folder_of_which_nothing_can_be_read(copy, monkeypatch, capsys):
    forbid(monkeypatch, catalog, "find")
    (copy / "run" / "config.json").write_bytes(b"\0")
    refused(copy, capsys, words="config.json is not readable as JSON")


def test_a_precision_that_there_is_not(copy, monkeypatch, capsys):
    forbid(monkeypatch, PictureFiles, "decode")
    path = RunDir(copy / "run").config
    write_json(path, read_json(path) | {"precision": "float8"})
    refused(copy, capsys, words="--precision must be one of")


# ---- train: refused before a pixel is decoded ----


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--batch_size", 64, "--run_dir", "new"), "There are 16 images, fewer than the 64"),
        (("--train_size", 5), "There are 5 images, fewer than the 8"),
        (("--evaluate_freq", 4), "needs at least 100 real images, there are 16"),
        (  # also before anything is downloaded
            ("--evaluate_freq", 4, "--evaluate_extractor=inception", "--run_dir=new"),
            "needs at least 100 real images, there are 16",
        ),
        (("--evaluate_freq", 4, "--evaluate_metric", "is"), "needs probabilities of classes"),
        (
            ("--run_dir=new", "--dataset=many", *BY_SWD, "--evaluate_extractor=classifier"),
            "The classifier needs labels",
        ),
        (
            ("--run_dir=new", "--dataset=many", *BY_SWD, "--evaluate_extractor=inception"),
            "no mirror gave it",
        ),
        (("--channels", 1), "--channels: 3 in the run, 1 now"),
    ],
)
def test_what_the_data_set_cannot_give(copy, monkeypatch, capsys, flags, words):
    def no_network(folder):
        raise UserError("The Inception network could not be downloaded (no mirror gave it)")

    monkeypatch.setattr(inception, "load", no_network)
    forbid(monkeypatch, PictureFiles, "decode")
    if "--channels" not in flags:  # which is known by looking at every picture's header
        forbid(monkeypatch, PictureFiles, "summary")
    refused(copy, capsys, *flags, words=words)


@pytest.mark.parametrize("how", ["gone bad", "another architecture"])
def test_checkpoints_that_cannot_be_gone_on_with(copy, monkeypatch, capsys, how):
    forbid(monkeypatch, PictureFiles, "decode")
    if how == "gone bad":
        for path in RunDir(copy / "run").checkpoints.glob("*.npz"):
            path.write_bytes(b"")
        refused(copy, capsys, words="None of the checkpoints")
    else:
        path = RunDir(copy / "run").config
        write_json(path, read_json(path) | {"g_width": 24})
        refused(copy, capsys, "--g_width", 24, words="another architecture")


# ---- the commands that look at a run's images ----


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("evaluate", "--metrics", "is", "--extractor", "pixels"), "needs probabilities"),
        (("evaluate", "--splits", "test"), "There are no images for --splits test"),
        (("features",), "has no labels, without which"),
        (("features", "--splits", "train"), "would classify images that it has learnt from"),
        (("neighbours", "--k", 20), "The run has 16 training images, fewer than the 20"),
        (("neighbours", "--to", "foreign.png"), "foreign.png exists and was not made by this"),
        (("report", "--to", "foreign.html"), "foreign.html exists and was not made by this"),
    ],
)
def test_a_command_refuses_before_it_decodes(copy, monkeypatch, capsys, words, said):
    forbid(monkeypatch, PictureFiles, "decode")
    for name in ("foreign.png", "foreign.html"):
        Path(name).write_text("of somebody")
    path = RunDir(copy / "run").config
    write_json(path, read_json(path) | {"cache_dir": str(copy / "cache")})
    assert command(*words, "--run_dir", copy / "run") == 2
    assert said in capsys.readouterr().err
    assert [Path(f"foreign.{kind}").read_text() for kind in ("png", "html")] == ["of somebody"] * 2


# ---- the same run, typed in another way; more of them in test_moved_data ----


def goes_on(base: Path, capsys, *more, **kwargs) -> None:
    assert go(base, "--steps", 3, *more, **kwargs) == 0, capsys.readouterr().err
    assert "Resuming from step 2" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("dataset", "flags"),
    [
        ("ToYs", ("--data_dir", "data/")),
        ("toys", ("--train_size", COUNT)),
        ("toys", ("--input_fname_pattern", "*.png")),  # which all are
        ("toys", ("--channels", 3, "--output_height", 8, "--output_width", 8)),
    ],
)
def test_the_same_run_goes_on_however_it_is_typed(copy, capsys, dataset, flags):
    goes_on(copy, capsys, *flags, dataset=dataset)


def test_a_run_goes_on_with_its_batch_though_its_data_are_too_few_for_the_devices(tmp_path):
    flags = small_flags(write_pictures(tmp_path / "few", 12), tmp_path)
    assert main.main([*flags, "--steps", "1"]) == 0
    at = flags.index("--batch_size")
    assert main.main([*flags[:at], *flags[at + 2 :], "--steps", "2"]) == 0
    assert read_json(RunDir(tmp_path / "run").config)["batch_size"] == 8


@pytest.mark.parametrize(
    ("flags", "name"),
    [
        (("--train_size", COUNT - 1), "train_size"),
        (("--input_fname_pattern", "*[0-8].png"), "input_fname_pattern"),
    ],
)
def test_what_is_another_run_is_refused(copy, capsys, flags, name):
    refused(copy, capsys, *flags, words=f"--{name}: ")


@pytest.mark.parametrize(
    "recorded",
    [
        {"dataset": ["toys"]},
        {"dataset": "a\0b"},
        {"dataset": "x" * 5000},
        {"dataset": 7, "data_dir": {}},
        {"dataset": "other", "train_size": "16"},
        {"dataset": "data/toys", "data_dir": 5, "train_size": 1e300},
    ],
)
def test_a_strangers_config_is_compared_and_not_believed(copy, capsys, recorded):
    path = RunDir(copy / "run").config
    for checkpoint in RunDir(copy / "run").checkpoints.glob("*.npz"):
        checkpoint.unlink()  # which would tell that it learnt from these very files
    write_json(path, read_json(path) | recorded)
    refused(copy, capsys, words="holds a run with other options")
