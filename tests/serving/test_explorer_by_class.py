"""The explorer of a model by class in a headless Chromium: a menu a kind of labels."""

import pytest
from explorer_pages import EXPLORER, description, serving

pytestmark = pytest.mark.slow  # a browser
HAIR, EYES = ["black", "light blue"], ["green", "grey"]
KNOWN = [
    {"column": "hair", "input": "hair", "names": HAIR},
    {"column": "eyes", "input": "eyes", "names": EYES},
]


def loaded(page) -> None:
    page.wait_for_selector(".wall .tile:nth-child(48) canvas.painted", state="attached")
    # What is asked for last: nothing of it comes later.
    page.wait_for_selector(".slider:nth-child(8) .end:last-child canvas.painted", state="attached")


def test_a_menu_for_each_kind_of_labels_draws_everything_in_its_class(browser):
    with serving(EXPLORER, prefix="/explorer/", info=description() | {"classes": KNOWN}) as host:
        page = browser.new_page()
        page.goto(f"{host.url}explorer/#7")
        loaded(page)
        menus = page.locator("#classes select")
        assert menus.count() == 2
        assert page.locator("#classes label").all_inner_texts()[0].startswith("hair")
        assert menus.nth(0).locator("option").all_inner_texts() == ["any", *HAIR]
        assert all(one == {} for one in host.labels)  # each picture is of its own classes
        host.labels.clear()
        with page.expect_navigation():
            menus.nth(0).select_option("light blue")
        loaded(page)
        assert {one["hair"] for one in host.labels} == {"light blue"}
        assert page.locator("#classes select").nth(0).input_value() == "light blue"
        with page.expect_navigation():
            page.locator("#classes select").nth(1).select_option("grey")
        loaded(page)
        assert host.labels[-1] == {"hair": "light blue", "eyes": "grey"}
        assert page.url.endswith("#7")  # whose picture stays open
        with page.expect_navigation():
            page.locator("#classes select").nth(0).select_option("any")
        loaded(page)
        assert host.labels[-1] == {"eyes": "grey"} and "hair" not in page.url
        page.close()


def test_a_model_without_classes_has_no_menu(browser):
    with serving(EXPLORER, prefix="/explorer/", info=description()) as host:
        page = browser.new_page()
        page.goto(f"{host.url}explorer/")
        loaded(page)
        assert page.locator("#classes select").count() == 0
        assert all(one == {} for one in host.labels)
        page.close()


def test_an_address_of_a_class_that_there_is_not_asks_for_none(browser):
    with serving(EXPLORER, prefix="/explorer/", info=description() | {"classes": KNOWN}) as host:
        page = browser.new_page()
        page.goto(f"{host.url}explorer/?hair=green&eyes=grey")
        loaded(page)
        assert host.labels[-1] == {"eyes": "grey"}
        page.close()
