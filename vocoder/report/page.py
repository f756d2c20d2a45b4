"""Fill the page: its HTML, and the data for its script."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from vocoder.evaluation.comparison import METHOD
from vocoder.evaluation.cost import Cost
from vocoder.evaluation.statistics import LEVEL
from vocoder.evaluation.summary import MetricNote, Score, mean_score
from vocoder.report.comparisons import ComparisonView, comparison_view
from vocoder.report.costs import COST_AXES, CostAxis
from vocoder.report.media import UtteranceMedia
from vocoder.report.paths import ShownPaths
from vocoder.report.pictures import CONVENTIONS
from vocoder.report.plots import Point, cost_svg, distribution_svg
from vocoder.report.ranking import Rank, rank
from vocoder.report.results import Results
from vocoder.report.tables import latex_table, means_csv, utterances_csv

_PACKAGE = "vocoder.report"
_STYLES = ("page.css", "utterances.css")
_SCRIPTS = ("player.js", "panel.js", "utterances.js", "exports.js", "main.js")
_ARROWS = {"higher": "↑", "lower": "↓"}
_MINUS = "−"


@dataclass(frozen=True)
class ScoreCell:
    """One mean in a table; strings as displayed, "" if absent."""

    mean: str
    interval: str
    failures: int
    rank: Rank


@dataclass(frozen=True)
class MetricView:
    """Everything about one metric."""

    key: str
    label: str
    arrow: str
    better: str
    convention: str
    cells: dict[str, ScoreCell]
    distribution: Markup
    costs: tuple[Markup, ...]
    speakers: dict[str, dict[str, ScoreCell]]
    comparisons: ComparisonView


@dataclass(frozen=True)
class SystemView:
    """One row of the table of systems."""

    name: str
    css_class: str
    folder: str
    utterances: int
    failed: int
    best_on: int
    costs: tuple[str, ...]
    is_reference: bool


def render_page(
    results: Results,
    media: Mapping[str, UtteranceMedia],
    costs: Mapping[str, Cost],
    title: str,
    embedded: bool,
) -> str:
    """The whole page as text.

    Args:
        results: the evaluation.
        media: by utterance, with paths relative to the page or data URIs.
        costs: by system, for those whose cost is known.
        title: heading.
        embedded: the media are data URIs: each utterance's are in a separate block, which is parsed
            when the utterance is opened.
    """
    summary = results.summary
    shown = ShownPaths(_known_folders(results))
    ranks = {key: rank(summary, key, results.rivals, results.recordings) for key in summary.metrics}
    metrics = [_metric_view(results, key, costs, ranks[key]) for key in summary.metrics]
    environment = Environment(
        loader=PackageLoader(_PACKAGE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    durations = [made.duration_s for made in media.values()]
    return environment.get_template("report.html.jinja").render(
        title=title,
        style=_asset_text(_STYLES),
        script=_asset_text(_SCRIPTS),
        metrics=metrics,
        systems=_system_views(results, metrics, costs, shown),
        speakers=_speakers(results),
        has_ties=any("tied" in places.values() for places in ranks.values()),
        summary=summary,
        problems=[shown.text(problem) for problem in summary.problems],
        reference=shown.path(summary.reference),
        command=shown.command(summary.command),
        utterances=len(results.utterances),
        minutes=sum(durations) / 60,
        cost_labels=[axis.label for axis in COST_AXES] if costs else [],
        costless=[name for name in results.rivals if name not in costs],
        conventions=_conventions(metrics),
        picture_conventions=CONVENTIONS,
        level=100 * LEVEL,
        comparison_method=METHOD,
        tables=_json(
            {
                "means.tex": latex_table(results, ranks),
                "means.csv": means_csv(results),
                "utterances.csv": utterances_csv(results, shown),
            }
        ),
        data=_json(_data(results, media, embedded, shown)),
        blocks=[_json(_media_data(media[name])) for name in results.utterances] if embedded else [],
    )


def _known_folders(results: Results) -> list[str]:
    """Folders that messages of the evaluation may name."""
    systems = [system.folder for system in results.summary.systems.values()]
    return [*systems, results.summary.reference, str(results.folder)]


def _conventions(metrics: Sequence[MetricView]) -> dict[str, list[MetricView]]:
    """The distinct conventions: columns of one measurement share theirs."""
    shared: dict[str, list[MetricView]] = {}
    for metric in metrics:
        shared.setdefault(metric.convention, []).append(metric)
    return shared


def _asset_text(names: Sequence[str]) -> Markup:
    """Style sheets or scripts of this package, one after the other."""
    folder = files(_PACKAGE) / "static"
    return Markup("\n".join((folder / name).read_text(encoding="utf-8") for name in names))


def _json(value: Any) -> Markup:
    """JSON for a script element, escaped so that it cannot end the element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))


def _classes(results: Results) -> dict[str, str]:
    """CSS class of each player: its number, the recording 0."""
    return {name: f"s{index % 10}" for index, name in enumerate(results.players)}


def _speakers(results: Results) -> list[str]:
    """Speakers in alphabetical order; empty if unknown."""
    return sorted({name for name in results.speakers.values() if name})


def _metric_view(
    results: Results, key: str, costs: Mapping[str, Cost], ranks: Mapping[str, Rank]
) -> MetricView:
    summary, note = results.summary, results.summary.metrics[key]
    scores = {name: system.scores[key] for name, system in summary.systems.items()}
    trivial = {results.recording} if _is_identity(results, key) else set()
    distribution = distribution_svg(
        {name: results.scores(name, key) for name in scores if name not in trivial},
        _classes(results),
    )
    return MetricView(
        key=key,
        label=note.label,
        arrow=_ARROWS[note.better],
        better=note.better,
        convention=note.convention,
        cells={name: _cell(score, note, ranks.get(name, "")) for name, score in scores.items()},
        distribution=Markup(distribution),
        costs=tuple(Markup(_cost_plot(results, key, axis, costs)) for axis in COST_AXES)
        if costs
        else (),
        speakers={name: _speaker_cells(results, key, note, name) for name in _speakers(results)},
        comparisons=comparison_view(summary.comparisons, key, _best(ranks) or summary.best(key)),
    )


def _best(ranks: Mapping[str, Rank]) -> str | None:
    return next((name for name, place in ranks.items() if place == "best"), None)


def _is_identity(results: Results, key: str) -> bool:
    """Whether all scores of the recording are equal, as in a comparison with itself."""
    return len(set(results.scores(results.recording, key))) == 1


def _cell(score: Score, note: MetricNote, place: Rank) -> ScoreCell:
    interval = ""
    if score.low is not None and score.high is not None and score.low < score.high:
        interval = f"[{_number(score.low, note.decimals)}, {_number(score.high, note.decimals)}]"
    mean = "" if score.mean is None else _number(score.mean, note.decimals)
    return ScoreCell(mean, interval, score.failures, place)


def _number(value: float, decimals: int) -> str:
    """Format with a true minus sign, and never as −0."""
    text = f"{value:.{decimals}f}"
    if text.startswith("-"):
        return text[1:] if float(text) == 0 else _MINUS + text[1:]
    return text


def _speaker_cells(
    results: Results, key: str, note: MetricNote, speaker: str
) -> dict[str, ScoreCell]:
    """Means of one speaker's utterances, by system."""
    own = [name for name in results.utterances if results.speakers[name] == speaker]
    cells = {}
    for system in results.summary.systems:
        rows = (results.cells.get((system, name)) for name in own)
        values = [row.scores[key] for row in rows if row is not None]
        cells[system] = _cell(mean_score(values), note, "")
    return cells


def _cost_plot(results: Results, key: str, axis: CostAxis, costs: Mapping[str, Cost]) -> str:
    """Plot of the systems with a cost above zero; the recording's mean is a line."""
    classes, systems = _classes(results), results.summary.systems
    points = [
        Point(name, classes[name], axis.value(costs[name]), systems[name].scores[key])
        for name in results.rivals
        if name in costs and axis.value(costs[name]) > 0
    ]
    ceiling = None
    if results.recording in systems and not _is_identity(results, key):
        mean = systems[results.recording].scores[key].mean
        ceiling = None if mean is None else (results.recording, mean)
    return cost_svg(points, ceiling)


def _system_views(
    results: Results,
    metrics: Sequence[MetricView],
    costs: Mapping[str, Cost],
    shown: ShownPaths,
) -> list[SystemView]:
    classes = _classes(results)
    views = []
    for name, system in results.summary.systems.items():
        cost = costs.get(name)
        values = [0.0 if cost is None else axis.value(cost) for axis in COST_AXES]
        amounts = (
            f"{value:.{axis.decimals}f}" if value > 0 else ""
            for axis, value in zip(COST_AXES, values, strict=True)
        )
        views.append(
            SystemView(
                name=name,
                css_class=classes[name],
                folder=shown.path(system.folder),
                utterances=system.utterances,
                failed=system.failed,
                best_on=sum(view.cells[name].rank == "best" for view in metrics),
                costs=tuple(amounts),
                is_reference=name not in results.rivals,
            )
        )
    return views


def _data(
    results: Results, media: Mapping[str, UtteranceMedia], embedded: bool, shown: ShownPaths
) -> dict[str, Any]:
    """Data for the script: names, metrics, and scores, remarks and media per utterance."""
    metrics, players = results.summary.metrics, results.players
    utterances = []
    for name in results.utterances:
        cells = [results.cells.get((player, name)) for player in players]
        made = media[name]
        utterances.append(
            {
                "name": name,
                "speaker": results.speakers[name],
                "seconds": round(made.duration_s, 3),
                "scores": [
                    None if cell is None else [cell.scores[key] for key in metrics]
                    for cell in cells
                ],
                "errors": ["" if cell is None else shown.text(cell.error) for cell in cells],
                "notes": ["" if cell is None else shown.text(cell.note) for cell in cells],
                "has": [player.audio is not None for player in made.players],
                "problems": [shown.text(player.problem) for player in made.players],
                "nyquist": made.nyquist_hz,
                "f0": made.f0_span_hz and [round(edge) for edge in made.f0_span_hz],
                **({} if embedded else {"media": _media_data(made)}),
            }
        )
    return {
        "players": list(players),
        "rivals": [index for index, name in enumerate(players) if name in results.rivals],
        "metrics": [
            {"key": key, "label": note.label, "better": note.better, "decimals": note.decimals}
            for key, note in metrics.items()
        ],
        "utterances": utterances,
    }


def _media_data(made: UtteranceMedia) -> list[list[str | None]]:
    return [[m.audio, m.spectrogram, m.difference, m.f0] for m in made.players]
