"""Features of the discriminator, and how well a few labels classify with them."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from learnt import learnt_run
from mnist_files import write_mnist
from running import command, content
from sklearn.svm import LinearSVC
from toy_run import Z_DIM, toy_run

from dcgan import UserError, images
from dcgan.commands import features as module
from dcgan.commands.features import table
from dcgan.datasets.source import Labels
from dcgan.evaluation import linear_probe
from dcgan.evaluation.linear_probe import (
    PENALTIES,
    Images,
    ProbeResult,
    compare,
    draw_trials,
    make_probe,
)
from dcgan.files import read_json_lines
from dcgan.latent.labels import ClassTable
from dcgan.models import Discriminator
from dcgan.run.run_dir import RunDir
from dcgan.run.trained_run import TrainedRun

NAMES = ("a", "b", "c")


def numbers(*shape, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def discriminator(shape=(28, 20, 1), width: int = 4) -> Discriminator:
    made = Discriminator(shape, width=width)
    made.build()
    return made


def test_other_numbers_are_another_version():
    """Not right or wrong, but a record of the version, see `test_measures`."""
    pictures = np.random.default_rng(0).integers(0, 256, (90, 3, 3, 1), np.uint8)
    sums = pictures.reshape(90, -1).astype(int) @ [3, 1, -1, 0, 2, -3, 0, 0, -2]
    known, labels = Images(pictures, (sums > 0).astype(int)), (sums > 0).astype(int)
    trials = draw_trials(
        labels, NAMES[:2], labels_per_class=12, repeats=3, among=None, at_most=50, seed=3
    )
    kinds = {"pixels": linear_probe.pixels}
    found = compare(kinds, known, known, trials, seed=3)["pixels"].accuracy
    made_of = (linear_probe.SIDE, linear_probe.SETTLING, linear_probe.HELD_OUT)
    now = (found.value, found.low, found.high, *made_of, *linear_probe.PENALTIES)
    golden = {2: (0.826667, 0.750775, 0.902558, 4, 50, 0.2, 0.1, 0.3, 1.0, 3.0)}
    assert {linear_probe.VERSION: pytest.approx(now, rel=1e-4)} == golden, (
        "raise VERSION in linear_probe.py, and write the new numbers here"
    )


# --- the features


@pytest.mark.parametrize("sides", [(16, 16), (7, 14), (5, 4), (3, 2), (4, 9)])
def test_pooling_takes_the_maximum_of_each_of_four_by_four_parts(sides):
    """Part i of n is from floor(i n / 4) to ceil((i + 1) n / 4), as in PyTorch's adaptive pool."""
    maps = numbers(2, *sides, 3)
    rows, columns = (min(side, 4) for side in sides)
    expected = np.empty((2, rows, columns, 3), np.float32)
    for y in range(rows):
        for x in range(columns):
            top, left = y * sides[0] // rows, x * sides[1] // columns
            bottom, right = -(-(y + 1) * sides[0] // rows), -(-(x + 1) * sides[1] // columns)
            expected[:, y, x] = maps[:, top:bottom, left:right].max((1, 2))
    np.testing.assert_array_equal(linear_probe.pool(tf.constant(maps)), expected)


def test_features_are_every_layers_maps_one_after_the_other(monkeypatch):
    monkeypatch.setattr(linear_probe, "SHIFTS", ((0, 0),))
    network = discriminator()
    pictures = np.random.default_rng(1).integers(0, 256, (5, 28, 20, 1), np.uint8)
    found = linear_probe.pooled_features(network)(pictures)
    layers = network.activations(images.to_float(tf.constant(pictures, tf.float32)))
    # 28x20 becomes 14x10, 7x5 and 4x3: pooled to 4x4, 4x4 and 4x3.
    assert [tuple(layer.shape[1:]) for layer in layers] == [(14, 10, 4), (7, 5, 8), (4, 3, 16)]
    assert found.shape == (5, 4 * 4 * 4 + 4 * 4 * 8 + 4 * 3 * 16)
    np.testing.assert_allclose(found[:, -192:], np.reshape(layers[2], (5, -1)), atol=1e-7)
    first = np.asarray(layers[0])[:, :4, :3].max((1, 2))  # rows 0 to 3 of 14, columns 0 to 2 of 10
    np.testing.assert_allclose(found[:, :4], first, atol=1e-7)


def test_features_are_means_over_shifted_images(monkeypatch):
    network, shifts = discriminator(), linear_probe.SHIFTS
    assert np.sum(shifts, 0).tolist() == [0, 0] and len(set(shifts)) == 9
    assert np.abs(shifts).max() == linear_probe.FARTHEST
    pictures = np.random.default_rng(1).integers(0, 256, (5, 28, 20, 1), np.uint8)
    found = linear_probe.pooled_features(network)(pictures)
    monkeypatch.setattr(linear_probe, "SHIFTS", ((0, 0),))
    as_they_are = linear_probe.pooled_features(network)
    padded = np.pad(pictures, ((0, 0), (2, 2), (2, 2), (0, 0)), "symmetric")
    each = [as_they_are(np.roll(padded, one, (1, 2))[:, 2:-2, 2:-2]) for one in shifts]
    np.testing.assert_allclose(found, np.mean(each, 0), atol=1e-6)
    moved = as_they_are(np.roll(padded, (1, -2), (1, 2))[:, 2:-2, 2:-2])
    monkeypatch.setattr(linear_probe, "SHIFTS", ((1, -2),))
    np.testing.assert_allclose(as_they_are(pictures), moved, atol=1e-6)


def test_features_do_not_depend_on_the_number_of_images():
    pictures = np.random.default_rng(1).integers(0, 256, (130, 28, 20, 1), np.uint8)
    features = linear_probe.pooled_features(discriminator())
    np.testing.assert_array_equal(features(pictures)[128:], features(pictures[128:]))


def test_an_untrained_one_has_new_weights_and_knows_the_datas_statistics():
    network = discriminator(width=8)
    for variable in network.variables:
        variable.assign(numbers(*variable.shape, seed=3) + 1)
    before = [np.array(variable.numpy()) for variable in network.variables]
    reals = np.random.default_rng(1).integers(0, 256, (40, 28, 20, 1), np.uint8)
    made = linear_probe.make_untrained(network, reals, seed=5)
    after = [variable.numpy() for variable in network.variables]
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    fresh = Discriminator.from_config({**network.get_config(), "seed": 5})
    fresh.build()
    kernels = [np.asarray(one.convs[1].kernel) for one in (made, fresh, network)]
    assert np.array_equal(kernels[0], kernels[1]) and not np.array_equal(kernels[0], kernels[2])
    # What is normalized has mean 0 and variance 1 on the data.
    maps = made.norms[0](
        made.convs[1](made.activations(images.to_float(tf.constant(reals, tf.float32)))[0])
    )
    assert np.abs(np.mean(maps, (0, 1, 2))).max() < 0.1
    assert np.var(maps, (0, 1, 2)) == pytest.approx(np.ones(16), abs=0.25)


# --- the machine


def clouds(count: int, apart: float, seed: int = 0, dimensions: int = 5):
    """Points [count, dimensions] of three clouds, and which."""
    labels = np.arange(count) % 3
    centres = apart * np.eye(3, dimensions)
    return centres[labels] + numbers(count, dimensions, seed=seed), labels


@pytest.mark.parametrize(("dimensions", "least"), [(5, 0.95), (400, 0.5)])
@pytest.mark.parametrize("classes", [2, 3])
def test_the_machine_is_a_linear_svm_with_a_penalty_that_was_good_on_others(
    dimensions, least, classes
):
    """Fewer points than dimensions are turned before, which must not show."""
    features, labels = clouds(90, 6.0, dimensions=dimensions)
    features, labels = features[labels < classes], labels[labels < classes]
    fitted = make_probe(30, seed=0).fit(features, labels)
    scores = fitted[-1].cv_results_["mean_test_score"]
    penalty = fitted[-1].best_params_["C"]
    assert penalty == PENALTIES[int(np.argmax(scores))]
    others, truth = clouds(300, 6.0, seed=9, dimensions=dimensions)
    machine = LinearSVC(C=penalty, dual=False).fit(fitted[:2].transform(features), labels)
    expected = machine.predict(fitted[:2].transform(others))
    assert (fitted.predict(others) == expected).mean() > 0.98
    assert (expected == truth)[truth < classes].mean() > least


def test_neither_units_nor_lengths_matter():
    """Of a feature, of all of them, and of one image's."""
    features, labels = clouds(60, 1.5)
    others, _ = clouds(300, 1.5, seed=9)
    units = np.array([1000, 1, 0.01, 7, 1])
    one = make_probe(20, seed=0).fit(features, labels)
    other = make_probe(20, seed=0).fit(features * units + 7, labels)
    assert one[-1].best_params_ == other[-1].best_params_
    assert (one.predict(others) == other.predict(others * units + 7)).mean() > 0.99
    lengths = np.linalg.norm(one[:2].transform(others), axis=1)
    np.testing.assert_allclose(lengths, 1)


@pytest.mark.parametrize(("labels_per_class", "each"), [(2, 1), (3, 1), (5, 1), (10, 2), (100, 20)])
def test_of_each_class_a_fifth_is_held_out_but_at_least_one(labels_per_class, each):
    labels = np.repeat(np.arange(10), labels_per_class)
    ((kept, held),) = make_probe(labels_per_class, seed=0)[-1].cv.split(labels, labels)
    assert np.bincount(labels[held], minlength=10).tolist() == [each] * 10
    assert len(kept) + len(held) == len(labels)


# --- the trials


def drawn(labels, *, k=4, repeats=3, among=None, at_most=1000, seed=0):
    return draw_trials(
        labels, NAMES, labels_per_class=k, repeats=repeats, among=among, at_most=at_most, seed=seed
    )


@pytest.mark.parametrize("at_most", [1000, 20])
def test_nothing_is_scored_that_was_learnt_from(at_most):
    labels = np.arange(60) % 3
    trials = drawn(labels, at_most=at_most)
    assert trials.count == min(48, at_most)  # of 60 images 12 are learnt from
    assert len({tuple(rows) for rows in trials.learnt}) == 3
    for rows, scored in zip(trials.learnt, trials.scored, strict=True):
        assert np.bincount(labels[rows]).tolist() == [4, 4, 4]
        tested = trials.classified[scored]
        assert len(set(tested)) == trials.count and not set(tested) & set(rows)
    again = drawn(labels, at_most=at_most)
    assert np.array_equal(again.classified, trials.classified)
    assert not np.array_equal(drawn(labels, seed=1).learnt[0], trials.learnt[0])


def test_another_part_is_classified_whole():
    trials = drawn(np.arange(60) % 3, among=30)
    assert trials.classified.tolist() == list(range(30))
    assert trials.scored.all() and trials.count == 30
    assert drawn(np.arange(60) % 3, among=30, at_most=10).count == 10


@pytest.mark.parametrize(
    ("labels", "k", "among", "words"),
    [
        (np.arange(60) % 2, 4, None, "60, of them 0 of the class c: use a smaller number"),
        (np.arange(60) % 3, 21, 5, "needs as many images of each class; there are 60, of them 20"),
        (np.arange(60) % 3, 20, None, "of each class and others to classify; there are 60"),
    ],
)
def test_too_few_images_of_a_class_are_refused(labels, k, among, words):
    with pytest.raises(UserError, match=words):
        drawn(labels, k=k, among=among)


def test_scores_are_shares_of_what_was_scored(monkeypatch):
    """Features that are the label are always right; that are noise, in a third of the cases."""
    monkeypatch.setattr(linear_probe, "BLOCK", 100)
    labels = np.random.default_rng(0).integers(0, 3, 900)
    pixels = np.zeros((900, 2, 1, 1), np.uint8)
    pixels[:, 0, 0, 0] = labels
    pixels[:, 1, 0, 0] = np.random.default_rng(1).integers(0, 256, 900)
    both = Images(pixels, labels)
    kinds = {
        "label": lambda found: np.eye(3)[found[:, 0, 0, 0]],
        "noise": lambda found: found[:, 1, 0] / 255.0,
    }
    trials = drawn(labels, k=20, repeats=4)
    results = compare(kinds, both, both, trials, seed=0)
    perfect = results["label"].accuracy
    assert (perfect.value, perfect.low, perfect.high) == (1.0, 1.0, 1.0)
    assert results["noise"].accuracy.value == pytest.approx(1 / 3, abs=0.06)
    assert (results["label"].dimensions, results["noise"].dimensions) == (3, 1)
    with pytest.raises(UserError, match="features of the sky are not finite"):
        compare({"sky": lambda x: np.full((len(x), 2), np.nan)}, both, both, trials, seed=0)


def test_the_interval_is_students():
    """0.7 and 0.8: deviation 0.0707, error 0.05, t of one degree of freedom 12.706."""
    found = linear_probe.mean(np.array([0.7, 0.8]))
    assert found.value == pytest.approx(0.75)
    assert found.high - 0.75 == pytest.approx(12.7062 * 0.05, rel=1e-4)
    assert found.low == pytest.approx(1.5 - found.high)


# --- the command


def features(run_root: Path, *flags) -> int:
    return command("features", "--run_dir", run_root, *flags)


def test_the_command_compares_and_writes_it_down(tmp_path, capsys, monkeypatch):
    run_root = learnt_run(tmp_path, {"dark": 40, "bright": 50}, shape=(8, 8, 3))
    before = content(run_root)
    flags = ("--labels_per_class", 10, "--repeats", 2)
    with RunDir(run_root).lock():
        assert features(run_root, *flags) == 0
    output = capsys.readouterr().out
    path = run_root / "evaluation" / "features-10.jsonl"
    (record,) = read_json_lines(path)
    # Two flat colours: whatever looks at them tells them apart.
    assert record["value"] == record["pixels"]["value"] == record["untrained"]["value"] == 1.0
    expected = {"metric": "features", "labels_per_class": 10, "classes": 2, "labelling": "label"}
    expected |= {"step": 1234, "epoch": 1.5, "test_count": 70, "split": "the rest of train"}
    expected |= {"generator": TrainedRun(RunDir(run_root)).fingerprint, "repeats": 2, "seed": 0}
    assert expected.items() <= record.items()
    assert record["pixels"]["dimensions"] == 8 * 8 * 3
    assert record["dimensions"] == record["untrained"]["dimensions"] == 4 * 4 * 8
    assert "20 labelled images (10 of each of 2 classes), 2 times, then 70 images" in output
    assert f"Wrote {path}" in output and "brought +0.0 points" in output
    assert "--conditional" not in output
    after = content(run_root)
    assert before.items() <= {k: v for k, v in after.items() if k != ".lock"}.items()
    assert features(run_root, *flags) == 0
    output = capsys.readouterr().out
    assert "Wrote" not in output and f"Measured before ({path})" in output
    assert len(path.read_text().splitlines()) == 1
    del record["version"]
    path.write_text(json.dumps(record) + "\n")  # as before records had versions
    assert features(run_root, *flags) == 0
    _, again = map(json.loads, path.read_text().splitlines())
    assert again.pop("version") == linear_probe.VERSION
    clock = {"made": 0, "seconds": 0}
    assert again | clock == record | clock  # the same to the last digit
    monkeypatch.setattr(linear_probe, "compare", results)
    assert features(run_root, *flags, "--again") == 0
    assert len(path.read_text().splitlines()) == 3


def results(*_, **__) -> dict[str, ProbeResult]:
    """In place of what takes long."""
    return dict.fromkeys(module.KINDS, ProbeResult(linear_probe.mean(np.array([0.7, 0.8])), 8, ()))


def test_the_test_part_is_classified_where_there_is_one(tmp_path):
    values = np.arange(60, dtype=np.uint8) % 10
    pixels = np.repeat(values * 20, 28 * 28).reshape(60, 28, 28)
    for prefix, count in (("train", 60), ("t10k", 30)):
        write_mnist(tmp_path / "mnist", prefix, pixels=pixels[:count], labels=values[:count])
    run_root = learnt_run(tmp_path, {}, shape=(16, 16, 1), dataset="mnist")
    flags = ("--labels_per_class", 2, "--repeats", 2, "--splits", "test")
    assert features(run_root, *flags) == 0
    (record,) = read_json_lines(run_root / "evaluation" / "features-2.jsonl")
    assert (record["split"], record["test_count"], record["classes"]) == ("test", 30, 10)


def test_the_classes_of_a_part_are_those_of_what_was_learnt():
    """Of a, b and c there is no b in the part, and a label sheet then numbers c by 1."""
    part = SimpleNamespace(
        images=None, labels={"hair": Labels(np.array([1, 0, 2]), ("a", "c", "d"))}
    )
    assert module._label(part, "hair", NAMES).labels.tolist() == [2, 0, -1]
    with pytest.raises(UserError, match="Not every picture has a label 'eyes'"):
        module._label(part, "eyes", NAMES)


def test_a_run_that_knows_the_labels_says_so(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(linear_probe, "compare", results)
    run_root = learnt_run(tmp_path, {"dark": 40, "bright": 50})
    labels = np.repeat([[0], [1]], [40, 50], axis=0)
    table = ClassTable.of({"label": ("dark", "bright")}, labels, z_dim=Z_DIM, z_dist="normal01")
    config = (run_root / "config.json").read_bytes()
    toy_run(run_root, table=table)
    (run_root / "config.json").write_bytes(config)
    for _ in range(2):  # measured now, and before
        assert features(run_root, "--labels_per_class", 10) == 0
        told = "".join(capsys.readouterr())
        assert told.count("its discriminator knows the labels") == 1


def test_the_table_says_what_training_has_brought():
    one = {"value": 0.75, "low": 0.7, "high": 0.8, "dimensions": 7168}
    record = one | {"labelling": "label", "labels_per_class": 100, "classes": 10, "repeats": 5}
    record |= {"test_count": 2000, "split": "test"}
    record |= {"untrained": one | {"value": 0.5}, "pixels": one | {"value": 0.625}}
    lines = table(record)
    assert lines[0].startswith("label: 1,000 labelled images (100 of each of 10 classes), 5 times")
    assert lines[3].split() == "the discriminator 7,168 75.00% 70.00% to 80.00%".split()
    assert lines[-1] == "Training has brought +12.5 points over the better of the others."
