"""The explorer's first second: what the page asks for at once, and its first wall."""

import re

import numpy as np
import pytest
from explorer_pages import EXPLORER, blobs, pixels, z_of

from dcgan.serving.pictures import FIRST_GRID_COLUMNS as COLUMNS
from dcgan.serving.pictures import FIRST_GRID_IMAGES as FIRST

SIDE = 24


def imported(name: str, found: set[str]) -> set[str]:
    """The modules that one imports, and those that they import; not what the renderer does."""
    text = (EXPLORER / name).read_text(encoding="utf-8")
    for other in re.findall(r'^import [^;]*?"\./([\w-]+\.js)"', text, re.MULTILINE):
        if other not in found:
            found.add(other)
            if other != "renderer.js":
                imported(other, found)
    return found


def test_the_page_asks_at_once_for_all_modules():
    text = (EXPLORER / "index.html").read_text(encoding="utf-8")
    named = re.findall(r'<link rel="modulepreload"[^>]* href="([^"]+)">', text)
    assert sorted([*named, "renderer.js"]) == sorted(imported("main.js", set()))
    assert '<script type="module" async src="renderer.js">' in text
    # The renderer asks for pictures as soon as it is there: what it imports is not behind others.
    assert imported("renderer.js", set()) == {named[0]}


def test_it_asks_for_the_wall_that_the_server_has_drawn():
    text = (EXPLORER / "renderer.js").read_text(encoding="utf-8")
    named = dict(re.findall(r"^const (FIRST|COLUMNS) = (\d+);", text, re.MULTILINE))
    assert named == {"FIRST": str(FIRST), "COLUMNS": str(COLUMNS)}


def wall(page) -> np.ndarray:
    page.wait_for_selector(f".wall .tile:nth-child({FIRST}) canvas.painted", state="attached")
    tiles = page.locator(".wall .tile canvas")
    return np.stack([pixels(tiles.nth(i)) for i in (0, 7, 8, FIRST - 1)])


def vectors(page) -> np.ndarray:
    return np.stack([z_of(page, seed) for seed in range(FIRST)])


@pytest.mark.slow  # a browser
def test_the_first_wall_comes_as_one_picture_and_none_of_it_is_drawn_again(visit, host):
    host.first = np.random.default_rng(0).integers(256, size=(FIRST, SIDE, SIDE, 3), dtype=np.uint8)
    page = visit()
    np.testing.assert_array_equal(wall(page), host.first[[0, 7, 8, FIRST - 1]])
    asked = {tuple(z) for z in np.concatenate([*host.asked, np.zeros((1, 16), np.float32)])}
    assert not asked & {tuple(z) for z in vectors(page)}


@pytest.mark.slow  # a browser
@pytest.mark.parametrize("side", [None, SIDE + 1], ids=["refused", "of another size"])
def test_without_that_picture_they_are_drawn_one_by_one(visit, host, side):
    host.first = None if side is None else np.zeros((FIRST, side, side, 3), np.uint8)
    page = visit()
    np.testing.assert_array_equal(wall(page), blobs(vectors(page)[[0, 7, 8, FIRST - 1]], SIDE))
