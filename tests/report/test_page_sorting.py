"""Order, search and choice of utterances on the page."""

import re
from importlib.resources import files
from pathlib import Path

from playwright.sync_api import expect

from tests.report.player import SPEECH, data, hear, listed, row, sounds, wait_for_sound

pytest_plugins = ["tests.browser"]

STATIC = files("vocoder.report") / "static"
BEST_JS = re.search(
    r"^function best\(.*?^}", (STATIC / "utterances.js").read_text(encoding="utf-8"), re.S | re.M
)[0]


def ordered(report: Path, metric: int, player: int, reverse: bool) -> list[str]:
    """Names by a score; without one they come last."""
    utterances = data(report)["utterances"]
    scores = {u["name"]: u["scores"][player][metric] for u in utterances if u["scores"][player]}
    there = [name for name, score in scores.items() if score is not None]
    there.sort(key=lambda name: scores[name], reverse=reverse)
    return [*there, *(u["name"] for u in utterances if u["name"] not in there)]


def test_the_worst_come_first_and_the_order_turns(opened, report):
    # M-STFT: lower is better, so the worst are the highest.
    assert listed(opened) == ordered(report, 0, 1, reverse=True)
    much = opened.locator("th[data-player='2']")
    much.get_by_role("button").click()
    assert listed(opened) == ordered(report, 0, 2, reverse=True)
    expect(much).to_have_attribute("aria-sort", "descending")
    much.get_by_role("button").click()
    assert listed(opened) == ordered(report, 0, 2, reverse=False)
    expect(much).to_have_attribute("aria-sort", "ascending")
    opened.get_by_role("button", name="Utterance", exact=True).click()
    assert listed(opened) == sorted(listed(opened))
    opened.get_by_label("Order").select_option(label="longest first")
    seconds = opened.locator("td.seconds").all_inner_texts()
    assert seconds == sorted(seconds, key=float, reverse=True)


def test_another_metric_shows_and_sorts_by_it_everywhere(opened, report):
    opened.locator("#metric-utterances").select_option("voicing_error")
    assert listed(opened) == ordered(report, 2, 1, reverse=True)
    metric = data(report)["metrics"][2]
    utterance = next(u for u in data(report)["utterances"] if u["name"] == SPEECH)
    shown = row(opened, SPEECH).locator(".hear").nth(1)
    assert shown.inner_text() == f"{utterance['scores'][1][2]:.{metric['decimals']}f}"
    assert metric["label"] in shown.get_attribute("aria-label")
    assert opened.locator("#metric-speakers").input_value() == "voicing_error"
    visible = opened.locator("#speakers [data-metric]:visible")
    assert visible.evaluate_all("all => all.map((part) => part.dataset.metric)") == [
        "voicing_error"
    ]


def test_search_speaker_and_systems_filter(opened):
    opened.get_by_label("Search").fill("MSU 08")
    assert listed(opened) == [SPEECH]
    expect(opened.locator("#count")).to_have_text("1 of 8 utterances")
    opened.get_by_label("Search").fill("missing in")
    assert listed(opened) == ["june/fr_dictate_truncating_audio"]
    opened.get_by_label("Search").fill("")
    opened.locator("#speaker").select_option("allison")
    assert all(name.startswith("allison/") for name in listed(opened))
    assert len(listed(opened)) == 3
    opened.get_by_label("Search").fill("nothing is called so")
    assert listed(opened) == []
    opened.get_by_label("Search").fill("")
    opened.locator("#speaker").select_option("")
    opened.get_by_role("button", name="a little noise", exact=True).first.click()
    row(opened, SPEECH).locator(".name").click()
    assert row(opened, SPEECH).locator(".hear:visible").count() == 2
    assert opened.locator(".lane .pick").all_inner_texts()[0].startswith("recording")
    assert opened.locator(".lane").count() == 2


def test_sound_goes_on_while_the_table_changes(opened):
    hear(opened, SPEECH, 1)
    wait_for_sound(opened, 0.1)
    opened.locator("#metric-utterances").select_option("mel_distance")
    opened.get_by_label("Search").fill("nothing is called so")
    before = sounds(opened)[1]["at"]
    wait_for_sound(opened, before + 0.1)
    opened.get_by_label("Search").fill("0806")
    assert opened.locator(".lane[data-player='1'] .pick").get_attribute("aria-pressed") == "true"


def test_a_dot_of_a_distribution_opens_its_utterance(opened, report):
    best = ordered(report, 0, 1, reverse=False)[0]
    score = next(u for u in data(report)["utterances"] if u["name"] == best)["scores"][1][0]
    plot = opened.locator("[data-plot='mstft'] svg")
    spot = plot.evaluate(
        """(svg, score) => {
            const { low, high, start, end, row } = svg.dataset;
            const x = Number(start) + (score - low) / (high - low) * (end - start);
            const at = new DOMPoint(x, row / 2).matrixTransform(svg.getScreenCTM());
            const box = svg.getBoundingClientRect();
            return { x: at.x - box.x, y: at.y - box.y };
        }""",
        score,
    )
    plot.click(position=spot)
    expect(row(opened, best).locator(".name")).to_have_attribute("aria-expanded", "true")
    expect(opened.get_by_role("radio").nth(1)).to_have_attribute("aria-checked", "true")


def test_the_best_of_an_utterance_is_not_beyond_the_recording(opened):
    cases = [
        # scores of the systems, of the recording, and the best
        ([1, 2, 3], None, 3),
        ([1, 2, 3], 3, 3),
        ([1, 2, 3], 2.4, 2),
        ([1, 2, 3], 2.6, None),
        ([2, 3], 1, None),
    ]
    script = BEST_JS + "\nreturn cases.map(([scores, recording]) => best(scores, recording));"
    found = opened.evaluate(f"(cases) => {{ {script} }}", [case[:2] for case in cases])
    assert found == [case[2] for case in cases]
