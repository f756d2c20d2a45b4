"""The page of a report in a browser: what it shows and sounds, waits, keys."""

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page

PLAYERS = ["recording", "a little noise", "much noise"]
SPEECH = "msu_ru_nsh/ru_0806"

SOUNDS = """() => [...document.querySelectorAll("audio")].map((sound) => ({
    at: sound.currentTime, paused: sound.paused, duration: sound.duration,
    decoded: sound.readyState, heard: !sound.muted && sound.volume === 1 }))"""


def row(page: Page, name: str) -> Locator:
    button = page.get_by_role("button", name=name, exact=True)
    return page.locator("table.utterances tr").filter(has=button)


def hear(page: Page, name: str, player: int) -> None:
    row(page, name).locator(".hear").nth(player).click()


def sounds(page: Page) -> list[dict[str, Any]]:
    return page.evaluate(SOUNDS)


def heard(page: Page) -> int:
    """Index of the only audible sound."""
    (number,) = [index for index, sound in enumerate(sounds(page)) if sound["heard"]]
    return number


def wait_until(page: Page, condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        page.wait_for_timeout(20)


def wait_for_sound(page: Page, after_s: float = 0.0) -> None:
    """Until all sounds run, beyond a position; asked in the page, which does not miss it."""
    page.wait_for_function(
        """(after) => { const all = [...document.querySelectorAll("audio")];
            return all.length > 0 && all.every((s) => !s.paused && s.currentTime > after); }""",
        arg=after_s,
    )


def wait_for_switch(page: Page, player: int) -> list[dict[str, Any]]:
    """All sounds at the moment when another one becomes audible."""
    switched = page.wait_for_function(
        f"""(wanted) => {{ const all = ({SOUNDS})(); return all[wanted].heard && all; }}""",
        arg=player,
    )
    return switched.json_value()


def wait_for_silence(page: Page) -> None:
    page.wait_for_function(
        "() => [...document.querySelectorAll('audio')].every((sound) => sound.paused)"
    )


def listed(page: Page) -> list[str]:
    return page.locator("table.utterances .name").all_inner_texts()


def data(report: Path) -> dict[str, Any]:
    text = report.read_text(encoding="utf-8")
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.S)[1])


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)
