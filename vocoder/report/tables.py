"""The scores as text for papers and spreadsheets: LaTeX and CSV."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence

from vocoder.evaluation.summary import Score
from vocoder.report.paths import ShownPaths
from vocoder.report.ranking import Rank
from vocoder.report.results import Results

_LATEX_ARROWS = {"higher": r"$\uparrow$", "lower": r"$\downarrow$"}
_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "%": r"\%",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    # After the \\ that ends a row, a bracket would start an optional argument.
    "[": "{[}",
    "]": "{]}",
    "−": r"$-$",
    "′": r"$'$",
    "→": r"$\rightarrow$",
}


def latex_text(text: str) -> str:
    r"""Text that LaTeX typesets as it is.

    >>> latex_text("50 % of_a & b")
    '50 \\% of\\_a \\& b'
    """
    return "".join(_LATEX.get(letter, letter) for letter in " ".join(text.split()))


def latex_table(results: Results, ranks: Mapping[str, Mapping[str, Rank]]) -> str:
    """The means as a tabular of booktabs: one row per system, one column per metric.

    Each mean is followed by its interval, in small type and brackets; an arrow shows the better
    direction; the best-ranked system is bold.

    Args:
        results: the evaluation.
        ranks: by metric and system, see `vocoder.report.ranking.rank`.
    """
    summary = results.summary
    heading = ["System"] + [
        f"{latex_text(note.label)} {_LATEX_ARROWS[note.better]}"
        for note in summary.metrics.values()
    ]
    rows = []
    for name, system in summary.systems.items():
        cells = [
            _latex_score(system.scores[key], note.decimals, ranks[key].get(name) == "best")
            for key, note in summary.metrics.items()
        ]
        rows.append([latex_text(name), *cells])
    return "".join(
        f"{line}\n"
        for line in (
            r"% \usepackage{booktabs}",
            f"% In brackets: {' '.join(summary.interval.split())}. Bold: best system.",
            rf"\begin{{tabular}}{{l{'r' * len(summary.metrics)}}}",
            r"\toprule",
            _latex_row(heading),
            r"\midrule",
            *map(_latex_row, rows),
            r"\bottomrule",
            r"\end{tabular}",
        )
    )


def means_csv(results: Results) -> str:
    """One row per system: for each metric the mean, the interval's limits and the number of scores.

    The columns of a metric `m` are `m`, `m_low`, `m_high` and `m_n`; missing numbers are empty
    cells.
    """
    summary = results.summary
    heading = ["system", "utterances"]
    for key in summary.metrics:
        heading += [key, f"{key}_low", f"{key}_high", f"{key}_n"]
    rows = []
    for name, system in summary.systems.items():
        row = [name, str(system.utterances)]
        for key in summary.metrics:
            score = system.scores[key]
            row += [_number(score.mean), _number(score.low), _number(score.high), str(score.n)]
        rows.append(row)
    return _csv(heading, rows)


def utterances_csv(results: Results, shown: ShownPaths) -> str:
    """One row per utterance and system, with the columns of `utterances.csv`."""
    metrics = list(results.summary.metrics)
    heading = ["system", "utterance", "speaker", "duration_s", *metrics, "error", "note"]
    rows = (
        [
            cell.system,
            cell.utterance,
            cell.speaker,
            _number(cell.duration_s),
            *(_number(cell.scores[key]) for key in metrics),
            shown.text(cell.error),
            shown.text(cell.note),
        ]
        for cell in results.cells.values()
    )
    return _csv(heading, rows)


def _latex_score(score: Score, decimals: int, best: bool) -> str:
    if score.mean is None:
        return "--"
    mean = f"{score.mean:.{decimals}f}".replace("-", "$-$")
    text = rf"\textbf{{{mean}}}" if best else mean
    if score.low is not None and score.high is not None and score.low < score.high:
        interval = f"[{score.low:.{decimals}f}, {score.high:.{decimals}f}]".replace("-", "$-$")
        text += rf" {{\footnotesize {interval}}}"
    return text


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _csv(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(heading)
    writer.writerows(rows)
    return text.getvalue()
