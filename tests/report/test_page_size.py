"""A page of many utterances and systems."""

import shutil
import time
from pathlib import Path

import numpy as np
from playwright.sync_api import expect

from tests.report.player import listed, row, wait_until
from vocoder.evaluation.cost import Cost
from vocoder.evaluation.pairs import Row
from vocoder.evaluation.registry import resolve_columns
from vocoder.evaluation.summary import summarise
from vocoder.report.media import Media, UtteranceMedia
from vocoder.report.page import render_page
from vocoder.report.results import Cell, Results

pytest_plugins = ["tests.browser"]


def large_page(report: Path, folder: Path, utterances: int = 40, systems: int = 6) -> Path:
    """A page of many utterances and systems; their media are those of a small report."""
    shutil.copytree(report.parent / "assets", folder / "assets")
    columns = resolve_columns(
        ["pesq", "mstft", "mel_distance", "f0_rmse_cents", "gross_pitch_error", "voicing_error"]
    )
    draw = np.random.default_rng(0)
    names = [f"speaker{i % 5}/utterance{i:03}" for i in range(utterances)]
    rivals = [f"system {i}" for i in range(systems)]
    rows = [
        Row(s, n, 2.5, {c.name: float(draw.normal(3, 1)) for c in columns}, speaker=n.split("/")[0])
        for s in rivals
        for n in names
    ]
    summary = summarise(rows, columns, {s: s for s in rivals}, "reference", "", 200, 0)
    results = Results(
        folder=folder,
        summary=summary,
        cells={
            (r.system, r.utterance): Cell(r.system, r.utterance, r.speaker, 2.5, r.scores, "", "")
            for r in rows
        },
        utterances=tuple(names),
        speakers={n: n.split("/")[0] for n in names},
        recording="recording",
        files={player: {} for player in ("recording", *rivals)},
    )
    stem = "assets/{}/msu_ru_nsh_ru_0806"
    recording, rival = stem.format("recording"), stem.format("much_noise")
    players = (
        Media(f"{recording}.wav", f"{recording}.png", None, f"{recording}.f0.svg"),
        *[Media(f"{rival}.wav", f"{rival}.png", f"{rival}.difference.png", f"{rival}.f0.svg")]
        * systems,
    )
    media = {name: UtteranceMedia(2.5, 8000.0, (80.0, 300.0), players) for name in names}
    cost = Cost(1, 10.0, 0.1, 0.01, 10**6, 1e8, None)
    page = folder / "report.html"
    page.write_text(render_page(results, media, dict.fromkeys(rivals, cost), "large", False))
    return page


def test_forty_utterances_of_six_systems_are_usable_at_once(page, report, tmp_path):
    large = large_page(report, tmp_path / "large")
    times = []
    for _ in range(2):
        page.goto("about:blank")
        started = time.monotonic()
        page.goto(large.as_uri())
        page.locator(".hear").nth(1).click()
        wait_until(
            page, lambda: page.locator(".lane img").first.evaluate("i => i.naturalWidth > 0")
        )
        times.append(time.monotonic() - started)
        assert page.locator(".lane").count() == 7
        assert len(listed(page)) == 40
        assert page.locator("#more").is_hidden()
    # Two seconds on an idle machine (bench/report.py prints them); some more on a busy one.
    assert min(times) < 5


def test_of_many_utterances_the_first_are_listed_until_more_are_wanted(page, report, tmp_path):
    large = large_page(report, tmp_path / "large", utterances=60, systems=2)
    page.goto(large.as_uri())
    assert len(listed(page)) == 40
    expect(page.locator("#count")).to_have_text("60 utterances")
    page.get_by_role("button", name="Show all 60 utterances").click()
    assert len(listed(page)) == 60
    assert page.locator("#more").is_hidden()
    last = listed(page)[-1]
    # A link to one that is further down shows it.
    page.goto("about:blank")
    page.goto(f"{large.as_uri()}#u={last}")
    expect(row(page, last).locator(".name")).to_have_attribute("aria-expanded", "true")
    # A search looks through all.
    page.goto("about:blank")
    page.goto(large.as_uri())
    page.get_by_label("Search").fill(last)
    assert listed(page) == [last]
