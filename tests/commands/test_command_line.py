"""`main.py` as a user starts it: help, dry runs, and every command line of the documents."""

import os
import re
import resource
import shlex
import zipfile
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from arrays import numbers
from mnist_files import write_mnist
from running import ROOT, SMALL, python, run, snapshot, write_pictures

import main
from dcgan.benchmarks.bare import BareStep
from dcgan.cli import command_options, data_options, flags, option, train_options
from dcgan.models import Discriminator, Generator

README = ROOT / "README.md"
CARPEDM20 = (
    "python main.py --image_size 96 --output_size 48 --dataset anime --is_crop True "
    '--is_train True --epoch 300 --input_fname_pattern "*.jpg"'
)
COMMAND = re.compile(r"python3? main\.py.*|(?<![/=])\bdcgan [-a-z].*")
DOCUMENTS = [README, ROOT / "flags.md", *ROOT.glob("docs/*.md")]
COUNT = 136  # pictures of each generated data set: more than the largest batch of a preset


def words_of(line: str) -> list[str]:
    """The words behind `python main.py` or `dcgan`, as a shell splits them."""
    words = shlex.split(line, comments=True)
    assert "main.py" in words[:2] or words[0] == "dcgan"
    return words[1 if words[0] == "dcgan" else 2 :]


# ---- help ----


@pytest.fixture(scope="module")
def help_run():
    """`main.py --help` with a line on standard error for each module imported."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = python("-X", "importtime", ROOT / "main.py", "--help")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return result, seconds


def test_help_lists_every_command_in_its_group(help_run):
    text = help_run[0].stdout
    for group, commands in command_options.GROUPS.items():
        part = text.partition(f"\n{group}:\n")[2].partition("\n\n")[0].splitlines()
        assert [line.split()[0] for line in part] == list(commands)
        assert [line[16:].strip() for line in part] == [
            command_options.DESCRIPTIONS[c] for c in commands
        ]
    assert len(text.splitlines()) <= 45


def test_help_loads_no_tensorflow_and_answers_in_a_second(help_run):
    result, seconds = help_run
    imported = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines()}
    assert "dcgan.cli.flags" in imported
    assert not imported & {"tensorflow", "keras", "numpy", "PIL", "scipy", "dcgan.commands.train"}
    # Of processor time: the machine may be busy with something else.
    assert seconds < 1.0


def test_help_of_a_command_is_of_that_command_only(capsys):
    text = run("crop", "--help").stdout
    assert text.startswith("usage: python main.py crop --from data/raw --to data/anime ")
    assert set(re.findall(r"^  --(\w+)", text, re.MULTILINE)) == {
        flags.spellings(field)[0] for field in option.fields(data_options.Crop).values()
    }
    for words in (["--help", "crop"], ["help", "crop"]):
        assert main.main(words) == 0 and capsys.readouterr().out == text


# ---- dry runs ----


def test_carpedm20s_line_means_what_it_says_runs_dry_and_leaves_no_trace(
    tmp_path, tmp_path_factory, monkeypatch, capfd
):
    write_pictures(tmp_path / "data" / "anime", 3, size=(96, 96))
    for path in (tmp_path / "data" / "anime").glob("*.png"):
        path.rename(path.with_suffix(".jpg"))
    (tmp_path / "data" / "anime" / "notes.txt").write_text("not a picture, not of the pattern")
    before = snapshot(tmp_path)
    home = tmp_path_factory.mktemp("home")  # libraries may keep a cache of their own there
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(tmp_path)
    assert main.main([*words_of(CARPEDM20), "--dry_run"]) == 0
    output, errors = capfd.readouterr()
    assert snapshot(tmp_path) == before
    said = {line.strip().partition(":")[0] for line in errors.split("\r")}
    assert said <= {"", "decoding anime"}
    assert list(home.rglob("*dcgan*")) == []
    # The resolved options, the data, both networks, and where a run would be.
    meant = {"dataset": "anime", "input_fname_pattern": "*.jpg", "crop": True, "train": True}
    meant |= {"input_height": 96, "input_width": 96, "output_height": 48, "output_width": 48}
    for name, value in (meant | {"epoch": 300}).items():
        assert re.search(rf"^{name} +{re.escape(str(value))}$", output, re.MULTILINE), name
    assert (
        "anime: 3 found, 3 used, 0 skipped.\nSizes (height x width): 96x96 (3); colour.\n" in output
    )
    for network in ("generator", "discriminator"):
        assert re.search(rf"^{network}: [\d,]+ parameters, 0.\d+ GFLOP", output, re.M)
    assert "There are 3 images, fewer than the 64 of a step" in output
    assert f"runs{os.sep}anime-48x48x3" in output


def test_a_dry_run_shows_every_option_and_leaves_an_existing_run_alone(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(BareStep, "seconds", lambda *_: 0.5)  # which compiles
    pictures = write_pictures(tmp_path / "pictures", 16)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{}")
    before = snapshot(tmp_path)
    words = ["--dataset", str(pictures), "--run_dir", str(tmp_path / "run")]
    words += ["--cache_dir", str(tmp_path / "cache"), *SMALL, "--dry_run"]
    words += ["--evaluate_freq", "4", "--evaluate_extractor", "inception"]  # not downloaded
    assert main.main(words) == 0
    assert snapshot(tmp_path) == before
    said = capsys.readouterr().out
    assert set(train_options.FIELDS) <= {line.split()[0] for line in said.splitlines() if line}
    # 16 pictures are two batches of 8, of each of 25 epochs.
    assert "Estimated time: about 25 seconds for 50 steps, " in said and "\nMemory: about " in said


# ---- README ----


def documented_lines(*documents: Path) -> list[str]:
    """The commands of documents, of code blocks and within sentences."""
    lines = []
    for text in (path.read_text("utf-8").replace("\\\n", " ") for path in documents):
        lines += _lines_of(text)
    return sorted(set(lines))


def _lines_of(text: str) -> list[str]:
    lines = []
    for block in re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        parts = re.split(r"\n|&&|;", block)
        lines += [m[0] for m in map(COMMAND.search, parts) if m]
    sentences = re.sub(r"^```\w*\n.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    inline = re.findall(r"`[^`\n]*?(python3? main\.py[^`\n]*)`", sentences)
    lines += [line for line in inline if not re.search(r"\.\.\.|…|<", line)]
    return [line.strip() for line in lines]


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory) -> Path:
    """Every data set by name, small, in the format of the real one."""
    root = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    labels = np.arange(COUNT, dtype=np.uint8) % 10
    for name in ("mnist", "fashion_mnist"):
        for part in ("train", "t10k"):
            write_mnist(root / name, part, pixels=numbers(COUNT, 28, 28), labels=labels)
    (root / "svhn").mkdir()
    pixels = random.integers(0, 256, (32, 32, 3, COUNT), np.uint8)
    for part in ("train", "test", "extra"):
        content = {"X": pixels, "y": labels[:, np.newaxis]}
        scipy.io.savemat(root / "svhn" / f"{part}_32x32.mat", content)
    (root / "cifar10").mkdir()
    # A label, then 1024 bytes of each of red, green and blue.
    rows = random.integers(0, 256, (COUNT, 1 + 3 * 1024), np.uint8)
    rows[:, 0] = labels
    for part in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        (root / "cifar10" / f"{part}.bin").write_bytes(rows.tobytes())
    faces = write_pictures(root / "anime", COUNT, size=(96, 96))
    for path in faces.glob("*.png"):
        path.rename(path.with_suffix(".jpg"))
    (root / "celeba").mkdir()
    with zipfile.ZipFile(root / "celeba" / "img_align_celeba.zip", "w") as archive:
        for path in sorted(faces.iterdir()):
            archive.write(path, f"img_align_celeba/{path.name}")
    return root


def test_the_readme_shows_how_to_train():
    lines = documented_lines(README)
    assert any(words_of(line) == [] for line in lines), "python main.py, alone, on the avatars"
    shown = " ".join(lines)
    for name in ("mnist", "svhn", "celeba", "anime"):
        assert f"--dataset {name}" in shown


@pytest.mark.parametrize("line", documented_lines(*DOCUMENTS))
def test_every_command_of_the_documents_passes_a_dry_run(line, data_dir, tmp_path, monkeypatch):
    words = words_of(line)
    command, given = flags.parse(words)
    if command in command_options.COMMANDS:  # what these do is tested on its own
        command_options.complete(command, given)
        return
    name = given.get("dataset", "avatars")
    if name.lower() != "avatars" and not (data_dir / name.lower()).exists():
        # A reader's own pictures, by name or path.
        words = [str(data_dir / "anime") if word == name else word for word in words]
    monkeypatch.chdir(tmp_path)
    # Which take a second of each network.
    monkeypatch.setattr("dcgan.commands.train._estimate", lambda *_: None)
    monkeypatch.setattr("dcgan.models.summary.rows", lambda *_: [])
    for network in (Generator, Discriminator):
        monkeypatch.setattr(network, "build", lambda *_: None)
    if command != "help":
        words += ["--dry_run", "--data_dir", str(data_dir), "--cache_dir", str(tmp_path / "c")]
    assert main.main(words) == 0
    assert list(tmp_path.iterdir()) == []
