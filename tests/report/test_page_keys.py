"""The page by keyboard."""

import pytest
from playwright.sync_api import Page, expect

from tests.report.player import (
    SPEECH,
    hear,
    heard,
    listed,
    press,
    wait_for_silence,
    wait_for_sound,
    wait_for_switch,
)

pytest_plugins = ["tests.browser"]


def open_name(page: Page) -> str | None:
    names = page.locator(".name[aria-expanded='true']")
    return names.inner_text() if names.count() else None


def test_keys_walk_play_and_choose(opened):
    order = listed(opened)
    press(opened, "j")
    assert open_name(opened) == order[0]
    press(opened, "j", "ArrowDown")
    assert open_name(opened) == order[2]
    press(opened, "k", "ArrowUp", "ArrowUp")
    assert open_name(opened) == order[0]
    press(opened, "2", "Space")
    wait_for_sound(opened)
    assert heard(opened) == 1
    # The next one plays on, with the same system.
    press(opened, "j")
    wait_for_sound(opened)
    assert open_name(opened) == order[1]
    assert heard(opened) == 1
    press(opened, "Space")
    wait_for_silence(opened)
    press(opened, "ArrowRight")
    place = float(opened.locator("#seek").input_value())
    press(opened, "ArrowLeft")
    assert place - float(opened.locator("#seek").input_value()) == pytest.approx(0.5, abs=0.01)
    press(opened, "Escape")
    assert open_name(opened) is None


def test_keys_show_and_hide(opened):
    press(opened, "j", "f", "d")
    assert opened.locator(".panel img.f0:visible").count() == 0
    assert opened.locator(".panel .difference:visible").count() == 0
    press(opened, "f", "d")
    assert opened.locator(".panel img.f0:visible").count() == 3
    assert opened.get_by_label("F0").is_checked()
    press(opened, "?")
    expect(opened.get_by_role("dialog")).to_be_visible()
    press(opened, "j", "Escape")
    expect(opened.get_by_role("dialog")).to_be_hidden()
    assert open_name(opened) == listed(opened)[0]


def test_keys_are_letters_where_one_types_and_controls_keep_their_own(opened):
    press(opened, "j", "/")
    opened.keyboard.type("2 jkl? f")
    assert opened.get_by_label("Search").input_value() == "2 jkl? f"
    opened.get_by_label("Search").fill("")
    opened.locator("#choices [role=radio]").first.focus()
    press(opened, "ArrowRight")
    expect(opened.get_by_role("radio").nth(1)).to_be_focused()
    expect(opened.get_by_role("radio").nth(1)).to_have_attribute("aria-checked", "true")
    assert open_name(opened) == listed(opened)[0]


def test_the_space_bar_acts_on_what_is_heard_now(opened):
    hear(opened, SPEECH, 1)
    wait_for_sound(opened)
    press(opened, "3")
    wait_for_switch(opened, 2)
    press(opened, "Space")
    wait_for_silence(opened)
    assert heard(opened) == 2
