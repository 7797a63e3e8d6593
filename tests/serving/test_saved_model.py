"""Exported versions that are not whole or not ours: refused by the check that is made for it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from serving_models import INFO, SIDE, Z_DIM, tensors, write_saved_model

from dcgan.serving import saved_model
from dcgan.serving.batching import ModelFailure
from dcgan.serving.saved_model import SavedModel, UnusableVersion
from dcgan.serving.tfserving_json import Signature, Tensor

tf = saved_model.load_tensorflow()
PICTURE = (SIDE, SIDE, 3)


SEED = tf.TensorSpec([None], tf.int64, name="seed")
Z = tf.TensorSpec([None, Z_DIM], tf.float32, name="z")
NUMBERS = tf.TensorSpec([None], tf.float32, name="a")


def zeros(rows, dtype="uint8", shape=PICTURE):
    return tf.zeros([tf.shape(rows)[0], *shape], dtype)


# Name: (input, function). What a model must have at least.
WHOLE = {
    "serving_default": (Z, lambda z: {"images": zeros(z, "float32")}),
    "generate": (SEED, lambda seed: {"images": zeros(seed)}),
    "png": (SEED, lambda seed: {"png_bytes": tf.fill([tf.shape(seed)[0]], b"png")}),
}


def write(folder: Path, signatures: dict = WHOLE, **info) -> Path:
    """A model of these signatures, as version 1; `info` differs in its description."""
    path, module = folder / "1", tf.Module()
    functions = {
        name: tf.function(function, input_signature=[one], autograph=False)
        for name, (one, function) in signatures.items()
    }
    tf.saved_model.save(module, str(path), signatures=functions)
    (path / "assets.extra").mkdir()
    (path / "assets.extra" / "dcgan.json").write_text(json.dumps(INFO | info))
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def loaded(whole) -> SavedModel:
    return SavedModel(whole)


@pytest.fixture
def path(whole, tmp_path) -> Path:
    """A copy of the folder of a whole model."""
    return shutil.copytree(whole, tmp_path / "1")


SEEDS, IMAGES = tensors(seed=("int64",)), tensors(images=("uint8", *PICTURE))
FLOATS = tensors(images=("float32", *PICTURE))
ROW, LARGE = tensors(a=("float32",)), tensors(a=("float32", 1 << 23))
FIXED = {"a": Tensor("a", "float32", (3,))}
# Signatures in place of those of a whole model, or none.
CHANGED = {
    "no default": ("serving_default", None, r"no signature serving_default\(z\)"),
    "no generate": ("generate", None, r"no signature generate\(seed\)"),
    "no png": ("png", None, r"no signature png\(seed\)"),
    "other input": ("generate", (tensors(seeds=("int64",)), IMAGES), r"no signature generate"),
    "other seeds": ("generate", (tensors(seed=("int32",)), IMAGES), r"no signature generate"),
    "two outputs": ("generate", (SEEDS, IMAGES | ROW), "generate does not give"),
    "floats": ("generate", (SEEDS, FLOATS), "generate does not give"),
    "grey": ("generate", (SEEDS, tensors(images=("uint8", SIDE, SIDE))), "generate does not give"),
    "larger": ("generate", (SEEDS, tensors(images=("uint8", SIDE, SIDE + 1, 3))), "does not give"),
    "rows given": ("x", (FIXED, ROW), "x has no free batch"),
    "rows of the answer given": ("x", (ROW, FIXED), "x has no free batch"),
    "large row": ("x", (LARGE, ROW), "x has a row of more than 4,194,304"),
    "large answer": ("x", (ROW, LARGE), "x has a row of more than 4,194,304"),
}


@pytest.mark.parametrize("kind", CHANGED)
def test_signatures_that_do_not_serve_are_refused(loaded, kind, monkeypatch):
    name, changed, words = CHANGED[kind]
    monkeypatch.setitem(loaded.signatures, name, changed and Signature(*changed))
    with pytest.raises(UnusableVersion, match=words):
        loaded._check()


def test_a_whole_model_with_open_sizes_is_taken(tmp_path):
    """A graph may say less of its pictures than the description does."""

    def images(z):
        sizes = tf.constant(PICTURE) + 0 * tf.size(z)  # no constant: the graph leaves them open
        return {"images": tf.reshape(zeros(z, "float32"), tf.concat([tf.shape(z)[:1], sizes], 0))}

    model = SavedModel(write(tmp_path, WHOLE | {"serving_default": (Z, images)}))
    model.warm_up([1, 3])
    [image] = model.compute("generate", {"seed": np.int64([7])})["images"]
    assert image.shape == PICTURE


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[]", "dcgan.json is not a JSON object"),
        ('{"z_dim": ', "Expecting value"),
        (json.dumps(INFO | {"z_dim": "4"}), "has no z_dim that is int"),
        (json.dumps(INFO | {"channels": True}), "has no channels that is int"),
        (json.dumps(INFO | {"z_dist": None}), "has no z_dist that is str"),
        (json.dumps(INFO | {"z_dim": 5}), r"no signature serving_default\(z\) of the shape"),
        (json.dumps(INFO | {"note": 1 << 70}), "exceeds 64-bit"),  # which no address could show
        (json.dumps(INFO | {"note": "\ud800"}), "surrogates not allowed"),
        (None, "No such file"),
    ],
)
def test_descriptions_that_are_none(path, content, words):
    file = path / "assets.extra" / "dcgan.json"
    file.unlink() if content is None else file.write_text(content)
    with pytest.raises(UnusableVersion, match=words):
        SavedModel(path)


@pytest.mark.parametrize(
    "name", ["saved_model.pb", "variables/variables.index", "assets.extra/dcgan.json"]
)
def test_files_that_claim_a_terabyte_are_not_read(path, name):
    with (path / name).open("r+b") as file:
        file.truncate(1 << 40)
    with pytest.raises(UnusableVersion, match="1,099,511,627,776 bytes, more than 67,108,864"):
        SavedModel(path)


def test_a_graph_without_graphs_is_named(path):
    (path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(UnusableVersion, match="holds no graph"):
        SavedModel(path)


def test_the_fingerprint_is_of_graph_and_weights(tmp_path):
    """The graphs of versions 1 and 2 are alike."""
    one, two = (SavedModel(write_saved_model(tmp_path, version)) for version in (1, 2))
    again = SavedModel(write_saved_model(tmp_path / "again", 1))
    assert one.fingerprint != two.fingerprint
    graph = (tmp_path / "1" / "saved_model.pb").read_bytes()
    (tmp_path / "again" / "1" / "saved_model.pb").write_bytes(graph)
    again = SavedModel(tmp_path / "again" / "1")
    assert again.fingerprint == one.fingerprint
    (tmp_path / "2" / "saved_model.pb").write_bytes(graph)
    assert SavedModel(tmp_path / "2").fingerprint != one.fingerprint


@pytest.mark.parametrize("sizes", [[2], [1, 2]])
def test_a_model_that_fails_at_a_size_is_refused_before_it_answers(tmp_path, sizes):
    def fails(a):
        with tf.control_dependencies([tf.debugging.assert_less(tf.shape(a)[0], 2, "two\nrows")]):
            return {"b": tf.identity(a)}

    model = SavedModel(write(tmp_path, WHOLE | {"x": (NUMBERS, fails)}))
    model.warm_up([1])
    with pytest.raises(UnusableVersion, match="its signature x fails: "):
        model.warm_up(sizes)
    with pytest.raises(ModelFailure) as caught:
        model.compute("x", {"a": np.zeros(2, np.float32)})
    assert "\n" not in str(caught.value)


def test_answers_of_other_rows_than_the_question_are_refused(tmp_path):
    twice = (NUMBERS, lambda a: {"b": tf.concat([a, a], 0)})
    model = SavedModel(write(tmp_path, WHOLE | {"x": twice}))
    with pytest.raises(ModelFailure, match="its outputs have 6 and 3 rows"):
        model.compute("x", {"a": np.zeros(3, np.float32)})
