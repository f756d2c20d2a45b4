"""The tables and figures of RESULTS.md, between marks; what stands around them is kept."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from egs.comparison.costs import NOTHING_LEARNT, Row, read_costs
from egs.comparison.curves import Point, nearest_rival, read_curve, read_summary
from egs.comparison.figures import Line, draw_costs, draw_curves
from egs.comparison.final import seed_label
from egs.comparison.operations import Operations, read_operations
from egs.comparison.systems import (
    CLASSICAL,
    OURS,
    RECORDING,
    Layout,
    System,
    Trained,
    read_training,
)
from egs.scripts import replace_blocks, table
from vocoder.data.files import write_text
from vocoder.evaluation.comparison import Comparison
from vocoder.evaluation.folders import SUMMARY_NAME
from vocoder.evaluation.summary import MetricNote, Score, Summary

LEVEL = 0.05
"""A difference is called one where its p, adjusted by Holm, is below this."""
ARROWS = {"higher": "↑", "lower": "↓"}
FIGURES = "figures"


def write_results(folder: Path, layout: Layout, systems: Sequence[System]) -> Path:
    """Renew every marked block of `folder/RESULTS.md`, and the figures beside it.

    Raises:
        VocoderError: nothing has been evaluated yet, or a mark is missing from the file.
    """
    curves = {
        system.name: curve for system in systems if (curve := read_curve(system.name, 0, layout))
    }
    labels = {system.name: system.label for system in systems}
    operations = read_operations(layout.operations)
    blocks = {
        "curves": draw_all(folder / FIGURES, layout, systems, curves, operations),
        "training": training_table(layout, systems, operations),
        "costs": costs_table(read_costs(layout), labels | CLASSICAL),
        "seeds": seeds_table(layout, systems),
        **test_blocks(folder / FIGURES, layout, systems),
    }
    path = folder / "RESULTS.md"
    write_text(path, replace_blocks(path, blocks))
    return path


# -- training ------------------------------------------------------------------------------------


def training_table(
    layout: Layout, systems: Sequence[System], operations: Mapping[str, Operations]
) -> str:
    """What each system did with its budget, seed 0."""
    rows = [["system", "minutes", "steps", "operations a step (G)", "in all (P)", "bits a sample"]]
    for system in systems:
        trained = read_training(layout.training(system.name, 0))
        if trained is None or not trained.complete:
            continue
        teacher = read_training(layout.teacher(system.name, 0))
        minutes = f"{trained.spent_s / 60:.1f}"
        steps = f"{trained.step}"
        if teacher is not None:
            minutes = f"{teacher.spent_s / 60:.1f} + {minutes}"
            steps = f"{teacher.step} + {steps}"
        known = operations.get(system.name)
        bits = None if known is None else known.bits_per_sample
        rows.append([
            system.label,
            minutes,
            steps,
            "–" if known is None else f"{known.step.after / 1e9:.1f}",
            "–" if known is None else f"{in_all(known, trained, teacher) / 1e15:.3f}",
            "–" if bits is None else f"{bits:.2f}",
        ])  # fmt: skip
    return table(rows)


def in_all(operations: Operations, trained: Trained, teacher: Trained | None) -> float:
    """Operations of a whole training, a teacher's included."""
    return operations.training(trained.step, 0 if teacher is None else teacher.step)


# -- curves --------------------------------------------------------------------------------------


def draw_all(
    folder: Path,
    layout: Layout,
    systems: Sequence[System],
    curves: Mapping[str, Sequence[Point]],
    operations: Mapping[str, Operations],
) -> str:
    """One figure a metric; the Markdown that shows them."""
    if not curves:
        return "No curves yet."
    notes = read_summary(layout.curve_scores(next(iter(curves)), 0)).metrics
    shown = []
    for metric, note in notes.items():
        lines = [
            line_of(system, metric, curves[system.name], layout, operations.get(system.name))
            for system in systems
            if system.name in curves
        ]
        drawn = [line for line in lines if line is not None]
        if not drawn:
            continue
        title = f"{note.label}, {note.better} is better"
        draw_curves(folder / f"{metric}.png", drawn, title)
        shown.append(f"![{title}]({folder.name}/{metric}.png)")
    return "\n\n".join(shown)


def line_of(
    system: System,
    metric: str,
    curve: Sequence[Point],
    layout: Layout,
    operations: Operations | None,
) -> Line | None:
    """A system's curve of one metric, without the points that have no score."""
    scored = [point for point in curve if point.scores[metric].mean is not None]
    if not scored:
        return None
    teacher = read_training(layout.teacher(system.name, 0))
    teacher_steps = 0 if teacher is None else teacher.step
    scores = [point.scores[metric] for point in scored]
    return Line(
        label=system.label,
        minutes=[point.spent_s / 60 for point in scored],
        operations=None
        if operations is None
        else [operations.training(point.step, teacher_steps) for point in scored],
        means=[score.mean for score in scores if score.mean is not None],
        low=[score.low for score in scores],
        high=[score.high for score in scores],
        ours=system.name == OURS,
    )


# -- the final test ------------------------------------------------------------------------------


def test_blocks(folder: Path, layout: Layout, systems: Sequence[System]) -> dict[str, str]:
    """Means of all systems, and ours against each of the others."""
    if not (layout.test_scores / SUMMARY_NAME).exists():
        return dict.fromkeys(("test", "against", "verdicts"), "Not evaluated yet.")
    summary = read_summary(layout.test_scores)
    ours = next(system.label for system in systems if system.name == OURS)
    blocks = {"test": means_table(summary)}
    if ours not in summary.systems:
        return blocks | dict.fromkeys(("against", "verdicts"), f"{ours} was not evaluated yet.")
    blocks["against"] = against_table(summary, ours)
    blocks["verdicts"] = verdicts(summary, ours)
    points = cost_points(layout, systems, summary)
    if len(points) > 1:
        name = "pesq-cost"
        draw_costs(folder / f"{name}.png", points, "PESQ-WB on the test utterances against speed")
        blocks["test"] += f"\n![PESQ-WB against the real-time factor]({folder.name}/{name}.png)"
    return blocks


def cost_points(
    layout: Layout, systems: Sequence[System], summary: Summary
) -> dict[str, tuple[float, float]]:
    """Real-time factor at the budget's size and PESQ, ours first."""
    names = {system.name: system.label for system in systems} | CLASSICAL
    factors = {
        names[row.name]: row.cost.real_time_factor
        for row in read_costs(layout)
        if row.size != "paper" and row.name in names
    }
    points = {}
    for label in dict.fromkeys([*(names[s.name] for s in systems), *CLASSICAL.values()]):
        scored = summary.systems.get(label)
        score = None if scored is None else scored.scores.get("pesq")
        if label in factors and score is not None and score.mean is not None:
            points[label] = (factors[label], score.mean)
    return points


def means_table(summary: Summary) -> str:
    """A row a system, a column a metric, "mean [low, high]" in the cells, best mean in bold.

    Metrics stand in two tables, so that one fits a page.
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
    """The system with the best mean; the recording does not compete."""
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
    """By how much ours is better, and the ends of the interval; negative where it is worse."""
    assert comparison.difference is not None
    low = comparison.difference if comparison.low is None else comparison.low
    high = comparison.difference if comparison.high is None else comparison.high
    values = (comparison.difference, low, high)
    if (comparison.a == ours) == (note.better == "higher"):
        return values
    return -values[0], -values[2], -values[1]


def against_table(summary: Summary, ours: str) -> str:
    """For each other system and metric by how much ours is better, with interval and verdict."""
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
    """The paired comparison of two systems, whichever stands first in it."""
    for comparison in summary.comparisons:
        if comparison.metric == metric and {comparison.a, comparison.b} == {ours, other}:
            return comparison
    return None


def verdicts(summary: Summary, ours: str) -> str:
    """A line a rival: on which metrics ours is better, on which worse, which do not tell."""
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


def seeds_table(layout: Layout, systems: Sequence[System]) -> str:
    """Every run of the systems that have several, and their spread."""
    if not (layout.seed_scores / SUMMARY_NAME).exists():
        return "One seed each so far."
    summary = read_summary(layout.seed_scores)
    notes = summary.metrics
    rows = [["run", *(f"{note.label} {ARROWS[note.better]}" for note in notes.values())]]
    for system in systems:
        labels = [seed_label(system, seed) for seed in layout.seeds(system.name)]
        labels = [label for label in labels if label in summary.systems]
        if not labels:
            continue
        rows += [
            [label, *(
                score_cell(summary.systems[label].scores[name], note.decimals)
                for name, note in notes.items()
            )]
            for label in labels
        ]  # fmt: skip
        rows.append([f"**{system.label}, mean ± standard deviation of runs**", *(
            _spread([summary.systems[label].scores[name] for label in labels], note.decimals)
            for name, note in notes.items()
        )])  # fmt: skip
    rival = nearest_rival(layout, systems)
    name = next(system.label for system in systems if system.name == rival)
    return table(rows) + f"\nNearest rival by the rule of the README: {name}.\n"


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
            "" if row.size == NOTHING_LEARNT else row.size,
            f"{row.sample_rate / 1000:g}",
            f"{cost.parameters / 1e6:.2f}" if cost.parameters else "–",
            f"{cost.macs_per_second / 1e6:.0f}" if cost.macs_per_second else "–",
            f"{cost.real_time_factor:.4g}",
            "utterance" if row.latency_s is None else f"{1000 * row.latency_s:.0f}",
            memory,
            f"{cost.audio_s:.2f}",
        ])  # fmt: skip
    return table(lines)


# -- Markdown ------------------------------------------------------------------------------------


def score_cell(score: Score, decimals: int) -> str:
    """Mean and interval, and how many failed."""
    if score.mean is None:
        return "–"
    text = f"{score.mean:.{decimals}f}"
    if score.low is not None and score.high is not None:
        text += f" [{score.low:.{decimals}f}, {score.high:.{decimals}f}]"
    return f"{text} ({score.failures} failed)" if score.failures else text
