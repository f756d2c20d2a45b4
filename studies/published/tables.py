"""Tables of RESULTS.md and of the README, built from the scores in the repository alone."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from studies.published.differences import LEVEL, TOO_FEW, Difference, advantages, summarised
from studies.published.figures import Dot, draw_quality
from studies.published.measure import OwnScores, PageScores, latest
from studies.published.pages import RECORDING, Page, Published
from studies.scores import Scores
from studies.scripts import renew_readme, replace_blocks, table
from vocoder.data.files import write_text
from vocoder.errors import VocoderError
from vocoder.evaluation.registry import METRICS
from vocoder.evaluation.statistics import holm

ARROWS = {"higher": "↑", "lower": "↓"}
SHORT = {
    "pesq": ("PESQ", 2, 1.0),
    "estoi": ("ESTOI", 3, 1.0),
    "mstft": ("M-STFT", 3, 1.0),
    "mel_distance": ("mel", 3, 1.0),
    "f0_fine_rmse_cents": ("F0 fine, cents", 1, 1.0),
    "gross_pitch_error": ("gross, %", 2, 100.0),
    "voicing_error": ("V/UV error, %", 1, 100.0),
    "voicing_f1": ("V/UV F1", 3, 1.0),
    "periodicity_tiny": ("periodicity", 3, 1.0),
    "dnsmos": ("DNSMOS", 2, 1.0),
    "dnsmos_p808": ("P.808", 2, 1.0),
    "distillmos": ("Distill-MOS", 2, 1.0),
    "speaker_similarity": ("speaker", 3, 1.0),
}
"""Heading, decimals and factor of the columns, at 16 kHz."""
NATIVE = {"mstft": ("M-STFT, native", 3, 1.0), "mel_distance": ("mel, native", 3, 1.0)}
COMPARED = ("pesq", "mstft", "voicing_error", "dnsmos", "distillmos")
IN_README = ("pesq", "distillmos")
SHOWN_IN_README = (
    "WaveNet", "Parallel WaveNet, ClariNet", "WaveRNN", "WaveFlow-64", "WaveFlow-256",
    "WaveGlow-256", "NSF", "LPCNet", "FARGAN", "Parallel WaveGAN", "HiFi-GAN V1", "Vocos",
    "BigVGAN-v2", "Griffin-Lim, vocos_24k (made here)",
)  # fmt: skip
MISSING = "–"


@dataclass(frozen=True)
class Study:
    """All data of the study.

    Attributes:
        pages: by name.
        scores: of the measured pages.
        history: all measured scores of ours, oldest first.
    """

    pages: Mapping[str, Page]
    scores: Mapping[str, PageScores]
    history: Sequence[OwnScores]

    @property
    def own(self) -> list[OwnScores]:
        """The newest scores of each set of shipped weights; of the trials where none ship. Trials
        stand in the progress table."""
        newest = latest(list(self.history))
        return [scores for scores in newest if not scores.trial] or newest

    @property
    def numbers(self) -> dict[tuple[str, str], int]:
        """A number for every system, by page and name, in the order of the tables."""
        every = [(page, name) for page in self.scores for name in self.pages[page].systems]
        return {system: number for number, system in enumerate(every, 1)}


def write_results(study: Study, folder: Path, readme: Path) -> Path:
    """Update the marked blocks of `folder/RESULTS.md` and of the README, and the picture.

    Raises:
        VocoderError: there are no scores, or a mark is missing.
    """
    if not study.scores or not study.own:
        raise VocoderError(f"{folder}: nothing was measured yet; run the stage measure first")
    path = folder / "RESULTS.md"
    draw_quality(folder / "quality.png", dots(study))
    blocks = {
        "architectures": architectures_table(study),
        "progress": progress_table(study),
        "systems": systems_table(study),
        "pages": page_tables(study),
    }
    write_text(path, replace_blocks(path, blocks))
    renew_readme(readme, "published", readme_table(study))
    return path


# -- one table a page ----------------------------------------------------------------------------


def page_tables(study: Study) -> str:
    """One table per page: its systems, the recording, ours, Griffin-Lim and WORLD."""
    return "\n".join(page_table(study, name) for name in study.scores)


def page_table(study: Study, name: str) -> str:
    """Heading, table and note of one page."""
    page, scores = study.pages[name], study.scores[name]
    count = len(page.utterances)
    heading = [
        "", "system", "heard the speaker", "M parameters", "GMAC/s",
        *(f"{text} {ARROWS[METRICS[metric].better]}" for metric, (text, _, _) in SHORT.items()),
        "level, dB",
        *(f"{text} {ARROWS[METRICS[metric].better]}" for metric, (text, _, _) in NATIVE.items()),
    ]  # fmt: skip
    rows = [heading]

    def add(
        number: str, label: str, about: Sequence[str], common: Scores, native: Scores | None
    ) -> None:
        rows.append([number, label, *about, *_cells(common, SHORT), _level(common),
                     *(_cells(native, NATIVE) if native else [MISSING] * len(NATIVE))])  # fmt: skip

    recording = scores.systems[RECORDING]
    add("", "recording", ["", "", ""], recording.common, recording.native)
    for system, published in page.systems.items():
        measured = scores.systems[system]
        about = [_heard(page, published), *map(_number, published.size)]
        number = str(study.numbers[name, system])
        add(number, published.label, about, measured.common, measured.native)
    for own in study.own:
        if name in own.pages:
            measured = own.pages[name]
            about = ["no", f"{own.parameters_m:.2f}", f"{own.gmac_per_second:.2f}"]
            add("", f"**{own.label}**", about, measured.common, measured.native)
    for system, label in scores.labels.items():
        measured = scores.systems[system]
        add("", label, ["", "", ""], measured.common, measured.native)
    facts = f"{page.corpus}, {page.sample_rate / 1000:g} kHz, n = {count}. <{page.url}>"
    return f"### {page.title}\n\n{facts}\n\n{table(rows)}\n{page.note}\n"


def _cells(scores: Scores, columns: Mapping[str, tuple[str, int, float]]) -> list[str]:
    return [
        _mean_cell(scores.values.get(metric, ()), decimals, factor)
        for metric, (_, decimals, factor) in columns.items()
    ]


def _mean_cell(values: Sequence[float | None], decimals: int, factor: float = 1.0) -> str:
    mean = mean_of(values)
    return MISSING if mean is None else f"{factor * mean:.{decimals}f}"


def mean_of(values: Sequence[float | None]) -> float | None:
    """Mean of the defined scores."""
    scored = [value for value in values if value is not None]
    return statistics.mean(scored) if scored else None


def _level(scores: Scores) -> str:
    mean = mean_of(scores.values.get("level_difference", ()))
    return MISSING if mean is None else f"{mean:.1f}"


def _heard(page: Page, published: Published) -> str:
    return published.heard_speaker or page.heard_speaker


def _number(value: float | None) -> str:
    if value is None:
        return MISSING
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


# -- ours minus theirs ---------------------------------------------------------------------------


def systems_table(study: Study) -> str:
    """Every system of every page against each of our weights, paired over the page's utterances."""
    parts = []
    for own in study.own:
        rows = [["", "page", "system", "heard the speaker", "n", *_compared_headings(), "verdict"]]
        for (name, system), number in study.numbers.items():
            page, published = study.pages[name], study.pages[name].systems[system]
            if name not in own.pages:
                continue
            found = {
                metric: summarised(
                    advantages(
                        metric,
                        own.pages[name].common,
                        [study.scores[name].systems[system].common],
                    )
                )
                for metric in COMPARED
            }
            rows.append([
                str(number), name, published.label, _heard(page, published),
                str(len(page.utterances)), *(_difference_cell(m, d) for m, d in found.items()),
                _verdict(found, {m: d.p_value for m, d in found.items()}),
            ])  # fmt: skip
        parts.append(f"**{own.label}**, minus each system\n\n{table(rows)}")
    return "\n".join(parts)


@dataclass(frozen=True)
class Architecture:
    """Systems of one architecture, from all teams.

    Attributes:
        name: of the architecture.
        members: page and name of its systems.
    """

    name: str
    members: Sequence[tuple[str, str]]

    def by_page(self) -> dict[str, list[str]]:
        """Names of its systems by page."""
        found: dict[str, list[str]] = {}
        for page, system in self.members:
            found.setdefault(page, []).append(system)
        return found


def architectures(study: Study) -> list[Architecture]:
    """All architectures in the order of their first system, then the classical vocoders on every
    page: Griffin-Lim from the mels of our weights, and WORLD."""
    members: dict[str, list[tuple[str, str]]] = {}
    for page, system in study.numbers:
        name = study.pages[page].systems[system].architecture
        members.setdefault(name, []).append((page, system))
    found = [Architecture(name, systems) for name, systems in members.items()]
    labels = {
        name: label for scores in study.scores.values() for name, label in scores.labels.items()
    }
    for name, label in labels.items():
        pages = [page for page, scores in study.scores.items() if name in scores.labels]
        if len(pages) == len(study.scores):
            found.append(Architecture(f"{label} (made here)", [(page, name) for page in pages]))
    return found


def pooled(study: Study, architecture: Architecture, own: OwnScores, metric: str) -> Difference:
    """Ours against an architecture over the utterances of all its pages.

    Several systems on a page are averaged.
    """
    found: list[float] = []
    for page, systems in architecture.by_page().items():
        theirs = [study.scores[page].systems[system].common for system in systems]
        if page in own.pages:
            found += advantages(metric, own.pages[page].common, theirs)
    return summarised(found)


def architectures_table(study: Study) -> str:
    """Ours against every architecture, pooled over pages; p adjusted by Holm over the rows."""
    parts = []
    every = architectures(study)
    for own in study.own:
        found = [
            {metric: pooled(study, each, own, metric) for metric in COMPARED} for each in every
        ]
        adjusted = _holm_by_metric(found)
        rows = [["architecture", "pages", "systems", "n", *_compared_headings(), "verdict"]]
        for each, differences, p_values in zip(every, found, adjusted, strict=True):
            rows.append([
                each.name, str(len(each.by_page())), str(len(each.members)),
                str(differences["pesq"].n),
                *(_difference_cell(metric, d) for metric, d in differences.items()),
                _verdict(differences, p_values),
            ])  # fmt: skip
        parts.append(f"**{own.label}**, minus each architecture\n\n{table(rows)}")
    return "\n".join(parts)


def _holm_by_metric(
    found: Sequence[Mapping[str, Difference]],
) -> list[dict[str, float | None]]:
    """p-values of each row, adjusted over rows with sufficient n, per metric."""
    columns = {
        metric: holm([None if row[metric].too_few else row[metric].p_value for row in found])
        for metric in COMPARED
    }
    return [{metric: columns[metric][i] for metric in COMPARED} for i in range(len(found))]


def _compared_headings() -> list[str]:
    return [SHORT[metric][0] for metric in COMPARED]


def _difference_cell(metric: str, found: Difference) -> str:
    """As in "+0.12 [−0.02, +0.25] 4/5"."""
    _, decimals, factor = SHORT[metric]
    if found.mean is None:
        return MISSING
    text = f"{factor * found.mean:+.{decimals}f}"
    if found.low is not None and found.high is not None:
        text += f" [{factor * found.low:+.{decimals}f}, {factor * found.high:+.{decimals}f}]"
    return f"{text} {found.wins}/{found.n}"


def _verdict(found: Mapping[str, Difference], p_values: Mapping[str, float | None]) -> str:
    """Metrics on which ours is better or worse; "too few" if n is insufficient."""
    if all(difference.too_few for difference in found.values()):
        return TOO_FEW
    better: list[str] = []
    worse: list[str] = []
    open_: list[str] = []
    for metric, each in found.items():
        p_value = p_values[metric]
        if each.mean is None or each.too_few or p_value is None or p_value >= LEVEL:
            open_.append(SHORT[metric][0].split(",")[0])
        else:
            (better if each.mean > 0 else worse).append(SHORT[metric][0].split(",")[0])
    parts = [("better", better), ("worse", worse), ("open", open_)]
    return "; ".join(f"{word}: {', '.join(names)}" for word, names in parts if names)


# -- progress ------------------------------------------------------------------------------------


def progress_table(study: Study) -> str:
    """One column per measurement of our weights: PESQ / M-STFT / V/UV error in % / Distill-MOS,
    means over each page."""
    shown = ("pesq", "mstft", "voicing_error", "distillmos")
    rows = [["page", *(f"{own.measured}, {own.label}" for own in study.history)]]

    def cell(scores: Scores | None) -> str:
        if scores is None:
            return MISSING
        return " / ".join(_cells(scores, {metric: SHORT[metric] for metric in shown}))

    for name in study.scores:
        measured = [own.pages.get(name) for own in study.history]
        rows.append([name, *(cell(each.common if each else None) for each in measured)])
    return table(rows)


# -- the picture ---------------------------------------------------------------------------------


def dots(study: Study) -> list[Dot]:
    """Every system of every page, and ours and the recording on every page."""
    found = []
    for name, scores in study.scores.items():
        page = study.pages[name]

        def dot(
            number: int | None, kind: str, gmac: float | None, common: Scores, page: Page = page
        ) -> Dot:
            means = {metric: mean_of(common.values[metric]) for metric in IN_README}
            return Dot(number, kind, gmac, page.corpus, means)

        for system, published in page.systems.items():
            measured, (_, gmac) = scores.systems[system].common, published.size
            found.append(dot(study.numbers[name, system], published.family, gmac, measured))
        for own in study.own:
            if name in own.pages:
                measured = own.pages[name].common
                found.append(dot(None, own.label, own.gmac_per_second, measured))
        found.append(dot(None, RECORDING, None, scores.systems[RECORDING].common))
    return found


# -- README --------------------------------------------------------------------------------------


def readme_table(study: Study) -> str:
    """Ours against the architectures: means of both, PESQ and Distill-MOS, and verdicts."""
    own = study.own[0]
    every = architectures(study)
    found = [{metric: pooled(study, each, own, metric) for metric in COMPARED} for each in every]
    # Adjusted over all rows, including those shown only in RESULTS.md.
    adjusted = _holm_by_metric(found)
    rows = [[
        "ours against", "systems, utterances", "their GMAC/s",
        *(f"{SHORT[m][0]}, theirs → ours" for m in IN_README),
        *(f"ours in {SHORT[m][0]}" for m in IN_README),
    ]]  # fmt: skip
    lines: dict[str, list[str]] = {}
    for each, differences, p_values in zip(every, found, adjusted, strict=True):
        gmac = [
            cost
            for page, system in each.members
            if (published := study.pages[page].systems.get(system)) is not None
            and (cost := published.size[1]) is not None
        ]
        lines[each.name] = [
            each.name,
            f"{len(each.members)}, {differences['pesq'].n}",
            _range(gmac),
            *(_theirs_and_ours(study, each, own, metric) for metric in IN_README),
            *(_word(differences[m], p_values[m]) for m in IN_README),
        ]
    return table(rows + [lines[name] for name in SHOWN_IN_README if name in lines])


def _theirs_and_ours(study: Study, architecture: Architecture, own: OwnScores, metric: str) -> str:
    """Means over the utterances; several systems on a page are averaged per utterance."""
    _, decimals, _ = SHORT[metric]
    theirs: list[float | None] = []
    ours: list[float | None] = []
    for page, systems in architecture.by_page().items():
        if page in own.pages:
            columns = [study.scores[page].systems[name].common.values[metric] for name in systems]
            theirs += [mean_of(values) for values in zip(*columns, strict=True)]
            ours += own.pages[page].common.values[metric]
    return f"{_mean_cell(theirs, decimals)} → {_mean_cell(ours, decimals)}"


def _word(found: Difference, p_value: float | None) -> str:
    if found.mean is None or found.too_few:
        return TOO_FEW
    if p_value is None or p_value >= LEVEL:
        return "no difference shown"
    return "better" if found.mean > 0 else "worse"


def _range(values: Sequence[float]) -> str:
    if not values:
        return MISSING
    low, high = _number(min(values)), _number(max(values))
    return low if low == high else f"{low}–{high}"
