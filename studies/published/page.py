"""One `vocoder report` per published page, and a list of them."""

import html
from collections.abc import Mapping
from pathlib import Path

from studies.published.measure import (
    COMMON_RATE,
    MAX_DELAY_MS,
    MAX_LENGTH_DIFFERENCE_S,
    read_own_scores,
    read_page_scores,
)
from studies.published.pages import RECORDING, Page
from vocoder.data.files import write_text
from vocoder.errors import VocoderError
from vocoder.evaluation.cache import default_cache
from vocoder.evaluation.folders import evaluate_folders
from vocoder.report.build import build_report

METRICS = ("pesq", "mstft", "voicing_error", "dnsmos", "distillmos")


def build_pages(pages: Mapping[str, Page], source: Path, made: Path, jobs: int) -> Path:
    """Report of every page with local audio; returns the page that lists them.

    Raises:
        VocoderError: there is no audio yet.
    """
    ours = {own.name: own.label for own in read_own_scores()}
    classical = {
        name: label
        for scores in read_page_scores(pages).values()
        for name, label in scores.labels.items()
    }
    built: dict[str, Path] = {}
    for name, page in pages.items():
        if not (made / name).is_dir():
            continue
        here = {path.name: path for path in _audio_folders(made / name)}
        systems = {RECORDING: source / name / RECORDING}
        systems |= {label: here[own] for own, label in ours.items() if own in here}
        systems |= {page.systems[s].label: source / name / s for s in page.systems}
        systems |= {label: here[own] for own, label in classical.items() if own in here}
        scores = made / name / "scores-report"
        evaluate_folders(
            source / name / RECORDING,
            systems,
            scores,
            METRICS,
            jobs=jobs,
            max_delay_ms=MAX_DELAY_MS,
            max_length_difference_s=MAX_LENGTH_DIFFERENCE_S,
            match_level=True,
            sample_rate=COMMON_RATE,
            cache=default_cache(),
        )
        built[page.title] = build_report(scores, made / "html" / name, page.title, jobs=jobs)
    if not built:
        raise VocoderError(f"{made}: no audio was made here yet; run the stage measure first")
    path = made / "html" / "index.html"
    write_text(path, _index(path.parent, built))
    return path


def _audio_folders(folder: Path) -> list[Path]:
    """Generated WAV folders of a page, without score folders and incomplete ones."""
    inside = sorted(path for path in folder.iterdir() if path.is_dir())
    return [path for path in inside if any(path.glob("*.wav")) and path.name[0] != "."]


def _index(folder: Path, built: Mapping[str, Path]) -> str:
    items = "".join(
        f'<li><a href="{path.relative_to(folder).as_posix()}">{html.escape(title)}</a></li>\n'
        for title, path in built.items()
    )
    return (
        '<!doctype html>\n<html lang="en"><meta charset="utf-8">\n'
        "<title>Published vocoders beside this one</title>\n"
        '<body style="font: 16px sans-serif; max-width: 44em; margin: 3em auto">\n'
        f"<h1>Published vocoders beside this one</h1>\n<ul>\n{items}</ul>\n</body></html>\n"
    )
