"""Reports of 40 utterances × 6 systems: build time, size, and time until playback.

    python bench/report.py [--utterances 40] [--systems 6] [--jobs 2] [--keep FOLDER]

The recordings are those of `egs/tiny`, concatenated to five seconds each; the systems are white
noise at several levels, since the content does not matter. The page is opened from disk in headless
Chromium five times; usable means that a click on a score has opened the utterance, with its first
spectrogram visible and the sound playing.
"""

import argparse
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import torch
from playwright.sync_api import sync_playwright

from vocoder.data.audio import read_audio, write_audio
from vocoder.data.manifest import read_manifest
from vocoder.evaluation.folders import evaluate_folders
from vocoder.report.build import build_report

TINY = Path(__file__).parents[1] / "egs" / "tiny"
RATE = 16000
SECONDS = 5
FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
VISITS = 5


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--utterances", type=int, default=40)
    parser.add_argument("--systems", type=int, default=6)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="leave the report in this folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        systems = _lay_out(root, options.utterances, options.systems)
        metrics = ("mstft", "mel_distance", "voicing_error")
        evaluate_folders(root / "recording", systems, root / "scores", metrics, jobs=options.jobs)
        for embed in (False, True):
            output = root / ("embedded" if embed else "page")
            started = time.perf_counter()
            page = build_report(root / "scores", output, embed_audio=embed, jobs=options.jobs)
            made_s = time.perf_counter() - started
            size = sum(path.stat().st_size for path in output.rglob("*") if path.is_file())
            print(
                f"{'one file' if embed else 'with assets'}: made in {made_s:.0f} s, "
                f"page {page.stat().st_size / 1e6:.1f} MB of {size / 1e6:.0f} MB"
            )
            print("   ", _visits(page))
        if options.keep:
            shutil.copytree(root / "page", options.keep)


def _lay_out(root: Path, utterances: int, systems: int) -> dict[str, Path]:
    speech = torch.cat(
        [
            read_audio(TINY / entry.path, RATE).waveform
            for entry in read_manifest(TINY / "manifest.jsonl")
        ]
    )
    noise = torch.randn(SECONDS * RATE, generator=torch.Generator().manual_seed(0))
    folders = {f"noise {index + 1}": root / str(index) for index in range(systems)}
    for number in range(utterances):
        start = number * len(speech) // utterances
        wave = speech.roll(-start)[: SECONDS * RATE]
        name = f"speaker{number % 4}/utterance{number:03}.wav"
        write_audio(root / "recording" / name, wave, RATE)
        for index, folder in enumerate(folders.values()):
            write_audio(folder / name, wave + 0.001 * 2**index * noise, RATE)
    return folders


def _visits(path: Path) -> str:
    """Seconds until the page is loaded, and until the first sound; medians of the visits."""
    program = os.environ.get("VOCODER_CHROMIUM") or shutil.which("chromium")
    if program is None:
        return "no Chromium to open it with: apt-get install chromium"
    loaded, usable = [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        for _ in range(VISITS):
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            started = time.perf_counter()
            page.goto(path.as_uri())
            loaded.append(time.perf_counter() - started)
            page.locator(".hear").nth(1).click()
            page.wait_for_function(
                """() => document.querySelector(".lane img")?.naturalWidth > 0
                    && [...document.querySelectorAll("audio")].some((s) => s.currentTime > 0)"""
            )
            usable.append(time.perf_counter() - started)
            page.close()
        browser.close()
    return (
        f"loaded after {statistics.median(loaded):.2f} s, sound and pictures of an utterance after "
        f"{statistics.median(usable):.2f} s (longest of {VISITS}: {max(usable):.2f} s)"
    )


if __name__ == "__main__":
    main()
