"""Score folders of audio files against a folder of recordings."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from joblib import Parallel, delayed
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from vocoder.data.files import write_text
from vocoder.errors import AudioError, VocoderError
from vocoder.evaluation.pairs import Row, files_by_utterance, score_pair
from vocoder.evaluation.registry import DEFAULT_METRICS, Column, resolve_columns
from vocoder.evaluation.summary import Summary, summarise

TABLE_NAME = "utterances.csv"
SUMMARY_NAME = "summary.json"


def evaluate_folders(
    reference: Path,
    systems: dict[str, Path],
    output: Path,
    metrics: Sequence[str] = DEFAULT_METRICS,
    lowpass_7k: bool = False,
    utterances: Sequence[str] | None = None,
    jobs: int = 2,
    resamples: int = 2000,
    seed: int = 0,
    command: str = "",
    progress: bool = True,
) -> Summary:
    """Score any folders of audio by file name; write `utterances.csv` and `summary.json`.

    Files belong together by their path inside the folder without suffix. What is on disk is
    scored, at the rate of the reference; a resampled or cropped file is said so in the column
    `note`. A missing counterpart, an unreadable file or durations that differ by more than 50 ms
    give a row with an `error` and no scores; a metric that fails leaves one cell empty and its
    reason in `error`. The run always goes on.

    Args:
        reference: folder of the recordings.
        systems: folder of each system, by the name it has in the tables. To know what metrics
            without a reference give the recordings, name their folder here as well.
        output: folder for the two files, each written whole or not at all.
        metrics: names from `vocoder.evaluation.registry.METRICS`.
        lowpass_7k: report those that have it to 7 kHz as well, in columns that end in `_7k`
            (see `vocoder.metrics.signals.lowpass_7k`).
        utterances: score only these (path in the folder without suffix); all by default.
        jobs: worker processes of joblib, -1 for one a core. Within a `joblib.parallel_config`
            of another backend the pairs go there.
        resamples: of the bootstrap.
        seed: of the bootstrap.
        command: what the user typed, kept in the summary.
        progress: show a bar on standard error.

    Returns:
        The summary; its `failures` counts the rows with an error.

    Raises:
        VocoderError: an unknown metric or a missing extra, no systems, a folder that is missing,
            unreadable or without audio, a name in `utterances` that is nowhere, or an output that
            cannot be written. Nothing has been scored then, except in the last case.
    """
    columns = resolve_columns(metrics, lowpass_7k)
    if not systems:
        raise VocoderError("no system to evaluate: name at least one folder")
    if jobs == 0:
        raise VocoderError("jobs: 0 worker processes cannot work; use 1 or more, or -1 for all")
    recordings = files_by_utterance(reference)
    estimates = {name: files_by_utterance(folder) for name, folder in systems.items()}
    pairs = _pairs(recordings, estimates, utterances)
    _make_folder(output)

    names = [column.name for column in columns]
    bar = Progress(
        TextColumn("scoring"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not progress,
    )
    rows = []
    with bar:
        task = bar.add_task("scoring", total=len(pairs))
        parallel = Parallel(n_jobs=jobs, return_as="generator_unordered")
        for row in parallel(delayed(score_pair)(*pair, names) for pair in pairs):
            rows.append(row)
            bar.advance(task)
    order = {name: position for position, name in enumerate(systems)}
    rows.sort(key=lambda row: (order[row.system], row.utterance))

    summary = summarise(
        rows,
        columns,
        {name: str(folder) for name, folder in systems.items()},
        str(reference),
        command,
        resamples,
        seed,
    )
    write_text(output / TABLE_NAME, _table(rows, columns))
    write_text(output / SUMMARY_NAME, summary.model_dump_json(indent=2) + "\n")
    return summary


def _pairs(
    recordings: dict[str, Path],
    estimates: dict[str, dict[str, Path]],
    utterances: Sequence[str] | None,
) -> list[tuple[str, str, Path | None, Path | None]]:
    """(system, utterance, reference file, system's file) of everything there is on either side."""
    pairs = []
    for system, files in estimates.items():
        known = sorted({*recordings, *files})
        wanted = known if utterances is None else list(dict.fromkeys(utterances))
        if unknown := set(wanted) - set(known):
            raise AudioError(
                f"utterance {min(unknown)!r} is neither in the reference folder nor in {system}"
            )
        pairs += [(system, name, recordings.get(name), files.get(name)) for name in wanted]
    return pairs


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise VocoderError(f"{folder}: cannot be made ({error.strerror})") from error


def _table(rows: Sequence[Row], columns: Sequence[Column]) -> str:
    """The CSV text; an empty cell is a score that failed."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [column.name for column in columns]
    writer.writerow(["system", "utterance", "duration_s", *names, "error", "note"])
    for row in rows:
        numbers = [row.duration_s, *(row.scores[name] for name in names)]
        cells = ["" if number is None else f"{number:.6g}" for number in numbers]
        notes = "; ".join(row.notes)
        writer.writerow([row.system, row.utterance, *cells, "; ".join(row.errors), notes])
    return text.getvalue()
