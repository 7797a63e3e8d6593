"""The Inception graph, stood in for by a small one of the same names and the same awkward parts.

The stand-in was "made for one JPEG file" as the published one: it decodes a file, its recorded
shapes have a batch of one, it uses an operation that TensorFlow has since removed, and reshapes to
one row before the softmax.
"""

import hashlib
import io
import tarfile

import numpy as np
import pytest
import tensorflow as tf
from ailing_disk import fails_within
from arrays import numbers

from dcgan import UserError
from dcgan.datasets.download import RemoteFile
from dcgan.evaluation import inception, resizing

RANDOM = np.random.default_rng(0)
KERNEL = RANDOM.normal(0, 1, (1, 1, 3, 2048)).astype(np.float32)
NORM = {
    "mean": RANDOM.normal(0, 0.3, 2048).astype(np.float32),
    "variance": RANDOM.uniform(0.5, 2, 2048).astype(np.float32),
    "beta": RANDOM.normal(0, 0.3, 2048).astype(np.float32),
    "gamma": RANDOM.uniform(0.5, 2, 2048).astype(np.float32),
}
WEIGHTS = RANDOM.normal(0, 0.05, (2048, 1008)).astype(np.float32)
BIASES = RANDOM.normal(0, 5, 1008).astype(np.float32)
EPSILON = 1e-3
POOL = 37  # 299 pixels become 8, as in the published network


def stand_in(ballast: int = 0) -> bytes:
    """The graph as a file's content, with so many float32 numbers that nothing uses."""
    graph, raw = tf.Graph(), tf.raw_ops
    with graph.as_default():
        tf.constant(np.ones(ballast, np.float32), name="ballast")
        file = tf.compat.v1.placeholder(tf.string, [], name="DecodeJpeg/contents")
        picture = raw.DecodeJpeg(contents=file, channels=3, name="DecodeJpeg")
        picture = tf.cast(picture, tf.float32, name="Cast")
        batch = raw.ExpandDims(input=picture, axis=0, name="ExpandDims")
        size = tf.constant([299, 299], name="ResizeBilinear/size")
        large = raw.ResizeBilinear(images=batch, size=size, name="ResizeBilinear")
        x = raw.Mul(x=raw.Sub(x=large, y=128.0, name="Sub"), y=1 / 128, name="Mul")
        square = {"ksize": [1, POOL, POOL, 1], "strides": [1, POOL, POOL, 1], "padding": "VALID"}
        x = raw.AvgPool(value=x, name="first_pool", **square)
        x = raw.Conv2D(input=x, filter=KERNEL, strides=[1] * 4, padding="SAME", name="conv")
        for name, value in NORM.items():
            tf.constant(value, name=f"norm/{name}")
        x = raw.Relu(features=tf.identity(x, name="norm"), name="relu")
        x = raw.CheckNumerics(tensor=x, message="not finite", name="check")
        x = raw.AvgPool(
            value=x, ksize=[1, 8, 8, 1], strides=[1, 1, 1, 1], padding="VALID", name="pool_3"
        )
        row = raw.Reshape(
            tensor=x, shape=tf.constant([1, 2048], name="pool_3/_reshape/shape"),
            name="pool_3/_reshape",
        )  # fmt: skip
        weights = tf.constant(WEIGHTS, name="softmax/weights")
        x = raw.MatMul(a=row, b=weights, name="softmax/logits/MatMul")
        raw.Softmax(logits=x + tf.constant(BIASES, name="softmax/biases"), name="softmax")
    definition = graph.as_graph_def(add_shapes=True)
    definition.versions.producer = 8  # the operation below was removed in version 9
    for node in definition.node:
        if node.name == "norm":
            shapes = node.attr["_output_shapes"].list
            node.op = "BatchNormWithGlobalNormalization"
            node.input.extend(f"norm/{name}" for name in NORM)
            node.attr["variance_epsilon"].f = EPSILON
            node.attr["scale_after_normalization"].b = True
            assert shapes.shape[0].dim[0].size == 1
    return definition.SerializeToString()


def remote(graph: bytes) -> RemoteFile:
    """A file of this content, where nobody gives it."""
    url, checksum = "http://127.0.0.1:1/graph", hashlib.sha256(graph).hexdigest()
    return RemoteFile(NAME, (url,), checksum, len(graph))


NAME = inception.FILE.name
GRAPH = stand_in()
OFFLINE = remote(GRAPH)


@pytest.fixture(scope="module")
def network() -> inception.Inception:
    return inception.Inception(GRAPH)


def by_hand(images: np.ndarray) -> np.ndarray:
    """The stand-in's features in float64, one layer after the other."""
    x = (resizing.resize(images, 299, 299).astype(np.float64) - 128) / 128
    side = 8 * POOL
    x = x[:, :side, :side].reshape(-1, 8, POOL, 8, POOL, 3).mean((2, 4))
    x = x @ KERNEL[0, 0].astype(np.float64)
    scale = NORM["gamma"] / np.sqrt(NORM["variance"] + EPSILON)
    return np.maximum((x - NORM["mean"]) * scale + NORM["beta"], 0).mean((1, 2))


# --- the network


def test_features_are_those_of_the_graph(network):
    images = numbers(3, 20, 16, 3)
    features = network(images).features
    assert features.dtype == np.float32 and features.shape == (3, 2048)
    np.testing.assert_allclose(features, by_hand(images), atol=2e-5)
    assert features.std(0).max() > 0.01  # the images differ


def test_features_do_not_depend_on_the_number_of_images(network):
    images = numbers(inception.BATCH + 3, 8, 8, 3)
    all_at_once = network(images)
    for rows in (slice(0, 1), slice(0, 5), slice(inception.BATCH, None)):
        np.testing.assert_array_equal(network(images[rows]).features, all_at_once.features[rows])
    # At another place of a batch, sums may be rounded otherwise.
    np.testing.assert_allclose(
        network(images[7:10]).features, all_at_once.features[7:10], atol=1e-6
    )


def test_probabilities_are_the_softmax_without_the_bias(network):
    images = numbers(2, 20, 16, 3)
    found = network(images).probabilities["imagenet"]
    logits = by_hand(images) @ WEIGHTS.astype(np.float64)
    expected = np.exp(logits - logits.max(1, keepdims=True))
    np.testing.assert_allclose(found, expected / expected.sum(1, keepdims=True), rtol=1e-3)
    assert len(network.classes["imagenet"]) == found.shape[1] == 1008


def test_grey_is_seen_as_three_equal_channels(network):
    grey = numbers(2, 10, 10, 1)
    np.testing.assert_array_equal(network(grey).features, network(grey.repeat(3, axis=-1)).features)


def test_images_of_the_networks_size_are_not_resized(network):
    images = numbers(1, 299, 299, 3)
    np.testing.assert_allclose(network(images).features, by_hand(images), atol=2e-5)


def test_the_fingerprint_is_of_the_weights(network):
    assert network.fingerprint == inception.Inception(GRAPH).fingerprint
    other = GRAPH.replace(WEIGHTS[:1].tobytes(), WEIGHTS[1:2].tobytes(), 1)
    assert other != GRAPH and inception.Inception(other).fingerprint != network.fingerprint


# --- where it comes from: see `test_download` for downloads themselves


def archive(*members: tuple[str, bytes]) -> bytes:
    """A real .tgz."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def refusal(folder, file: RemoteFile) -> str:
    with pytest.raises(UserError) as caught:
        inception.load(folder, file=file)
    message = str(caught.value)
    assert file.name in message and str(folder) in message
    assert "\n" not in message and message.endswith(".")
    return message


def test_offline_it_says_what_to_put_where(tmp_path):
    message = refusal(tmp_path / "cache", OFFLINE)
    assert "put classify_image_graph_def.pb from http://127.0.0.1:1/graph, or " in message
    assert "inception-2015-12-05.tgz from http://download.tensorflow.org/" in message
    assert f", into the folder {tmp_path / 'cache'}, or choose --extractor classifier" in message
    assert "no mirror gave it" in message and "--data_dir" not in message
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    message = refusal(tmp_path / "file" / "cache", OFFLINE)
    assert "cache cannot be written" in message and "--data_dir" not in message


def test_the_published_archive_put_there_by_hand_is_found(tmp_path, network):
    others = ("cropped_panda.jpg", b"panda"), ("../../outside", b"not to be written")
    member = ("./x/classify_image_graph_def.pb", GRAPH)
    (tmp_path / inception.ARCHIVE).write_bytes(archive(*others, member))
    found = inception.load(tmp_path, file=OFFLINE)
    assert found.fingerprint == network.fingerprint
    assert [path.name for path in tmp_path.iterdir()] == [inception.ARCHIVE]  # nothing is unpacked


@pytest.mark.parametrize("place", [".", "inception-2015-12-05"])
def test_the_file_put_there_by_hand_is_found(tmp_path, network, place):
    (tmp_path / place).mkdir(exist_ok=True)
    (tmp_path / place / NAME).write_bytes(GRAPH)
    found = inception.load(tmp_path, file=OFFLINE)
    assert found.fingerprint == network.fingerprint


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        (NAME, GRAPH[:100], "received a file of 100 bytes with SHA-256"),
        (inception.ARCHIVE, b"not an archive", "received a damaged one"),
        (inception.ARCHIVE, archive(("panda.jpg", b"x")), "received none with classify_image"),
        (inception.ARCHIVE, archive((NAME, bytes(len(GRAPH)))), "bytes with SHA-256"),
        (inception.ARCHIVE, archive((NAME, GRAPH))[:-2000], "received a damaged one"),
    ],
    ids=["short", "no archive", "archive without it", "archive of another", "archive cut short"],
)
def test_another_file_put_there_by_hand_is_refused_and_stays(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    message = refusal(tmp_path, OFFLINE)
    assert words in message and "delete it to have it downloaded" in message
    assert (tmp_path / name).read_bytes() == content


def test_a_failing_disk_is_no_damaged_archive(tmp_path, monkeypatch):
    path = tmp_path / inception.ARCHIVE
    path.write_bytes(archive((NAME, GRAPH)))
    fails_within(monkeypatch, path, after=1000)
    with pytest.raises(OSError, match="Input/output error") as caught:
        inception.load(tmp_path, file=OFFLINE)
    assert caught.value.filename == str(path)


@pytest.mark.slow
def test_a_graph_of_the_published_size_goes_all_the_way(tmp_path, network):
    """Archive, checksum, loading, features; some readers stop at 64 MB."""
    graph = stand_in((inception.FILE.size - len(GRAPH)) // 4)
    (tmp_path / inception.ARCHIVE).write_bytes(archive((NAME, graph)))
    found = inception.load(tmp_path, file=remote(graph))
    assert abs(len(graph) - inception.FILE.size) < 1000
    images = numbers(3, 20, 16, 3)
    np.testing.assert_array_equal(found(images).features, network(images).features)
