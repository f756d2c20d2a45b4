"""Sounds of the page: playing, switching, seeking, what is missing."""

import shutil
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.report.conftest import LONG_SECONDS
from tests.report.player import (
    SPEECH,
    hear,
    heard,
    press,
    row,
    sounds,
    wait_for_silence,
    wait_for_sound,
    wait_for_switch,
    wait_until,
)
from vocoder.report.build import build_report

pytest_plugins = ["tests.browser"]

SWITCH_S = 0.05


def test_it_plays(opened):
    hear(opened, SPEECH, 1)
    wait_for_sound(opened)
    first = sounds(opened)
    assert len(first) == 3
    assert heard(opened) == 1
    assert all(s["duration"] == pytest.approx(LONG_SECONDS, abs=0.01) for s in first)
    assert all(s["decoded"] >= 2 for s in first)
    wait_for_sound(opened, first[1]["at"] + 0.2)
    expect(opened.get_by_role("button", name="Pause")).to_be_visible()
    # At its end it stops, and the next time begins at the beginning.
    wait_for_silence(opened)
    expect(opened.locator("#seek")).to_have_value("0")


def test_the_sound_has_the_decoded_samples(opened):
    """The browser has decoded sound from the page's own file."""
    hear(opened, SPEECH, 2)
    wait_for_sound(opened, 0.1)
    # A file may not be read by script here, but the element says how much it has decoded.
    decoded = opened.evaluate("document.querySelectorAll('audio')[2].webkitAudioDecodedByteCount")
    assert decoded > 1000


def test_a_switch_keeps_the_place(opened):
    hear(opened, SPEECH, 0)
    wait_for_sound(opened, 0.3)
    for before, now in ((0, 1), (1, 2), (2, 0)):
        press(opened, str(now + 1))
        sound = wait_for_switch(opened, now)
        # All have one clock: the previous sound gives the expected position.
        assert abs(sound[now]["at"] - sound[before]["at"]) < SWITCH_S
        assert [s["heard"] for s in sound] == [index == now for index in range(3)]
        assert sound[now]["at"] > 0.3
        assert not sound[now]["paused"]
        chosen = opened.get_by_role("radio").nth(now)
        expect(chosen).to_have_attribute("aria-checked", "true")


def test_a_switch_while_it_pauses_goes_on_from_there(opened):
    hear(opened, SPEECH, 0)
    wait_for_sound(opened, 0.5)
    press(opened, "Space")
    wait_for_silence(opened)
    place = sounds(opened)[0]["at"]
    # Noted in the page at the call: a busy machine asks a running sound too late.
    opened.evaluate(
        """() => { window.began = []; const play = HTMLMediaElement.prototype.play;
            HTMLMediaElement.prototype.play = function () {
                window.began.push(this.currentTime); return play.call(this); }; }"""
    )
    hear(opened, SPEECH, 2)
    wait_for_sound(opened, place)
    assert heard(opened) == 2
    assert opened.evaluate("window.began") == pytest.approx([place] * 3, abs=0.01)


def test_the_slider_and_the_pictures_seek(opened):
    row(opened, SPEECH).locator(".name").click()
    opened.locator("#seek").fill("3.5")
    expect(opened.locator("#time")).to_have_text("3.5 / 5.0 s")
    picture = opened.locator(".lane").nth(2).locator(".spectrogram")
    width = picture.bounding_box()["width"]
    picture.click(position={"x": 0.2 * width, "y": 20})
    expect(opened.locator("#time")).to_have_text("1.0 / 5.0 s")
    at = opened.locator(".panel").evaluate("row => Number(row.style.getPropertyValue('--at'))")
    assert at == pytest.approx(0.2, abs=0.01)
    opened.get_by_role("button", name="Play", exact=True).click()
    wait_for_sound(opened, 0.98)
    assert heard(opened) == 2
    # While it plays it goes on playing from the new place.
    opened.locator("#seek").fill("2.5")
    wait_for_sound(opened, 2.49)


def test_repeat_begins_again(opened):
    hear(opened, SPEECH, 1)
    press(opened, "l")
    wait_for_sound(opened)
    opened.locator("#seek").fill("4.5")
    opened.wait_for_function(
        """() => [...document.querySelectorAll("audio")].every(
            (s) => !s.paused && s.currentTime > 0 && s.currentTime < 3)"""
    )


def test_what_is_missing_is_said_and_cannot_be_chosen(opened):
    name = "june/fr_dictate_truncating_audio"
    assert row(opened, name).locator(".hear").nth(2).is_disabled()
    assert "problem" in row(opened, name).inner_text()
    row(opened, name).locator(".name").click()
    expect(opened.locator(".lane").nth(2).locator(".remark.error")).to_contain_text("missing")
    press(opened, "3")
    expect(opened.get_by_role("radio").nth(2)).to_have_attribute("aria-checked", "false")


def test_a_sound_that_cannot_be_played_is_said(page, report, tmp_path):
    folder = Path(shutil.copytree(report.parent, tmp_path / "page"))
    (folder / "assets" / "much_noise" / "msu_ru_nsh_ru_0806.wav").write_bytes(b"no sound at all")
    page.goto((folder / "report.html").as_uri())
    hear(page, SPEECH, 2)
    expect(page.get_by_role("alert")).to_contain_text("much noise: this browser cannot play")
    press(page, "1")
    page.get_by_role("button", name="Play", exact=True).click()
    wait_until(page, lambda: sounds(page)[0]["at"] > 0.1)


def test_an_embedded_report_plays_and_shows(page, evaluation, tmp_path):
    built = build_report(evaluation, tmp_path / "o", embed_audio=True, jobs=1, progress=False)
    alone = tmp_path / "alone.html"
    shutil.copy(built, alone)
    page.goto(alone.as_uri())
    hear(page, SPEECH, 1)
    wait_for_sound(page, 0.3)
    images = page.locator(".panel img")
    assert images.count() == 8
    images.first.scroll_into_view_if_needed()
    wait_until(page, lambda: images.first.evaluate("image => image.naturalWidth > 100"))
    page.locator("#seek").fill("2.0")
    wait_for_sound(page, 1.99)
    press(page, "3")
    wait_for_switch(page, 2)
