"""Score folders of audio files against a folder of recordings."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from vocoder.data.files import remove_leftovers, write_text
from vocoder.errors import AudioError, VocoderError, printable
from vocoder.evaluation.alignment import (
    DEFAULT_MAX_DELAY_MS,
    DEFAULT_MAX_LENGTH_DIFFERENCE_S,
    check_max_delay,
    check_max_length_difference,
)
from vocoder.evaluation.backends import Backend, check_backend, run_unordered
from vocoder.evaluation.cache import ScoreCache
from vocoder.evaluation.naming import naming_of
from vocoder.evaluation.pairs import Pair, Row, Scoring, is_copy, remembered_row, score_pair
from vocoder.evaluation.plugins import absolute_spec, load_plugins
from vocoder.evaluation.rates import SampleRate, check_sample_rate, scoring_rate
from vocoder.evaluation.registry import DEFAULT_METRICS, Column, resolve_columns
from vocoder.evaluation.speakers import speakers_of
from vocoder.evaluation.summary import Summary, format_comparisons, summarise

TABLE_NAME = "utterances.csv"
SUMMARY_NAME = "summary.json"
COMPARISONS_NAME = "comparisons.txt"


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
    speakers: Path | None = None,
    max_delay_ms: float = DEFAULT_MAX_DELAY_MS,
    cache: ScoreCache | None = None,
    backend: Backend = "loky",
    scheduler: str | None = None,
    plugins: Sequence[str] = (),
    max_length_difference_s: float = DEFAULT_MAX_LENGTH_DIFFERENCE_S,
    match_level: bool = False,
    strip_suffixes: Sequence[str] = (),
    name_map: Path | None = None,
    sample_rate: SampleRate = "auto",
) -> Summary:
    """Score folders of audio by file name; write the table, the summary and the comparisons.

    Files are matched by their path inside the folder without suffix. All files are scored at one
    rate; the column `note` reports resampling, alignment, cropping and level matching. A missing
    counterpart, an unreadable file, durations that differ too much or too large a delay give a row
    with an `error` and no scores; a failing metric leaves one empty cell and its reason in `error`.
    The run always continues.

    Args:
        reference: folder of the recordings.
        systems: folder of each system, by its name in the tables. To score the recordings by
            metrics without a reference, add their folder as a system.
        output: folder for `utterances.csv`, `summary.json` and, with several systems,
            `comparisons.txt`, each written atomically.
        metrics: names from `vocoder.evaluation.registry.METRICS`, and of `plugins`.
        lowpass_7k: also score up to 7 kHz where the metric supports it, in columns that end in
            `_7k` (see `vocoder.metrics.signals.lowpass_7k`).
        utterances: score only these (path in the folder without suffix); all by default.
        jobs: worker processes of joblib, -1 for one per core. A `joblib.parallel_config` of another
            backend takes precedence.
        resamples: of the bootstrap.
        seed: of the bootstrap and of the paired tests.
        command: the command line, stored in the summary.
        progress: show a bar on standard error.
        speakers: manifest or CSV with the speakers, see
            `vocoder.evaluation.speakers.speakers_of`; by default derived from the folders.
        max_delay_ms: largest constant delay removed; 0 disables the search, see
            `vocoder.evaluation.alignment`.
        cache: of scores, reused if both files, the settings and the metric are the same; None
            scores everything. Every pair is stored as soon as it is scored, so that a stopped run
            can be resumed.
        backend: "loky", processes of this machine, or "dask", a cluster whose workers see the
            same folders, the cache's too.
        scheduler: address of the Dask scheduler.
        plugins: files or modules with user-defined metrics, see
            `vocoder.evaluation.plugins.load_metrics`; the workers of a cluster must see them under
            the same path.
        max_length_difference_s: most seconds cut off the longer file after delay removal, see
            `vocoder.evaluation.alignment.align`.
        match_level: scale each estimate to its recording's RMS before scoring, see
            `vocoder.evaluation.alignment.match_level`.
        strip_suffixes: ignored name endings, such as "_gen", see `vocoder.evaluation.naming`.
        name_map: CSV with the columns `system`, `file` and `utterance` for files with other names,
            see `vocoder.evaluation.naming`.
        sample_rate: "auto" for the lowest rate of any file, "reference" for that of each
            recording, or a rate in Hz, see `vocoder.evaluation.rates.scoring_rate`.

    Returns:
        The summary; its `failures` counts the rows with an error.

    Raises:
        VocoderError: an unknown metric, an unusable plugin or a missing extra, no systems, a folder
            that is missing, unreadable or without audio, two files for one utterance, a map line
            without a match, an unknown name in `utterances`, an incomplete speaker file, a setting
            out of range, an unusable cluster, or an output that cannot be written. Only in the last
            case has anything been scored.
    """
    columns = resolve_columns(metrics, lowpass_7k, load_plugins(plugins))
    if not systems:
        raise VocoderError("no system to evaluate: name at least one folder")
    check_backend(backend, scheduler, jobs)
    check_max_delay(max_delay_ms)
    check_max_length_difference(max_length_difference_s)
    check_sample_rate(sample_rate)
    naming = naming_of(strip_suffixes, name_map)
    naming.check(reference, systems)
    recordings = naming.files(reference)
    estimates = {name: naming.files(folder, name) for name, folder in systems.items()}
    pairs = _pairs(recordings, estimates, utterances)
    rate, rate_text = scoring_rate(pairs, sample_rate)
    known_speakers = speakers_of(sorted({pair.utterance for pair in pairs}), speakers)
    if cache is not None:
        cache.check()
    _make_folder(output)

    names = tuple(column.name for column in columns)
    scoring = Scoring(
        metrics=names,
        max_delay_ms=max_delay_ms,
        cache=cache,
        plugins=tuple(map(absolute_spec, plugins)),
        max_length_difference_s=max_length_difference_s,
        match_level=match_level,
        sample_rate=rate,
    )
    rows = [
        replace(row, speaker=known_speakers[row.utterance])
        for row in _score_all(pairs, scoring, columns, jobs, backend, scheduler, progress)
    ]
    order = {name: position for position, name in enumerate(systems)}
    rows.sort(key=lambda row: (order[row.system], row.utterance))
    summary = summarise(
        rows,
        columns,
        {name: printable(str(folder)) for name, folder in systems.items()},
        printable(str(reference)),
        printable(command),
        resamples,
        seed,
        scoring,
        _copies(pairs, rows, scoring),
        rate_text,
        naming,
    )
    write_text(output / TABLE_NAME, _table(rows, columns))
    if text := format_comparisons(summary):
        write_text(output / COMPARISONS_NAME, text)
    else:
        (output / COMPARISONS_NAME).unlink(missing_ok=True)
    write_text(output / SUMMARY_NAME, summary.model_dump_json(indent=2) + "\n")
    return summary


def _score_all(
    pairs: Sequence[Pair],
    scoring: Scoring,
    columns: Sequence[Column],
    jobs: int,
    backend: Backend,
    scheduler: str | None,
    progress: bool,
) -> Iterator[Row]:
    """The row of every pair: first the cached ones, then the others as they finish."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not progress,
    )
    with bar:
        task = bar.add_task("scoring", total=len(pairs))
        waiting = []
        for pair in pairs:
            row = None if scoring.cache is None else remembered_row(pair, scoring, columns)
            if row is None:
                waiting.append(pair)
            else:
                bar.advance(task)
                yield row
        if not waiting:
            return
        # Sorted by utterance, since some metrics reuse their analysis of a recording.
        waiting.sort(key=lambda pair: pair.utterance)
        remembered = len(pairs) - len(waiting)
        bar.update(task, description=f"scoring ({remembered} remembered)" if remembered else None)
        tasks = [(pair, scoring) for pair in waiting]
        packages = [name for column in columns for name in column.metric.packages]
        for row in run_unordered(
            score_pair, tasks, jobs, backend, scheduler, packages, scoring.plugins
        ):
            bar.advance(task)
            yield row


def _pairs(
    recordings: dict[str, Path],
    estimates: dict[str, dict[str, Path]],
    utterances: Sequence[str] | None,
) -> list[Pair]:
    """All utterances of the recordings or the system."""
    pairs = []
    for system, files in estimates.items():
        if recordings.keys().isdisjoint(files):
            raise AudioError(
                f"{system}: no file has the name of a recording: {min(files)!r} here, "
                f"{min(recordings)!r} there; --strip-suffix and --map match other names"
            )
        known = sorted({*recordings, *files})
        wanted = known if utterances is None else list(dict.fromkeys(utterances))
        if unknown := set(wanted) - set(known):
            raise AudioError(
                f"utterance {min(unknown)!r} is neither in the reference folder nor in {system}"
            )
        pairs += [Pair(system, name, recordings.get(name), files.get(name)) for name in wanted]
    return pairs


def _copies(pairs: Sequence[Pair], rows: Sequence[Row], scoring: Scoring) -> set[str]:
    """The systems that equal the reference in every utterance that could be compared."""
    compared = {(row.system, row.utterance) for row in rows if row.duration_s is not None}
    by_system: dict[str, list[Pair]] = {}
    for pair in pairs:
        if (pair.system, pair.utterance) in compared:
            by_system.setdefault(pair.system, []).append(pair)
    # `all` stops at the first difference, nearly always the first utterance.
    return {
        system for system, own in by_system.items() if all(is_copy(pair, scoring) for pair in own)
    }


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise VocoderError(f"{folder}: cannot be made ({error.strerror})") from error
    remove_leftovers(folder)


def _table(rows: Sequence[Row], columns: Sequence[Column]) -> str:
    """The CSV text; an empty cell is a score that failed."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [column.name for column in columns]
    writer.writerow(["system", "utterance", "speaker", "duration_s", *names, "error", "note"])
    for row in rows:
        numbers = [row.duration_s, *(row.scores[name] for name in names)]
        cells = ["" if number is None else f"{number:.6g}" for number in numbers]
        notes = "; ".join(row.notes)
        described = [row.system, row.utterance, row.speaker]
        writer.writerow([*described, *cells, "; ".join(row.errors), notes])
    return text.getvalue()
