"""Networks in files as extractors: real small ONNX, SavedModel and .keras files."""

import json
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from arrays import numbers
from learnt import learnt_run

import main
from dcgan import UserError
from dcgan.evaluation import extractors, network_file, resizing
from dcgan.evaluation.network_file import InputOptions, NetworkFile, split_name
from dcgan.files import read_json_lines

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

SHAPE = (12, 10, 3)
RANGE = InputOptions(range="-1,1")
FORMATS = ("net.onnx", "net", "net.keras")


def network(shape=(16, 16, 3)) -> keras.Model:
    """Two outputs, "features" [N, 5] and "maps"."""
    inputs = keras.Input(shape, name="images")
    start = keras.initializers.RandomNormal(seed=1)
    maps = keras.layers.Conv2D(5, 3, kernel_initializer=start, activation="relu", name="maps")
    x = maps(inputs)
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D(name="features")(x))


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """One network in the three formats."""
    folder, model = tmp_path_factory.mktemp("networks"), network()
    model.save(folder / "net.keras")
    model.export(folder / "net", verbose=False)
    model.export(folder / "net.onnx", format="onnx", verbose=False)
    return folder


def graph(path: Path, shape, dtype=None, *, axes=(2, 3), outputs=("features",)) -> Path:
    """An ONNX file whose features are the input's means over the axes, for each output."""
    dtype = dtype or onnx.TensorProto.FLOAT
    helper = onnx.helper
    nodes = [helper.make_node("Cast", ["images"], ["x"], to=onnx.TensorProto.FLOAT)]
    nodes += [
        helper.make_node("ReduceMean", ["x"], [name], axes=list(axes), keepdims=0)
        for name in outputs
    ]
    rank = len(shape) - len(axes)
    made = helper.make_graph(
        nodes,
        "means",
        [helper.make_tensor_value_info("images", dtype, list(shape))],
        [
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [None] * rank)
            for name in outputs
        ],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save_model(model, str(path))
    return path


def refused(path: Path, *, shape=SHAPE, output=None, **looks) -> str:
    with pytest.raises(UserError) as found:
        NetworkFile(path, shape, output=output, looks=InputOptions(**looks))
    return str(found.value)


# --- what it computes


def test_the_three_formats_give_equal_features(files):
    images = numbers(70, *SHAPE)
    expected = network()(resizing.resize(images, 16, 16) / 127.5 - 1).numpy()
    for name in FORMATS:
        found = NetworkFile(files / name, SHAPE, looks=RANGE)
        features = found(images).features
        assert features.shape == (70, 5) and features.dtype == np.float32
        np.testing.assert_allclose(features, expected, atol=1e-5, err_msg=name)
        assert found.size == (16, 16) and found.layout == "nhwc" and found.name == "net"
        assert found.resize.startswith("to 16x16, bicubic") and "range -1,1" in found.resize
        # What becomes of an image does not depend on how many there are.
        np.testing.assert_array_equal(found(images[:3]).features, features[:3])


@pytest.mark.parametrize(
    ("name", "low", "high"), [("-1,1", -1, 1), ("0,1", 0, 1), ("0,255", 0, 255)]
)
def test_levels_are_brought_to_the_range(tmp_path, name, low, high):
    path = graph(tmp_path / "means.onnx", ("n", 3, None, None))
    found = NetworkFile(path, SHAPE, looks=InputOptions(range=name))
    assert found.size == SHAPE[:2] and found.layout == "nchw"
    images = np.zeros((2, *SHAPE), np.uint8)
    images[1] = 255
    images[1, ..., 2] = 51
    expected = [[low] * 3, [high, high, low + (high - low) / 5]]
    np.testing.assert_allclose(found(images).features, expected, atol=1e-5)


def test_imagenets_range_is_torchvisions(tmp_path):
    path = graph(tmp_path / "means.onnx", (None, 3, 8, 8))
    found = NetworkFile(path, (8, 8, 1), looks=InputOptions(range="imagenet"))
    features = found(np.full((1, 8, 8, 1), 255, np.uint8)).features
    # (1 - 0.485) / 0.229 = 2.2489 and so on: grey is shown in three channels.
    np.testing.assert_allclose(features, [[2.2489, 2.4286, 2.64]], atol=1e-4)


def test_a_fixed_batch_and_whole_levels(tmp_path):
    path = graph(tmp_path / "means.onnx", (1, 6, 5, 3), onnx.TensorProto.UINT8, axes=(1, 2))
    images = numbers(5, 6, 5, 3)
    found = NetworkFile(path, (6, 5, 3))
    assert found.range == "0,255" and found.resize == "none; range 0,255, NHWC"
    np.testing.assert_allclose(found(images).features, images.mean((1, 2)), rtol=1e-5)


def test_maps_are_averaged_and_of_tokens_the_first_is_taken(files, tmp_path):
    images = numbers(4, *SHAPE)
    maps = NetworkFile(files / "net.keras", SHAPE, output="maps", looks=RANGE)
    whole = NetworkFile(files / "net.keras", SHAPE, looks=RANGE)
    assert maps.fingerprint != whole.fingerprint
    np.testing.assert_allclose(maps(images).features, whole(images).features, atol=1e-6)
    tokens = graph(tmp_path / "tokens.onnx", (None, 12, 10, 3), axes=(2,))
    found = NetworkFile(tokens, SHAPE, looks=InputOptions(range="0,255"))(images).features
    np.testing.assert_allclose(found, images[:, 0].mean(1), rtol=1e-5)  # of the first row


def test_rescaling_in_front_says_the_range(tmp_path):
    inputs = keras.Input((12, 10, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(inputs))
    keras.Model(inputs, x).save(tmp_path / "net.keras")
    assert NetworkFile(tmp_path / "net.keras", SHAPE).range == "0,255"


def test_the_fingerprint_is_of_the_file_and_the_options(tmp_path):
    one = graph(tmp_path / "one.onnx", (None, 3, None, None))
    other = graph(tmp_path / "other.onnx", (None, 3, None, None), outputs=("values",))
    copy = tmp_path / "copy.onnx"
    copy.write_bytes(one.read_bytes())
    prints = [
        NetworkFile(path, SHAPE, looks=InputOptions(**looks)).fingerprint
        for path, looks in [
            (one, {"range": "0,1"}),
            (copy, {"range": "0,1"}),
            (other, {"range": "0,1"}),
            (one, {"range": "-1,1"}),
            (one, {"range": "0,1", "size": (14, 14)}),
        ]
    ]
    assert prints[0] == prints[1] and len(set(prints)) == 4


def test_a_saved_models_fingerprint_is_of_all_its_files(files, tmp_path):
    network().export(tmp_path / "net", verbose=False)
    before = network_file.checksum(tmp_path / "net")
    with open(tmp_path / "net" / "variables" / "variables.index", "ab") as file:
        file.write(b"x")
    assert network_file.checksum(tmp_path / "net") != before


def test_a_colon_names_the_output(tmp_path):
    path = graph(tmp_path / "net.onnx", (None, 3, 8, 8), outputs=("a", "b"))
    assert split_name(f"{path}:b") == (path, "b")
    assert split_name(str(path)) == (path, None)
    odd = tmp_path / "net:b"
    odd.write_bytes(b"")
    assert split_name(str(odd)) == (odd, None)
    assert split_name("C:/none.onnx") == (Path("C:/none.onnx"), None)
    NetworkFile(path, SHAPE, output="b", looks=RANGE)
    sentence = refused(path, range="0,1")
    assert "has 2 outputs" in sentence and f"{path}:a" in sentence
    assert "no output 'c'" in refused(path, output="c", range="0,1")


# --- what it refuses


@pytest.mark.parametrize("name", ["net.onnx", "net.keras"])
def test_other_content_is_refused(tmp_path, files, name):
    path = tmp_path / name
    assert "a path where there is nothing" in refused(path)
    whole = (files / name).read_bytes()
    for content in (b"", b"no network", whole[: len(whole) // 2]):
        path.write_bytes(content)
        sentence = refused(path, range="0,1")
        assert "cannot read" in sentence and "\n" not in sentence
    (tmp_path / "net.txt").write_bytes(whole)
    assert "expected an .onnx or .keras file" in refused(tmp_path / "net.txt")
    assert "a folder without it" in refused(tmp_path)


def test_a_damaged_saved_model_is_refused(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"no model")
    assert "TensorFlow cannot read" in refused(tmp_path)


@pytest.mark.parametrize(
    ("shape", "looks", "words"),
    [
        ((None, 3, 8, 8), {}, "does not say what range its input has: use --extractor_range"),
        ((None, 3, 8, 3), {"range": "0,1"}, "use --extractor_layout nhwc or nchw"),
        ((None, None, None, None), {"range": "0,1"}, "use --extractor_layout nhwc or nchw"),
        ((None, 3, 8, 8), {"range": "0,1", "layout": "nhwc"}, "expected 1 or 3 channels"),
        ((None, 3, 8, 8), {"range": "0,1", "size": (9, 8)}, "9x8 does not fit"),
        ((None, 1, 8, 8), {"range": "0,1"}, "looks at grey images"),
        ((None, 1, 8, 8), {"range": "imagenet"}, "looks at grey ones"),
        ((None, 3, 8, 8, 8), {"range": "0,1"}, "takes no images"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, shape, looks, words):
    assert words in refused(graph(tmp_path / "net.onnx", shape), **looks)


def test_what_only_running_shows_is_refused_then(tmp_path):
    path = graph(tmp_path / "net.onnx", (None, 3, None, None), axes=(1, 2, 3))
    with pytest.raises(UserError, match=r"gives no features: expected \[32, D\]"):
        NetworkFile(path, SHAPE, looks=RANGE)(numbers(2, *SHAPE))


def test_weights_in_other_files_are_refused(tmp_path, monkeypatch):
    """The checksum would not cover them."""
    monkeypatch.chdir(tmp_path)
    model = onnx.load(str(graph(tmp_path / "net.onnx", (None, 3, 8, 8))))
    weights = onnx.numpy_helper.from_array(np.ones((3, 500), np.float32), "weights")
    model.graph.initializer.append(weights)
    model.graph.node.append(onnx.helper.make_node("MatMul", ["features", "weights"], ["more"]))
    del model.graph.output[:]
    output = onnx.helper.make_tensor_value_info("more", onnx.TensorProto.FLOAT, [None, 500])
    model.graph.output.append(output)
    onnx.save_model(model, "net.onnx", save_as_external_data=True, location="w.bin")
    assert "weights included" in refused(Path("net.onnx"), range="0,1")


def rewritten(path: Path, change) -> Path:
    """A .keras file with another config.json."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(parts["config.json"])
    change(config)
    parts["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def test_a_keras_file_cannot_run_code(tmp_path):
    inputs = keras.Input((8, 8, 3))
    flat = keras.layers.GlobalAveragePooling2D()(inputs)
    keras.Model(inputs, keras.layers.Lambda(lambda x: x * 2)(flat)).save(tmp_path / "l.keras")
    assert "asks for code (Lambda" in refused(tmp_path / "l.keras", range="0,1")

    network((8, 8, 3)).save(tmp_path / "m.keras")

    def layer_of_another_package(config):
        config["config"]["layers"][1] |= {"module": "antigravity", "class_name": "Popen"}

    path = rewritten(tmp_path / "m.keras", layer_of_another_package)
    assert "Popen of antigravity" in refused(path, range="0,1")
    assert "antigravity" not in sys.modules

    def function(config):
        call = {"module": "keras.utils", "class_name": "function", "config": "get_file"}
        config["config"]["layers"][1] |= {"module": "keras.layers", "class_name": "Conv2D"}
        config["config"]["layers"][1]["config"]["activation"] = call

    assert "asks for code (function of keras.utils" in refused(
        rewritten(path, function), range="0,1"
    )


def test_without_onnx_runtime_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert "pip install" in refused(graph(tmp_path / "net.onnx", (None, 3, 8, 8)), range="0,1")


def test_tensorflow_lets_go_of_nothing_while_it_is_needed(files):
    found = NetworkFile(files / "net", SHAPE, looks=RANGE)
    tf.keras.backend.clear_session()
    assert np.isfinite(found(numbers(2, *SHAPE)).features).all()


# --- by name


def test_extractors_are_made_of_files(files, tmp_path):
    data = SimpleNamespace(images=numbers(3, *SHAPE))
    place = {"cache_dir": tmp_path, "seed": 0}
    found = extractors.make(f"{files / 'net.keras'}:maps", data, looks=RANGE, **place)
    assert found(data.images).features.shape == (3, 5)
    assert extractors.find_learnt(str(files / "net.keras"), data, seed=0) is None
    with pytest.raises(UserError, match="--extractor pixels is none: leave them out"):
        extractors.make("pixels", data, looks=RANGE, **place)


def test_the_command_looks_through_a_file(tmp_path, capsys):
    path = graph(tmp_path / "means.onnx", (None, 3, None, None))
    root = learnt_run(tmp_path, {"": 120})
    flags = ["evaluate", "--run_dir", str(root), "--num_images", "110", "--metrics", "kid"]
    flags += ["--extractor", str(path)]
    assert main.main(flags) == 2
    assert "use --extractor_range, one of" in capsys.readouterr().err
    assert main.main([*flags, "--extractor_range", "0,1", "--extractor_size", "20"]) == 0
    (record,) = read_json_lines(root / "evaluation" / "kid-110-means.jsonl")
    assert record["resize"].startswith("to 20x20, bicubic")
    told = NetworkFile(path, (16, 16, 3), looks=InputOptions((20, 20), "0,1"))
    assert record["extractor_fingerprint"] == told.fingerprint
