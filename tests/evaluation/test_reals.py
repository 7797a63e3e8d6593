"""The real images that are compared with, and the floors that are kept of them."""

import json
from dataclasses import replace

import numpy as np
from test_evaluate import Painter, Toy, judge, pictures, reals, some

from dcgan.evaluation.evaluator import Evaluator
from dcgan.evaluation.reals import choose_reals


def test_every_image_is_compared_with_where_there_are_few():
    """Also the last of an odd number, which belongs to neither half."""
    found = choose_reals(some(pictures(range(9))), 20, learnt=None, split="train", seed=0)
    assert (found.count, found.half, sorted(found.rows)) == (9, 4, list(range(9)))


def test_a_fingerprint_is_of_the_images_and_of_what_each_is_for():
    found = choose_reals(some(pictures(range(9))), 4, learnt=None, split="train", seed=0)
    changes = ({}, {"count": 3}, {"half": 3}, {"data": "other"}, {"rows": found.rows[::-1]})
    assert len({replace(found, **change).fingerprint for change in changes}) == len(changes)


def test_a_floor_is_kept_for_all_that_it_depends_on(tmp_path):
    class Other(Toy):
        fingerprint = "beef"

    judges = [{}, {"seed": 1}, {"extractor": Other()}, {"chosen": 160}]
    for number, how in enumerate([*judges, {}], 1):
        judge(tmp_path, **how).evaluate(["fid"], Painter().generated(), tmp_path / str(number))
        kept = list((tmp_path / "cache").rglob("floors-*"))
        assert len(kept) == min(number, len(judges)), how


def test_without_enough_reals_there_is_no_floor(tmp_path):
    """100 are enough: of each half, or of all for a score of classes, which compares nothing."""
    for count, metrics, counts in ((199, ["kid", "is"], [None, 199]), (99, ["is"], [None])):
        few = replace(reals(), rows=np.arange(count), count=count, half=count // 2)
        one = Evaluator(Toy(), few, count=150, seed=0, cache_dir=tmp_path / "cache")
        records = one.evaluate(metrics, Painter().generated(), tmp_path / str(count))
        floors = [record["floor"] for record in records]
        assert [floor and floor["count"] for floor in floors] == counts
        assert {record["real_count"] for record in records} == {count}


def test_a_floor_that_we_did_not_write_is_measured_again(tmp_path):
    judge(tmp_path).evaluate(["kid"], Painter().generated(), tmp_path / "r")
    path = next(tmp_path.rglob("floors-*.npz"))
    note = np.frombuffer(json.dumps({"kid": {"value": 1}}).encode(), np.uint8)
    np.savez(path, **{"meta.json": note})
    [record] = judge(tmp_path).evaluate(["kid"], Painter().generated("b"), tmp_path / "r")
    assert record["floor"]["of"] == "halves" and type(record["floor"]["low"]) is float
