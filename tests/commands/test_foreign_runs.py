"""A run folder that a stranger has sent: whatever is in its files is data, and nothing else."""

import errno
import logging
import os
import re
import shutil
import tracemalloc
from pathlib import Path

import pytest
from keras.src.saving import serialization_lib
from report_pages import add_lines, contents, fill, record
from toy_run import of_an_older_version, toy_run

import main
from dcgan import UserError, files
from dcgan.files import MAX_BYTES, MAX_LINE_BYTES, read_json, read_json_lines, write_json
from dcgan.models import Discriminator, Generator
from dcgan.outputs.report.page import render
from dcgan.run.checkpoint import open_checkpoint
from dcgan.run.run_dir import RunDir, newest_run
from dcgan.run.trained_run import TrainedRun

# ------------------------------------------------------------------------------------ config.json


UNREADABLE = {
    "empty": b"",
    "cut": b'{"dataset": "to',
    "NUL bytes": b"\0" * 500,
    "no UTF-8": b'{"dataset": "\xff\xfe"}',
    "a list": b'["dataset"]',
    "a number": b"3",
    "deep": b'{"dataset": ' + b"[" * 100_000,
    "huge": b'{"dataset": "toy"}' + b" " * MAX_BYTES,
    "a directory": os.mkdir,
    "a pipe": os.mkfifo,
}
NAMELESS = {
    "a number of many digits": b'{"dataset": ' + b"9" * 5000 + b"}",
    "a list as data set": b'{"dataset": ["toy"]}',
    "no data set": b'{"z_dist": "normal01"}',
}


@pytest.fixture
def two_runs(tmp_path) -> Path:
    """A folder with two runs in good/ and bad/, the newer one."""
    for name, second in (("good", 1000), ("bad", 2000)):
        path = tmp_path / name / "config.json"
        write_json(path, {"dataset": "toy"})
        os.utime(path, (second, second))
    return tmp_path


@pytest.mark.parametrize("name", UNREADABLE | NAMELESS)
def test_garbage_in_one_run_is_passed_over_with_a_warning(two_runs, caplog, name):
    content, path = (UNREADABLE | NAMELESS)[name], two_runs / "bad" / "config.json"
    path.unlink()
    content(path) if callable(content) else path.write_bytes(content)
    told = (
        "names no data set" if name in NAMELESS else "config.json is not readable as JSON .*--run_"
    )
    for dataset in (None, "toy"):
        caplog.clear()
        assert newest_run(two_runs, dataset) == two_runs / "good"
        (warning,) = caplog.records
        assert warning.levelno == logging.WARNING
        said = warning.getMessage()
        assert f"Skipped the run {path.parent}: " in said and re.search(told, said)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE])
def test_a_config_that_cannot_be_read_is_passed_over_too(two_runs, monkeypatch, caplog, number):
    """As of a folder of somebody else's, or on a disk that fails."""

    def fail(path, *mode):
        if path.parent.name == "bad":
            raise OSError(number, os.strerror(number), str(path))
        return open(path, *mode)

    monkeypatch.setattr(files, "open", fail, raising=False)
    assert newest_run(two_runs) == two_runs / "good"
    assert os.strerror(number) in caplog.text


def test_lines_that_are_no_data_are_left_out_and_harm_no_other(tmp_path):
    path = tmp_path / "metrics.jsonl"
    long = [b"x" * count * MAX_LINE_BYTES + b'{"step": 3}' for count in (1, 2)]
    bad = [b"", b"[" * 100_000, b"\0" * 1000, b"3", b"null", b'"text"', b"[1]", b"\xff\xfe"]
    lines = [b'{"step": 1}', *bad, *long, b'{"step": 5', b'{"step": %s}' % (b"7" * 400)]
    path.write_bytes(b"\n".join(lines) + b"\n\0\0\0")
    assert list(read_json_lines(path)) == [{"step": 1}, {"step": float("inf")}]
    assert list(read_json_lines(tmp_path)) == []  # a directory
    assert list(read_json_lines(tmp_path / "absent")) == []
    os.mkfifo(tmp_path / "pipe")
    assert list(read_json_lines(tmp_path / "pipe")) == []


# ------------------------------------------------------------------------------------- model.json


LAMBDA = {"module": "keras.layers", "class_name": "Lambda", "config": {"function": "x"}}
# Options, but of other weights than there are: the largest and the smallest.
OTHERS = (
    {"width": 4096, "seed": (1 << 64) - 1},
    {"image_shape": [8, 256, 1], "kernel_size": 9},
    {"image_shape": [256, 8, 1]},
)


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    return toy_run(tmp_path_factory.mktemp("good"))


@pytest.mark.parametrize(
    "change",
    [
        *OTHERS,
        {"width": 1 << 40},
        {"kernel_size": 4096},
        {"image_shape": [1 << 20, 16, 3]},
        {"image_shape": [16, 16]},
        {"width": LAMBDA},
        {"width": -8},
        {"width": True},
        {"width": 0},
        {"image_shape": [4, 16, 3]},
        {"image_shape": [16, 16, 2]},
        {"gamma_stddev": 1.5},
        {"gamma_stddev": float("nan")},
        {"seed": 1 << 64},
        {"depth": 4},
        {"layout": ["dcgan"]},
        {"z_dist": "cauchy"},
        {"layers": [LAMBDA], "input_layers": [], "output_layers": []},
        None,
    ],
)
@pytest.mark.parametrize("network", ["generator", "discriminator"])
def test_a_model_is_numbers_and_known_words(good, tmp_path, monkeypatch, network, change):
    root = shutil.copytree(good, tmp_path / "run")
    path = root / "checkpoints" / "model.json"
    models = read_json(path)
    models[network] = [] if change is None else models[network] | change
    write_json(path, models)

    looked_up = names_looked_up(monkeypatch)
    for one in (Generator, Discriminator):  # TensorFlow's memory is not traced
        monkeypatch.setattr(one, "build", lambda *_: pytest.fail("it was built"))
    words = "another architecture than the run's" if change in OTHERS else "does not describe a"
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match=words):
            getattr(open_checkpoint(root), network)()
        assert tracemalloc.get_traced_memory()[1] < 50e6
        assert "Lambda" not in looked_up  # Keras looks up its own "zeros"
    finally:
        tracemalloc.stop()


def names_looked_up(monkeypatch) -> list[str]:
    """A list in which each class that Keras looks up by its name will be."""
    looked_up, look_up = [], serialization_lib.deserialize_keras_object
    monkeypatch.setattr(
        serialization_lib,
        "deserialize_keras_object",
        lambda config, *a, **k: looked_up.append(config["class_name"]) or look_up(config, *a, **k),
    )
    return looked_up


@pytest.mark.parametrize(
    "dtype", [LAMBDA, {"module": "os", "class_name": "system", "config": "x"}, "float64"]
)
def test_what_a_model_says_of_its_arithmetic_is_not_asked(good, tmp_path, monkeypatch, dtype):
    root = shutil.copytree(good, tmp_path / "run")
    path = root / "checkpoints" / "model.json"
    models = read_json(path)
    models["generator"]["dtype"] = dtype
    write_json(path, models)
    looked_up = names_looked_up(monkeypatch)
    assert open_checkpoint(root).generator().dtype_policy.name == "float32"
    assert not {"Lambda", "system"} & set(looked_up)


# ------------------------------------------------------------------ config.json of the run itself


@pytest.mark.parametrize(
    "change",
    [{"z_dist": "cauchy"}, {"z_dist": 7}, {"z_dist": "\x1b[2J"}, {"z_dist": None}],
)
def test_a_command_believes_no_option_of_a_run(good, tmp_path, capsys, change):
    root = of_an_older_version(shutil.copytree(good, tmp_path / "run"))
    write_json(root / "config.json", read_json(root / "config.json") | change)
    assert main.main(["sample", "--run_dir", str(root), "--num_images", "1"]) == 2
    said = capsys.readouterr().err
    assert "config.json has a z_dist that no run has" in said and "\x1b" not in said


@pytest.mark.parametrize("line", ['{"epoch": 1}', '{"epoch": "x", "step": 3}', '{"epoch": 1e999}'])
def test_an_epoch_that_is_no_number_is_not_known(good, tmp_path, line):
    root = shutil.copytree(good, tmp_path / "run")
    (root / "metrics.jsonl").write_text(line + "\n")
    assert TrainedRun(RunDir(root)).epoch is None


# ------------------------------------------------------------------------------------- the report


HOSTILE = "<script>alert(1)</script>\x1b[2J\ud800"


def test_the_report_shows_a_strangers_words_as_words(tmp_path):
    run = fill(tmp_path / "run")
    lines = [
        *({"metric": metric, "value": 1.0, "step": 5} for metric in ([], {}, 3)),
        *(record("kid", 5, 1.0) | {"value": v} for v in (float("nan"), float("inf"), 1e308, "x")),
        *(record("kid", 5, 1.0, low=low) for low in ("x", [1], float("inf"))),
        *(record("kid", 6, 1.0, made=made) for made in (5, [])),
        {"names": [1, {}], "real": ["x", None], "generated": [1, 2], "labelling": {}},
        record("kid", 7, 1.0, split=HOSTILE),
    ]
    add_lines(run.evaluation / "kid-512-pixels.jsonl", lines)
    add_lines(run.metrics, [{"step": step} for step in (float("nan"), -5, 10**400, 1e300, "x")])
    run.log.write_text(HOSTILE.replace("\ud800", "") + "\n")
    for argv in (5, {"a": 1}, [1, HOSTILE]):
        write_json(run.environment, {"argv": argv, HOSTILE: [HOSTILE, {}], "cpus": {"a": HOSTILE}})
        page = render(run, contents(tmp_path, dataset=HOSTILE, folder=HOSTILE)).decode()
        assert "<script>alert" not in page and "&lt;script&gt;alert(1)" in page
