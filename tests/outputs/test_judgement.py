"""What figures say together: no good word for images that are grey, blurred or all alike."""

import pytest

from dcgan.commands.evaluate import _print_table, table
from dcgan.files import append_json_line
from dcgan.outputs.report import measurements
from dcgan.outputs.report.judgement import judge, newest, verdict

# Measured through pixels: grey noise; blurred avatars; this project's anime run of README.
NOISE = {"precision": 1.0, "recall": 0.0, "density": 17.6, "coverage": 0.11}
BLURRED = {"precision": 0.989, "recall": 0.001, "density": 1.9, "coverage": 0.4}
FACES = {"precision": 0.94, "recall": 0.73, "density": 1.1, "coverage": 0.93}
REALS = {"precision": 0.93, "recall": 0.91, "density": 1.0, "coverage": 0.97}


def records(values: dict, step: int = 100, floors: dict | None = REALS, **more) -> list[dict]:
    return [
        {
            **{"metric": metric, "value": value, "step": step, "made": f"{step:08d}"},
            "floor": {"value": floors[metric], "of": "halves", "count": 9}
            if floors and metric in floors
            else None,
            **{"low": None, "high": None, "better": "higher", **more},
        }
        for metric, value in values.items()
    ]


@pytest.mark.parametrize("floors", [REALS, None])
@pytest.mark.parametrize(
    "values",
    [
        NOISE,
        BLURRED,
        {"precision": 0.6, "recall": 0.02},
        {"density": 5.0},
        {"precision": 1.0, "recall": 0.5, "density": 2.3},
    ],
)
def test_what_is_clustered_in_the_middle_is_called_so(values, floors):
    found = judge(records(values, floors=floors))
    assert found.is_bad and "clustered in the middle" in found.text
    assert "not mean that they look real" in found.text
    for metric in values:
        assert f"{metric} {measurements.number(values[metric])}" in found.text


@pytest.mark.parametrize(
    ("values", "words", "is_bad"),
    [
        (FACES, "As many as of real ones lie among real images; they are of fewer kinds", False),
        (REALS, "By these figures they are like real images", False),
        ({"precision": 0.7, "recall": 0.9}, "Most lie among real images and are of as many", False),
        ({"precision": 0.2, "recall": 0.8}, "vary, and most are unlike real ones", False),
        ({"precision": 0.01, "recall": 0.0}, "apart from the real ones", True),
        ({"precision": 1.0}, "Precision alone does not tell", False),
        ({"recall": 0.0}, "Hardly any real image resembles", False),
    ],
)
def test_other_figures_in_words(values, words, is_bad):
    found = judge(records(values))
    assert words in found.text and found.is_bad == is_bad


def test_a_floor_that_is_high_itself_is_no_clustering():
    """Few images have dense neighbourhoods of their own."""
    few = {"precision": 1.0, "recall": 0.9, "density": 2.4}
    assert not judge(records(few, floors={**REALS, "density": 2.2})).is_bad
    assert judge(records(few)).is_bad


def test_of_other_figures_it_says_nothing():
    assert judge(records({"fid": 3.0})) is None and judge([]) is None
    assert judge(records({"density": 1.0})) is None
    assert newest([]) == []


def series_of(folder, lines):
    for line in lines:
        append_json_line(folder / "kept.jsonl", line)
    return measurements.read_series(folder)


def test_only_figures_of_one_evaluation_are_read_together(tmp_path):
    (tmp_path / "evaluation").mkdir()
    old, new = records({"precision": 0.9, "recall": 0.001}, step=50), records({"precision": 0.9})
    found = newest(series_of(tmp_path / "evaluation", [*old, *new]))
    assert [(record["metric"], record["step"]) for record in found] == [("precision", 100)]


def said(folder, lines, trouble="") -> str:
    folder.mkdir()
    seen = "Nothing looks wrong."
    return verdict(series_of(folder, lines), trouble=trouble, summary=seen, run_dir="runs/x")


def fids(*values: float) -> list[dict]:
    steps = range(100, 100 * len(values) + 1, 100)
    floor = {"value": 1.65, "of": "halves", "count": 9}
    return [
        {**{"metric": "fid", "value": v, "step": s, "made": f"{s:08d}"}, "floor": floor}
        for s, v in zip(steps, values, strict=True)
    ]


def test_the_verdict_has_only_what_was_measured(tmp_path):
    measure = "How good the images are: python main.py evaluate --run_dir runs/x"
    assert said(tmp_path / "a", []) == f"Nothing looks wrong. {measure}"
    ill = said(tmp_path / "b", [], trouble="It has collapsed. Take another seed.")
    assert ill == f"It has collapsed. Take another seed. {measure}"
    one = said(tmp_path / "c", fids(12.0))
    assert "FID 12 (real images 1.65) at step 100" in one and "evaluate again" in one
    falling = said(tmp_path / "d", fids(20.0, 12.0, 9.0, 8.0))
    assert "FID 8 (real images 1.65, 12 at step 200) at step 400" in falling
    assert "Twice the steps made it 33% better. Next: continue with a larger --epoch" in falling
    ended = said(tmp_path / "e", fids(20.0, 8.1, 9.0, 8.0))
    assert "Twice the steps made it no better" in ended
    blurred = said(tmp_path / "f", [*fids(12.0), *records(BLURRED)])
    assert "clustered in the middle" in blurred


def test_faces_come_first(tmp_path):
    share = {"metric": "faces", "value": 0.957, "step": 100, "made": "00000100"}
    floor = {"value": 0.984, "of": "reals", "count": 9}
    lines = [*fids(12.0), share | {"better": "higher", "floor": floor}]
    assert "faces in 96 of 100 (real images 0.984) at step 100" in said(tmp_path / "a", lines)


def test_the_table_of_evaluate_is_followed_by_the_words(caplog):
    sides = {"real_count": 9, "generated_count": 9}
    with caplog.at_level("INFO", "dcgan"):
        _print_table("pictures", records(NOISE, **sides))
    text = " ".join(record.getMessage() for record in caplog.records)
    assert table(records(NOISE))[1] in text
    assert text.index("precision ") < text.index("clustered in the middle")
