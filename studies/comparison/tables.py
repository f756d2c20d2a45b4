"""The tables and figures of RESULTS.md, between marks; the surrounding text is kept."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.baselines import CLASSICAL as NO_SIZE
from bench.baselines import Row
from studies.comparison import curves, final
from studies.comparison.costs import read_costs
from studies.comparison.figures import Line, draw_costs, draw_curves
from studies.comparison.outcome import Outcome, Outcomes, read_all
from studies.comparison.systems import CLASSICAL, OURS, RECORDING, System
from studies.scores import Scores, columns_of
from studies.scripts import replace_blocks, table
from vocoder.data.files import write_text
from vocoder.errors import VocoderError
from vocoder.evaluation.comparison import Comparison
from vocoder.evaluation.registry import Column
from vocoder.evaluation.summary import MetricNote, Score, Summary, mean_score, score_cell, summarise

LEVEL = 0.05
"""Level of significance for p adjusted by Holm."""
ARROWS = {"higher": "↑", "lower": "↓"}
FIGURES = "figures"
RIVAL_METRIC = "pesq"
IN_README = ("pesq", "mstft", "voicing_f1", "dnsmos", "distillmos")
"""Columns of the README's table."""


def write_results(folder: Path, outcomes: Outcomes, systems: Mapping[str, System]) -> Path:
    """Update every marked block of `folder/RESULTS.md`, and the figures beside it.

    Raises:
        VocoderError: an unreadable outcome, or a missing mark in the file.
    """
    trained = read_all(outcomes, systems)
    labels = {name: system.label for name, system in systems.items()}
    figures = folder / FIGURES
    blocks = {
        "curves": draw_all(figures, trained, labels),
        "training": training_table(trained, labels),
        "costs": costs_table(read_costs(outcomes.costs), labels | CLASSICAL),
        "seeds": seeds_table(outcomes, trained, labels),
        **test_blocks(figures, outcomes, trained, labels),
    }
    path = folder / "RESULTS.md"
    write_text(path, replace_blocks(path, blocks))
    return path


def readme_table(outcomes: Outcomes, systems: Mapping[str, System]) -> str:
    """Means of all systems, seed 0, the best in PESQ-WB first and the recording last."""
    scores = {system.label: found.test for name, system in systems.items()
              if (found := outcomes.read(name)) is not None}  # fmt: skip
    for name, label in {**CLASSICAL, RECORDING: RECORDING}.items():
        if (untrained := outcomes.read_untrained(name)) is not None:
            scores[label] = untrained.test
    columns = _measured(IN_README, list(scores.values()))
    means = {
        label: [mean_score(own.values.get(column.name, ())).mean for column in columns]
        for label, own in scores.items()
    }

    def place(label: str) -> tuple[bool, float]:
        first = means[label][0]
        return label == RECORDING, -(first or 0)

    rows = [["system", *(f"{each.label} {ARROWS[each.metric.better]}" for each in columns)]]
    for label in sorted(means, key=place):
        cells = [
            "–" if mean is None else f"{mean:.{min(column.metric.decimals, 2)}f}"
            for column, mean in zip(columns, means[label], strict=True)
        ]
        rows.append([label, *cells])
    return table(rows)


def nearest_rival(trained: Mapping[str, Outcome]) -> str:
    """The rule, written down before any training: of all other neural systems the one with the
    highest mean PESQ-WB over the validation excerpts at the end of the budget, seed 0.

    Raises:
        VocoderError: no other system has a score.
    """
    ends = {}
    for name, outcome in trained.items():
        end = outcome.curve[-1].scores
        if RIVAL_METRIC not in end.values:
            raise VocoderError(
                f"{name}: the nearest rival is chosen by {RIVAL_METRIC}; add it to the metrics"
            )
        score = mean_score(end.values[RIVAL_METRIC])
        if name != OURS and score.mean is not None:
            ends[name] = score.mean
    if not ends:
        raise VocoderError("no rival has an outcome yet; run the stages train and score first")
    return max(ends, key=lambda name: ends[name])


# -- training ------------------------------------------------------------------------------------


def training_table(trained: Mapping[str, Outcome], labels: Mapping[str, str]) -> str:
    """Steps and operations of each system within its budget, seed 0."""
    rows = [["system", "minutes", "steps", "operations a step (G)", "in all (P)", "bits a sample"]]
    for name, outcome in trained.items():
        minutes = f"{outcome.training.spent_s / 60:.1f}"
        steps = f"{outcome.training.steps}"
        if outcome.teacher is not None:
            minutes = f"{outcome.teacher.spent_s / 60:.1f} + {minutes}"
            steps = f"{outcome.teacher.steps} + {steps}"
        bits = outcome.operations.bits_per_sample
        rows.append([
            labels[name],
            minutes,
            steps,
            f"{outcome.operations.step.after / 1e9:.1f}",
            f"{operations_until(outcome, outcome.training.steps) / 1e15:.3f}",
            "–" if bits is None else f"{bits:.2f}",
        ])  # fmt: skip
    return table(rows)


def operations_until(outcome: Outcome, steps: int) -> float:
    """Operations of the first steps of a training, including the teacher's whole training."""
    return outcome.operations.training(
        steps, 0 if outcome.teacher is None else outcome.teacher.steps
    )


# -- curves --------------------------------------------------------------------------------------


def draw_all(folder: Path, trained: Mapping[str, Outcome], labels: Mapping[str, str]) -> str:
    """Draw one figure per metric; returns their Markdown."""
    shown = []
    for column in _measured(curves.METRICS, [o.curve[-1].scores for o in trained.values()]):
        lines = [line_of(labels[name], column.name, o) for name, o in trained.items()]
        drawn = [line for line in lines if line is not None]
        if not drawn:
            continue
        title = f"{column.label}, {column.metric.better} is better"
        draw_curves(folder / f"{column.name}.png", drawn, title)
        shown.append(f"![{title}]({folder.name}/{column.name}.png)")
    return "\n\n".join(shown) or "No curves yet."


def line_of(label: str, metric: str, outcome: Outcome) -> Line | None:
    """A system's curve of one metric, without points lacking a score."""
    points = [
        (point, score)
        for point in outcome.curve
        if (score := mean_score(point.scores.values.get(metric, ()))).mean is not None
    ]
    if not points:
        return None
    return Line(
        label=label,
        minutes=[point.spent_s / 60 for point, _ in points],
        operations=[operations_until(outcome, point.steps) for point, _ in points],
        means=[score.mean for _, score in points if score.mean is not None],
        low=[score.low for _, score in points],
        high=[score.high for _, score in points],
        ours=outcome.system == OURS,
    )


def _measured(wanted: Sequence[str], scores: Sequence[Scores]) -> list[Column]:
    """The columns of the requested metrics with any scores."""
    present = {metric for each in scores for metric in each.values}
    return columns_of([metric for metric in wanted if metric in present])


# -- the final test ------------------------------------------------------------------------------


def test_blocks(
    folder: Path, outcomes: Outcomes, trained: Mapping[str, Outcome], labels: Mapping[str, str]
) -> dict[str, str]:
    """Means of all systems, and comparisons of ours with each of the others."""
    if OURS not in trained:
        return dict.fromkeys(("test", "against", "verdicts"), "Not evaluated yet.")
    scores = {labels[name]: outcome.test for name, outcome in trained.items()}
    for name, label in {RECORDING: RECORDING, **CLASSICAL}.items():
        untrained = outcomes.read_untrained(name)
        if untrained is not None:
            scores[label] = untrained.test
    summary = summary_of(scores)
    ours = labels[OURS]
    blocks = {
        "test": means_table(summary),
        "against": against_table(summary, ours),
        "verdicts": verdicts(summary, ours),
    }
    points = cost_points(read_costs(outcomes.costs), {**labels, **CLASSICAL}, summary)
    if len(points) > 1:
        name = "pesq-cost"
        draw_costs(folder / f"{name}.png", points, "PESQ-WB on the test utterances against speed")
        blocks["test"] += f"\n![PESQ-WB against the real-time factor]({folder.name}/{name}.png)"
    return blocks


def summary_of(scores: Mapping[str, Scores]) -> Summary:
    """Means, intervals and paired tests of test scores by label, as an evaluation gives them."""
    columns = _measured(final.METRICS, list(scores.values()))
    names = [column.name for column in columns]
    rows = [row for label, own in scores.items() for row in own.rows(label, names)]
    copies = {RECORDING} & scores.keys()
    return summarise(rows, columns, dict.fromkeys(scores, ""), "", "", 2000, 0, copies=copies)


def cost_points(
    rows: Sequence[Row], labels: Mapping[str, str], summary: Summary
) -> dict[str, tuple[float, float]]:
    """Real-time factor at the budget's size and PESQ, ours first."""
    factors = {
        labels[row.name]: row.cost.real_time_factor
        for row in rows
        if row.size != "paper" and row.name in labels
    }
    points = {}
    for label in labels.values():
        scored = summary.systems.get(label)
        score = None if scored is None else scored.scores.get("pesq")
        if label in factors and score is not None and score.mean is not None:
            points[label] = (factors[label], score.mean)
    return points


def means_table(summary: Summary) -> str:
    """One row per system, one column per metric, cells "mean [low, high]", best mean in bold.

    Metrics are split into two tables that fit a page.
    """
    names = list(summary.metrics)
    half = -(-len(names) // 2)
    parts = [names] if len(names) <= 6 else [names[:half], names[half:]]
    return (
        "\n".join(_means(summary, part) for part in parts) + f"\nIn brackets: {summary.interval}.\n"
    )


def _means(summary: Summary, names: Sequence[str]) -> str:
    notes = {name: summary.metrics[name] for name in names}
    best = {name: best_of(summary, name) for name in names}
    rows = [["system", *(f"{note.label} {ARROWS[note.better]}" for note in notes.values())]]
    for label, system in summary.systems.items():
        cells = []
        for name, note in notes.items():
            text = score_cell(system.scores[name], note.decimals)
            cells.append(f"**{text}**" if label == best[name] else text)
        rows.append([label, *cells])
    return table(rows)


def best_of(summary: Summary, metric: str) -> str | None:
    """The system with the best mean, excluding the recording."""
    means = {
        label: mean
        for label, system in summary.systems.items()
        if label != RECORDING and (mean := system.scores[metric].mean) is not None
    }
    if not means:
        return None
    pick = max if summary.metrics[metric].better == "higher" else min
    return pick(means, key=lambda label: means[label])


def advantage(comparison: Comparison, ours: str, note: MetricNote) -> tuple[float, float, float]:
    """Advantage of ours with the limits of its interval; negative if worse."""
    assert comparison.difference is not None
    low = comparison.difference if comparison.low is None else comparison.low
    high = comparison.difference if comparison.high is None else comparison.high
    values = (comparison.difference, low, high)
    if (comparison.a == ours) == (note.better == "higher"):
        return values
    return -values[0], -values[2], -values[1]


def against_table(summary: Summary, ours: str) -> str:
    """Advantage of ours over each other system per metric, with interval and verdict."""
    notes = summary.metrics
    rows = [[f"{ours} against", *(note.label for note in notes.values())]]
    for label in summary.systems:
        if label in (ours, RECORDING):
            continue
        cells = []
        for name, note in notes.items():
            found = comparison_of(summary, name, ours, label)
            if found is None or found.difference is None:
                cells.append("–")
                continue
            amount, low, high = advantage(found, ours, note)
            digits = f"+.{note.decimals}f"
            text = f"{amount:{digits}} [{low:{digits}}, {high:{digits}}]"
            cells.append(f"{verdict(found, amount)} {text}")
        rows.append([label, *cells])
    return table(rows) + (
        "\nMean paired difference, positive where this model is better, whichever way the metric "
        f"runs. ✓ better, ✗ worse, ≈ not beyond chance (p, adjusted by Holm, {LEVEL:g} or more).\n"
    )


def verdict(comparison: Comparison, amount: float) -> str:
    """✓, ✗ or ≈ for ours."""
    if comparison.p_holm is None or comparison.p_holm >= LEVEL:
        return "≈"
    return "✓" if amount > 0 else "✗"


def comparison_of(summary: Summary, metric: str, ours: str, other: str) -> Comparison | None:
    """The paired comparison of two systems, in either order."""
    for comparison in summary.comparisons:
        if comparison.metric == metric and {comparison.a, comparison.b} == {ours, other}:
            return comparison
    return None


def verdicts(summary: Summary, ours: str) -> str:
    """One line per rival: metrics on which ours is better, worse, or not different."""
    rows = [["against", "better on", "worse on", "no difference beyond chance"]]
    for label in summary.systems:
        if label in (ours, RECORDING):
            continue
        lists: dict[str, list[str]] = {"✓": [], "✗": [], "≈": []}
        for name, note in summary.metrics.items():
            found = comparison_of(summary, name, ours, label)
            if found is not None and found.difference is not None:
                lists[verdict(found, advantage(found, ours, note)[0])].append(note.label)
        rows.append([label, *(", ".join(found) or "–" for found in lists.values())])
    return table(rows)


# -- seeds ---------------------------------------------------------------------------------------


def seeds_table(
    outcomes: Outcomes, trained: Mapping[str, Outcome], labels: Mapping[str, str]
) -> str:
    """Every run of the systems that have several, and their spread."""
    repeated = {name: outcomes.seeds(name) for name in trained}
    repeated = {name: seeds for name, seeds in repeated.items() if len(seeds) > 1}
    if not repeated:
        return "One seed each so far."
    runs = {
        name: {
            f"{labels[name]}, seed {seed}": outcome.test
            for seed in seeds
            if (outcome := outcomes.read(name, seed)) is not None
        }
        for name, seeds in repeated.items()
    }
    summary = summary_of({label: test for own in runs.values() for label, test in own.items()})
    notes = summary.metrics
    rows = [["run", *(f"{note.label} {ARROWS[note.better]}" for note in notes.values())]]
    for name, own in runs.items():
        scores = [summary.systems[label].scores for label in own]
        rows += [
            [label, *(score_cell(each[m], note.decimals) for m, note in notes.items())]
            for label, each in zip(own, scores, strict=True)
        ]
        spreads = (_spread([s[m] for s in scores], note.decimals) for m, note in notes.items())
        rows.append([f"**{labels[name]}, mean ± standard deviation of runs**", *spreads])
    rival = labels[nearest_rival(trained)]
    return table(rows) + f"\nNearest rival by the rule of the README: {rival}.\n"


def _spread(scores: Sequence[Score], decimals: int) -> str:
    means = [score.mean for score in scores if score.mean is not None]
    if len(means) < 2:
        return "–"
    return f"{statistics.mean(means):.{decimals}f} ± {statistics.stdev(means):.{decimals}f}"


# -- costs ---------------------------------------------------------------------------------------


def costs_table(rows: Sequence[Row], labels: Mapping[str, str]) -> str:
    """Parameters, operations, speed, latency and memory, at both sizes."""
    if not rows:
        return "Not measured yet."
    lines = [[
        "system", "size", "rate (kHz)", "parameters (M)", "MMAC a second", "real-time factor",
        "latency (ms)", "peak memory (MB)", "audio measured (s)",
    ]]  # fmt: skip
    for row in rows:
        cost = row.cost
        memory = "–" if cost.memory is None else f"{cost.memory.peak / 1e6:.0f}"
        lines.append([
            labels.get(row.name, row.name),
            "" if row.size == NO_SIZE else row.size,
            f"{row.sample_rate / 1000:g}",
            f"{cost.parameters / 1e6:.2f}" if cost.parameters else "–",
            f"{cost.macs_per_second / 1e6:.0f}" if cost.macs_per_second else "–",
            f"{cost.real_time_factor:.4g}",
            "utterance" if row.latency_s is None else f"{1000 * row.latency_s:.0f}",
            memory,
            f"{cost.audio_s:.2f}",
        ])  # fmt: skip
    return table(lines)
