"""The comparison in a headless Chromium: at a desk and on a telephone, by day and by night."""

import re

import pytest
from compared import filled
from report_pages import add_lines, contrasts, overflowing, record

from dcgan.outputs.comparison import page as pages

pytestmark = pytest.mark.slow  # a browser
WIDTHS = pytest.mark.parametrize("width", [390, 1280])
SCHEMES = pytest.mark.parametrize("scheme", ["light", "dark"])


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    """Eleven settings, one of them of two seeds, some with long names."""
    base = tmp_path_factory.mktemp("runs")
    runs = [filled(base / f"wide-{seed}", seed=seed) for seed in (0, 1)]
    for run in runs:  # which are ahead by this
        add_lines(run.folder.evaluation / "fid-512-pixels.jsonl", [record("fid", 1200, 3)])
    runs += [
        filled(base / ("narrow_generator_and_a_long_name_" * 3 + str(i)), batch_size=i, seed=i)
        for i in range(2, 12)
    ]
    path = base / "comparison.html"
    path.write_bytes(pages.render(pages.compare(runs), range(16)))
    return path


@pytest.fixture
def visit(open_file, comparison):
    def visit(width=1280, **settings):
        return open_file(comparison, viewport={"width": width, "height": 800}, **settings)

    return visit


@WIDTHS
@SCHEMES
def test_nothing_overflows_and_everything_can_be_read(visit, width, scheme):
    page = visit(width, color_scheme=scheme)
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert overflowing(page) == []
    broken = page.evaluate(
        """[...document.querySelectorAll('.area span, .x-name, .seeds span, .mark-ahead')]
            .filter((one) => {
                const words = document.createRange();
                words.selectNodeContents(one);
                return words.getClientRects().length > 1;
            })
            .map((one) => one.textContent)"""
    )
    assert broken == []  # none takes two lines
    names = ("body", ".soft", "nav a", "summary", ".x", "code", ".mark-ahead", ".help", "td .soft")
    assert min(contrasts(page, names)) >= 4.5


@WIDTHS
def test_a_seed_is_in_the_same_column_of_every_row(visit, width):
    page = visit(width)
    boxes = [one.bounding_box() for one in page.locator(".strips figure img").all()]
    assert len(boxes) == 13  # the real images and twelve runs
    assert len({(box["x"], box["width"]) for box in boxes}) == 1
    numbers = [one.bounding_box() for one in page.locator(".seeds span").all()][1:]
    column = boxes[0]["width"] / 10
    for i, number in enumerate(numbers):
        middle = number["x"] + number["width"] / 2
        assert abs(middle - boxes[0]["x"] - (i + 0.5) * column) < 2


def test_every_picture_is_shown_and_a_chart_is_read_by_keys(visit):
    page = visit()
    blank = "[...document.images].filter((one) => !one.complete || !one.naturalWidth).length"
    assert page.evaluate(blank) == 0
    chart = page.locator("#training .chart").first
    output = chart.locator("output")
    chart.locator("input").focus()
    page.keyboard.press("End")
    assert output.inner_text().startswith("minute 10: wide 0.")
    assert len(re.findall(r"_\d+ 0\.", output.inner_text())) == 10


def test_every_setting_looks_different(visit):
    page = visit()
    looks = page.evaluate(
        """[...document.querySelector('#training .chart').querySelectorAll('.area .line')]
            .map((one) => getComputedStyle(one))
            .map((style) => `${style.stroke} ${style.strokeDasharray}`)"""
    )
    assert len(looks) == 11 and len(set(looks)) == 11


def test_without_scripts_nothing_is_missing_but_the_reading(visit):
    page = visit(java_script_enabled=False)
    assert page.locator(".chart svg").first.is_visible()
    assert page.locator("input:visible, button:visible").count() == 0
