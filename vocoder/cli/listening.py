"""``vocoder listening-test``: MUSHRA and ABX pages, and the analysis of their answers."""

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from vocoder.cli.console import error_console, parse_named, say
from vocoder.cli.options import JsonFlag
from vocoder.errors import VocoderError
from vocoder.reading import read_text

if TYPE_CHECKING:
    from vocoder.listening.build import Options

listening_test = typer.Typer(
    no_args_is_help=True, help="Build listening tests, and analyse their answers."
)
build = typer.Typer(no_args_is_help=True, help="Write the page of a test, and its key.")
listening_test.add_typer(build, name="build")


class LevelName(StrEnum):
    """Level alignment of the systems."""

    loudness = "loudness"
    none = "none"


Reference = Annotated[Path, typer.Option(help="Folder of the recordings.")]
Systems = Annotated[list[str], typer.Option("--system", help="NAME=FOLDER; repeat for each.")]
Output = Annotated[Path, typer.Option(help="Folder for the page (page/) and key.json.")]
Utterances = Annotated[
    str | None,
    typer.Option(help="Number, drawn at random, or names, comma-separated."),
]
Training = Annotated[int, typer.Option(help="Training trials before the test, not evaluated.")]
LevelOption = Annotated[
    LevelName,
    typer.Option(help="Scale every system to the recording's loudness (BS.1770), or keep levels."),
]
MaxDelay = Annotated[float, typer.Option(help="Largest constant delay removed; 0: no alignment.")]
MaxLengthDifference = Annotated[
    float, typer.Option(help="Largest length difference in seconds; all are cut to the shortest.")
]
Seed = Annotated[
    int | None, typer.Option(help="Seed of the selection and the names; default: random.")
]
Title = Annotated[str, typer.Option(help="Heading of the page.")]
Instructions = Annotated[
    Path | None,
    typer.Option(help="File with plain text shown before the test, instead of the default."),
]


@build.command()
def mushra(
    reference: Reference,
    system: Systems,
    output: Output,
    utterances: Utterances = None,
    training: Training = 1,
    level: LevelOption = LevelName.loudness,
    max_delay_ms: MaxDelay = 50.0,
    max_length_difference: MaxLengthDifference = 0.5,
    seed: Seed = None,
    title: Title = "Listening test",
    instructions: Instructions = None,
    as_json: JsonFlag = False,
) -> None:
    """Grade systems against the recording (ITU-R BS.1534, hidden reference and anchors)."""
    from vocoder.listening.build import build_mushra

    options = _options(
        utterances, training, level, max_delay_ms, max_length_difference, seed, title, instructions
    )
    key = build_mushra(reference, _systems(system), output, options)
    _report(output, key.test, len(key.trials), key.notes, as_json)


@build.command()
def abx(
    reference: Reference,
    system: Systems,
    output: Output,
    utterances: Utterances = None,
    repeats: Annotated[int, typer.Option(help="Trials per utterance.")] = 4,
    training: Training = 1,
    level: LevelOption = LevelName.loudness,
    max_delay_ms: MaxDelay = 50.0,
    max_length_difference: MaxLengthDifference = 0.5,
    seed: Seed = None,
    title: Title = "Listening test",
    instructions: Instructions = None,
    as_json: JsonFlag = False,
) -> None:
    """Test whether two systems can be distinguished."""
    from vocoder.listening.build import build_abx

    options = _options(
        utterances, training, level, max_delay_ms, max_length_difference, seed, title, instructions
    )
    key = build_abx(reference, _systems(system), output, options, repeats)
    _report(output, key.test, len(key.trials) * repeats, key.notes, as_json)


@listening_test.command()
def analyse(
    answers: Annotated[list[Path], typer.Argument(help="Answer files, or folders of them.")],
    key: Annotated[Path, typer.Option(help="The key.json of the test.")],
    output: Annotated[Path, typer.Option(help="Folder for tables and pictures.")],
    screening: Annotated[
        bool, typer.Option(help="Exclude assessors by MUSHRA's post-screening.")
    ] = True,
    as_json: JsonFlag = False,
) -> None:
    """Answer files → scores with intervals; unusable files are reported and skipped."""
    from vocoder.listening.results import analyse as analyse_answers
    from vocoder.listening.results import format_result

    summary = analyse_answers(answers, key, output, screening)
    print(summary.model_dump_json() if as_json else format_result(summary), end="")
    for refusal in summary.refused:
        say(error_console, f"refused: {refusal}")
    if summary.refused:
        raise typer.Exit(1)


def _options(
    utterances: str | None,
    training: int,
    level: LevelName,
    max_delay_ms: float,
    max_length_difference_s: float,
    seed: int | None,
    title: str,
    instructions: Path | None,
) -> "Options":
    """The options that MUSHRA and ABX share."""
    from vocoder.listening.build import Options

    return Options(
        utterances=_utterances(utterances),
        training=training,
        level=level.value,
        max_delay_ms=max_delay_ms,
        max_length_difference_s=max_length_difference_s,
        seed=seed,
        title=title,
        instructions=_text(instructions),
    )


def _systems(entries: list[str]) -> dict[str, Path]:
    """Folders of the systems by name."""
    named = parse_named(entries, "--system", "FOLDER")
    return {name: Path(folder) for name, folder in named.items()}


def _utterances(text: str | None) -> int | list[str] | None:
    """Parse --utterances: a number, names, or None for the default."""
    if text is None:
        return None
    return int(text) if text.strip().isdigit() else [name.strip() for name in text.split(",")]


def _text(path: Path | None) -> str | None:
    """Contents of the instructions file, or None for the default instructions."""
    if path is None:
        return None
    text = read_text(path, VocoderError)
    if not text.strip():
        raise VocoderError(f"{path}: holds no instructions")
    return text


def _report(output: Path, test: str, trials: int, notes: tuple[str, ...], as_json: bool) -> None:
    page, key = output / "page" / "index.html", output / "key.json"
    if as_json:
        report = {"page": str(page), "key": str(key), "test": test, "trials": trials}
        print(json.dumps(report | {"notes": notes}))
        return
    for note in notes:
        say(error_console, note)
    console = Console()
    say(console, f"{trials} trials. Give the folder to the participants: {page.parent}")
    say(console, f"Keep for the analysis, and from them: {key}")
