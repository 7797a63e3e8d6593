"""Exports of a run by class: with and without an input for each column of labels."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from checked_here import checking_here
from toy_run import Z_DIM, toy_run

import main
from dcgan import images
from dcgan.export import keras_file, litert, onnx, parity, saved_model, web
from dcgan.export.format import Subject
from dcgan.latent.class_words import by_class
from dcgan.latent.labels import ClassTable
from dcgan.run.run_dir import RunDir
from dcgan.run.trained_run import TrainedRun
from dcgan.serving.saved_model import SavedModel

pytest.importorskip("orjson", reason="orjson is not installed")

TABLE = ClassTable.of(
    {"hair color": ("black", "blue", "light red"), "eyes": ("green", "grey")},
    np.array([[0, 0], [0, 1], [1, 1], [2, 0]] * 2, np.int32),
    z_dim=Z_DIM,
    z_dist="normal01",
)


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A run and its export."""
    root = toy_run(tmp_path_factory.mktemp("toy") / "run", shape=(8, 8, 3), table=TABLE)
    with checking_here():
        assert main.main(["export", "--run_dir", str(root)]) == 0
    return root


@pytest.fixture(scope="module")
def trained(root) -> TrainedRun:
    return TrainedRun(RunDir(root))


@pytest.fixture(scope="module")
def signatures(root):
    return tf.saved_model.load(str(root / "export" / "saved_model" / "1234")).signatures


def columns(*rows) -> dict:
    hair, eyes = np.array(rows, np.int32).T
    return {"hair_color": tf.constant(hair), "eyes": tf.constant(eyes)}


def test_the_description_names_the_classes_and_every_signature_was_checked(root):
    path = root / "export" / "saved_model" / "1234" / "assets.extra" / "dcgan.json"
    known = json.loads(path.read_text("utf-8"))
    names = saved_model.FORMAT.signatures
    assert known["differences"].keys() == {*names, *map(by_class, names)}
    assert max(known["differences"].values()) <= parity.TOLERANCE
    assert known["classes"] == [
        {"column": "hair color", "input": "hair_color", "names": ["black", "blue", "light red"]},
        {"column": "eyes", "input": "eyes", "names": ["green", "grey"]},
    ]


def test_inputs_have_names_that_every_runtime_takes():
    names = ["hair color", "hair-color", "z", "7", "Ärmel", "", "seed"]
    table = dataclasses.replace(TABLE, names=dict.fromkeys(names, ("a", "b")))
    found = table.inputs
    assert found[:4] == ("hair_color", "hair_color_", "label_z", "label_7")
    assert len(set(found)) == len(names) and all(name.isidentifier() for name in found)
    assert not {"z", "seed", "images"} & set(found) and all(name.isascii() for name in found)


def test_a_seed_has_its_own_classes_or_those_given(signatures, trained):
    seeds = tf.range(5, dtype=tf.int64)
    own = TABLE.of_seeds(seeds).numpy()
    said = signatures["classes"](seed=seeds)
    np.testing.assert_array_equal(np.stack([said["hair_color"], said["eyes"]], 1), own)
    free = signatures["generate"](seed=seeds)["images"]
    np.testing.assert_array_equal(free, trained.sample(range(5)))
    same = signatures["generate_by_class"](seed=seeds, **columns(*[[-1, -1]] * 5))["images"]
    np.testing.assert_array_equal(same, free)
    blue = signatures["generate_by_class"](seed=seeds, **columns(*[[1, -1]] * 5))["images"]
    expected = TABLE.labels(range(5), {"hair color": ["blue"]})
    np.testing.assert_array_equal(blue, trained.sample(range(5), expected))
    png = signatures["png_by_class"](seed=seeds, **columns(*[[1, -1]] * 5))["png_bytes"]
    np.testing.assert_array_equal([tf.io.decode_png(one) for one in png], blue)


def test_the_discriminator_is_asked_about_a_class_or_about_none(signatures, trained):
    faces = trained.sample([0] * 4)
    about = columns([0, 0], [2, 1], [-1, 1], [-1, -1])
    score = signatures["discriminate_by_class"](images=faces, **about)["score"].numpy()
    assert score.shape == (4,) and len(set(score)) == 4
    free = signatures["discriminate"](images=faces)["score"].numpy()
    np.testing.assert_array_equal(free, score[3:].repeat(4))
    # Logits are linear in the classes: of none, the mean over the data's rows.
    each = [[0, 0], [0, 1], [1, 1], [2, 0]]
    found = signatures["discriminate_by_class"](images=faces, **columns(*each))["score"].numpy()
    logits = np.log(found / (1 - found))
    np.testing.assert_allclose(np.log(free[0] / (1 - free[0])), logits.mean(), rtol=1e-3)


def test_the_server_holds_it(root):
    folder = root / "export" / "saved_model" / "1234"
    assert SavedModel(folder).signatures["classes"].outputs.keys() == {"hair_color", "eyes"}


SLOW = (saved_model.FORMAT, keras_file.FORMAT, litert.FORMAT)


@pytest.mark.parametrize(
    "form",
    [onnx.FORMAT, *(pytest.param(form, marks=pytest.mark.slow) for form in SLOW)],
    ids=lambda form: form.name,
)
def test_every_format_takes_labels_too(tmp_path, form):
    """Of the layout that has them in every layer; `root` is of the other."""
    form.require()
    run = TrainedRun(RunDir(toy_run(tmp_path / "run", table=TABLE, layout="carpedm20")))
    checkpoint = run.checkpoint
    networks = checkpoint.generator(), checkpoint.discriminator()
    subject = Subject(*networks, {"z_dist": "normal01", "step": 1234}, TABLE)
    path = form.path(tmp_path, 1234)
    form.write(subject, path, "float32")
    found = parity.check(form, path, parity.make_cases(subject))
    own = {"labelled"} if form.labels == "numbers" else {"serving_default", "by_class"}
    assert own <= found.keys() and (form is saved_model.FORMAT or own == found.keys())
    assert max(found[name] for name in own) <= parity.TOLERANCE


@pytest.mark.parametrize(
    "form",
    [onnx.FORMAT, pytest.param(litert.FORMAT, marks=pytest.mark.slow)],
    ids=lambda form: form.name,
)
def test_float16_weights_change_the_class_of_no_z(tmp_path, form):
    """The numbers that part the classes are close where there are many combinations."""
    form.require()
    labels = np.unravel_index(np.arange(3000), (60, 50))
    names = {"hair": tuple(map(str, range(60))), "eyes": tuple(map(str, range(50)))}
    table = ClassTable.of(names, np.stack(labels, 1), z_dim=Z_DIM, z_dist="normal01")
    checkpoint = TrainedRun(RunDir(toy_run(tmp_path / "run", table=table))).checkpoint
    networks = checkpoint.generator(), checkpoint.discriminator()
    subject = Subject(*networks, {"z_dist": "normal01", "step": 1234}, table)
    path = form.path(tmp_path, 1234)
    form.write(subject, path, "float16")
    with checking_here():
        found = parity.check(form, path, parity.make_cases(subject), weights="float16")
    assert found.keys() == {"serving_default", "by_class"}


def test_a_page_needs_labels_and_begins_with_seeds_in_their_own_classes(root, trained, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    pytest.importorskip("tf2onnx", reason="tf2onnx is not installed")
    words = ["--run_dir", root, "--format", "web", "--onnxruntime", "cdn", "--to", tmp_path]
    with checking_here():
        assert main.main(["export", *map(str, words)]) == 0
    page = tmp_path / "web"
    known = json.loads((page / "dcgan.json").read_text("utf-8"))
    assert known["differences"].keys() == {"by_class"}
    session = onnxruntime.InferenceSession(str(page / "generator.onnx"))
    assert [one.name for one in session.get_inputs()] == ["z", "hair_color", "eyes"]
    sheet = images.grid(
        trained.sample(range(web.FIRST_GRID_IMAGES)), columns=web.FIRST_GRID_COLUMNS, margin=0
    )
    np.testing.assert_array_equal(images.read_png(page / "first.png"), sheet)
