"""The report: complete, self-contained, honest about what is missing, and of no other files."""

import base64
import dataclasses
import re

import numpy as np
import pytest
from learnt import copying_run
from report_pages import SECTIONS, Page, add_lines, contents, fill, pictures, pixels_of, record
from running import content
from toy_run import toy_run

import main
from dcgan import images
from dcgan.evaluation.metrics import NEEDS
from dcgan.files import append_json_line, read_json, write_json
from dcgan.outputs import evaluation_curve, provenance
from dcgan.outputs.report import chart, measurements, quality
from dcgan.outputs.report import pictures as report_pictures
from dcgan.outputs.report.formatting import duration, large, number, percent
from dcgan.outputs.report.page import render
from dcgan.run import checkpoint_file
from dcgan.run.run_dir import RunDir
from dcgan.run.trained_run import TrainedRun


def page_of(run_dir: RunDir, **changes) -> Page:
    return Page(render(run_dir, contents(run_dir.root, **changes)).decode())


# --- the page


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Page:
    return page_of(fill(tmp_path_factory.mktemp("run")))


def test_it_has_every_section_and_asks_nobody_for_anything(page):
    assert tuple(page.words) == SECTIONS
    assert [a["href"] for a in page.all("a")][1:] == [f"#{name}" for name in SECTIONS]
    assert all(address.startswith(("data:", "#")) for address in page.addresses)
    assert not re.search(r"https?:|@import|url\(", page.html)
    policy = [meta["content"] for meta in page.all("meta") if "http-equiv" in meta]
    assert policy and policy[0].startswith("default-src 'none'")


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("summary", "generator of 3.4 million numbers learns to draw colour images of 12 × 12"),
        ("summary", "the 5,000 images of my faces"),
        ("summary", "trained for 1,200 steps, 12 of 25 passes over the data, in 10.0 minutes"),
        ("summary", "Yes, as far as numbers can tell"),
        ("summary", "FID (pixels) is 30 (95 % interval 27 to 33, floor 12.5) at step 1,200; less"),
        ("summary", "512 generated images against 512 real ones of train, extractor pixels"),
        ("summary", "1 may be copies of training images (seed 3)"),
        ("time", "As a film"),
        ("training", "2026-01-01 10:00 Step 900: the generated images vary again."),
        ("summary", "Published FIDs look through Inception and cannot be compared with it."),
        ("quality", "Step 1,200, extractor pixels 512 generated images against 512 real ones"),
        ("quality", "FID less is better 30 27 to 33; floor 12.5 How far"),
        (
            "quality",
            "Floor: 256 real images against 256 others. FID and SWD are larger for so few.",
        ),
        ("quality", "Precision more is better 0.61 0.549 to 0.671 The share of"),
        ("quality", "The classifier is sure of 75 % of them."),
        ("quality", "30 % of the generated images would have to be of another class for all"),
        ("walks", "along the sphere"),
        ("memory", "seed 3, may be a copy"),
        ("speed", "76,800 images were learnt from in 10.0 minutes of training: 12"),
        ("options", "--dataset my faces default: avatars What to learn from."),
        ("environment", "python main.py --dataset 'my faces'"),
    ],
)
def test_it_says(page, section, words):
    assert words in page.words[section]


def test_it_can_be_read_without_eyes_and_without_a_mouse(page):
    assert page.all("html")[0]["lang"] == "en"
    assert all(image["alt"].strip() and image["width"] for image in page.all("img"))
    assert all(control.get("aria-label") for control in page.all("input"))
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(levels, levels[1:], strict=False))
    drawings = [a["aria-label"] for _, a in page.tags if a.get("role") == "img"]
    assert len(drawings) == 5  # three of the training, FID, speed
    assert any(label.startswith("Losses up to step 1,200: discriminator") for label in drawings)


def test_an_empty_run_is_told_in_words(tmp_path):
    reason = "data/faces does not exist: put it there."
    health = {"training_images": None, "copy_search": reason, "options": []}
    page = page_of(RunDir(tmp_path), **health)
    assert tuple(page.words) == SECTIONS
    for section, words in (
        ("summary", "how long that took is not known, since there is no metrics.jsonl"),
        ("summary", "Not measured yet. Measure it with python main.py evaluate --run_dir"),
        ("summary", f"Not looked into: {reason}"),
        ("pictures", "The run folder has no samples/reals.png"),
        ("time", "no sample grids yet"),
        ("training", "There are no numbers: metrics.jsonl is missing or empty."),
        ("quality", "python main.py evaluate --run_dir"),
        ("memory", "python main.py neighbours --run_dir"),
        ("speed", "No speed is recorded."),
        ("options", "Everything is as it is by default."),
        ("environment", "no environment.json"),
        ("environment", "no log.txt"),
    ):
        assert words in page.words[section], section
    assert not page.all("svg")


def test_trouble_is_told_with_its_advice(tmp_path):
    message = ("collapse", "Step 900: the generator has collapsed.", "Take another --seed.")
    health = dataclasses.replace(contents(tmp_path).health, messages=[message])
    page = page_of(fill(tmp_path), health=health)
    for section in ("summary", "training"):
        assert f"{message[1]} {message[2]}" in page.words[section]
    assert "Yes" not in page.words["summary"]


def test_images_clustered_in_the_middle_are_no_success(tmp_path):
    """Blurred avatars: nearly all lie among real images, and hardly a real one among them."""
    run_dir = fill(tmp_path)
    common = {"extractor": "pixels", "step": 1200, "made": "2027", "better": "higher"}
    for metric, value in (("precision", 0.989), ("recall", 0.001)):
        append_json_line(
            run_dir.evaluation / "blurred.jsonl", {**common, "metric": metric, "value": value}
        )
    page = page_of(run_dir)
    assert "Not by the evaluation of step 1,200" in page.words["summary"]
    assert "Yes" not in page.words["summary"]
    for section in ("summary", "quality"):
        assert "clustered in the middle" in page.words[section]
        assert "precision 0.989 and recall 0.001" in page.words[section]


def test_a_young_run_is_not_called_healthy(tmp_path):
    page = page_of(fill(tmp_path, steps=400))
    assert "too early to judge" in page.words["summary"]
    assert "before step 800 they could not" in page.words["training"]


@pytest.mark.parametrize(("steps", "window"), [(1, None), (400, None), (1200, "20")])
def test_curves_are_called_averages_only_where_they_are(tmp_path, steps, window):
    """A line every 20 steps: a fiftieth of 400 steps is less than that."""
    run_dir = fill(tmp_path, steps=steps)
    add_lines(run_dir.metrics, [{"step": 1, "d_real": 0.5, "d_fake": 0.5}] if steps == 1 else [])
    page = page_of(run_dir, model=dataclasses.replace(contents(tmp_path).model, step=steps))
    found = re.findall(r"moving averages over (\S+) steps", page.words["training"])
    assert found == ([window] if window else [])
    some = "1 step" if steps == 1 else "100 steps"
    assert f"Over the last {some} the discriminator" in page.words["summary"]
    assert "1 steps" not in page.words["summary"]


def test_a_search_among_some_says_so(tmp_path):
    copies = dataclasses.replace(contents(tmp_path).copy_search, searched=4000, suspects=[])
    words = page_of(RunDir(tmp_path), copy_search=copies).words["summary"]
    assert "No sign of it: of 16 generated images, compared with 4,000 of the 5,000" in words


def test_files_that_are_cut_or_broken_are_left_out(tmp_path, caplog):
    run_dir = fill(tmp_path)
    whole = page_of(run_dir).words
    told = whole.pop("time")
    with open(run_dir.metrics, "a") as file:
        file.write('{"step": "x"}\n[1]\n{"step": 1220, "d_lo')
    run_dir.sample(5000).write_bytes(run_dir.reals.read_bytes()[:99])
    path, one = tmp_path / "evaluation" / "fid-512-pixels.jsonl", record("fid", 1300, 1)
    add_lines(path, [one | {"value": value} for value in ("x", 10**400)])
    add_lines(path, [one | {"step": 10**400}, one | {"metric": ["fid"], "value": None}])
    add_lines(path, [one | {"value": True, "step": None}])
    path.open("a").write('{"metric": "fid", "val')
    words = page_of(run_dir).words
    assert words.pop("time") == told.replace(
        "step 1,200", "step 1,200 5 of the 6 grids in samples/, a little compressed.", 1
    )
    assert words == whole
    assert "cannot be read" in caplog.text


def test_the_largest_run_stays_below_five_megabytes(tmp_path):
    """Noise, which nothing compresses."""
    shape = (48, 48, 3)
    noise = np.random.default_rng(0).integers(0, 256, (64, *shape), np.uint8)
    run_dir = fill(tmp_path)
    grid = images.png_bytes(images.grid(noise))
    for path in (*run_dir.sample_grids(), run_dir.reals):
        path.write_bytes(grid)
    match = [images.grid(noise[:4])] * 4
    base = contents(tmp_path)
    near = [
        (n, [dataclasses.replace(m, picture=match[0]) for m in s])
        for n, s in base.copy_search.closest[0].near
    ]
    copies = dataclasses.replace(
        base.copy_search, closest=[dataclasses.replace(base.copy_search.closest[0], near=near)] * 6
    )
    model = dataclasses.replace(base.model, samples=noise, shape=shape)
    walks = [dataclasses.replace(base.walks[0], frames=noise[:9])] * 5
    data = render(run_dir, contents(tmp_path, model=model, copy_search=copies, walks=walks))
    assert 1e6 < len(data) < 5e6


# --- curves


def test_a_curve_is_where_its_numbers_are():
    """Of (0, 0), (5, 1), (10, 0.5) on a scale to 1: x 100 units a step, y from the top down."""
    made = chart.draw(
        "T",
        np.array([0.0, 5, 10]),
        [chart.Curve("one", "d", np.array([0, 1, 0.5]))],
        unit="u",
        top=1.0,
    )
    assert made["curves"][0]["line"] == "M0.0 1000.0L500.0 0.0L1000.0 500.0"
    assert made["points"]["x"] == [0, 50, 100] and made["points"]["y"] == [[0, 100, 50]]
    assert made["points"]["words"][1] == "step 5: one 1"
    assert made["words"] == "T up to step 10: one from 0 to 0.5, at least 0 and at most 1."
    assert made["rows"] == [["0", "0"], ["5", "1"], ["10", "0.5"]]


def test_gaps_and_intervals():
    nan = np.nan
    curve = chart.Curve(
        "m", "d", np.array([nan, 2, 4]), low=np.array([nan, 0, nan]), high=np.array([nan, 4, nan])
    )
    made = chart.draw("T", np.array([1.0, 2, 4]), [curve], unit="u", top=4.0)
    assert made["curves"][0]["line"] == "M500.0 500.0L1000.0 0.0"
    assert made["curves"][0]["whiskers"] == "M500.0 1000.0L500.0 0.0"
    assert made["points"]["y"] == [[None, 50, 100]]
    assert made["points"]["words"][0] == "step 1: not measured"
    nothing = chart.Curve("n", "g", np.full(3, nan))
    assert chart.draw("T", np.array([1.0, 2, 4]), [nothing], unit="u") is None


def test_thinning_loses_no_spike():
    values = np.full(20_000, 0.5)
    values[7_777] = 9.0
    curve = chart.Curve("d", "d", values, smooth=True)
    made = chart.draw("T", np.arange(20_000.0), [curve], unit="u", top=9.0)
    behind = made["curves"][0]["values"]
    assert len(behind) < 12_000 and re.search(r" 0\.0(L|$)", behind)
    assert len(made["points"]["x"]) == chart.MAX_POINTS


def test_the_bent_scale_keeps_both_spikes_and_detail_visible():
    values = np.concatenate([np.linspace(0, 1, 99), [1000.0]])
    scale = chart.value_scale(values)
    assert scale.symlog
    places = scale.at([0, 1, 10, 100, 1000])
    np.testing.assert_allclose(np.diff(places), np.diff(places)[0])  # 0 to 1, then each decade
    assert scale.ticks(5) == [0, 1, 10, 100, 1000]
    assert chart.value_scale(-values).ticks(5) == [-1000, -100, -10, -1, 0]
    assert not chart.value_scale(np.linspace(0, 3, 50)).symlog
    assert chart.value_scale(np.array([-2.0, 2.0])).low < -2


# --- numbers


def test_numbers_are_written_as_people_write_them():
    values = (0, 1.13e-05, -3e-9, 0.0123456, 45.63, 1234.5, float("nan"))
    assert [*map(number, values)] == ["0", "0.000011", "0", "0.0123", "45.6", "1,234", "nan"]
    assert [number(999.4), number(-999.6)] == ["999", "-1,000"]  # not -1e+03
    counts = (950, 38_400, 1_040_000, 4_860_000, 23_000_000)
    told = ["950", "38 thousand", "1 million", "4.9 million", "23 million"]
    assert [*map(large, counts)] == told
    assert [*map(duration, (1, 432, 6_000, 200_000))] == [
        *("1 second", "7.2 minutes", "1.7 hours", "2.3 days"),
    ]
    assert [*map(percent, (0, 0.004, 0.5))] == ["0\xa0%", "0.4\xa0%", "50\xa0%"]


# --- measurements


def test_measurements_of_different_protocols_are_never_one_curve(tmp_path):
    path = tmp_path / "fid.jsonl"
    add_lines(path, [record("fid", 400, 50), record("fid", 800, 40), record("fid", 400, 49)])
    add_lines(path, [record("fid", 400, 9, seed=1, made="2027"), {"metric": "fid", "value": None}])
    found = measurements.read_series(tmp_path)
    assert [[(r["step"], r["value"]) for r in one.records] for one in found] == [
        [(400, 9)],
        [(400, 49), (800, 40)],
    ]
    assert found[1].newest["value"] == 49 and found[1].best["value"] == 40
    add_lines(path, [record("recall", step, step / 4000, better="higher") for step in (400, 1200)])
    assert measurements.read_series(tmp_path)[-1].best["value"] == 0.3


def test_versions_of_a_metric_are_never_one_curve_and_the_older_says_so(tmp_path):
    """Without a version: from before records had one."""
    path, by = tmp_path / "evaluation" / "fid.jsonl", measurements.OUTDATED
    add_lines(path, [record("fid", 400, 50), record("fid", 800, 40, version=1)])
    add_lines(path, [record("fid", 1200, 30, version=2), record("kid", 400, 1, version=1)])
    add_lines(path, [record("fid", 800, 41, version=2), record("fid", 400, 51, made="2027")])
    found = measurements.read_series(path.parent)
    assert [(one.metric, [r["value"] for r in one.records], one.outdated) for one in found] == [
        ("fid", [41, 30], False),
        ("fid", [51], True),
        ("fid", [40], True),
        ("kid", [1], False),
    ]
    assert [by in one.protocol for one in found] == [False, True, True, False]
    assert [by in evaluation_curve._name(one) for one in found] == [False, True, True, False]
    page = page_of(RunDir(tmp_path))
    assert "FID (pixels) is 41" in page.words["summary"]
    assert page.words["quality"].count(by) == 2


def test_the_floor_is_marked_where_it_can_be_read(tmp_path):
    add_lines(
        tmp_path / "is.jsonl",
        [record("is", s, 2.0, floor={"of": "reals", "count": 9, "value": 8.0}) for s in (400, 800)],
    )
    (series,) = measurements.read_series(tmp_path)
    assert str(series.floor) == "reals 8" and series.floor.count == 9
    (made,) = quality.charts([series])
    height, name = made["line"]
    assert name == "reals" and 0 < height <= 100
    for wrong in (None, 7, {}, {"value": 8.0}, {"value": "8", "count": 9}, {"count": 9}):
        assert measurements.Series("is", [], {"floor": wrong}).floor is None


def test_every_metric_is_explained():
    assert measurements.METRICS.keys() == {*NEEDS, "features"}  # the last is a command of its own


def test_many_classes_end_in_the_rest(tmp_path):
    names = [f"c{i}" for i in range(40)]
    shares = [i / 780 for i in range(40)]  # 0 + 1 + … + 39 = 780
    add_lines(tmp_path / "c.jsonl", [{"names": names, "real": shares, "generated": shares}])
    (found,) = measurements.read_histograms(tmp_path)
    assert len(found.rows) == measurements.MAX_CLASSES and found.rows[0][0] == "c39"
    assert sum(row[1] for row in found.rows) == pytest.approx(1)
    assert found.rows[-1][0] == "17 more" and found.difference == 0


# --- pictures


def test_a_picture_is_exact_where_it_fits_and_never_too_large():
    array = images.grid(pictures(16))
    whole = report_pictures.embed_picture(array, max_bytes=100_000)
    np.testing.assert_array_equal(pixels_of(whole.data_url), array)
    small = report_pictures.embed_picture(array, max_bytes=800)
    assert len(base64.b64decode(small.data_url.partition(",")[2])) <= 800
    assert (small.width, small.height) == (whole.width, whole.height) == array.shape[1::-1]


def test_the_film_is_cut_to_whole_images(tmp_path):
    grids = [images.grid(pictures(16, i, (12, 12, 1))) for i in range(4)]
    whole = report_pictures.embed_animation(grids, (12, 12), tmp_path / "none.gif", max_bytes=10**6)
    assert whole.images_per_side is None and whole.gif.width == 4 * 13 - 1
    cut = report_pictures.embed_animation(grids, (12, 12), tmp_path / "none.gif", max_bytes=2000)
    assert cut.images_per_side in (1, 2, 3)
    side = cut.images_per_side * 13 - 1
    np.testing.assert_array_equal(pixels_of(cut.still.data_url)[..., :1], grids[-1][:side, :side])
    # A class a row: more rows than columns, and the last classes are shown as well.
    tall = [images.grid(pictures(8, 0, (12, 12, 1)), columns=2)]
    whole = report_pictures.embed_animation(tall, (12, 12), tmp_path / "none.gif", max_bytes=10**6)
    assert whole.images_per_side is None and (whole.gif.height, whole.gif.width) == (51, 25)
    existing = tmp_path / "training.gif"
    existing.write_bytes(images.gif_bytes(grids))
    same = report_pictures.embed_animation(grids, (12, 12), existing, max_bytes=10**6)
    assert base64.b64decode(same.gif.data_url.partition(",")[2]) == existing.read_bytes()


# --- the command


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """A run, and the folder of its data: six images that it gives itself, among them seed 2's."""
    base = tmp_path_factory.mktemp("toy")
    run_root = copying_run(base, [2, *range(100, 170)])
    config = read_json(run_root / "config.json")
    write_json(run_root / "config.json", config | {"new": 1})
    (path,) = (run_root / "checkpoints").glob("*.npz")
    arrays, meta = checkpoint_file.read(path)
    learnt = {"images": TrainedRun(RunDir(run_root)).reals().content}
    checkpoint_file.write(path, arrays.items(), meta | learnt)
    fill(run_root, shape=(16, 16, 3))
    return run_root


def test_the_command_writes_one_file_and_changes_none(toy, capsys):
    before = content(toy)
    (toy / "report.html").write_text(provenance.mark("an older report"))  # which it may replace
    assert main.main(["report", "--run_dir", str(toy), "--seeds", "0-7"]) == 0
    assert f"Wrote {toy / 'report.html'}" in capsys.readouterr().out
    after = content(toy)
    assert {k: v for k, v in after.items() if k != "report.html"} == before
    page = Page(after["report.html"].decode())
    assert provenance.MARK in page.html  # so it may be replaced too
    assert "Perhaps: of 8 generated images" in page.words["summary"]
    assert "seed 2, may be a copy" in page.words["memory"]
    assert "the 71 images of" in page.words["summary"]
    samples = page.all("img")[2]  # after the ribbon and the reals
    expected = images.grid(TrainedRun(RunDir(toy)).sample(range(8)))
    np.testing.assert_array_equal(pixels_of(samples["src"]), expected)
    (toy / "report.html").unlink()


def test_other_images_in_their_place_are_not_called_the_runs(toy, tmp_path):
    """As where --dataset names another folder than when the run was trained."""
    to, picture = tmp_path / "page.html", toy.parent / "pictures" / "000.png"
    before = picture.read_bytes()
    picture.write_bytes(images.png_bytes(pictures(1, 0, (16, 16, 3))[0]))
    assert main.main(["report", "--run_dir", str(toy), "--seeds", "0-7", "--to", str(to)]) == 0
    picture.write_bytes(before)
    words = Page(to.read_text("utf-8")).words
    for section in ("summary", "memory"):
        assert "The images of pictures are not those that the run has learnt from" in words[section]
    assert "compared with all 71 that are there" in words["summary"]
    assert "71 images" not in words["summary"] and "it learns from" not in words["summary"]


def test_without_the_data_it_says_so(tmp_path):
    # Its config.json does not say where "." was, in which it was trained.
    run_root = toy_run(tmp_path / "run", dataset=".")
    to = tmp_path / "else" / "page.html"
    assert main.main(["report", "--run_dir", str(run_root), "--to", str(to)]) == 0
    page = Page(to.read_text("utf-8"))
    assert "names no data_dir" in page.words["memory"] and "<h1>run</h1>" in page.html
    assert not (run_root / "report.html").exists()
