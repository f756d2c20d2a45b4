"""The page of a report opens from disk, fetches what is wanted, and gives its tables away."""

import csv
import io
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.report.player import (
    PLAYERS,
    SPEECH,
    listed,
    row,
    sounds,
    wait_until,
)
from vocoder.report.build import build_report

pytest_plugins = ["tests.browser"]


def test_it_opens_with_everything_listed_and_nothing_fetched(opened):
    assert opened.title() == "Noise <and> nothing else"
    assert len(listed(opened)) == 8
    expect(opened.locator("#count")).to_have_text("8 utterances")
    assert opened.locator("audio, main img").count() == 0
    assert opened.locator("svg.distribution").count() == 3
    assert opened.locator("svg.cost").count() == 3 * 3
    # Three axes, but one of the two systems has no parameters; of the three metrics one is shown.
    assert opened.locator("svg.cost:visible").count() == 3


def test_what_is_heard_comes_right_after_the_scores(opened):
    sections = opened.locator("main > section").evaluate_all("all => all.map((s) => s.id)")
    assert sections == [
        *("summary", "utterances", "comparisons", "distributions", "speakers", "systems", "cost"),
        "measured",
    ]
    links = opened.locator("nav a").evaluate_all("all => all.map((a) => a.hash.slice(1))")
    assert links == sections


def test_pictures_appear_when_an_utterance_is_opened(opened):
    row(opened, SPEECH).locator(".name").click()
    images = opened.locator(".panel img")
    assert images.count() == 3 + 2 + 3
    assert images.evaluate_all("all => all.every((image) => image.loading === 'lazy')")
    for index in range(images.count()):
        images.nth(index).scroll_into_view_if_needed()
    loaded = "all => all.every((image) => image.complete && image.naturalWidth > 0)"
    wait_until(opened, lambda: images.evaluate_all(loaded))
    assert all(s["decoded"] == 0 for s in sounds(opened)), "fetched before it was wanted"
    row(opened, SPEECH).locator(".name").click()
    assert opened.locator(".panel, audio").count() == 0
    assert opened.locator("#dock").is_hidden()


def test_a_link_opens_its_utterance(page, report):
    page.goto(report.as_uri())
    row(page, SPEECH).locator(".name").click()
    link = page.url
    page.goto("about:blank")
    page.goto(link)
    expect(row(page, SPEECH).locator(".name")).to_have_attribute("aria-expanded", "true")


def downloaded(page: Page, name: str) -> str:
    with page.expect_download() as download:
        page.locator(f"[data-download='{name}']").click()
    assert download.value.suggested_filename == name
    return Path(download.value.path()).read_text(encoding="utf-8")


@pytest.mark.parametrize("embed_audio", [False, True])
def test_tables_can_be_copied_and_downloaded(page, report, evaluation, tmp_path, embed_audio):
    if embed_audio:
        report = build_report(evaluation, tmp_path / "o", "t", embed_audio=True, jobs=1,
                              progress=False)  # fmt: skip
    page.goto(report.as_uri())
    latex = downloaded(page, "means.tex")
    assert latex.count("\\\\") == 1 + 2
    assert "\\toprule" in latex
    means = list(csv.DictReader(io.StringIO(downloaded(page, "means.csv"))))
    assert [row["system"] for row in means] == PLAYERS[1:]
    everything = list(csv.DictReader(io.StringIO(downloaded(page, "utterances.csv"))))
    original = list(csv.DictReader((evaluation / "utterances.csv").open(encoding="utf-8")))
    assert len(everything) == len(original) == 16
    for copy, kept in zip(everything, original, strict=True):
        assert {**copy, "error": ""} == {**kept, "error": ""}
    page.get_by_role("button", name="Copy LaTeX").click()
    expect(page.locator("#exported")).to_have_text("Copied.")
    search = page.get_by_label("Search")
    search.focus()
    page.keyboard.press("Control+V")
    # A field of one line takes no line breaks.
    assert "".join(search.input_value().split()) == "".join(latex.split())
