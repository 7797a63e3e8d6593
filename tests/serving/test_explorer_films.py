"""The studio in a headless Chromium: what leads where, names, films and lists of seeds."""

import functools
import io

import numpy as np
import pytest
from explorer_pages import blobs, pixels, z_of
from PIL import Image, ImageSequence

pytestmark = pytest.mark.slow  # a browser
SIDE = 24


@pytest.fixture
def visit(visit):
    """In a larger window."""
    return functools.partial(visit, viewport={"width": 1280, "height": 720})


def picture(z) -> np.ndarray:
    return blobs(np.float32(np.float16(z))[None], SIDE)[0]  # as links round


def keep(page, *seeds: int) -> None:
    for seed in seeds:
        page.locator(".wall .tile").nth(seed).click()


def test_what_people_want_first_is_above_the_fold(visit):
    page = visit()
    for name in ("#keep", "#save", "#tab-directions"):
        box = page.locator(name).bounding_box()
        assert box["y"] + box["height"] <= 720, name


def test_the_page_says_what_it_shows_in_three_sentences(visit):
    page = visit()
    about = page.locator(".about")
    assert not about.locator("p").is_visible()
    about.locator("summary").click()
    said = about.locator("p").inner_text()
    assert "from 16 random numbers" in said and said.count(".") == 3


def test_kept_and_shown_look_different_on_the_wall(visit):
    page = visit()
    keep(page, 2, 5)

    def look(seed):
        tile = page.locator(".wall .tile").nth(seed)
        return tile.evaluate(
            "one => [getComputedStyle(one, '::before').content, getComputedStyle(one).boxShadow,"
            " one.getAttribute('aria-label'), one.getAttribute('aria-current')]"
        )

    plain, kept, shown = look(0), look(2), look(5)
    assert plain[:2] == ["none", "none"] and plain[2:] == ["Seed 0", "false"]
    assert kept[0] == '"✓"' and kept[1] == "none" and kept[2:] == ["Seed 2, kept", "false"]
    assert shown[0] == '"✓"' and shown[1] != "none" and shown[3] == "true"
    page.locator("#shuffle").click()
    assert page.locator(".wall [aria-current=true]").count() == 0
    page.fill("#seed", "3-9")
    page.locator("#seek button").first.click()  # which shows seed 3
    assert look(0)[2:] == ["Seed 3", "true"] and look(2)[2:] == ["Seed 5, kept", "false"]
    keep(page, 2)
    page.locator("#all").click()
    assert look(5)[2:] == ["Seed 5, kept", "true"] and look(3)[3] == "false"


def test_a_small_picture_at_each_end_of_a_slider_shows_where_it_leads(visit):
    page = visit("#seed=4")
    z = z_of(page, 4)
    row = page.locator(".slider").nth(3)
    for end, to in ((0, -3), (1, 3)):
        there = np.where(np.arange(16) == 3, to, z)
        canvas = row.locator(".end canvas").nth(end)
        row.locator(".end canvas.painted").nth(end).wait_for()
        np.testing.assert_array_equal(pixels(canvas), picture(there))
    row.locator(".end").nth(1).click()  # which goes there
    assert row.locator("output").inner_text() == "3.0"
    other = page.locator(".slider").first
    expected = np.where(np.arange(16) == 3, 3, np.where(np.arange(16) == 0, -3, z))
    page.wait_for_timeout(300)
    np.testing.assert_array_equal(pixels(other.locator(".end canvas").first), picture(expected))


def test_names_of_directions_travel_in_the_link_and_stay(visit):
    page = visit("#seed=4")
    given = page.get_by_label("Name of direction 2", exact=True)
    given.fill("blue & <b>round</b>")
    given.press("Enter")
    assert page.get_by_role("slider", name="blue & <b>round</b>", exact=True).count() == 1
    link = page.url.partition("explorer/")[2]
    other = visit(link)  # another browser
    assert other.get_by_label("Name of direction 2").input_value() == "blue & <b>round</b>"
    assert other.locator("#name").inner_text() == "Seed 4"
    page.goto(page.url.partition("#")[0])
    page.reload()
    assert page.get_by_label("Name of direction 2").input_value() == "blue & <b>round</b>"
    page.get_by_label("Name of direction 2").fill("")
    page.get_by_label("Name of direction 2").press("Enter")
    assert "d2" not in page.url


def saved(page, button: str) -> tuple[str, bytes]:
    with page.expect_download() as download:
        page.locator(button).click()
    return download.value.suggested_filename, download.value.path().read_bytes()


def test_a_morph_is_saved_as_gif_and_as_a_strip(visit):
    page = visit(reduced_motion="reduce")
    keep(page, 2, 5)
    page.locator("#tab-morph").click()
    assert page.locator("#film").is_disabled()
    assert page.locator("#film").evaluate("one => getComputedStyle(one).opacity") == "0.5"
    page.get_by_label("Seed 2", exact=True).and_(page.locator("#choices .tile")).click()
    page.wait_for_selector("#film:enabled")
    page.select_option("#size", "2")
    page.select_option("#look", "pixels")
    name, content = saved(page, "#film")
    film = Image.open(io.BytesIO(content))
    assert name == "blobs-seed-5-to-seed-2.gif" and film.info["loop"] == 0
    frames = [np.asarray(one.convert("RGB"), int) for one in ImageSequence.Iterator(film)]
    assert len(frames) == 2 * 32 and frames[0].shape == (2 * SIDE, 2 * SIDE, 3)
    for at, seed in ((0, 5), (32, 2)):
        assert np.abs(frames[at][::2, ::2] - picture(z_of(page, seed))).mean() < 4
    np.testing.assert_array_equal(frames[1], frames[63])  # and back
    name, content = saved(page, "#strip")
    strip = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    assert name == "blobs-seed-5-to-seed-2.png" and strip.shape == (48, 9 * 48, 3)
    np.testing.assert_array_equal(strip[::2, :48:2], picture(z_of(page, 5)))
    np.testing.assert_array_equal(strip[::2, 8 * 48 :: 2], picture(z_of(page, 2)))


def test_the_shelf_plays_and_stops(visit):
    page = visit()
    assert page.locator("#through").is_hidden()
    keep(page, 2, 5, 9)
    page.locator("#through").click()
    play = page.locator("#play")
    page.wait_for_function("play.textContent === 'Pause' && Number(slide.value) > 3")
    assert page.locator("#slide").get_attribute("max") == str(2 * 32)
    play.click()
    assert play.inner_text() == "Play" and "#z=" in page.url
    held = page.locator("#slide").input_value()
    page.wait_for_timeout(200)
    assert page.locator("#slide").input_value() == held
    play.click()
    keep(page, 7)  # another face in the studio ends it
    page.wait_for_timeout(200)
    assert page.locator("#name").inner_text() == "Seed 7" and play.inner_text() == "Play"
    page.locator("#through").click()
    page.wait_for_function("play.textContent === 'Pause'")
    page.locator("#tab-directions").click()  # and so does another panel
    assert play.text_content() == "Play"
    shown = pixels(page.locator("#large"))
    page.wait_for_timeout(300)
    np.testing.assert_array_equal(pixels(page.locator("#large")), shown)


def test_seeds_are_written_as_on_the_command_line(visit):
    page = visit()
    page.fill("#seed", " 1,5, 9-20,7 ")
    page.keyboard.press("Enter")
    page.wait_for_selector(".wall .tile:nth-child(15) canvas.painted")
    labels = page.locator(".wall .tile").evaluate_all("all => all.map((one) => one.dataset.name)")
    assert labels == [f"Seed {n}" for n in (1, 5, *range(9, 21), 7)]
    assert "Seeds 1,5, 9-20,7" in page.locator("#title").inner_text()
    assert page.locator("#more").is_hidden()  # there are no more
    for wrong in ("9-2", "1,,2", "1-", "x"):
        page.fill("#seed", wrong)
        page.keyboard.press("Enter")
        page.wait_for_function("toast.classList.contains('shown')")
        assert page.locator(".wall .tile").count() == 15  # nothing was taken down
        page.evaluate("toast.classList.remove('shown')")
    page.locator("#all").click()
    assert page.locator(".wall .tile").first.get_attribute("data-name") == "Seed 0"
    assert page.locator("#more").is_visible()


def test_a_page_that_follows_draws_everything_anew_when_another_version_answers(visit, host):
    host.info = {**host.info, "follow": True}
    page = visit("#seed=4")
    # What is asked for last; then all is drawn.
    page.wait_for_selector(".slider:nth-child(8) .end:last-child canvas.painted", state="attached")
    host.asked.clear()
    with page.expect_request("**/model.json"):
        pass
    page.wait_for_timeout(200)
    assert host.asked == []  # the same version: nothing is drawn
    host.info = {**host.info, "step": 5678}
    page.wait_for_function("facts.textContent.includes('5,678')")
    page.wait_for_timeout(800)
    asked = np.concatenate(host.asked)
    for seed in (0, 4, 40):
        assert np.abs(asked - z_of(page, seed)).max(1).min() < 2e-3
    assert page.locator("#fault").is_hidden()
