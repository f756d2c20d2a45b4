"""Answer files to scores: simulated panels, guessers and golden ears, and the commands."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from tests.listening.material import (
    TRUE_GRADES,
    UTTERANCES,
    abx_answers,
    careless,
    listener,
    listening_test,
    make_folders,
    mushra_answers,
    panel,
    write_answers,
)
from vocoder.errors import VocoderError
from vocoder.listening.abx import AbxSummary, summarise_abx
from vocoder.listening.answers import read_answers
from vocoder.listening.key import Key, read_key
from vocoder.listening.mushra import MushraSummary, summarise_mushra
from vocoder.listening.results import analyse

pytestmark = pytest.mark.slow


def mushra(files: list[Path], key: Key, **options: Any) -> MushraSummary:
    """The analysis of files without its tables and pictures."""
    return summarise_mushra(key, *read_answers(files, key), **options)


def abx(files: list[Path], key: Key) -> AbxSummary:
    return summarise_abx(key, *read_answers(files, key))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


# -- MUSHRA --------------------------------------------------------------------------------------


def test_a_panel_recovers_the_true_order_and_the_careless_one_goes(key, tmp_path):
    files = write_answers(tmp_path / "in", *panel(key), careless(key, "careless"))
    summary = mushra(files, key)
    assert [one.participant for one in summary.assessors if not one.kept] == ["careless"]
    assert summary.kept == 12
    means = {name: score.mean for name, score in summary.conditions.items()}
    assert sorted(means, key=means.get) == sorted(TRUE_GRADES, key=TRUE_GRADES.get)
    for name, score in summary.conditions.items():
        if name != "reference":
            assert score.low < TRUE_GRADES[name] < score.high
        assert score.low < score.mean < score.high
        assert score.crossed_low < score.mean < score.crossed_high
        assert score.lower_quartile <= score.median <= score.upper_quartile
        assert score.n == 12 * 3
    assert summary.notes == summary.refused == ()


def test_every_pair_of_systems_and_recording_is_compared_by_the_assessors_means(key, tmp_path):
    files = write_answers(tmp_path / "in", *panel(key), careless(key, "careless"))
    summary = mushra(files, key)
    found = {(one.a, one.b): one for one in summary.comparisons}
    assert list(found) == [
        ("reference", "quietvox"), ("reference", "noisyvox"), ("quietvox", "noisyvox"),
    ]  # fmt: skip
    for (a, b), one in found.items():
        means = [summary.conditions[name].mean for name in (a, b)]
        assert one.difference == pytest.approx(means[0] - means[1])
        assert one.n == 12
        assert one.low < one.difference < one.high
        assert one.p_holm < 0.05
    sentence = found["quietvox", "noisyvox"].sentence
    assert sentence.startswith("quietvox above noisyvox on MUSHRA grade by ")
    assert mushra(files[:1], key).comparisons == ()


def test_the_scores_are_those_of_the_grades_in_the_table(key, built, tmp_path):
    files = write_answers(tmp_path / "in", *panel(key), careless(key, "careless"))
    summary = analyse(files, built / "mushra/key.json", tmp_path / "out")
    table = rows(tmp_path / "out/grades.csv")
    assert len(table) == 13 * 3 * 5
    assert {row["kept"] for row in table if row["participant"] == "careless"} == {"False"}
    answers = {one["participant"]: one for one in (json.loads(f.read_text()) for f in files)}
    for row in table:
        (name,) = [n for n, t in key.trials.items() if t.utterance == row["utterance"]]
        (sound,) = [
            n for n, s in key.trials[name].stimuli.items() if s.condition == row["condition"]
        ]
        (trial,) = [t for t in answers[row["participant"]]["trials"] if t["trial"] == name]
        assert float(row["grade"]) == pytest.approx(trial["scores"][sound], rel=1e-5)
    for name, score in summary.conditions.items():
        own: dict[str, list[float]] = {}
        for row in table:
            if row["condition"] == name and row["kept"] == "True":
                own.setdefault(row["participant"], []).append(float(row["grade"]))
        means = [np.mean(grades) for grades in own.values()]
        expected = stats.ttest_1samp(means, 0).confidence_interval(0.95)
        assert score.mean == pytest.approx(np.mean(means), abs=1e-3)
        assert (score.low, score.high) == pytest.approx((expected.low, expected.high), abs=1e-3)
        everything = [grade for grades in own.values() for grade in grades]
        assert score.median == pytest.approx(np.median(everything), abs=1e-3)
    for row in rows(tmp_path / "out/utterances.csv"):
        own_grades = [
            float(r["grade"]) for r in table
            if r["kept"] == "True"
            and (r["utterance"], r["condition"]) == (row["utterance"], row["condition"])
        ]  # fmt: skip
        expected = stats.ttest_1samp(own_grades, 0).confidence_interval(0.95)
        assert float(row["mean"]) == pytest.approx(np.mean(own_grades), rel=1e-4)
        assert float(row["low"]) == pytest.approx(expected.low, rel=1e-4)
        assert int(row["n"]) == 12


def test_without_screening_everybody_counts_and_the_summary_says_so(key, tmp_path):
    files = write_answers(tmp_path / "in", *panel(key), careless(key, "careless"))
    summary = mushra(files, key, screened=False)
    assert summary.kept == 13
    assert summary.screening.startswith("none was applied")
    (bad,) = [one for one in summary.assessors if one.participant == "careless"]
    assert bad.reference_low == 1.0


def test_a_panel_of_careless_people_gives_no_scores(key, built, tmp_path):
    files = write_answers(tmp_path / "in", careless(key, "a"), careless(key, "b"))
    with pytest.raises(VocoderError, match="excludes all of the 2 assessors"):
        analyse(files, built / "mushra/key.json", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_one_assessor_has_means_but_no_interval(key, built, tmp_path):
    files = write_answers(tmp_path / "in", listener(key, "alone", 1))
    summary = analyse(files, built / "mushra/key.json", tmp_path / "out")
    score = summary.conditions["quietvox"]
    assert (score.low, score.high, score.crossed_low) == (None, None, None)
    assert 60 < score.mean < 85
    assert (tmp_path / "out/boxplot.png").stat().st_size > 5000


def test_outliers_are_counted_and_stay(key, tmp_path):
    people = panel(key)
    changed = people[3]["trials"][0]
    (sound,) = [
        name for name, stimulus in key.trials[changed["trial"]].stimuli.items()
        if stimulus.condition == "anchor_3k5"
    ]  # fmt: skip
    before = mushra(write_answers(tmp_path / "a", *people), key).conditions["anchor_3k5"]
    changed["scores"][sound] = 88.0
    after = mushra(write_answers(tmp_path / "b", *people), key).conditions["anchor_3k5"]
    assert after.outliers == before.outliers + 1
    assert after.n == before.n
    assert after.mean > before.mean


def test_what_the_standard_would_have_otherwise_is_noted(key, tmp_path):
    draw = np.random.default_rng(0)
    people = [
        mushra_answers(key, f"P{number}", lambda *_: draw.uniform(91, 100),
                       device="loudspeakers" if number else "headphones",
                       experienced=number > 1)
        for number in range(5)
    ]  # fmt: skip
    files = write_answers(tmp_path / "in", *people)
    summary = mushra(files, key)
    notes = "\n".join(summary.notes)
    assert "the 7 kHz anchor was graded above 90 by more than 25 %" in notes
    assert all(utterance in notes for utterance in UTTERANCES)
    assert "some listened with headphones and some with loudspeakers" in notes
    assert "2 of 5 participants had never taken part" in notes
    assert "2 of 2 systems have a mean above 80" in notes


def test_the_command_prints_the_table_and_writes_the_files(key, built, tmp_path):
    write_answers(tmp_path / "in", *panel(key), careless(key, "careless"))
    arguments = ("--key", built / "mushra/key.json", "--output", tmp_path / "out")
    result = listening_test("analyse", tmp_path / "in", *arguments)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].startswith("| condition | grades | mean [95 %] |")
    assert [line.split(" | ")[0] for line in lines[2:7]] == [
        "| reference", "| quietvox", "| noisyvox", "| anchor_7k", "| anchor_3k5",
    ]  # fmt: skip
    assert "12 assessors, 1 excluded" in result.stdout
    assert "- excluded: careless, hidden reference below 90 in 100 %" in result.stdout
    assert result.stdout == (tmp_path / "out/summary.md").read_text()
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written >= {
        "summary.json", "summary.md", "grades.csv", "assessors.csv", "conditions.csv",
        "utterances.csv", "comparisons.csv", "boxplot.png", "boxplot.svg", "utterances.png",
        "utterances.svg",
    }  # fmt: skip
    assert not any(name.startswith(".") for name in written)
    result = listening_test("analyse", tmp_path / "in", *arguments, "--json")
    assert json.loads(result.stdout) == json.loads((tmp_path / "out/summary.json").read_text())
    assert (tmp_path / "out/boxplot.svg").read_text().count("noisyvox") >= 1


# -- ABX -----------------------------------------------------------------------------------------


def test_those_who_hear_it_are_found_and_those_who_guess_are_not(abx_key, built, tmp_path):
    draw = np.random.default_rng(5)
    people = [
        abx_answers(abx_key, f"G{number}", lambda: draw.random() < 0.5) for number in range(8)
    ]
    ears = [abx_answers(abx_key, "ears", lambda: True), *people]
    files = write_answers(tmp_path / "in", *ears)
    summary = analyse(files, built / "abx/key.json", tmp_path / "out")
    golden = summary.participants["ears"]
    assert (golden.trials, golden.correct, golden.d_prime) == (12, 12, None)
    assert golden.p_value == pytest.approx(0.5**12)
    assert summary.pooled.trials == 9 * 12
    assert summary.pooled.correct == sum(s.correct for s in summary.participants.values())
    assert summary.pooled.correct == sum(s.correct for s in summary.utterances.values())
    guesses = [summary.participants[f"G{number}"].p_value for number in range(8)]
    assert min(guesses) > 0.01
    assert set(summary.utterances) == set(UTTERANCES)
    trials = rows(tmp_path / "out/trials.csv")
    assert len(trials) == 9 * 12
    for row in trials:
        assert {row["a"], row["b"]} == {"quietvox", "noisyvox"}
        assert (row["choice"] == row["x"]) == (row["correct"] == "True")
    assert sum(row["correct"] == "True" for row in trials) == summary.pooled.correct
    assert (tmp_path / "out/participants.png").stat().st_size > 5000
    scores = rows(tmp_path / "out/scores.csv")
    assert [row["of"] for row in scores] == ["all"] + 9 * ["participant"] + 3 * ["utterance"]


def test_who_always_says_a_is_at_chance_and_noted(abx_key, tmp_path):
    people = [abx_answers(abx_key, f"P{number}", lambda: True) for number in range(4)]
    for one in people:
        for trial in one["trials"]:
            trial["choice"] = trial["a"]
    summary = abx(write_answers(tmp_path, *people), abx_key)
    assert summary.pooled.low < 0.5 < summary.pooled.high
    assert "answers lean to one side: 48 of 48 are A" in summary.notes[0]


def test_the_command_prints_the_table_of_an_abx_test(abx_key, built, tmp_path):
    files = write_answers(tmp_path / "in", abx_answers(abx_key, "ears", lambda: True))
    result = listening_test("analyse", *files, "--key", built / "abx/key.json",
                            "--output", tmp_path / "out")  # fmt: skip
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[2] == "| all | 12 | 12 | 1.00 [0.74, 1.00] | 0.00024 | – |"
    assert lines[3].startswith("| ears | 12 | ")
    assert len(lines[2:7]) == 2 + len(UTTERANCES)
    assert "quietvox against noisyvox: correct / trials" in result.stdout


# -- building from the command line ----------------------------------------------------------------


def test_the_build_commands_write_a_test_and_say_where(tmp_path):
    reference, systems = make_folders(tmp_path, seconds=0.4)
    arguments = ["--reference", reference]
    for name, folder in systems.items():
        arguments += ["--system", f"{name}={folder}"]
    (tmp_path / "how.txt").write_text("Listen well.")
    result = listening_test(
        "build", "mushra", *arguments, "--output", tmp_path / "m", "--utterances", "2",
        "--seed", "4", "--title", "Our test", "--instructions", tmp_path / "how.txt",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert f"participants: {tmp_path / 'm' / 'page'}" in result.stdout
    assert "2 utterances for 2 systems" in result.stderr
    page = (tmp_path / "m/page/index.html").read_text()
    assert "<h1>Our test</h1>" in page
    assert "Listen well." in page
    result = listening_test(
        "build", "abx", *arguments, "--output", tmp_path / "a", "--json", "--level", "none",
        "--utterances", "ru_0806,it_dir-firstlast", "--repeats", "3",
    )  # fmt: skip
    report = json.loads(result.stdout)
    assert report["trials"] == 6
    assert Path(report["page"]).is_file()
    assert read_key(Path(report["key"])).test == report["test"]


def test_the_build_commands_refuse_in_one_line(tmp_path):
    reference, systems = make_folders(tmp_path, seconds=0.4)
    folder = systems["quietvox"]
    start = ("build", "mushra", "--reference", reference, "--output", tmp_path / "out")
    for arguments, message in (
        (("--system", "nameless"), "write it as NAME=FOLDER"),
        (("--system", f"a={folder}", "--system", f"a={folder}"), "a stands there twice"),
        (("--system", f"a={folder}", "--instructions", tmp_path / "no.txt"), "cannot be read"),
        (("--system", f"a={folder}", "--utterances", "40"), "from 1 to 3 can be had"),
    ):
        result = listening_test(*start, *arguments)
        assert result.exit_code == 1
        assert message in result.stderr
        assert result.stderr.startswith("error: ")
        assert result.stderr.count("\n") == 1
    (tmp_path / "empty.txt").write_text(" \n")
    result = listening_test(
        *start, "--system", f"a={folder}", "--instructions", tmp_path / "empty.txt"
    )
    assert "holds no instructions" in result.stderr
    assert not (tmp_path / "out").exists()
