"""The table of means as LaTeX and CSV, and every utterance as CSV."""

import csv
import io
import re
from pathlib import Path

import pytest

from vocoder.evaluation.summary import Summary
from vocoder.report.paths import ShownPaths
from vocoder.report.ranking import rank
from vocoder.report.results import Cell, Results
from vocoder.report.tables import latex_table, latex_text, means_csv, utterances_csv


def score(mean: float | None, half_width: float | None = 0.1) -> dict:
    edges = (None, None) if mean is None or half_width is None else (
        mean - half_width, mean + half_width
    )  # fmt: skip
    n = 0 if mean is None else 2
    return {"mean": mean, "low": edges[0], "high": edges[1], "n": n, "failures": 2 - n}


@pytest.fixture
def results() -> Results:
    notes = {
        "pesq": {"label": "PESQ_WB", "better": "higher", "decimals": 2, "convention": "c"},
        "snr": {"label": "SNR (50 %)", "better": "lower", "decimals": 1, "convention": "c"},
    }
    scores = {
        "recording": (score(4.5, 0.0), score(None)),
        "a & b": (score(3.256), score(-1.25)),
        "[c]": (score(3.0), score(2.0, None)),
    }
    summary = Summary.model_validate({
        "command": "",
        "reference": "r",
        "versions": {},
        "interval": "95 % bootstrap",
        "metrics": notes,
        "systems": {
            name: {
                "folder": f"/data/{name}",
                "utterances": 2,
                "failed": 0,
                "scores": dict(zip(notes, own, strict=True)),
                "copy_of_reference": name == "recording",
            }
            for name, own in scores.items()
        },
        "problems": (),
    })  # fmt: skip
    cells = [
        Cell(name, "u, 1", "ann", 1.5, {"pesq": 3.25, "snr": None}, "/data/a & b/u.wav: bad", "")
        for name in scores
    ]
    return Results(
        folder=Path("/data/scores"),
        summary=summary,
        cells={(cell.system, cell.utterance): cell for cell in cells},
        utterances=("u, 1",),
        speakers={"u, 1": "ann"},
        recording="recording",
        files={name: {} for name in scores},
    )


def test_the_latex_table(results):
    ranks = {key: rank(results.summary, key, results.rivals, results.recordings)
             for key in results.summary.metrics}  # fmt: skip
    expected = r"""% \usepackage{booktabs}
% In brackets: 95 % bootstrap. Bold: best system.
\begin{tabular}{lrr}
\toprule
System & PESQ\_WB $\uparrow$ & SNR (50 \%) $\downarrow$ \\
\midrule
recording & 4.50 & -- \\
a \& b & \textbf{3.26} {\footnotesize [3.16, 3.36]} & \textbf{$-$1.2} {\footnotesize [$-$1.4, $-$1.1]} \\
{[}c{]} & 3.00 {\footnotesize [2.90, 3.10]} & 2.0 \\
\bottomrule
\end{tabular}
"""  # noqa: E501
    assert latex_table(results, ranks) == expected


def test_names_are_text_in_latex():
    assert latex_text("a_b & 5 % #1 {x} ~ ^ $ \\") == (
        r"a\_b \& 5 \% \#1 \{x\} \textasciitilde{} \textasciicircum{} \$ \textbackslash{}"
    )
    assert latex_text("two\nlines % and") == r"two lines \% and"
    assert re.search(r"(?<!\\)[%&#_]", latex_text("%&#_")) is None


def test_the_means_as_csv(results):
    rows = list(csv.DictReader(io.StringIO(means_csv(results))))
    assert [row["system"] for row in rows] == ["recording", "a & b", "[c]"]
    assert rows[1] == {
        "system": "a & b", "utterances": "2", "pesq": "3.256", "pesq_low": "3.156",
        "pesq_high": "3.356", "pesq_n": "2", "snr": "-1.25", "snr_low": "-1.35",
        "snr_high": "-1.15", "snr_n": "2",
    }  # fmt: skip
    assert (rows[0]["snr"], rows[0]["snr_n"]) == ("", "0")


def test_every_utterance_as_csv(results):
    shown = ShownPaths(["/data/a & b"], Path("/home/ann"))
    rows = list(csv.DictReader(io.StringIO(utterances_csv(results, shown))))
    assert rows[1] == {
        "system": "a & b", "utterance": "u, 1", "speaker": "ann", "duration_s": "1.5",
        "pesq": "3.25", "snr": "", "error": "…/a & b/u.wav: bad", "note": "",
    }  # fmt: skip
