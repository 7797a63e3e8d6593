"""How long a training would take, by three steps of it."""

import json

import pytest

from dcgan.benchmarks.bare import BareStep
from dcgan.benchmarks.estimate import CostEstimate, estimate
from dcgan.benchmarks.steps import bare_spec
from dcgan.cli.resolve import resolve
from dcgan.terminal.progress import format_estimate


@pytest.mark.usefixtures("eager")
def test_three_steps_are_timed_behind_one_that_compiles(monkeypatch):
    asked, seconds = [], BareStep.seconds
    monkeypatch.setattr(BareStep, "seconds", lambda *a: asked.append(a[1]) or seconds(*a))
    small = {"output_size": 8, "channels": 3, "g_width": 16, "d_width": 4, "precision": "float32"}
    found = estimate(bare_spec(resolve(small)))
    assert asked == [1, 1, 1, 1] and len(found.seconds) == 3
    assert min(found.seconds) > 0 and found.megabytes > 100


@pytest.mark.usefixtures("eager")
def test_networks_by_class_are_timed_with_their_labels():
    small = {"output_size": 8, "channels": 3, "g_width": 16, "precision": "float32"}
    spec = bare_spec(resolve({**small, "layout": "carpedm20"}), [3, 2])
    bare = BareStep(json.loads(json.dumps(spec)))
    assert bare.seconds(1) > 0
    assert bare.state.generator.layout == "carpedm20" and int(bare.state.step) == 1


def test_the_sentences_multiply_the_median():
    lines = CostEstimate((0.4, 9.0, 0.5), 1234.4).sentences(1200, None)  # 0.5 s * 1200 = 10 minutes
    assert lines[0].startswith("Estimated time: about 10 minutes for 1,200 steps, ")
    assert "Three steps took 0.4, 9, 0.5 s" in lines[0]
    assert lines[1:] == ["Memory: about 1,234 MB, plus the images."]
    assert len(CostEstimate((0.5,) * 3, None).sentences(1200, 660.0)) == 1
    lines = CostEstimate((0.5,) * 3, None).sentences(1200, 120.0)
    assert lines[1:] == ["--time_budget ends it after 2 minutes."]
    (line,) = CostEstimate((0.5,) * 3, None).sentences(None, 600.0)  # nothing but the time ends it
    assert line.startswith("Estimated length: 1,200 steps in 10 minutes, ")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.01, "about a second"),
        (55, "about a minute"),
        (90, "about 2 minutes"),
        (5399, "about 90 minutes"),
        (4e6, "about 1,111 hours"),
    ],
)
def test_an_estimate_in_words(seconds, words):
    assert format_estimate(seconds) == words
