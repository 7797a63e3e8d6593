"""The report in a headless Chromium: at a desk and on a telephone, by day and by night."""

import numpy as np
import pytest
from report_pages import contents, contrasts, fill, luminance, overflowing

from dcgan.outputs.report.page import render

pytestmark = pytest.mark.slow  # a browser
DESK, PHONE = {"width": 1280, "height": 800}, {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    root = tmp_path_factory.mktemp("run")
    path = root / "report.html"
    path.write_bytes(render(fill(root), contents(root)))
    return path


@pytest.fixture
def visit(open_file, report):
    def visit(viewport=DESK, *, unfolded=True, **settings):
        page = open_file(report, viewport=viewport, **settings)
        if unfolded:
            page.evaluate("for (const one of document.querySelectorAll('.folded')) one.open = true")
        return page

    return visit


def test_the_verdict_comes_first_and_the_rest_is_folded_away(visit):
    page = visit(unfolded=False)
    verdict = page.locator(".verdict").bounding_box()
    assert verdict["y"] + verdict["height"] < DESK["height"]
    assert page.evaluate("document.documentElement.scrollHeight") < 3 * DESK["height"]
    assert page.locator(".chart").first.is_hidden()
    page.locator("nav a", has_text="Training").click()
    page.locator("#training .chart").first.wait_for()
    assert page.locator("#quality .metrics").is_hidden()
    page.reload()  # by its address too
    page.locator("#training .chart").first.wait_for()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("#quality .metrics").first.is_visible()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("#quality .metrics").first.is_hidden()
    assert page.locator("#training .chart").first.is_visible()


@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_overflows_and_everything_can_be_read(visit, viewport, scheme):
    page = visit(viewport, color_scheme=scheme)
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    assert page.evaluate("document.documentElement.scrollWidth") == viewport["width"]
    assert overflowing(page) == []
    # The same words may stand beside each other only where they do not touch: ticks of a chart.
    touching = page.evaluate(
        """[...document.querySelectorAll('.area')].flatMap((area) => {
            const ticks = [...area.querySelectorAll('.x')].map((t) => t.getBoundingClientRect());
            return ticks.slice(1).filter((box, i) => box.left < ticks[i].right + 2);
        }).length"""
    )
    assert touching == 0
    names = ("body", ".soft", ".facts span", "nav a", "summary", ".messages time", ".x", "code")
    assert min(contrasts(page, names)) >= 4.5


def test_every_picture_is_shown(visit):
    page = visit()
    blank = "[...document.images].filter((one) => !one.complete || !one.naturalWidth).length"
    assert page.evaluate(blank) == 0
    assert page.evaluate("document.images.length") > 10


def test_bars_are_as_long_as_their_shares(visit):
    """Of the generated images 80 % and 20 % are of the two classes, of the real ones 50 %."""
    page = visit(PHONE)
    tracks, bars, ticks = (
        [box.bounding_box() for box in page.locator(f".bars tbody {name}").all()]
        for name in (".track", ".bar", ".tick")
    )
    lengths = [bar["width"] / track["width"] for bar, track in zip(bars, tracks, strict=True)]
    np.testing.assert_allclose(lengths, [1, 0.25], atol=0.01)
    places = [
        (tick["x"] + tick["width"] / 2 - track["x"]) / track["width"]
        for tick, track in zip(ticks, tracks, strict=True)
    ]
    np.testing.assert_allclose(places, 0.5 / 0.8, atol=0.01)


def test_keys_and_mouse_read_the_same_values(visit):
    page = visit()
    figure = page.locator(".chart").first
    output, reader = figure.locator("output"), figure.locator("input")
    reader.focus()
    page.keyboard.press("Home")
    assert output.inner_text().startswith("step 20: discriminator")
    assert reader.get_attribute("aria-valuetext") == output.inner_text()
    page.keyboard.press("ArrowRight")
    assert output.inner_text().startswith("step 40:")
    area = figure.locator(".area")
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20)
    assert output.inner_text().startswith("step 600:")  # of 1,200


def test_the_slider_turns_the_pages(visit):
    page = visit()
    figure = page.locator(".steps")
    picture, slider, output = (figure.locator(name) for name in ("img", "input", "output"))
    last = picture.get_attribute("src")
    assert output.inner_text() == "step 1,200"
    slider.focus()
    page.keyboard.press("Home")
    assert output.inner_text() == "step 0" and picture.get_attribute("src") != last
    assert picture.get_attribute("alt") == "The sample grid of step 0."
    figure.get_by_role("button", name="Play").click()
    output.filter(has_text="step 1,200").wait_for()
    assert picture.get_attribute("src") == last
    figure.get_by_role("button", name="Play").wait_for()  # it has stopped by itself


def test_the_film_can_be_stopped_and_does_not_move_by_itself_where_that_is_not_wanted(visit):
    page = visit()
    assert page.locator(".moving").is_visible()
    page.locator(".film button").click()
    assert page.locator(".still").is_visible() and page.locator(".moving").is_hidden()
    calm = visit(reduced_motion="reduce")
    assert calm.locator(".still").is_visible() and calm.locator(".moving").is_hidden()
    calm.locator(".film button").click()
    assert calm.locator(".moving").is_visible()


def test_without_scripts_nothing_is_missing_but_the_reading(visit):
    page = visit(java_script_enabled=False, unfolded=False)
    for title in page.locator(".folded > summary").all():
        title.click()
    assert page.locator(".steps img").is_visible() and page.locator(".chart svg").first.is_visible()
    assert page.locator("input:visible, button:visible").count() == 0
    page.locator(".chart summary").first.click()
    assert page.locator(".chart table").first.is_visible()


def test_paper_shows_all_of_it_in_dark_ink(visit):
    page = visit(color_scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.locator(".still").is_visible() and page.locator(".moving").is_hidden()
    assert page.locator("nav").is_hidden()
    ink, paper = page.evaluate(
        "['color', 'backgroundColor'].map((n) => getComputedStyle(document.documentElement)[n])"
    )
    assert luminance(ink) < 0.05 and luminance(paper) == 1
    page.emulate_media(media="screen")
    assert len(page.pdf()) > 10_000
