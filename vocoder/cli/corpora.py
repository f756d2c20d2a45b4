"""``vocoder prepare``: corpora to train and evaluate on."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from vocoder.cli.console import error_console, say
from vocoder.cli.options import JsonFlag


class CorpusName(StrEnum):
    """Corpora that can be prepared."""

    festvox_ru = "festvox_ru"
    asterisk = "asterisk"
    ljspeech = "ljspeech"
    vctk = "vctk"
    libritts = "libritts"
    librispeech = "librispeech"
    speechocean762 = "speechocean762"
    tiny = "tiny"
    folder = "folder"


def prepare(
    corpus: Annotated[CorpusName, typer.Argument(help="Which corpus.")],
    output: Annotated[Path, typer.Option(help="Folder for WAVs and manifest.")],
    source: Annotated[
        Path | None,
        typer.Option(help="Local copy of the corpus, or folder of manually downloaded packages."),
    ] = None,
    sample_rate: Annotated[
        int | None, typer.Option(help="Output rate in Hz; default: the corpus's.")
    ] = None,
    speakers: Annotated[
        str,
        typer.Option(
            help="For `folder`: by-folder, a regular expression with a group, or a CSV "
            "utterance,speaker."
        ),
    ] = "by-folder",
    licence: Annotated[
        str, typer.Option(help="For `folder`: entered into the manifest.")
    ] = "not stated",
    mels: Annotated[
        Path | None,
        typer.Option(
            help="For `folder`: folder of the mels that an acoustic model predicted, under the "
            "recordings' names with .npy or .pt."
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Fetch, verify, decode and lay out a corpus; write its manifest.jsonl.

    `vocoder prepare folder --source DIR` takes your own recordings."""
    from vocoder.data.corpora import prepare as prepare_corpus

    utterances = prepare_corpus(
        corpus.value,
        output,
        source,
        sample_rate,
        progress=not as_json,
        speakers=speakers,
        licence=licence,
        mels=mels,
        note=lambda text: say(error_console, text),
    )
    splits: dict[str, dict[str, float]] = {}
    for utterance in utterances:
        row = splits.setdefault(utterance.split, {"utterances": 0, "hours": 0.0})
        row["utterances"] += 1
        row["hours"] += utterance.duration_s / 3600
    if as_json:
        print(json.dumps(splits))
        return
    table = Table("split", "utterances", "hours")
    for split, row in splits.items():
        table.add_row(split, f"{row['utterances']:.0f}", f"{row['hours']:.2f}")
    console = Console()
    console.print(table)
    say(console, str(output / "manifest.jsonl"))
