"""What an export is made from, and where it is put: no TensorFlow graph is written here."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from running import content
from toy_run import Z_DIM, toy_run

from dcgan import UserError
from dcgan.cli.run_options import Export
from dcgan.commands import export as command
from dcgan.export import parity, writing
from dcgan.export.description import describe, directions
from dcgan.export.format import Format, Subject
from dcgan.files import read_json, write_json
from dcgan.run.checkpoint import BEST, find_checkpoint, open_checkpoint
from dcgan.run.run_dir import RunDir, newest_run

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return toy_run(tmp_path_factory.mktemp("runs") / "toy-16x16x3", step=1234)


# ------------------------------------------------------------------------------------- which run


def make_run(root: Path, dataset: str, second: int) -> Path:
    """A run folder that was last written to at a time."""
    write_json(root / "config.json", {"dataset": dataset})
    (root / "metrics.jsonl").write_text("")
    (root / "checkpoints").mkdir()
    for path in (root / "config.json", root / "metrics.jsonl", root / "checkpoints"):
        os.utime(path, (second, second))
    return root


def test_the_newest_run_is_the_one_written_to_last(tmp_path):
    old = make_run(tmp_path / "old", "/data/Anime.zip", 1000)
    new = make_run(tmp_path / "new", "svhn", 2000)
    (tmp_path / "notes").mkdir()
    make_run(tmp_path / ".mine.42.tmp", "svhn", 5000)  # of an import-torch that was killed
    assert newest_run(tmp_path) == new
    assert newest_run(tmp_path, "svhn") == new
    for name in ("anime", "anime.zip", "elsewhere/anime"):
        assert newest_run(tmp_path, name) == old
    for name in ("ANIME.ZIP", "SVHN"):
        assert newest_run(tmp_path, name) == (old if "A" in name else new)
    for i, written in enumerate(("metrics.jsonl", "checkpoints")):  # it trains again
        os.utime(old / written, (3000 + i, 3000 + i))
        assert newest_run(tmp_path) == old
        os.utime(new / "config.json", (3000.5 + i, 3000.5 + i))
        assert newest_run(tmp_path) == new


def test_no_run_is_refused_with_what_there_is(tmp_path):
    with pytest.raises(UserError, match="no run in the folder .* train one first"):
        newest_run(tmp_path / "runs")
    make_run(tmp_path / "one", "svhn", 1000)
    make_run(tmp_path / "two", "data/anime", 1000)
    with pytest.raises(UserError, match=r"no run on mnist .* \(there are runs on anime, svhn\)"):
        newest_run(tmp_path, "mnist")


# ------------------------------------------------------------------------------ which checkpoint


def test_checkpoints_by_name(root, tmp_path):
    folder = root / "checkpoints"
    assert find_checkpoint(root, "newest") is None
    assert find_checkpoint(root, "1234") == folder / "00001234.npz"
    assert find_checkpoint(root, str(folder / "00001234.npz")) == folder / "00001234.npz"
    for which in ("best", "7", "nowhere.npz", ""):
        with pytest.raises(UserError, match="expected newest, a file, or of .* one of 1234;"):
            find_checkpoint(root, which)
    (folder / BEST).write_bytes((folder / "00001234.npz").read_bytes())
    try:
        assert open_checkpoint(root, find_checkpoint(root, "best")).step == 1234
        assert open_checkpoint(root).path.name == "00001234.npz"  # best is not the newest
    finally:
        (folder / BEST).unlink()


def test_networks_compute_in_float32_whatever_the_run_did(root):
    checkpoint = open_checkpoint(root)
    assert "bfloat16" in str(checkpoint.configs["generator"]["dtype"])
    for network in (checkpoint.generator(), checkpoint.discriminator()):
        assert {layer.compute_dtype for layer in network.layers} == {"float32"}
    name = "averaged_generator/project/kernel"
    kernel = checkpoint.generator().project.kernel.numpy()
    np.testing.assert_array_equal(kernel, checkpoint.arrays[name])


def test_a_fingerprint_stays_that_of_older_versions_in_float32(root):
    checkpoint = open_checkpoint(root)
    config = checkpoint.generator().get_config()  # as a run in float32 has it
    del config["z_dist"]  # as in older versions
    digest = hashlib.sha256(json.dumps([config, "normal01"], sort_keys=True).encode())
    for name, array in sorted(checkpoint.generator_arrays().items()):
        digest.update(name.encode() + array.tobytes())
    assert checkpoint.fingerprint("normal01") == digest.hexdigest()[:32]


# ----------------------------------------------------------------------------------- description


def test_directions_are_the_singular_vectors_of_the_projection():
    kernel = np.random.default_rng(0).normal(size=(20, 50)).astype(np.float32)
    found, scales = directions(kernel)
    left, singular, _ = np.linalg.svd(kernel.astype(np.float64))
    np.testing.assert_allclose(scales, singular[:16], rtol=1e-6)
    np.testing.assert_allclose(np.abs(found), np.abs(left.T[:16]), atol=1e-6)
    assert (np.take_along_axis(found, np.abs(found).argmax(1)[:, None], 1) > 0).all()
    np.testing.assert_allclose(np.linalg.norm(found @ kernel, axis=1), scales, rtol=1e-6)


def test_the_description_says_where_the_model_comes_from(root):
    found = describe(RunDir(root), open_checkpoint(root))
    assert found["metrics"] == {"step": 1234, "epoch": 1.5, "d_loss": 0.5}  # not of a later step
    assert {k: found[k] for k in ("dataset", "height", "width", "channels")} == {
        **{"dataset": "toy", "height": 16, "width": 16, "channels": 3}
    }
    assert [found[k] for k in ("z_dim", "z_dist", "step", "epoch")] == [8, "normal01", 1234, 1.5]
    assert np.shape(found["directions"]) == (8, Z_DIM) and len(found["direction_scales"]) == 8
    assert found["versions"].keys() == {"python", "tensorflow", "keras", "numpy"}


def test_a_folder_is_named_without_the_path_to_it(root, tmp_path):
    run = RunDir(tmp_path)
    write_json(run.config, {"dataset": "/home/somebody/private/faces", "z_dist": "normal01"})
    found = describe(run, open_checkpoint(root))
    assert found["dataset"] == "faces" and found["epoch"] is None and found["metrics"] == {}
    write_json(run.config, {"dataset": "."})  # where training began among the pictures
    assert describe(run, open_checkpoint(root))["dataset"] == tmp_path.name


# ----------------------------------------------------------------------------------- publication


def toy_format(name: str, target: str, text: str, **kwargs) -> Format:
    """Writes a text in place of a model."""

    def write(subject, path, weights):
        if "." not in path.name:
            path.mkdir()
        (path / "model.txt" if path.is_dir() else path).write_text(text)

    return Format(name=name, target=target, write=write, runtime="none", **kwargs)


@pytest.fixture
def publish(monkeypatch, tmp_path):
    """Exports toy formats of a step into tmp_path / "to"."""
    monkeypatch.setattr(parity, "make_cases", lambda subject: {})
    monkeypatch.setattr(parity, "check", lambda *args, **kwargs: {"serving_default": 0.0})

    def go(text: str, *, step: int = 5):
        forms = [
            toy_format("folder", "folder/{step}", text, inside="extra/dcgan.json"),
            toy_format("file", "model.txt", text),
        ]
        subject = Subject(None, None, {"step": step, "versions": {}, "text": text})
        return writing.export(subject, forms, tmp_path / "to")

    return go


def texts(folder: Path) -> dict[str, str]:
    """What is in the models, and what their descriptions say that is in them."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]
    return {
        str(path.relative_to(folder)): (
            read_json(path)["text"] if path.suffix == ".json" else path.read_text()
        )
        for path in paths
    }


def test_the_same_version_is_replaced_and_others_stay(publish, tmp_path):
    publish("old", step=4)
    publish("first")
    made = publish("second")
    assert [one.path for one in made] == [tmp_path / "to/folder/5", tmp_path / "to/model.txt"]
    assert texts(tmp_path / "to") == {
        **{"folder/4/model.txt": "old", "folder/4/extra/dcgan.json": "old"},
        **{"folder/5/model.txt": "second", "folder/5/extra/dcgan.json": "second"},
        **{"model.txt": "second", "model.txt.json": "second"},
    }


@pytest.mark.parametrize("name", ["folder/5/mine", "model.txt", "model.txt.json", "folder"])
def test_what_export_did_not_write_is_not_replaced(publish, tmp_path, name):
    mine = tmp_path / "to" / name
    mine.parent.mkdir(parents=True)
    mine.write_text('{"text": "mine"}')
    with pytest.raises(UserError, match="was not written by export: nothing is overwritten"):
        publish("text")
    assert content(tmp_path) == {f"to/{name}": b'{"text": "mine"}'}


def test_a_place_that_is_a_file_or_taken_is_refused(publish, tmp_path):
    (tmp_path / "to").write_text("mine")
    with pytest.raises(UserError, match="is a file, or lies in one"):
        publish("text")
    (tmp_path / "to").unlink()
    (tmp_path / "to" / ".export").mkdir(parents=True)
    with RunDir(tmp_path / "to" / ".export").lock():
        with pytest.raises(UserError, match="Another process is exporting into"):
            publish("text")
    assert texts(tmp_path / "to") == {}


# Exchanges a folder for another again and again: 64 files, all with the same number.
EXCHANGER = """
import itertools, sys
from pathlib import Path
from dcgan.files import replace_folder
base = Path(sys.argv[1])
for number in itertools.count(int(sys.argv[2])):
    new = base / "new"
    new.mkdir()
    for i in range(64):
        (new / str(i)).write_text(str(number))
    replace_folder(new, base / "version")
    if number == int(sys.argv[2]):
        print("ready", flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux exchanges two folders in one step")
def test_a_killed_exchange_leaves_one_whole_folder(tmp_path):
    random = np.random.default_rng(0)
    for attempt in range(8):
        words = [sys.executable, "-c", EXCHANGER, str(tmp_path), str(attempt * 100_000)]
        process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline() == "ready\n"
        end = time.monotonic() + random.uniform(0.0, 0.05)
        while time.monotonic() < end:  # nobody ever finds it absent, meanwhile
            assert (tmp_path / "version").is_dir()
        process.kill()
        assert process.wait() == -signal.SIGKILL
        process.stdout.close()
        found = {path.name: path.read_text() for path in (tmp_path / "version").iterdir()}
        assert len(found) == 64 and len(set(found.values())) == 1
        for rest in (tmp_path / "new").rglob("*"):
            rest.unlink()
        if (tmp_path / "new").exists():
            (tmp_path / "new").rmdir()


# --------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"run_dir": "elsewhere"}, "not a run folder .* name one with --run_dir"),
        ({"checkpoint": "elsewhere/checkpoints/1.npz"}, "not a run folder"),
        ({"weights": "float16"}, "--weights float16 is for litert, onnx and web"),
        ({"onnxruntime": "cdn", "format": "onnx"}, "--onnxruntime is for --format web"),
        ({"onnxruntime": "nowhere", "format": "web"}, "--onnxruntime nowhere is neither"),
        ({"weights": "float16", "format": "keras,saved_model"}, "--weights float16 is for litert"),
    ],
)
def test_what_cannot_be_exported_is_refused_in_a_sentence(given, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=words):
        command.run(Export(**given))
    assert list(tmp_path.iterdir()) == []


def test_missing_packages_are_named():
    form = toy_format("toy", "toy", "", packages=("no_such_module",))
    with pytest.raises(
        UserError, match=r"--format toy needs no_such_module, .* pip install .*\[export\]"
    ):
        form.require()
