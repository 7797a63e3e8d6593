"""The comparison: which runs belong together, who is ahead, and what the page says of them."""

import json
import re

import numpy as np
import pytest
from compared import filled, lines, run_of
from report_pages import Page, add_lines, record

from dcgan.outputs.comparison import page, scores
from dcgan.outputs.comparison.runs import by_data, find_differing, settings
from dcgan.outputs.comparison.scores import MetricCurve, Score
from dcgan.outputs.report import chart, measurements

SECTIONS = ("verdict", "pictures", "options", "figures", "quality", "training", "runs")


def page_of(*runs) -> Page:
    return Page(page.render(page.compare(runs), range(16)).decode())


def measured(folder, metric: str, *values, steps=(400, 800, 1200), **more) -> None:
    """Adds records with intervals of a tenth to either side."""
    found = [record(metric, s, v, **more) for s, v in zip(steps, values, strict=True)]
    add_lines(folder / "evaluation" / f"{metric}.jsonl", found)


# --- which runs belong together


def test_runs_that_differ_in_their_seed_only_are_one_setting(tmp_path):
    runs = [
        run_of(tmp_path / "big-0", batch_size=128),
        run_of(tmp_path / "small-0", seed=0),
        run_of(tmp_path / "big-1", batch_size=128, seed=1, run_dir="elsewhere"),
        run_of(tmp_path / "small-1", seed=1),
        run_of(tmp_path / "third", seed=5, batch_size=32),
    ]
    found = settings(runs)
    assert [(one.name, [run.name for run in one.runs]) for one in found] == [
        ("big", ["big-0", "big-1"]),
        ("small", ["small-0", "small-1"]),
        ("third", ["third"]),
    ]
    assert len({one.css_class for one in found}) == 3
    assert find_differing(runs) == ["seed", "batch_size"]


def test_the_same_seed_again_is_no_second_seed(tmp_path):
    found = settings(
        [run_of(tmp_path / "a"), run_of(tmp_path / "b"), run_of(tmp_path / "c", seed=1)]
    )
    assert [[run.name for run in one.runs] for one in found] == [["a", "c"], ["b"]]


def test_an_option_that_an_older_run_does_not_know_is_at_its_default(tmp_path):
    old, new, other = (run_of(tmp_path / name) for name in "abc")
    del old.options["batch_size"]
    assert find_differing([old, new]) == []
    assert find_differing([old, run_of(tmp_path / "d", batch_size=8)]) == ["batch_size"]
    assert len(settings([old, run_of(tmp_path / "d", seed=1), other])) == 2


def test_a_setting_is_named_by_what_its_runs_names_have_in_common(tmp_path):
    for names, expected in (
        (["run10", "run11"], "run"),
        (["narrow16-0", "narrow16-1"], "narrow16"),
        (["x", "y"], "x and 1 more"),
    ):
        (found,) = settings([run_of(tmp_path / name, seed=i) for i, name in enumerate(names)])
        assert found.name == expected
    alike = [run_of(tmp_path / f"a{i}", seed=i % 2, batch_size=8 + i // 2) for i in range(4)]
    assert [one.name for one in settings(alike)] == ["a0 and 1 more", "a2 and 1 more"]


def test_what_runs_learn_from_is_told_by_options_and_the_real_images(tmp_path):
    same = [filled(tmp_path / name) for name in "ab"]
    assert len(by_data(same)) == 1
    other = filled(tmp_path / "c", reals=98)  # of the same name, but other images
    sizes = filled(tmp_path / "d", output_height=16)
    bare = run_of(tmp_path / "e")  # no grid: taken for the same
    groups = by_data([bare, *same, other, sizes])
    assert [[run.name for run in group] for group in groups] == [["e", "a", "b"], ["c"], ["d"]]
    large = filled(tmp_path / "f", reals=98, num_samples=64)  # its grid cannot be compared
    assert len(by_data([same[0], large])) == 1
    for run in same:
        del run.options["output_height"]  # older than the option
    assert len(by_data([*same, run_of(tmp_path / "g")])) == 1
    assert "<title>2 runs side by side: faces</title>" in page_of(same[0], sizes).html


# --- who is ahead


@pytest.mark.parametrize(
    ("low", "high", "apart"), [(4, 6, False), (3.5, 5, False), (1, 3.9, True), (6.1, 9, True)]
)
def test_intervals_are_apart_where_they_have_nothing_in_common(low, high, apart):
    """Against 4 to 6."""
    score, other = Score([5], 4, 6), Score([5], low, high)
    assert score.is_apart_from(other) == other.is_apart_from(score) == apart
    assert not score.is_apart_from(Score([50], np.nan, np.nan))


def test_the_best_is_ahead_only_of_all_others_at_once(tmp_path):
    """FID 10 (9 to 11), 10.5 (9.45 to 11.55) and 90; precision 0.9 (0.81 to 0.99) and 0.5."""
    runs = [run_of(tmp_path / name, batch_size=i + 8) for i, name in enumerate("abc")]
    for run_, fid, precision in zip(runs, (10, 10.5, 90), (0.5, 0.9, 0.5), strict=True):
        measured(run_.folder.root, "fid", fid, steps=[1200])
        measured(run_.folder.root, "precision", precision, steps=[1200], better="higher")
    (group,) = page.compare(runs).protocols
    assert [(one.example.metric, one.winner and one.winner.name) for one in group] == [
        ("fid", None),
        ("precision", "b"),
    ]
    assert page.compare([runs[0], runs[2]]).protocols[0][0].winner.name == "a"


def test_several_seeds_are_a_mean_whose_interval_reaches_over_all(tmp_path):
    """20 (18 to 22) and 30 (27 to 33): 25, 18 to 33; against 33.5 (30.15 to 36.85) not apart."""
    runs = [run_of(tmp_path / "s0"), run_of(tmp_path / "s1", seed=1)]
    runs.append(run_of(tmp_path / "other", batch_size=8))
    for run_, value in zip(runs, (20, 30, 33.5), strict=True):
        measured(run_.folder.root, "fid", value, steps=[1200])
    ((one,),) = page.compare(runs).protocols
    score, other = one.scores.values()
    assert (score.value, score.low, score.high) == (25, 18, 33)
    assert other.values == [33.5] and one.winner is None
    cell = page_of(*runs).words["figures"]
    assert "25 18 to 33 2 seeds: 20 to 30 step 1,200" in cell


@pytest.mark.parametrize("part", measurements.PROTOCOL[1:])
def test_figures_of_different_protocols_are_never_compared(tmp_path, part):
    for name, value, more in (("a", 10, {}), ("b", 90, {part: "other"})):
        measured(tmp_path / name, "fid", value, steps=[1200], **more)
    runs = [run_of(tmp_path / "a"), run_of(tmp_path / "b", batch_size=8)]
    found = page.compare(runs)
    every = [one for group in found.protocols for one in group]
    assert [len(one.scores) for one in every] == [1, 1]
    assert len(found.protocols) == (1 if part in scores.METRIC_FIELDS else 2)
    assert found.verdict == ["No metric was measured in the same way of two settings."]
    assert page_of(*runs).words["figures"].count("not measured") == 2


# --- minutes and images


def test_minutes_are_those_of_training_without_its_evaluations(tmp_path):
    """60, 120 and 180 s, of which 30 s of the second line were an evaluation: 1, 1.5 and 2.5."""
    rows = lines([60, 120, 180])
    rows[1]["evaluation_seconds"] = 30
    add_lines(tmp_path / "metrics.jsonl", rows)
    run_ = run_of(tmp_path)
    np.testing.assert_allclose(run_.places("minute"), [1, 1.5, 2.5])
    np.testing.assert_allclose(run_.place(np.array([50, 250, 301]), "minute"), [0.5, 2, np.nan])
    np.testing.assert_allclose(run_.place(np.array([50, 250, 301]), "image"), [500, 2500, np.nan])


def test_a_track_is_straight_between_its_measurements():
    track = MetricCurve(*(np.array(c, float) for c in ([1, 3], [10, 20], [9, 18], [11, 22])))
    at = track.interpolate(2)
    assert (at.value, at.low, at.high) == (15, 13.5, 16.5)
    # Nearly as far as the ends.
    assert track.interpolate(3.1).value == 20 and track.interpolate(0.96).value == 10
    assert track.interpolate(3.2) is None and track.interpolate(0.9) is None


def two_paces(base):
    """a: FID 40, 20 and 10 after 1, 2 and 3 minutes; b, half as fast but better a step, 30 and 5
    after 2 and 4. Images: 1,000, 2,000 and 3,000 against 1,000 and 2,000."""
    add_lines(base / "a" / "metrics.jsonl", lines([60, 120, 180], d_loss=1.0))
    add_lines(base / "b" / "metrics.jsonl", lines([120, 240], d_loss=3.0))
    measured(base / "a", "fid", 40, 20, 10, steps=[100, 200, 300])
    measured(base / "b", "fid", 30, 5, steps=[100, 200])
    return [run_of(base / "a"), run_of(base / "b", batch_size=8)]


def test_after_equal_minutes_and_after_equal_images(tmp_path):
    """After 3 minutes 10 (9 to 11) against 17.5 (15.75 to 19.25, halfway from 30 to 5); after 2,000
    images 20 (18 to 22) against 5 (4.5 to 5.5)."""
    found = page.compare(two_paces(tmp_path))
    assert found.verdict == [
        "As they stand, b is ahead by FID (pixels: 5 against 10), intervals apart.",
        "After 3 minutes of training each, a is ahead by FID (pixels: 10 against 17.5), intervals "
        "apart.",
        "After 2,000 images each, b is ahead by FID (pixels: 5 against 20), intervals apart.",
    ]


def test_runs_measured_once_after_unequal_minutes_are_not_compared_after_equal_ones(tmp_path):
    for name, seconds in (("a", 60), ("b", 66)):
        add_lines(tmp_path / name / "metrics.jsonl", lines([seconds]))
        measured(tmp_path / name, "fid", seconds, steps=[100])
    a, b = run_of(tmp_path / "a"), run_of(tmp_path / "b", batch_size=8)
    ((one,),) = page.compare([a, b]).protocols
    assert scores.interpolate_at_equal(one, "minute") is None
    assert scores.interpolate_at_equal(one, "image")[0] == 1000


@pytest.mark.parametrize(
    ("first", "second", "x", "values", "ends"),
    [
        # 1, 3 minutes: 10, 30; 2, 4 minutes: 40, 60. Both are known from 2 to 3: 20 and 40, 30 and
        # 50; of the ends at 2, the lowest of 18 and 36 and the highest of 22 and 44.
        ((60, 180), (120, 240), [2, 3], [30, 40], [18, 44]),
        # 1, 2 minutes and 3, 4: never both. Their last ones, 30 (27 to 33) at 2 and 60 (54 to 66).
        ((60, 120), (180, 240), [3], [45], [27, 66]),
    ],
)
def test_seeds_that_were_measured_at_other_times_are_one_mean_track(
    tmp_path, first, second, x, values, ends
):
    for name, seconds, found in (("s0", first, (10, 30)), ("s1", second, (40, 60))):
        add_lines(tmp_path / name / "metrics.jsonl", lines(seconds))
        measured(tmp_path / name, "fid", *found, steps=[100, 200])
    runs = [run_of(tmp_path / "s0"), run_of(tmp_path / "s1", seed=1)]
    runs.append(run_of(tmp_path / "none", batch_size=8))
    found = page.compare(runs)
    ((one,),) = found.protocols
    (track,) = one.curves("minute").values()
    np.testing.assert_allclose(track.x, x)
    np.testing.assert_allclose(track.values, values)
    np.testing.assert_allclose([track.low[0], track.high[0]], ends)


def test_every_chart_holds_all_settings(tmp_path):
    found = page_of(*two_paces(tmp_path))
    drawn = [tag["aria-label"] for _, tag in found.tags if tag.get("role") == "img"]
    assert [label.partition(":")[0] for label in drawn] == [
        "FID (pixels) up to minute 4",
        "FID (pixels) up to image 3,000",
        "Discriminator’s loss up to minute 4",
        "Discriminator’s loss up to image 3,000",
    ]
    assert "a from 40 to 10" in drawn[0] and "b from 30 to 5" in drawn[0]
    assert "a from 1 to 1" in drawn[2] and "b from 3 to 3" in drawn[2]


def test_an_area_reaches_from_the_lowest_to_the_highest_seed():
    """At 0 from 0 to 1 and at 10 from 0.5 to 1 of a scale to 1: y from the top down."""
    low, high = np.array([0, 0.5]), np.array([1.0, 1.0])
    curve = chart.Curve("two", "d", np.array([0.5, 0.75]), low, high, band=True)
    (drawn,) = chart.draw("T", np.array([0.0, 10]), [curve], top=1.0)["curves"]
    assert drawn["band"] == "M0.0 1000.0L1000.0 500.0L1000.0 0.0L0.0 0.0Z"
    assert not drawn["whiskers"] and not drawn["dots"]


# --- what is missing


def test_what_a_run_lacks_is_told(tmp_path):
    whole = filled(tmp_path / "whole")
    bare = run_of(tmp_path / "bare", model=whole.model, batch_size=7)
    add_lines(tmp_path / "young" / "metrics.jsonl", [{"step": 20, "epoch": 0.2, "seconds": 4}])
    young = run_of(tmp_path / "young", batch_size=8)
    empty = run_of(tmp_path / "empty", batch_size=9)
    notes = page.compare([whole, bare, young, empty]).notes
    evaluate = f"python main.py evaluate --run_dir {tmp_path / 'bare'}"
    assert notes == [
        "bare has no numbers: metrics.jsonl is missing or empty.",
        f"bare was not evaluated: {evaluate} does it.",
        "young is shown without images: no checkpoint yet.",
        "young stands at step 20, before its end: it is still training, or was stopped.",
        "empty is shown without images: no checkpoint yet.",
        "empty has no numbers: metrics.jsonl is missing or empty.",
    ]
    found = page_of(whole, bare, young, empty)
    assert all(note in found.words["verdict"] for note in notes)
    assert f"then compare again: {evaluate}" in found.words["figures"]
    assert found.words["figures"].count("main.py evaluate") == 1  # of checkpoints alone
    assert tuple(found.words) == SECTIONS


@pytest.mark.parametrize(
    ("options", "ended"),
    [
        ({"steps": 1200}, True),
        ({"steps": 1201}, False),
        ({"epoch": 12}, True),
        ({"epoch": 13}, False),
        ({"epoch": 13, "time_budget": "10m"}, True),  # it has trained for 600 seconds
        ({"epoch": 13, "time_budget": "601s"}, False),
        ({"epoch": 13, "time_budget": "soon"}, False),
    ],
)
def test_a_run_that_has_not_come_to_its_end_is_told(tmp_path, options, ended):
    runs = [filled(tmp_path / "a", **options), filled(tmp_path / "b", batch_size=8)]
    assert any("before its end" in note for note in page.compare(runs).notes) != ended


def test_runs_without_anything_make_a_page(tmp_path):
    not_utf8 = tmp_path / "a\udcff"
    found = page_of(run_of(not_utf8), run_of(tmp_path / "b", batch_size=8))
    for section, words in (
        ("verdict", "No metric was measured in the same way of two settings."),
        ("pictures", "No run has a checkpoint"),
        ("options", "--batch_size What batch_size is. 64 8"),
        ("figures", "minutes of training not known not known"),
        ("quality", "No metric was measured more than once"),
        ("training", "There are no numbers"),
    ):
        assert words in found.words[section], section
    assert not found.all("svg")


def filled_again(run_):
    """The same run, read anew."""
    return type(run_)(run_.name, run_.folder, run_.options, run_.model)


def test_numbers_that_are_none_leave_gaps(tmp_path):
    rows = lines([60, 120, 180], d_loss=1.0)
    rows[1] |= {"d_loss": "x", "seconds": 10**400, "images": None}
    add_lines(tmp_path / "a" / "metrics.jsonl", rows)
    records = [record("fid", 300, 1, low="x"), record("fid", 300, 2, made=3)]  # of other kinds
    records += [record("fid", 200, 9, low=None, high=None)]
    add_lines(tmp_path / "a" / "evaluation" / "fid.jsonl", records)
    run_ = run_of(tmp_path / "a")
    np.testing.assert_allclose(run_.places("minute"), [1, np.nan, 3])
    found = page_of(run_, two_paces(tmp_path / "more")[1])
    assert "9 step 200" in found.words["figures"] and "step 300" not in found.words["figures"]


def test_runs_on_other_machines_or_other_data_are_told(tmp_path):
    runs = [filled(tmp_path / "a"), filled(tmp_path / "b", batch_size=8, dataset="x/digits")]
    environment = tmp_path / "b" / "environment.json"
    environment.write_text(json.dumps({"cpus": 64}))
    found = page.compare(runs)
    first, *_, last = found.verdict
    assert first == (
        "Figures compare only among runs that learn from the same images: a from faces; b from "
        "digits."
    )
    assert last == "They were trained on different machines, so minutes do not compare."
    titles = page_of(*runs).words["pictures"]
    assert "Training images of faces, for a." in titles and "of digits, for b." in titles
    assert run_of(tmp_path / "here", dataset=".").dataset == "here"
    environment.write_text("{")
    assert "machines" not in page.compare([*map(filled_again, runs)]).verdict[-1]


# --- the page


def test_it_asks_nobody_for_anything_and_has_every_section(tmp_path):
    found = page_of(filled(tmp_path / "a"), filled(tmp_path / "b", batch_size=8, seed=3))
    assert tuple(found.words) == SECTIONS
    assert [a["href"] for a in found.all("a")][1:] == [f"#{name}" for name in SECTIONS]
    assert all(address.startswith(("data:", "#")) for address in found.addresses)
    assert not re.search(r"https?:|@import|url\(", found.html)
    (policy,) = [meta["content"] for meta in found.all("meta") if "http-equiv" in meta]
    assert policy.startswith("default-src 'none'")
    assert all(image["alt"].strip() and image["width"] for image in found.all("img"))


def test_what_files_and_folders_say_is_text_and_never_markup(tmp_path):
    wicked = "<img src=x onerror=alert(1)>&amp;\"'"
    sane = [filled(tmp_path / "a"), filled(tmp_path / "b", batch_size=8)]
    calm = page_of(*sane)
    runs = [
        filled(tmp_path / wicked, dataset=wicked),
        filled(tmp_path / "c", dataset=wicked, input_fname_pattern=wicked + "</script>"),
    ]
    for run_ in runs:
        measured(run_.folder.root, "x" + wicked, 3, 4, 5, extractor=wicked, better=wicked)
    found = page_of(*runs)
    assert len(found.all("img")) == len(calm.all("img"))
    # Two more charts, of the metric: each with its points in a script.
    assert len(found.all("script")) == len(calm.all("script")) + 2
    for section in ("verdict", "pictures", "options", "figures", "quality", "runs"):
        assert wicked in found.words[section], section


def test_what_is_printed_is_no_command_to_the_terminal(tmp_path):
    found = page.text(page.compare([run_of(tmp_path / "a\x1b[2J"), run_of(tmp_path / "b")]))
    assert "\x1b" not in "".join(found) and found[1].startswith(r"a\x1b[2J")


def test_a_floor_is_shown_where_it_was_measured(tmp_path):
    for name in "ab":
        floor = {"of": "halves", "count": 512, "value": 3.25, "low": 3.0, "high": 3.5}
        measured(tmp_path / name, "fid", 30, steps=[1200], floor=floor)
    found = page_of(run_of(tmp_path / "a"), run_of(tmp_path / "b", batch_size=8))
    assert "FID less is better; floor 3.25 30 27 to 33" in found.words["figures"]


def test_a_single_seed_is_no_range(tmp_path):
    runs = [filled(tmp_path / "a"), filled(tmp_path / "b", batch_size=8)]
    found = Page(page.render(page.compare(runs), [5]).decode())
    assert "Seed 5: the same place" in found.words["pictures"]
