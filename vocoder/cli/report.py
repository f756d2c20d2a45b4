"""``vocoder report``: an evaluation as a listening page."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from vocoder.cli.console import parse_named, say
from vocoder.cli.options import JsonFlag


def report(
    results: Annotated[Path, typer.Argument(help="Output folder of `vocoder evaluate`.")],
    output: Annotated[Path, typer.Option(help="Folder for report.html and its assets.")],
    cost: Annotated[
        list[str] | None,
        typer.Option(help="NAME=FILE of `vocoder bench --json`; repeat for each system."),
    ] = None,
    title: Annotated[str, typer.Option(help="Heading of the page.")] = "Vocoder evaluation",
    embed_audio: Annotated[
        bool, typer.Option(help="Embed audio and pictures: one large file.")
    ] = False,
    jobs: Annotated[int, typer.Option(help="Worker processes, -1 for one per core.")] = 2,
    as_json: JsonFlag = False,
) -> None:
    """Build a page of an evaluation: scores, plots, and players with spectrograms."""
    from vocoder.report.build import build_report

    costs = {name: Path(file) for name, file in parse_named(cost or [], "--cost", "FILE").items()}
    page = build_report(results, output, title, costs, embed_audio, jobs, progress=not as_json)
    if as_json:
        print(json.dumps({"page": str(page)}))
    else:
        say(Console(), str(page))
