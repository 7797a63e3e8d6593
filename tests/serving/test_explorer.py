"""The explorer in a headless Chromium, on a stand-in for the server that paints blobs."""

import io
import re

import numpy as np
import pytest
from explorer_pages import blobs, pixels, z_of
from PIL import Image

pytestmark = pytest.mark.slow  # a browser, a minute
SIDE = 24
PHONE = {
    "viewport": {"width": 360, "height": 740},
    "device_scale_factor": 2,
    "has_touch": True,
    "is_mobile": True,
}


def seen(page, host) -> np.ndarray:
    """The z of the picture in the studio: that of those asked for whose picture it is."""
    page.wait_for_timeout(150)  # for a render on its way
    page.select_option("#look", "pixels")
    page.wait_for_timeout(50)
    shown = pixels(page.locator("#large"), 384 // SIDE)
    asked = np.concatenate(host.asked)
    wrong = np.abs(blobs(asked, SIDE).astype(int) - shown).max((1, 2, 3))
    assert wrong.min() == 0
    return asked[wrong.argmin()]


def tile(page, number: int):
    return page.locator(".wall .tile").nth(number)


def centre(locator) -> tuple[float, float]:
    box = locator.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def kept(page) -> list[str]:
    tiles = page.locator("#shelf .tile")
    return [tiles.nth(i).get_attribute("aria-label") for i in range(tiles.count())]


def test_the_wall_shows_the_pictures_of_the_seeds_and_more_on_scrolling(visit, host):
    page = visit()
    for seed in (0, 7, 47):
        np.testing.assert_array_equal(
            pixels(tile(page, seed).locator("canvas")), blobs(z_of(page, seed)[None], SIDE)[0]
        )
    before = page.locator(".wall .tile").count()
    page.mouse.move(300, 400)
    page.mouse.wheel(0, 100_000)
    page.wait_for_function("n => document.querySelectorAll('.wall .tile').length > n", arg=before)
    assert max(len(z) for z in host.asked) <= 32


def test_a_click_keeps_and_the_shelf_outlives_the_page(visit):
    page = visit()
    tile(page, 3).click()
    tile(page, 9).click()
    assert kept(page) == ["Seed 3", "Seed 9"]
    assert page.locator("#name").inner_text() == "Seed 9"
    assert page.url.endswith("#seed=9")
    page.reload()
    page.wait_for_selector("#shelf .tile canvas.painted")
    assert kept(page) == ["Seed 3", "Seed 9"]
    page.locator("#shelf li").first.hover()
    page.locator("#shelf .remove").first.click()
    page.locator("#keep").click()  # seed 9 is in the studio: no longer kept
    assert kept(page) == []
    page.go_back()
    assert page.locator("#name").inner_text() == "Seed 3"


def test_a_link_is_a_picture(visit, host):
    page = visit("#seed=-5")
    np.testing.assert_array_equal(seen(page, host), z_of(page, -5))
    slider = page.get_by_role("slider", name="Direction 3", exact=True)
    slider.focus()
    slider.press("End")
    edited = seen(page, host)
    assert edited[2] == 3.0
    others = np.delete(np.arange(16), 2)
    np.testing.assert_allclose(edited[others], z_of(page, -5)[others], atol=2e-3)  # float16
    assert "#z=" in page.url
    host.asked.clear()
    other = visit(page.url.partition("explorer/")[2])
    np.testing.assert_array_equal(seen(other, host), edited)
    page.locator("#reset").click()
    assert page.locator("#name").inner_text() == "Seed -5" and page.url.endswith("#seed=-5")


def test_dragging_one_onto_another_morphs(visit, host):
    page = visit(reduced_motion="reduce")
    a, b = tile(page, 2), tile(page, 13)
    page.mouse.move(*centre(a))
    page.mouse.down()
    page.mouse.move(*(np.add(centre(a), (20, 5))))
    page.mouse.move(*centre(b), steps=8)
    page.wait_for_timeout(300)
    ghost = pixels(page.locator(".ghost canvas"))
    np.testing.assert_array_equal(ghost, blobs(z_of(page, 13)[None], SIDE)[0])  # it is there: t = 1
    page.mouse.up()
    assert page.locator(".ghost").count() == 0 and kept(page) == []
    page.wait_for_selector("#slide:not(:disabled)")
    for t, expected in ((0.5, None), (0, z_of(page, 2)), (1, z_of(page, 13))):
        if expected is None:
            x, y = z_of(page, 2), z_of(page, 13)
            angle = np.arccos(x @ y / np.linalg.norm(x) / np.linalg.norm(y))
            expected = (x + y) * np.sin(angle / 2) / np.sin(angle)
        else:
            page.locator("#slide").press("Home" if t == 0 else "End")
        np.testing.assert_allclose(seen(page, host), expected, atol=2e-3)


def test_escape_or_open_space_ends_a_drag_without_a_morph(visit):
    page = visit()
    for end in ("Escape", "away"):
        page.mouse.move(*centre(tile(page, 2)))
        page.mouse.down()
        page.mouse.move(*centre(tile(page, 5)), steps=5)
        assert page.locator(".ghost").count() == 1
        if end == "Escape":
            page.keyboard.press("Escape")
        else:
            page.mouse.move(950, 580)
        page.mouse.up()
        assert page.locator(".ghost").count() == 0
        assert page.locator("#name").inner_text() == "Seed 0" and kept(page) == []


def test_a_tap_opens_the_sheet_and_back_closes_it(visit):
    page = visit(**PHONE)
    here = page.url
    studio = page.locator("#studio")
    for close in ("back", "cross", "Escape"):
        tile(page, 1).tap()
        page.wait_for_selector("#studio", state="visible")
        assert page.url.endswith("#seed=1") and kept(page) == []
        slider = page.get_by_role("slider", name="Direction 1", exact=True)
        slider.focus()
        slider.press("End")  # an edit is no place of its own to go back to
        page.mouse.wheel(0, 400)
        page.wait_for_timeout(100)
        box = page.locator("#close").bounding_box()
        assert 0 <= box["y"] < 40 and box["height"] >= 44  # wherever it is scrolled
        if close == "back":
            page.go_back()
        elif close == "cross":
            page.locator("#close").tap()
        else:
            page.keyboard.press("Escape")
        studio.wait_for(state="hidden")
        assert page.url == here
    page.go_forward()  # where it was closed, it is still ahead
    studio.wait_for(state="visible")
    assert page.locator("#name").inner_text() == "Edited"


def test_back_from_a_link_to_a_face_leads_to_the_wall(visit):
    page = visit("#seed=3", **PHONE)
    page.wait_for_selector("#studio", state="visible")
    page.reload()
    page.wait_for_selector("#studio", state="visible")
    page.go_back()
    page.wait_for_selector("#studio", state="hidden")
    assert page.url.endswith("/explorer/")


def test_a_finger_scrolls_keeps_and_drags_after_a_rest(visit):
    page = visit(**PHONE, reduced_motion="reduce")
    tile(page, 1).tap()
    page.locator("#keep").tap()
    page.locator("#close").tap()
    page.wait_for_selector("#studio", state="hidden")
    assert kept(page) == ["Seed 1"]
    page.locator("#shelf .remove").tap()  # seen by fingers too
    assert kept(page) == []
    touch = page.context.new_cdp_session(page)

    def send(kind, *points):
        touch.send(
            "Input.dispatchTouchEvent",
            {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]},
        )

    start, end = centre(tile(page, 4)), centre(tile(page, 10))
    send("touchStart", start)
    page.wait_for_timeout(500)
    for t in np.linspace(0.1, 1, 8):
        send("touchMove", tuple(np.add(start, t * np.subtract(end, start))))
    page.wait_for_selector(".ghost.touch")
    assert page.evaluate("scrollY") == 0
    send("touchEnd")
    page.wait_for_selector("#studio", state="visible")
    page.wait_for_selector("#slide:not(:disabled)")
    assert page.locator("#from .tile").get_attribute("aria-label") == "Seed 4"
    assert page.locator("#into .tile").get_attribute("aria-label") == "Seed 10"
    page.keyboard.press("Escape")
    page.wait_for_selector("#studio", state="hidden")


def test_nothing_is_wider_than_a_telephone(visit):
    page = visit("#seed=3", **PHONE)
    for panel in ("morph", "arithmetic", "directions"):
        page.locator(f"#tab-{panel}").tap()
        for root in ("document.documentElement", "document.querySelector('#studio')"):
            assert page.evaluate(f"{root}.scrollWidth <= {root}.clientWidth")
    page.locator("#close").tap()
    page.wait_for_selector("#studio", state="hidden")
    columns = page.evaluate("getComputedStyle(wall).gridTemplateColumns.split(' ').length")
    assert columns in (3, 4)


def test_arithmetic_with_kept_pictures(visit, host):
    page = visit()
    for seed in (4, 5, 6):
        tile(page, seed).click()
    page.locator("#tab-arithmetic").click()  # works on seed 6, the last
    page.get_by_role("button", name="Subtract Seed 4").click()
    page.get_by_role("button", name="Add Seed 5").click()
    z = {seed: z_of(page, seed) for seed in (4, 5, 6)}
    np.testing.assert_allclose(seen(page, host), (z[6] - z[4] + z[5]) / np.sqrt(3), atol=3e-3)
    page.get_by_role("button", name="Subtract Seed 4").click()
    page.get_by_role("button", name="Add Seed 5").click()
    np.testing.assert_allclose(seen(page, host), z[6], atol=2e-3)


def test_more_like_this_hangs_neighbours(visit):
    page = visit("#seed=11")
    page.locator("#like").click()
    page.wait_for_selector(".wall .tile:nth-child(48) canvas.painted", state="attached")
    assert "Like seed 11" in page.locator("#title").inner_text()
    own, near = (pixels(tile(page, i).locator("canvas")).astype(int) for i in (0, 1))
    np.testing.assert_array_equal(own, blobs(z_of(page, 11)[None], SIDE)[0])
    assert 0 < np.abs(own - near).mean() < 40
    page.locator("#all").click()
    assert tile(page, 0).get_attribute("aria-label") == "Seed 0"


def test_keys_alone_reach_everything_on_the_wall(visit):
    page = visit()
    page.locator("#shuffle").focus()
    page.keyboard.press("Tab")  # to what the page is about
    page.keyboard.press("Tab")
    columns = page.evaluate("getComputedStyle(wall).gridTemplateColumns.split(' ').length")
    for key in ("ArrowDown", "ArrowRight", "ArrowRight", "ArrowLeft"):
        page.keyboard.press(key)
    label = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert label == f"Seed {columns + 1}"
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Enter")
    assert kept(page) == [f"Seed {columns + 1}"]
    page.locator("#shelf .tile").focus()
    page.keyboard.press("Delete")
    assert kept(page) == []


def test_every_control_has_a_name(visit):
    page = visit()
    tile(page, 0).click()
    nameless = page.evaluate(
        """[...document.querySelectorAll('button, input, select, canvas[role]')]
            .filter((one) => one.checkVisibility())
            .filter((one) => !one.ariaLabel && !one.textContent.trim() && !one.labels?.length)
            .map((one) => one.outerHTML)"""
    )
    assert nameless == []


def test_the_form_goes_to_a_seed(visit):
    page = visit()
    page.fill("#seed", "9223372036854775800")
    page.keyboard.press("Enter")
    page.wait_for_selector(".wall .tile:nth-child(8) canvas.painted")
    assert page.locator(".wall .tile").count() == 8  # to 2**63 - 1
    page.fill("#seed", "seven")
    page.keyboard.press("Enter")
    assert "whole number" in page.locator("#toast").inner_text()


@pytest.mark.parametrize("look", ["pixels", "smooth"])
def test_a_png_is_saved_at_the_chosen_size(visit, look):
    page = visit("#seed=7")
    page.select_option("#size", label="96 px")
    page.select_option("#look", look)
    with page.expect_download() as download:
        page.locator("#save").click()
    assert download.value.suggested_filename == "blobs-seed-7-4x.png"
    image = Image.open(io.BytesIO(download.value.path().read_bytes())).convert("RGB")
    small = blobs(z_of(page, 7)[None], SIDE)[0]
    assert image.size == (96, 96)
    if look == "pixels":
        np.testing.assert_array_equal(np.asarray(image), small.repeat(4, 0).repeat(4, 1))
    else:  # Pillow's bicubic is the same curve; it treats the last pixels at the edges otherwise
        other = Image.fromarray(small).resize((96, 96), Image.Resampling.BICUBIC)
        difference = np.abs(np.asarray(image).astype(int) - np.asarray(other))
        assert difference[8:-8, 8:-8].max() <= 1


def test_a_server_that_is_gone_or_refuses_is_said_and_tried_again(visit, host):
    page = visit()
    host.refusal = (500, "The server could not answer this; its log says why.")
    page.locator("#seed").fill("5000")
    page.keyboard.press("Enter")
    fault = page.locator("#fault")
    fault.wait_for(state="visible")
    assert "its log says why" in fault.inner_text()
    host.refusal = None
    fault.get_by_role("button").click()
    page.wait_for_selector(".wall .tile:nth-child(48) canvas.painted", state="attached")
    assert fault.is_hidden()
    page.context.set_offline(True)
    page.locator("#shuffle").click()
    fault.wait_for(state="visible")
    assert "not answering" in fault.inner_text()


def test_a_missing_model_is_said_and_tried_again(visit, host):
    info, host.info = host.info, (404, "No version is being served yet.")
    page = visit(ready=False)
    page.locator("#fault").wait_for(state="visible")
    assert "No version is being served yet." in page.locator("#fault").inner_text()
    host.info = info
    page.locator("#fault button").click()
    page.wait_for_selector(".wall .tile canvas.painted")


def test_a_smaller_limit_of_the_server_is_respected(visit, host):
    host.limit = 5
    page = visit()
    assert page.locator("#fault").is_hidden()
    assert max(len(z) for z in host.asked) == 4  # 32 were refused, 16 too, and 8


def test_damaged_links_and_a_damaged_shelf_do_no_harm(visit, browser):
    page = visit("#z=AAAAAAAA")
    assert "another model" in page.locator("#toast").inner_text()
    tile(page, 1).click()
    name = page.evaluate("Object.keys(localStorage).find((key) => key.startsWith('dcgan'))")
    for content in ("{", '"seed=1"', '["seed=1", "z=A", 7, null, "seed=2"]'):
        page.evaluate("([name, text]) => localStorage.setItem(name, text)", [name, content])
        page.reload()
        page.wait_for_selector(".wall .tile canvas.painted")
        assert kept(page) == (["Seed 1", "Seed 2"] if content.startswith("[") else [])


def test_light_and_dark_follow_the_system(visit):
    paper = {}
    for scheme in ("light", "dark"):
        page = visit(color_scheme=scheme)
        colours = page.evaluate(
            "['backgroundColor', 'color'].map((n) => getComputedStyle(document.documentElement)[n])"
        )
        paper[scheme], ink = (np.mean([int(n) for n in re.findall(r"\d+", c)[:3]]) for c in colours)
        assert abs(paper[scheme] - ink) > 120
    assert paper["light"] > 200 > 60 > paper["dark"]


def test_the_page_stays_where_it_is_while_pictures_arrive(visit):
    page = visit()
    shift = page.evaluate(
        """new Promise((done) => {
            let sum = 0;
            new PerformanceObserver((list) => {
                for (const entry of list.getEntries()) sum += entry.value;
            }).observe({ type: 'layout-shift', buffered: true });
            setTimeout(() => done(sum), 300);
        })"""
    )
    assert shift < 0.05


def test_the_page_asks_its_own_server_only(visit, host):
    asked = []
    page = visit(ready=False)
    page.on("request", lambda request: asked.append(request.url))
    page.reload()
    page.wait_for_selector(".wall .tile canvas.painted")
    assert len(asked) > 15
    assert all(url.startswith((host.url, "data:", "blob:")) for url in asked)
