"""The page is readable, narrow, and named for assistive programs."""

import re

import numpy as np
import pytest

from tests.report.player import SPEECH, hear, row, wait_for_sound

pytest_plugins = ["tests.browser"]

CONTRAST = """(element) => {
    const rgb = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
    const linear = (v) => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
    const light = (c) => linear(c / 255);
    const luminance = ([r, g, b]) => .2126 * light(r) + .7152 * light(g) + .0722 * light(b);
    let under = element, back = [0, 0, 0, 0];
    while (under && (back.length === 4 && back[3] === 0)) {
        back = rgb(getComputedStyle(under).backgroundColor); under = under.parentElement; }
    const style = getComputedStyle(element);
    const ink = rgb(element instanceof SVGElement ? style.fill : style.color);
    const [a, b] = [luminance(ink), luminance(back)].sort((x, y) => y - x);
    return (a + .05) / (b + .05);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_light_and_dark(page, report, scheme):
    page.emulate_media(color_scheme=scheme)
    page.goto(report.as_uri())
    row(page, SPEECH).locator(".name").click()
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = np.mean([int(v) for v in re.findall(r"\d+", background)[:3]])
    assert brightness > 240 if scheme == "light" else brightness < 40
    for selector in (
        *("h1", ".facts", "nav a", ".hint", ".legend", ".sentences li", ".conventions dd"),
        *("th .metric", ".scores .best .mean", ".scores small", "svg .axis"),
        *(".hear", ".speaker", ".mark", ".pick .value", ".now", ".option", ".primary"),
    ):
        contrast = page.locator(selector).first.evaluate(CONTRAST)
        assert contrast >= 4.5, f"{selector}: {contrast:.2f}"


def test_the_best_is_marked_by_more_than_colour(opened):
    best = opened.locator("#summary td.best").first
    assert best.locator("[role=img]").get_attribute("aria-label") == "best"
    assert int(best.locator(".mean").evaluate("e => getComputedStyle(e).fontWeight")) >= 600


@pytest.mark.parametrize("width", [390, 320, 768])
def test_a_narrow_screen_needs_no_sideways_scrolling(page, report, width):
    page.set_viewport_size({"width": width, "height": 844})
    page.goto(report.as_uri())
    wide = "document.documentElement.scrollWidth"
    assert page.evaluate(wide) <= width
    hear(page, SPEECH, 1)
    wait_for_sound(page)
    assert page.evaluate(wide) <= width
    # Touch targets: every player button is at least 40 pixels high.
    if width < 500:
        heights = page.locator(".hear").evaluate_all("all => all.map((b) => b.offsetHeight)")
        assert min(heights) >= 40
    page.get_by_text("All scores of this utterance").click()
    every = page.locator(".every table")
    assert every.locator("thead").is_visible()
    lines = (
        every.locator("tbody tr")
        .first.locator("th, td")
        .evaluate_all("cells => cells.map((cell) => cell.getBoundingClientRect().top)")
    )
    assert max(lines) - min(lines) < 2, "one metric, one line"
    assert page.evaluate(wide) <= width
    box = page.locator("#dock").bounding_box()
    assert box["height"] < 0.3 * 844
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width


def test_everything_has_a_name_and_one_place(opened):
    row(opened, SPEECH).locator(".name").click()
    nameless = opened.evaluate(
        """() => [...document.querySelectorAll("button, input, select, [role=region], dialog")]
            .filter((control) => !(control.getAttribute("aria-label")
                || control.getAttribute("aria-labelledby") || control.innerText.trim()
                || [...(control.labels ?? [])].some((label) => label.innerText.trim())
                || control.textContent.trim()))
            .map((control) => control.outerHTML)"""
    )
    assert nameless == []
    ids = opened.evaluate("[...document.querySelectorAll('[id]')].map((e) => e.id)")
    assert len(ids) == len(set(ids))
    referred = opened.evaluate(
        """() => [...document.querySelectorAll("[aria-labelledby], [for]")].map(
            (e) => e.getAttribute("aria-labelledby") ?? e.getAttribute("for"))"""
    )
    assert set(referred) <= set(ids)
    assert opened.locator("img:not([alt])").count() == 0
    assert opened.locator("h1").count() == 1
    assert opened.locator("html").get_attribute("lang") == "en"
    for image in opened.locator(".panel img:not(.f0)").all():
        assert image.get_attribute("alt")
