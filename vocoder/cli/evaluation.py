"""``vocoder evaluate``: scores of systems against recordings."""

import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vocoder.cli.console import error_console, parse_named, say
from vocoder.cli.options import JsonFlag
from vocoder.errors import VocoderError

if TYPE_CHECKING:
    from vocoder.evaluation.rates import SampleRate


class EvaluationBackend(StrEnum):
    """Where an evaluation runs."""

    loky = "loky"
    dask = "dask"


def evaluate(
    reference: Annotated[Path, typer.Option(help="Folder of the recordings.")],
    system: Annotated[list[str], typer.Option(help="NAME=FOLDER; repeat for each system.")],
    output: Annotated[Path, typer.Option(help="Folder for the scores, comparisons and summary.")],
    metrics: Annotated[
        str | None,
        typer.Option(help="Comma-separated; default: the common ones, and the plugins'."),
    ] = None,
    metric_plugin: Annotated[
        list[str] | None,
        typer.Option(
            help="FILE.py:OBJECT or MODULE:OBJECT, user-defined metrics; may be repeated."
        ),
    ] = None,
    to_7k: Annotated[bool, typer.Option(help="Also report scores up to 7 kHz.")] = False,
    speakers: Annotated[
        Path | None,
        typer.Option(
            help="Speakers: a manifest.jsonl, or CSV utterance,speaker; default: folders."
        ),
    ] = None,
    max_delay_ms: Annotated[
        float, typer.Option(help="Largest constant delay removed; 0: compare without alignment.")
    ] = 50.0,
    max_length_difference: Annotated[
        float, typer.Option(help="Most seconds then cut off the longer file.")
    ] = 0.5,
    match_level: Annotated[
        bool, typer.Option("--match-level", help="Scale each file to its recording's RMS first.")
    ] = False,
    sample_rate: Annotated[
        str,
        typer.Option(help="HZ, reference, or auto: the lowest rate of recordings and systems."),
    ] = "auto",
    strip_suffix: Annotated[
        list[str] | None,
        typer.Option(help="Ignored ending of names, such as _gen; may be repeated."),
    ] = None,
    name_map: Annotated[
        Path | None,
        typer.Option("--map", help="CSV system,file,utterance for files with other names."),
    ] = None,
    cache: Annotated[
        bool, typer.Option(help="Cache scores in $VOCODER_CACHE or ~/.cache/vocoder.")
    ] = True,
    jobs: Annotated[int, typer.Option(help="Worker processes, -1 for one per core.")] = 2,
    backend: Annotated[
        EvaluationBackend, typer.Option(help="Local processes, or the workers of a Dask cluster.")
    ] = EvaluationBackend.loky,
    scheduler: Annotated[
        str | None, typer.Option(help="For --backend dask: tcp://HOST:PORT.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Score folders of WAVs by file name against the recordings, and compare the systems."""
    from vocoder.evaluation.cache import default_cache
    from vocoder.evaluation.folders import COMPARISONS_NAME, evaluate_folders
    from vocoder.evaluation.plugins import load_plugins
    from vocoder.evaluation.registry import DEFAULT_METRICS
    from vocoder.evaluation.summary import format_comparisons, format_table

    plugins = metric_plugin or []
    default = [*DEFAULT_METRICS, *load_plugins(plugins)]
    summary = evaluate_folders(
        reference,
        {name: Path(folder) for name, folder in parse_named(system, "--system", "FOLDER").items()},
        output,
        [name.strip() for name in metrics.split(",")] if metrics else default,
        to_7k,
        jobs=jobs,
        command=shlex.join(["vocoder", *sys.argv[1:]]),
        progress=not as_json,
        speakers=speakers,
        max_delay_ms=max_delay_ms,
        cache=default_cache() if cache else None,
        backend=backend.value,
        scheduler=scheduler,
        plugins=plugins,
        max_length_difference_s=max_length_difference,
        match_level=match_level,
        strip_suffixes=strip_suffix or [],
        name_map=name_map,
        sample_rate=_rate(sample_rate),
    )
    if as_json:
        print(summary.model_dump_json())
    else:
        compared = format_comparisons(summary, only_best=True)
        where = f"All comparisons: {output / COMPARISONS_NAME}\n" if summary.comparisons else ""
        print("\n".join(filter(None, [format_table(summary), compared, where])), end="")
    for problem in summary.problems:
        say(error_console, problem)
    if summary.failures:
        raise typer.Exit(1)


def _rate(text: str) -> "SampleRate":
    """Parse the argument of --sample-rate."""
    if text == "auto":
        return "auto"
    if text == "reference":
        return "reference"
    if not text.isdecimal():
        raise VocoderError(f"--sample-rate {text}: write a rate in Hz, or auto, or reference")
    return int(text)
