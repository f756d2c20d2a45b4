"""From answer files to tables and plots."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from vocoder.data.files import write_text
from vocoder.errors import VocoderError
from vocoder.listening.abx import AbxScore, AbxSummary, summarise_abx
from vocoder.listening.answers import AbxAnswers, MushraAnswers, read_answers
from vocoder.listening.figures import draw_boxes, draw_proportions, draw_utterances
from vocoder.listening.key import Key, read_key
from vocoder.listening.mushra import (
    Grades,
    MushraSummary,
    Spread,
    collect_grades,
    summarise_mushra,
)
from vocoder.listening.screening import GRADE

SUMMARY_NAME = "summary.json"
TABLE_NAME = "summary.md"


def analyse(
    paths: Sequence[Path], key_path: Path, output: Path, screened: bool = True
) -> MushraSummary | AbxSummary:
    """Analyse answer files: tables as JSON, CSV and Markdown, plots as PNG and SVG.

    Unusable files are skipped, and listed in the summary's `refused`.

    Args:
        paths: answer files, or folders of them.
        key_path: the test's key.json.
        output: folder for the results.
        screened: in MUSHRA, exclude the assessors rejected by post-screening.

    Raises:
        VocoderError: no usable key or answers, or nobody left after post-screening.
    """
    key = read_key(key_path)
    answers, refused = read_answers(paths, key)
    if not answers:
        raise VocoderError(f"no answers to analyse: {'; '.join(refused)}")
    if key.kind == "mushra":
        graded = [one for one in answers if isinstance(one, MushraAnswers)]
        return _write_mushra(key, graded, refused, output, screened)
    chosen = [one for one in answers if isinstance(one, AbxAnswers)]
    return _write_abx(key, chosen, refused, output)


def _write_mushra(
    key: Key,
    answers: Sequence[MushraAnswers],
    refused: Sequence[str],
    output: Path,
    screened: bool,
) -> MushraSummary:
    summary = summarise_mushra(key, answers, refused, screened)
    grades = collect_grades(key, answers)
    kept = np.array([assessor.kept for assessor in summary.assessors])
    _table(output / "grades.csv", _grade_rows(grades, kept))
    _table(output / "assessors.csv", [one.model_dump() for one in summary.assessors])
    _table(
        output / "conditions.csv",
        [{"condition": name, **score.model_dump()} for name, score in summary.conditions.items()],
    )
    _table(output / "utterances.csv", [score.model_dump() for score in summary.utterances])
    if summary.comparisons:
        _table(output / "comparisons.csv", [one.model_dump() for one in summary.comparisons])
    shown = grades.keep(kept)
    draw_boxes(shown, output / "boxplot")
    draw_utterances(shown, output / "utterances")
    _texts(output, summary)
    return summary


def _write_abx(
    key: Key, answers: Sequence[AbxAnswers], refused: Sequence[str], output: Path
) -> AbxSummary:
    summary = summarise_abx(key, answers, refused)
    _table(output / "trials.csv", list(_trial_rows(key, answers)))
    rows = _abx_rows(summary)
    _table(
        output / "scores.csv",
        [{"of": kind, "name": name, **score.model_dump()} for kind, name, score in rows],
    )
    draw_proportions({"all": summary.pooled, **summary.participants}, output / "participants")
    _texts(output, summary)
    return summary


def _texts(output: Path, summary: MushraSummary | AbxSummary) -> None:
    write_text(output / SUMMARY_NAME, summary.model_dump_json(indent=2) + "\n")
    write_text(output / TABLE_NAME, format_result(summary))


def format_result(summary: MushraSummary | AbxSummary) -> str:
    """The result as Markdown: a table, with conventions and notes below."""
    lines = _mushra_lines(summary) if isinstance(summary, MushraSummary) else _abx_lines(summary)
    notes = [f"- note: {note}" for note in summary.notes]
    refused = [f"- refused: {refusal}" for refusal in summary.refused]
    return "\n".join([*lines, *notes, *refused]) + "\n"


def _mushra_lines(summary: MushraSummary) -> Iterable[str]:
    yield "| condition | grades | mean [95 %] | [95 %, other utterances too] | median [quartiles] |"
    yield "| --- | ---: | ---: | ---: | ---: |"
    for name, score in summary.conditions.items():
        yield (
            f"| {name} | {score.n} | {score.mean:.1f}{_interval(score.low, score.high)} "
            f"|{_interval(score.crossed_low, score.crossed_high) or ' –'} | {_median(score)} |"
        )
    yield ""
    out = [one for one in summary.assessors if not one.kept]
    yield f"{summary.kept} assessors, {len(out)} excluded. {summary.convention}."
    yield ""
    if summary.comparisons:
        yield from (f"- {comparison.sentence}" for comparison in summary.comparisons)
        yield ""
        yield f"Comparisons: {summary.comparison_method}."
        yield ""
    yield f"- post-screening: {summary.screening}"
    for one in out:
        yield (
            f"- excluded: {one.participant}, hidden reference below {GRADE:g} in "
            f"{100 * one.reference_low:.0f} %, 7 kHz anchor above {GRADE:g} in "
            f"{100 * one.anchor_high:.0f} % of the utterances"
        )


def _median(score: Spread) -> str:
    return f"{score.median:.1f} [{score.lower_quartile:.1f}, {score.upper_quartile:.1f}]"


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f" [{low:.1f}, {high:.1f}]"


def _abx_lines(summary: AbxSummary) -> Iterable[str]:
    yield "| | trials | correct | proportion [95 %] | p | d' |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    for _, name, score in _abx_rows(summary):
        d_prime = "–" if score.d_prime is None else f"{score.d_prime:.2f}"
        yield (
            f"| {name} | {score.trials} | {score.correct} | {score.proportion:.2f} "
            f"[{score.low:.2f}, {score.high:.2f}] | {score.p_value:.2g} | {d_prime} |"
        )
    yield ""
    a, b = summary.systems
    yield f"{a} against {b}: {summary.convention}."
    yield ""


def _abx_rows(summary: AbxSummary) -> list[tuple[str, str, AbxScore]]:
    return [
        ("all", "all", summary.pooled),
        *(("participant", name, score) for name, score in summary.participants.items()),
        *(("utterance", name, score) for name, score in summary.utterances.items()),
    ]


def _grade_rows(grades: Grades, kept: Bool[np.ndarray, " assessors"]) -> list[Mapping[str, object]]:
    return [
        {
            "participant": assessor, "kept": bool(keep), "utterance": utterance,
            "condition": condition, "grade": grades.values[i, j, k],
        }
        for i, (assessor, keep) in enumerate(zip(grades.assessors, kept, strict=True))
        for j, utterance in enumerate(grades.utterances)
        for k, condition in enumerate(grades.conditions)
    ]  # fmt: skip


def _trial_rows(key: Key, answers: Sequence[AbxAnswers]) -> Iterable[Mapping[str, object]]:
    """Every answer with the systems' names in place of the opaque ones."""
    for one in answers:
        for answered in one.trials:
            trial = key.trials[answered.trial]
            roles = {
                role: trial.stimuli[getattr(answered, role)].condition
                for role in ("a", "b", "x", "choice")
            }
            yield {
                "participant": one.participant, "utterance": trial.utterance, **roles,
                "correct": answered.choice == answered.x, "seconds": answered.seconds,
            }  # fmt: skip


def _table(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """A CSV of rows that have the same columns; None is an empty cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({
            name: f"{value:.6g}" if isinstance(value, float) else value
            for name, value in row.items()
        })  # fmt: skip
    write_text(path, text.getvalue())
