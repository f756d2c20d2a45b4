"""Summary of an evaluation: means with confidence intervals, and descriptions of the metrics."""

import itertools
from collections.abc import Collection, Iterable, Sequence
from typing import Literal

from vocoder.config import Config
from vocoder.evaluation.comparison import METHOD, Comparison, compare_systems
from vocoder.evaluation.naming import Naming
from vocoder.evaluation.pairs import Row, Scoring
from vocoder.evaluation.registry import Column
from vocoder.evaluation.statistics import (
    LEVEL,
    bootstrap_interval,
    smallest_p_value,
    utterances_needed,
)
from vocoder.evaluation.versions import ABSENT, package_versions


class Score(Config):
    """One metric of one system: mean over the scored utterances, and its interval.

    `mean` is None without scores; `low` and `high` also for a single utterance.
    """

    mean: float | None
    low: float | None
    high: float | None
    n: int
    failures: int


class MetricNote(Config):
    """Description of a column of the table."""

    label: str
    better: Literal["higher", "lower"]
    decimals: int
    convention: str


class SystemSummary(Config):
    """The scores of one folder.

    `failed` utterances have at least one error in the table. `copy_of_reference`: every scored
    waveform equals the recording, sample for sample.
    """

    folder: str
    utterances: int
    failed: int
    scores: dict[str, Score]
    copy_of_reference: bool = False


class SpeakerScore(Config):
    """Mean of one metric over one speaker's utterances of one system.

    `mean` is None without scores; `n` is the number of scores.
    """

    speaker: str
    system: str
    metric: str
    mean: float | None
    n: int


class Summary(Config):
    """The whole evaluation, as stored in `summary.json`.

    Fields:
        command: the command line.
        reference: folder of the recordings.
        versions: of this package, of those that read audio and of those declared by the metrics,
            by pip's names.
        interval: description of the intervals of the means.
        metrics: the columns, in order.
        systems: means and intervals, in the given order.
        problems: "system/utterance: reason" for every error of the table.
        alignment: description of alignment, cropping, level matching and rejection.
        comparisons: every pair of systems on every metric, except copies of the reference on
            intrusive metrics; empty with a single system.
        speakers: means by speaker, system and metric, in that order; empty if speakers are unknown.
        sample_rate: scoring rate in Hz; None if each recording's own was used and they differ.
        rate: the same as a sentence, with the rates of the files.
        naming: description of name matching, if names differ from the recordings'.
    """

    command: str
    reference: str
    versions: dict[str, str]
    interval: str
    metrics: dict[str, MetricNote]
    systems: dict[str, SystemSummary]
    problems: tuple[str, ...]
    alignment: str = ""
    comparisons: tuple[Comparison, ...] = ()
    speakers: tuple[SpeakerScore, ...] = ()
    sample_rate: int | None = None
    rate: str = ""
    naming: Naming = Naming()

    @property
    def failures(self) -> int:
        """Number of rows with an error."""
        return sum(system.failed for system in self.systems.values())

    @property
    def not_compared(self) -> str:
        """Systems excluded from comparisons on intrusive metrics, with the reason; "" if none."""
        copies = [name for name, system in self.systems.items() if system.copy_of_reference]
        if not copies or len(self.systems) < 2:
            return ""
        what = "is a copy" if len(copies) == 1 else "are copies"
        return (
            f"{' and '.join(copies)} {what} of the reference, sample for sample, and compared on "
            "metrics without a reference only"
        )

    @property
    def too_few(self) -> str:
        """Comparisons with too few utterances to show a difference; "" if none."""
        tested = [c for c in self.comparisons if c.smallest_p_holm is not None]
        hopeless = [c for c in tested if c.too_few]
        if not hopeless:
            return ""
        counts = sorted({c.n for c in hopeless})
        n = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        least = min(hopeless, key=lambda c: c.smallest_p_holm or 0.0)
        smallest = f"smallest possible p {smallest_p_value(least.n):.3g}"
        if len(tested) > 1:
            smallest += f", {least.smallest_p_holm:.2g} adjusted for {len(tested)} comparisons"
        what = "any difference"
        if len(hopeless) < len(tested):
            what = f"a difference in {len(hopeless)} of {len(tested)} comparisons"
        return (
            f"n = {n}: too few to show {what} ({smallest}, and below {1 - LEVEL:.2g} is called "
            f"one); with {utterances_needed(len(tested))} utterances it is possible"
        )

    def best(self, metric: str) -> str | None:
        """The system with the best mean, excluding copies of the reference; None without scores."""
        means = {
            name: mean
            for name, system in self.systems.items()
            if not system.copy_of_reference and (mean := system.scores[metric].mean) is not None
        }
        if not means:
            return None
        choose = max if self.metrics[metric].better == "higher" else min
        return choose(means, key=lambda name: means[name])


def summarise(
    rows: Sequence[Row],
    columns: Sequence[Column],
    folders: dict[str, str],
    reference: str,
    command: str,
    resamples: int,
    seed: int,
    scoring: Scoring | None = None,
    copies: Collection[str] = (),
    rate: str = "",
    naming: Naming | None = None,
) -> Summary:
    """Means with 95 % bootstrap intervals, failures, comparisons and means by speaker.

    Args:
        rows: of all systems, with a score or None for every column.
        columns: the metrics, in the order of the tables.
        folders: of each system by name, in the order of the tables.
        reference: folder of the recordings.
        command: the command line.
        resamples: of the bootstrap.
        seed: of the bootstrap and of the paired tests.
        scoring: settings of reading and alignment, for the description.
        copies: the systems whose waveforms are the reference's.
        rate: the scoring rate, in words.
        naming: description of name matching.
    """
    versions = package_versions(name for column in columns for name in column.metric.packages)
    scoring = scoring or Scoring(tuple(column.name for column in columns))
    systems = {}
    for name, folder in folders.items():
        own = [row for row in rows if row.system == name]
        scores = {c.name: mean_score([row.scores[c.name] for row in own], resamples, seed)
                  for c in columns}  # fmt: skip
        systems[name] = SystemSummary(
            folder=folder,
            utterances=len(own),
            failed=sum(bool(row.errors) for row in own),
            scores=scores,
            copy_of_reference=name in copies,
        )
    return Summary(
        command=command,
        reference=reference,
        versions={name: found for name, found in versions.items() if found != ABSENT},
        interval=(
            f"{100 * LEVEL:g} % percentile bootstrap over utterances, "
            f"{resamples} resamples, seed {seed}"
        ),
        metrics={
            c.name: MetricNote(
                label=c.label,
                better=c.metric.better,
                decimals=c.metric.decimals,
                convention=c.convention,
            )
            for c in columns
        },
        systems=systems,
        problems=tuple(
            f"{row.system}/{row.utterance}: {error}" for row in rows for error in row.errors
        ),
        alignment=_alignment(scoring),
        comparisons=compare_systems(_by_utterance(rows, folders), columns, resamples, seed, copies),
        speakers=_speaker_scores(rows, columns, folders),
        sample_rate=scoring.sample_rate,
        rate=rate,
        naming=naming or Naming(),
    )


def mean_score(values: Sequence[float | None], resamples: int = 2000, seed: int = 0) -> Score:
    """Mean and 95 % percentile bootstrap interval of one metric's scores, in its unit.

    Args:
        values: one per utterance; failed scores are None, counted and excluded.
        resamples: of the bootstrap.
        seed: of the bootstrap.
    """
    scored = [value for value in values if value is not None]
    low, high = None, None
    if len(scored) > 1:
        low, high = bootstrap_interval(scored, LEVEL, resamples, seed)
    return Score(
        mean=sum(scored) / len(scored) if scored else None,
        low=low,
        high=high,
        n=len(scored),
        failures=len(values) - len(scored),
    )


def format_table(summary: Summary, conventions: bool = True) -> str:
    """A Markdown table: one row per system, one column per metric, cells "mean [low, high]".

    Args:
        summary: the evaluation.
        conventions: describe each metric below the table.
    """
    notes = summary.metrics
    arrows = {"higher": "↑", "lower": "↓"}
    heading = ["system", "utterances"] + [f"{m.label} {arrows[m.better]}" for m in notes.values()]
    lines = [heading, ["---", *["---:"] * (len(heading) - 1)]]
    for name, system in summary.systems.items():
        cells = [score_cell(system.scores[metric], note.decimals) for metric, note in notes.items()]
        lines.append([name, str(system.utterances), *cells])
    text = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    text += f"\nIn brackets: {summary.interval}.\n"
    if summary.rate:
        text += f"{summary.rate[0].upper()}{summary.rate[1:]}.\n"
    if conventions:
        # Columns of one measurement share their convention: print it once.
        text += "\n" + "".join(f"- {line}.\n" for line in dict.fromkeys(
            note.convention for note in notes.values()
        ))  # fmt: skip
    return text


def format_comparisons(summary: Summary, only_best: bool = False) -> str:
    """The comparisons as a Markdown list of sentences, "" if there are none.

    Args:
        summary: the evaluation.
        only_best: only comparisons with the best system of each metric that could show a
            difference; a sentence explains the omission of the latter.
    """
    if not summary.comparisons and not summary.not_compared:
        return ""
    best = {metric: summary.best(metric) for metric in summary.metrics}
    shown = [
        comparison
        for comparison in summary.comparisons
        if not only_best
        or (best[comparison.metric] in (comparison.a, comparison.b) and not comparison.too_few)
    ]
    which = " with the best system of each metric" if only_best and shown else ""
    text = f"Paired comparisons{which} ({METHOD}):\n"
    if summary.too_few:
        text += f"\n{summary.too_few}.\n"
    if shown:
        text += "\n" + "".join(f"- {comparison.sentence}.\n" for comparison in shown)
    return f"{text}\n{summary.not_compared}.\n" if summary.not_compared else text


def _alignment(scoring: Scoring) -> str:
    delay = (
        f"a constant delay of at most {scoring.max_delay_ms:g} ms is removed, a larger one refused"
        if scoring.max_delay_ms
        else "delays are not looked for"
    )
    level = (
        "each estimate gets one gain to its recording's RMS"
        if scoring.match_level
        else "levels are left as they are"
    )
    rate = f"{scoring.sample_rate} Hz" if scoring.sample_rate else "the recording's"
    return (
        f"{delay}; then durations may differ by {scoring.max_length_difference_s:g} s and are "
        f"cropped to the shorter; {level}; other rates are resampled to {rate} by soxr's HQ"
    )


def _by_utterance(
    rows: Sequence[Row], systems: Iterable[str]
) -> dict[str, dict[str, dict[str, float | None]]]:
    """Scores by system, in the order given, and utterance."""
    scores: dict[str, dict[str, dict[str, float | None]]] = {name: {} for name in systems}
    for row in rows:
        scores[row.system][row.utterance] = row.scores
    return scores


def _speaker_scores(
    rows: Sequence[Row], columns: Sequence[Column], systems: Iterable[str]
) -> tuple[SpeakerScore, ...]:
    speakers = sorted({row.speaker for row in rows})
    if speakers in ([], [""]):
        return ()
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.speaker, row.system), []).append(row)
    return tuple(
        _speaker_score(speaker, system, column.name, groups.get((speaker, system), []))
        for speaker, system, column in itertools.product(speakers, list(systems), columns)
    )


def _speaker_score(speaker: str, system: str, metric: str, rows: Sequence[Row]) -> SpeakerScore:
    scored = [value for row in rows if (value := row.scores[metric]) is not None]
    mean = sum(scored) / len(scored) if scored else None
    return SpeakerScore(speaker=speaker, system=system, metric=metric, mean=mean, n=len(scored))


def score_cell(score: Score, decimals: int) -> str:
    """Mean and interval, and how many failed."""
    if score.mean is None:
        return "–"
    text = f"{score.mean:.{decimals}f}"
    if score.low is not None and score.high is not None:
        text += f" [{score.low:.{decimals}f}, {score.high:.{decimals}f}]"
    return f"{text} ({score.failures} failed)" if score.failures else text
