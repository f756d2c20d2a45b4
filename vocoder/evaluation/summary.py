"""What an evaluation found: means with confidence intervals, and how they were measured."""

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

from vocoder.config import Config
from vocoder.evaluation.bootstrap import bootstrap_interval
from vocoder.evaluation.pairs import Row
from vocoder.evaluation.registry import Column

LEVEL = 0.95
_MEASURING_PACKAGES = ("vocoder", "pesq", "praat-parselmouth", "speechmos", "torch", "soxr")


class Score(Config):
    """One metric of one system: mean over the utterances scored, and its interval.

    `mean` is None where nothing could be scored, `low` and `high` also where one utterance was.
    """

    mean: float | None
    low: float | None
    high: float | None
    n: int
    failures: int


class MetricNote(Config):
    """How a column of the table was measured and is to be read."""

    label: str
    better: Literal["higher", "lower"]
    decimals: int
    convention: str


class SystemSummary(Config):
    """The scores of one folder; `failed` utterances have at least one error in the table."""

    folder: str
    utterances: int
    failed: int
    scores: dict[str, Score]


class Summary(Config):
    """The whole evaluation, as `summary.json` holds it."""

    command: str
    reference: str
    versions: dict[str, str]
    interval: str
    metrics: dict[str, MetricNote]
    systems: dict[str, SystemSummary]
    problems: tuple[str, ...]

    @property
    def failures(self) -> int:
        """How many rows of the table have an error."""
        return sum(system.failed for system in self.systems.values())


def summarise(
    rows: Sequence[Row],
    columns: Sequence[Column],
    folders: dict[str, str],
    reference: str,
    command: str,
    resamples: int,
    seed: int,
) -> Summary:
    """Means, 95 % bootstrap intervals and failures of every system and column."""
    systems = {}
    for name, folder in folders.items():
        own = [row for row in rows if row.system == name]
        scores = {c.name: _score([row.scores[c.name] for row in own], resamples, seed)
                  for c in columns}  # fmt: skip
        systems[name] = SystemSummary(
            folder=folder,
            utterances=len(own),
            failed=sum(bool(row.errors) for row in own),
            scores=scores,
        )
    return Summary(
        command=command,
        reference=reference,
        versions=_versions(),
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
    )


def format_table(summary: Summary, conventions: bool = True) -> str:
    """A Markdown table: a row a system, a column a metric, "mean [low, high]" in the cells.

    Args:
        summary: the evaluation.
        conventions: list below the table what each metric is.
    """
    notes = summary.metrics
    arrows = {"higher": "↑", "lower": "↓"}
    heading = ["system", "utterances"] + [f"{m.label} {arrows[m.better]}" for m in notes.values()]
    lines = [heading, ["---", *["---:"] * (len(heading) - 1)]]
    for name, system in summary.systems.items():
        cells = [_cell(system.scores[metric], note.decimals) for metric, note in notes.items()]
        lines.append([name, str(system.utterances), *cells])
    text = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    text += f"\nIn brackets: {summary.interval}.\n"
    if conventions:
        # Columns of one measurement share their convention; say it once.
        text += "\n" + "".join(f"- {line}.\n" for line in dict.fromkeys(
            note.convention for note in notes.values()
        ))  # fmt: skip
    return text


def _score(values: Sequence[float | None], resamples: int, seed: int) -> Score:
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


def _cell(score: Score, decimals: int) -> str:
    if score.mean is None:
        return "–"
    text = f"{score.mean:.{decimals}f}"
    if score.low is not None and score.high is not None:
        text += f" [{score.low:.{decimals}f}, {score.high:.{decimals}f}]"
    return f"{text} ({score.failures} failed)" if score.failures else text


def _versions() -> dict[str, str]:
    """Versions of the packages that decide the numbers; those not installed are left out."""
    found = {}
    for package in _MEASURING_PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
