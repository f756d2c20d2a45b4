"""The comparison under one budget: the nearest rival, and tables from outcomes."""

from pathlib import Path

import numpy as np
import pytest

from studies.comparison.operations import Operations, StepOperations
from studies.comparison.outcome import (
    Outcome,
    Outcomes,
    Point,
    Training,
    Untrained,
    read_all,
    write_outcome,
)
from studies.comparison.systems import OURS, all_systems
from studies.comparison.tables import (
    advantage,
    line_of,
    nearest_rival,
    readme_table,
    verdict,
    write_results,
)
from studies.scores import Scores
from studies.scripts import replace_blocks
from tests.training.tiny import ROOT
from vocoder.errors import VocoderError
from vocoder.evaluation.comparison import Comparison
from vocoder.evaluation.summary import MetricNote

pytestmark = pytest.mark.slow

SYSTEMS = all_systems()


def outcome(
    system: str, curve: list[float | None], test: list[float], seed: int = 0, metric: str = "pesq"
) -> Outcome:
    """A run with these scores of one excerpt along the way and of some test utterances."""
    points = [
        Point(
            steps=10 * (index + 1),
            spent_s=60.0 * (index + 1),
            scores=Scores(utterances=("excerpt",), values={metric: (value,)}),
        )
        for index, value in enumerate(curve)
    ]
    names = tuple(f"utterance-{index:02d}" for index in range(len(test)))
    return Outcome(
        system=system,
        seed=seed,
        finished="2026-11-29",
        training=Training(
            steps=10 * len(curve), spent_s=60.0 * len(curve), threads=1, recipe_sha256="0" * 16,
            commit="0000000",
        ),
        teacher=None,
        operations=Operations(StepOperations(1e9, 1e9, 0), None, None),
        curve=tuple(points),
        test=Scores(utterances=names, values={metric: tuple(test)}),
    )  # fmt: skip


def test_the_nearest_rival_has_the_best_pesq_at_the_end(tmp_path: Path):
    outcomes = Outcomes(tmp_path)
    with pytest.raises(VocoderError, match="no rival has an outcome"):
        nearest_rival({})
    for system, curve in {
        OURS: [1.0, 4.0],
        "a": [3.0, 2.0],  # best half-way
        "b": [1.0, 2.5],
        "c": [1.0, None],  # no score at the end
    }.items():
        write_outcome(outcomes, outcome(system, curve, [1.0]))
    found = read_all(outcomes, dict.fromkeys([OURS, "a", "b", "c", "never trained"]))
    assert list(found) == [OURS, "a", "b", "c"]
    assert nearest_rival(found) == "b"
    line = line_of("B", "pesq", found["b"])
    assert (line.minutes, line.operations, line.means) == ([1, 2], [1e10, 2e10], [1.0, 2.5])
    with pytest.raises(VocoderError, match="chosen by pesq"):
        nearest_rival({"d": outcome("d", [0.1], [1.0], metric="mstft")})


def test_text_around_the_tables_is_kept(tmp_path: Path):
    path = tmp_path / "RESULTS.md"
    path.write_text("A\n<!-- begin one -->\nold\n<!-- end one -->\nB\n<!-- begin two -->\n"
                    "<!-- end two -->\nC\n")  # fmt: skip
    text = replace_blocks(path, {"one": "| new |", "two": "also"})
    assert text == (
        "A\n<!-- begin one -->\n\n| new |\n\n<!-- end one -->\nB\n<!-- begin two -->\n\n"
        "also\n\n<!-- end two -->\nC\n"
    )
    path.write_text(text)
    assert replace_blocks(path, {"one": "| new |", "two": "also"}) == text
    with pytest.raises(VocoderError, match="marks blocks one, two"):
        replace_blocks(path, {"one": "x"})
    path.write_text("<!-- begin one -->")
    with pytest.raises(VocoderError, match="no <!-- end one -->"):
        replace_blocks(path, {"one": "x"})


def test_the_results_of_the_repository_have_all_marks():
    text = (ROOT / "studies" / "comparison" / "RESULTS.md").read_text()
    for name in ("training", "curves", "test", "verdicts", "against", "seeds", "costs"):
        assert text.count(f"<!-- begin {name} -->") == text.count(f"<!-- end {name} -->") == 1


def test_tables_come_from_outcomes_alone(tmp_path: Path):
    """Contents of a fresh clone: the text, and small files; no run, no audio, no corpus."""
    (tmp_path / "RESULTS.md").write_text(
        (ROOT / "studies" / "comparison" / "RESULTS.md").read_text(encoding="utf-8")
    )
    outcomes = Outcomes(tmp_path / "outcomes")
    draw = np.random.default_rng(0)
    hard = draw.normal(0, 0.3, 20)
    means = {(OURS, 0): 3.4, (OURS, 1): 3.5, ("vocos", 0): 2.0, ("vocos", 1): 2.1, ("nsf", 0): 3.39}
    for (system, seed), mean in means.items():
        scores = mean + hard + draw.normal(0, 0.05, 20)
        write_outcome(outcomes, outcome(system, [1.0, mean], scores.tolist(), seed))
    recording = Scores(utterances=("utterance-00",), values={"pesq": (4.644,)})
    write_outcome(outcomes, Untrained(system="recording", finished="2026-11-29", test=recording))
    text = write_results(tmp_path, outcomes, SYSTEMS).read_text()
    assert "| Vocos | PESQ-WB | – | – |" in text  # 1.4 better, paired, on twenty utterances
    assert "| NSF | – | – | PESQ-WB |" in text
    assert "| this model, seed 1 |" in text
    assert "Nearest rival by the rule of the README: NSF" in text
    assert "| this model | 2.0 | 20 | 1.0 | 0.000 | – |" in text
    assert (tmp_path / "figures" / "pesq.png").is_file()
    rows = [line.split(" | ")[:2] for line in readme_table(outcomes, SYSTEMS).splitlines()[2:]]
    assert [name for name, _ in rows] == ["| this model", "| NSF", "| Vocos", "| recording"]
    assert rows[3][1] == "4.64 |"


def test_the_readme_has_the_table_of_the_outcomes():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    outcomes = Outcomes(ROOT / "studies" / "comparison" / "outcomes")
    table = readme_table(outcomes, all_systems())
    assert table in readme.split("<!-- begin budget -->")[1].split("<!-- end budget -->")[0]
    assert table.count("\n") > 12


@pytest.mark.parametrize(
    ("a", "better", "expected"),
    [
        ("ours", "higher", (0.3, 0.1, 0.5)),
        ("theirs", "higher", (-0.3, -0.5, -0.1)),
        ("ours", "lower", (-0.3, -0.5, -0.1)),
        ("theirs", "lower", (0.3, 0.1, 0.5)),
    ],
)
def test_an_advantage_is_positive_where_ours_is_better(a, better, expected):
    b = "theirs" if a == "ours" else "ours"
    compared = Comparison(
        metric="m", a=a, b=b, n=9, difference=0.3, low=0.1, high=0.5, p_value=0.01, p_holm=0.04,
        effect_size=1.0, sentence="",
    )  # fmt: skip
    note = MetricNote(label="m", better=better, decimals=2, convention="")
    found = advantage(compared, "ours", note)
    assert found == expected
    assert verdict(compared, found[0]) == ("✓" if expected[0] > 0 else "✗")
    unclear = compared.model_copy(update={"p_holm": 0.06})
    assert verdict(unclear, found[0]) == "≈"
