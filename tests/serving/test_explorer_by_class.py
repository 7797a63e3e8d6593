"""The explorer of a model by class in a headless Chromium: a menu a kind of labels."""

import pytest

pytestmark = pytest.mark.slow  # a browser
HAIR, EYES = ["black", "light blue"], ["green", "grey"]
KNOWN = [
    {"column": "hair", "input": "hair", "names": HAIR},
    {"column": "eyes", "input": "eyes", "names": EYES},
]


def loaded(page):
    page.wait_for_selector(".wall .tile:nth-child(48) canvas.painted", state="attached")
    # What is asked for last: nothing of it comes later.
    page.wait_for_selector(".slider:nth-child(8) .end:last-child canvas.painted", state="attached")
    return page


def test_a_menu_for_each_kind_of_labels_draws_everything_in_its_class(visit, host):
    host.info = host.info | {"classes": KNOWN}
    page = loaded(visit("#7"))
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


def test_on_a_telephone_the_menus_leave_room_for_the_seeds(visit, host):
    host.info = host.info | {"classes": KNOWN}
    page = visit(ready=False, viewport={"width": 360, "height": 740})
    page.wait_for_selector("#classes select")
    assert page.locator("#seed").bounding_box()["width"] >= 64
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_a_model_without_classes_has_no_menu(visit, host):
    assert loaded(visit()).locator("#classes select").count() == 0
    assert all(one == {} for one in host.labels)


def test_an_address_of_a_class_that_there_is_not_asks_for_none(visit, host):
    host.info = host.info | {"classes": KNOWN}
    loaded(visit("?hair=green&eyes=grey"))
    assert host.labels[-1] == {"eyes": "grey"}
