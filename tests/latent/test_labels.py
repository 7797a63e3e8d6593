"""The table of a data set's classes, and what is drawn from it."""

import re

import numpy as np
import pytest
import tensorflow as tf

from dcgan import UserError
from dcgan.latent import labels as labels_module
from dcgan.latent.class_words import parse_classes
from dcgan.latent.labels import ClassTable
from dcgan.latent.noise import DISTRIBUTIONS, latents

NAMES = {"hair": ("black", "blue", "red"), "eyes": ("green", "grey")}
# Black with green 5 times, black with grey once, blue with grey twice, red with green twice.
LABELS = np.array([[0, 0]] * 5 + [[0, 1]] + [[1, 1]] * 2 + [[2, 0]] * 2, np.int32)


def make(names=NAMES, labels=LABELS, z_dist="normal01") -> ClassTable:
    return ClassTable.of(names, labels, z_dim=4, z_dist=z_dist)


@pytest.fixture
def table():
    return make()


def test_a_table_counts_what_occurs_together(table):
    assert table.columns == ("hair", "eyes") and table.sizes == (3, 2)
    assert table.rows.tolist() == [[0, 0], [0, 1], [1, 1], [2, 0]]
    assert table.counts.tolist() == [5, 1, 2, 2]


def test_draws_are_as_often_as_in_the_data(table):
    drawn = table.draw(20_000, tf.constant([3, 4], tf.int64)).numpy()
    rows, counts = np.unique(drawn, axis=0, return_counts=True)
    assert rows.tolist() == table.rows.tolist()  # nothing that does not occur
    # Standard deviation of a share of 20,000 draws: at most sqrt(0.25 / 20000) = 0.0035.
    np.testing.assert_allclose(counts / 20_000, [0.5, 0.1, 0.2, 0.2], atol=0.015)


def test_a_seed_has_the_same_classes_wherever_it_stands(table):
    seeds = np.arange(200)
    together = table.of_seeds(tf.constant(seeds)).numpy()
    alone = [table.of_seeds(tf.constant([seed], tf.int64)).numpy()[0] for seed in seeds[:20]]
    np.testing.assert_array_equal(together[:20], alone)
    assert len(np.unique(together, axis=0)) == 4
    again = make(labels=LABELS[::-1])
    np.testing.assert_array_equal(again.of_seeds(tf.constant(seeds)).numpy(), together)


@pytest.mark.parametrize("z_dist", DISTRIBUTIONS)
def test_latent_vectors_have_classes_as_often_as_the_data(z_dist):
    table = make(z_dist=z_dist)
    found = tf.function(table.of_seeds)(tf.range(8_000, dtype=tf.int64)).numpy()
    rows, counts = np.unique(found, axis=0, return_counts=True)
    assert rows.tolist() == table.rows.tolist()
    # Standard deviation of a share of 8,000: at most sqrt(0.25 / 8000) = 0.0056.
    np.testing.assert_allclose(counts / 8_000, [0.5, 0.1, 0.2, 0.2], atol=0.025)


def test_the_classes_of_a_latent_vector_are_those_of_its_seed(table):
    seeds = tf.range(50, dtype=tf.int64)
    z = latents(seeds, z_dim=4, z_dist="normal01")
    np.testing.assert_array_equal(table.of_latents(z), table.of_seeds(seeds))
    # Half of N(0, 1) is below 0, where the first row ends; the next one's tenth ends at 0.2533.
    edges = np.array([-1e-6, 0, 0.253, 0.254, -9, 9], np.float32)
    found = table.of_latents(np.pad(edges[:, None], [[0, 0], [0, 3]])).numpy()
    assert found.tolist() == [[0, 0], [0, 1], [0, 1], [1, 1], [0, 0], [2, 0]]


def test_one_combination_is_that_of_all_latent_vectors():
    table = make({"a": "x"}, np.zeros((3, 1), np.int32))
    assert table.of_seeds(tf.range(3, dtype=tf.int64)).numpy().tolist() == [[0]] * 3


def test_shares_are_those_of_each_columns_classes(table):
    np.testing.assert_allclose(table.shares(), [0.6, 0.2, 0.2, 0.7, 0.3], atol=1e-7)


def test_classes_asked_for_take_the_place_of_the_seeds_own(table):
    seeds = range(30)
    own = table.labels(seeds, {})
    np.testing.assert_array_equal(own, table.of_seeds(tf.range(30, dtype=tf.int64)))
    blue = table.labels(seeds, {"hair": ["blue"]})
    assert set(blue[:, 0]) == {1} and (blue[:, 1] == own[:, 1]).all()
    both = table.labels([3, 4], {"hair": ["red", "black"], "eyes": ["grey"]})
    assert both.tolist() == [[2, 1], [0, 1]] and both.dtype == np.int32
    with pytest.raises(UserError, match="or one for each of the 3 seeds; received 2"):
        table.labels([1, 2, 3], {"hair": ["red", "blue"]})


@pytest.mark.parametrize(
    ("text", "names", "expected"),
    [
        ("hair=blue", NAMES, {"hair": ["blue"]}),
        ("hair=blue, eyes=grey ,hair=red", NAMES, {"hair": ["blue", "red"], "eyes": ["grey"]}),
        ("7", {"label": "0123456789"}, {"label": ["7"]}),
        ("7,3", {"label": "0123456789"}, {"label": ["7", "3"]}),
        ("label=7", {"label": "0123456789"}, {"label": ["7"]}),
        ("a=b", {"label": ("a=b", "c")}, {"label": ["a=b"]}),
        ("cat, big", {"label": ("cat, big", "dog")}, {"label": ["cat, big"]}),
        ("blue", NAMES, "does not say which label it is: write column=class, such as hair=black"),
        ("hair=bleu", NAMES, "no class 'bleu' of hair (did you mean blue?): expected black, blue"),
        ("hare=blue", NAMES, "no labels 'hare' (did you mean hair?): expected hair, eyes"),
        ("11", {"label": "0123456789"}, "no class '11' of label"),
    ],
)
def test_classes_are_asked_for_by_their_names(text, names, expected):
    if isinstance(expected, dict):
        assert parse_classes(text, names) == expected
        return
    with pytest.raises(UserError, match=re.escape(expected)):
        parse_classes(text, names)


def test_a_table_of_very_many_combinations_keeps_some_from_all_over_the_data(monkeypatch):
    monkeypatch.setattr(labels_module, "MOST_ROWS", 100)
    labels = np.stack([np.arange(1000), np.arange(1000) // 500], 1).astype(np.int32)
    found = make({"number": [str(i) for i in range(1000)], "half": ["a", "b"]}, labels)
    assert len(found.rows) == 100 and found.sizes == (1000, 2)
    assert (found.rows[:, 0].min(), found.rows[:, 0].max()) == (0, 999)
    assert found.rows[:, 1].sum() == 50


def test_tables_are_told_apart():
    first = make()
    assert first.digest == make(labels=LABELS[::-1]).digest
    others = [
        make({**NAMES, "eyes": ("grey", "green")}),
        make({"eyes": NAMES["eyes"], "hair": NAMES["hair"]}),
        make(labels=LABELS[:-1]),
    ]
    assert len({one.digest for one in (first, *others)}) == 4
