"""A picture of the report for the README, taken by headless Chromium.

python docs/screenshot.py runs/report/page/report.html docs/images/report.png
"""

import argparse
import io
import os
import shutil
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
COLOURS = 176
PLAYED_S = 1.2


def main() -> None:
    """Open an utterance, let it play for a moment, and take the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--utterance", help="its name in the report; default: the first one listed")
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--height", type=int, default=940)
    parser.add_argument("--dark", action="store_true")
    options = parser.parse_args()
    program = os.environ.get("VOCODER_CHROMIUM") or shutil.which("chromium")
    if program is None:
        parser.error("no Chromium: apt-get install chromium, or name it in VOCODER_CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        page = browser.new_page(
            viewport={"width": options.width, "height": options.height},
            color_scheme="dark" if options.dark else "light",
        )
        page.goto(options.page.resolve().as_uri())
        named = page.locator(
            "tr", has=page.get_by_role("button", name=options.utterance, exact=True)
        )
        row = named if options.utterance else page.locator("table.utterances tbody tr")
        row.first.locator(".hear").nth(1).click()
        page.wait_for_function(
            "(until) => [...document.querySelectorAll('audio')].some((s) => s.currentTime > until)",
            arg=PLAYED_S,
        )
        page.get_by_role("button", name="Pause").click()
        page.locator("table.utterances > thead").evaluate(
            "head => head.scrollIntoView({ behavior: 'instant' })"
        )
        page.wait_for_function(
            "[...document.querySelectorAll('.panel img')].every((image) => image.complete)"
        )
        page.evaluate("document.activeElement.blur()")
        taken = page.screenshot()
        browser.close()
    # A palette reduces the size to a fifth. Maximum coverage keeps the few pixels of the systems'
    # colours.
    picture = Image.open(io.BytesIO(taken)).convert("RGB")
    picture = picture.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    options.picture.parent.mkdir(parents=True, exist_ok=True)
    picture.save(options.picture, optimize=True)


if __name__ == "__main__":
    main()
