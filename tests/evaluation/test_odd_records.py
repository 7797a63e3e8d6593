"""Results in files that we did not write, or that are damaged: they are measured again."""

import json

import numpy as np
import pytest
from test_evaluate import Painter, judge

from dcgan.evaluation.metrics import CLASSES

ODD = [
    *({"value": "0.1"}, {"low": [1]}, {"high": True}, {"better": "more"}, {"floor": 3}),
    *({"floor": {"value": 1}}, {"parts": [1]}, {"parts": {"a": None}}, {"interval": None}),
]
ODD_CLASSES = [
    *({"names": 3}, {"names": ["a", 3]}, {"real": [0.5]}, {"generated": [0.5, "x"]}),
    *({"generated": [1e400, 0]}, {"entropy": None}, {"accuracy": 7}, {"real_sure": []}),
]


@pytest.mark.parametrize(
    ("metric", "odd"), [("kid", o) for o in ODD] + [(CLASSES, o) for o in ODD_CLASSES]
)
def test_a_record_that_we_did_not_write_is_measured_again(tmp_path, metric, odd):
    painter, folder = Painter(), tmp_path / "records"
    first = judge(tmp_path).evaluate([metric], painter.generated(), folder)
    path = folder / f"{metric}-150-toy.jsonl"
    path.write_text(json.dumps(first[0] | odd) + "\n")
    again = judge(tmp_path).evaluate([metric], painter.generated(), folder)
    assert again[0] | {"made": 0, "seconds": 0} == first[0] | {"made": 0, "seconds": 0}
    assert len(painter.asked) == 300
    assert judge(tmp_path).evaluate([metric], painter.generated(), folder) == again


@pytest.mark.parametrize("floor", [3, {"value": 1}, {"of": "halves", "count": 1, "value": "x"}])
def test_a_floor_that_we_did_not_write_is_measured_again(tmp_path, floor):
    judge(tmp_path).evaluate(["kid"], Painter().generated(), tmp_path / "r")
    path = next(tmp_path.rglob("floors-*.npz"))
    note = np.frombuffer(json.dumps({"kid": floor}).encode(), np.uint8)
    np.savez(path, **{"meta.json": note})
    [record] = judge(tmp_path).evaluate(["kid"], Painter().generated("b"), tmp_path / "r")
    assert record["floor"]["of"] == "halves" and type(record["floor"]["low"]) is float
