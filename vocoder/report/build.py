"""Build the report: read an evaluation, write its media and its page."""

import base64
import shutil
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from vocoder.data.audio import AudioWarning
from vocoder.data.files import replacing_folder
from vocoder.errors import VocoderError
from vocoder.report.costs import read_costs
from vocoder.report.media import PLAYED_TYPES, Media, UtteranceMedia, write_media
from vocoder.report.page import render_page
from vocoder.report.results import read_results

PAGE_NAME = "report.html"
ASSETS_NAME = "assets"
_MEDIA_TYPES = {**PLAYED_TYPES, ".png": "image/png", ".svg": "image/svg+xml"}


def build_report(
    results: Path,
    output: Path,
    title: str = "Vocoder evaluation",
    costs: Mapping[str, Path] | None = None,
    embed_audio: bool = False,
    jobs: int = 2,
    progress: bool = True,
) -> Path:
    """Write `report.html` and its `assets` into a folder, atomically.

    Args:
        results: output folder of `vocoder evaluate`. Its audio folders must still exist.
        output: folder of the report: new, empty, or with an earlier report, which is replaced.
        title: heading of the page.
        costs: JSON of `vocoder bench --json` by system name.
        embed_audio: embed audio and pictures into the page, as a single file.
        jobs: worker processes, -1 for one per core.
        progress: show a bar on standard error.

    Returns:
        The page.

    Warns of audio that was written after the scores.

    Raises:
        VocoderError: an evaluation that is missing, damaged or without its audio, a cost of an
            unknown system, or an output folder with other contents.
    """
    if jobs == 0:
        raise VocoderError("jobs: 0 worker processes cannot work; use 1 or more, or -1 for all")
    evaluation = read_results(results)
    if changed := evaluation.changed_since():
        warnings.warn(
            f"{changed[0]}{f' and {len(changed) - 1} more' * (len(changed) > 1)}: newer than the "
            f"scores in {results}; evaluate again, or the page plays other audio than was scored",
            AudioWarning,
            stacklevel=2,
        )
    _check_names(costs or {}, evaluation.players)
    known_costs = read_costs(costs or {})
    _check_output(output)
    bar = Progress(
        TextColumn("drawing"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not progress,
    )
    with replacing_folder(output) as folder, bar:
        task = bar.add_task("drawing", total=len(evaluation.utterances))
        media = write_media(evaluation, folder, jobs, lambda: bar.advance(task))
        if embed_audio:
            media = {name: _embedded(made, folder) for name, made in media.items()}
            shutil.rmtree(folder / ASSETS_NAME)
        page = render_page(evaluation, media, known_costs, title, embed_audio)
        (folder / PAGE_NAME).write_text(page, encoding="utf-8")
    return output / PAGE_NAME


def _check_names(costs: Mapping[str, Path], systems: tuple[str, ...]) -> None:
    for name in costs:
        if name not in systems:
            raise VocoderError(
                f"--cost {name}: no such system was evaluated; there are: {', '.join(systems)}"
            )


def _check_output(folder: Path) -> None:
    """Raise unless the folder is new, empty or a report."""
    if folder.exists() and not folder.is_dir():
        raise VocoderError(f"{folder}: is a file; choose a folder for the report")
    strange = {path.name for path in folder.glob("*")} - {PAGE_NAME, ASSETS_NAME}
    if strange:
        raise VocoderError(
            f"{folder}: holds {min(strange)}, which is no part of a report; choose another folder"
        )


def _embedded(made: UtteranceMedia, folder: Path) -> UtteranceMedia:
    """The media with data URIs in place of paths."""

    def uri(path: str | None) -> str | None:
        if path is None:
            return None
        kind = _MEDIA_TYPES[Path(path).suffix]
        content = base64.b64encode((folder / path).read_bytes()).decode("ascii")
        return f"data:{kind};base64,{content}"

    return replace(
        made,
        players=tuple(
            Media(uri(m.audio), uri(m.spectrogram), uri(m.difference), uri(m.f0), m.problem)
            for m in made.players
        ),
    )
