"""Reading an evaluation, and errors for damaged evaluations and missing audio."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from tests.report.conftest import METRICS, cost_file
from vocoder.errors import VocoderError
from vocoder.evaluation.summary import Summary
from vocoder.report.costs import COST_AXES, read_costs
from vocoder.report.ranking import rank
from vocoder.report.results import read_results


def summary_of(folder: Path) -> dict:
    return json.loads((folder / "summary.json").read_text())


def change(folder: Path, **fields: object) -> None:
    (folder / "summary.json").write_text(json.dumps(summary_of(folder) | fields))


def test_results_are_the_table_and_the_files_that_it_is_of(evaluation, folders):
    results = read_results(evaluation)
    assert results.players == ("recording", "a little noise", "much noise")
    assert results.rivals == results.players[1:]
    assert len(results.utterances) == 8
    assert results.speakers["msu_ru_nsh/ru_0806"] == "msu_ru_nsh"
    with (evaluation / "utterances.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        cell = results.cells[row["system"], row["utterance"]]
        assert {m: "" if v is None else f"{v:.6g}" for m, v in cell.scores.items()} == {
            metric: row[metric] for metric in METRICS
        }
        assert cell.error == row["error"]
    file = results.files["much noise"]["msu_ru_nsh/ru_0806"]
    assert file == folders["much noise"] / "msu_ru_nsh" / "ru_0806.wav"
    assert len(results.scores("much noise", "mstft")) == 7


def test_a_system_that_is_the_reference_lends_it_its_name(own_evaluation, folders):
    systems = summary_of(own_evaluation)["systems"]
    reference = str(folders["recording"] / ".." / folders["recording"].name)
    renamed = {"much noise": systems["much noise"], "a little noise": systems["a little noise"]}
    renamed["much noise"]["folder"] = reference
    change(own_evaluation, systems=renamed)
    results = read_results(own_evaluation)
    assert results.recording == "much noise"
    assert results.players == ("much noise", "a little noise")
    assert results.rivals == ("a little noise",)


def test_a_copy_of_the_recordings_in_another_folder_does_not_compete(own_evaluation):
    systems = summary_of(own_evaluation)["systems"]
    assert not any(system["copy_of_reference"] for system in systems.values())
    systems["much noise"]["copy_of_reference"] = True
    change(own_evaluation, systems=systems)
    results = read_results(own_evaluation)
    assert results.recording == "recording"
    assert results.players == ("recording", "a little noise", "much noise")
    assert results.rivals == ("a little noise",)


def test_a_rival_called_recording_keeps_its_name(own_evaluation):
    systems = summary_of(own_evaluation)["systems"]
    table = own_evaluation / "utterances.csv"
    table.write_text(table.read_text().replace("much noise,", "recording,"))
    systems["recording"] = systems.pop("much noise")
    change(own_evaluation, systems=systems)
    results = read_results(own_evaluation)
    assert results.players == ("recording (reference)", "a little noise", "recording")


def test_a_name_may_hold_what_some_take_for_the_end_of_a_line(own_evaluation):
    table, name = own_evaluation / "utterances.csv", "msu_ru_nsh/ru\u20280806"
    table.write_text(table.read_text().replace("msu_ru_nsh/ru_0806", name))
    assert name in read_results(own_evaluation).utterances


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda f: shutil.rmtree(f), r"summary\.json: cannot be read.*vocoder evaluate"),
        (lambda f: (f / "utterances.csv").unlink(), r"utterances\.csv: cannot be read"),
        (lambda f: (f / "summary.json").write_text("{}"), r"summary\.json: .*evaluate again"),
        (lambda f: (f / "summary.json").write_text("no json"), r"summary\.json: the file"),
        (lambda f: (f / "summary.json").write_bytes(b"\xff\xfe\x00"), r"summary\.json: cannot"),
        (lambda f: (f / "utterances.csv").write_text("system,utterance\n"), "no column"),
        (lambda f: drop_rows(f), "no utterances"),
        (lambda f: cut(f), r"utterances\.csv:\d+: not as many cells.*evaluate again"),
        (lambda f: repeat(f), "stands there twice"),
        (lambda f: replace(f, ",0.0", ",\0"), r"utterances\.csv.*: .*evaluate again"),
        (lambda f: replace(f, ",0.0", "," + "x" * 200_000), r"utterances\.csv:\d+: not valid CSV"),
        (lambda f: replace(f, "much noise,", "another,"), "'another' is not in summary.json"),
        (lambda f: replace(f, ",0.0", ",zero"), r"utterances\.csv:\d+: \w+: 'zero.*no number"),
    ],
)
def test_a_damaged_evaluation_is_refused_with_its_place(own_evaluation, damage, said):
    damage(own_evaluation)
    with pytest.raises(VocoderError, match=said):
        read_results(own_evaluation)


def cut(folder: Path) -> None:
    """As after a full disk."""
    table = folder / "utterances.csv"
    table.write_text(table.read_text()[:-30])


def repeat(folder: Path) -> None:
    table = folder / "utterances.csv"
    table.write_text(table.read_text() + table.read_text().splitlines()[-1] + "\n")


def drop_rows(folder: Path) -> None:
    table = folder / "utterances.csv"
    table.write_text(table.read_text().splitlines()[0] + "\n")


def replace(folder: Path, old: str, new: str) -> None:
    table = folder / "utterances.csv"
    assert old in table.read_text()
    table.write_text(table.read_text().replace(old, new))


def test_audio_that_has_moved_is_named_with_its_system(own_evaluation):
    systems = summary_of(own_evaluation)["systems"]
    systems["much noise"]["folder"] = "moved/away"
    change(own_evaluation, systems=systems)
    with pytest.raises(
        VocoderError, match=r"^much noise: moved/away: no such folder .*moved since"
    ):
        read_results(own_evaluation)


# -- costs ---------------------------------------------------------------------------------------


def test_costs_are_those_on_one_thread(tmp_path):
    cost = read_costs({"s": cost_file(tmp_path / "c.json", 0.02)})["s"]
    assert (cost.threads, cost.real_time_factor) == (1, 0.02)
    assert [axis.value(cost) for axis in COST_AXES] == [0.02, 200.0, 1.0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("not json", "not valid JSON"),
        ("[]", "no measurement of costs"),
        ('{"costs": []}', "no measurement on one thread"),
        ('{"costs": [{"threads": 1}]}', r"costs\.0\.audio_s: "),
    ],
)
def test_a_file_that_is_no_cost_is_refused(tmp_path, text, said):
    path = tmp_path / "c.json"
    path.write_text(text)
    with pytest.raises(VocoderError, match=f"c.json: {said}"):
        read_costs({"s": path})
    with pytest.raises(VocoderError, match=r"nowhere\.json: cannot be read"):
        read_costs({"s": tmp_path / "nowhere.json"})


# -- ranking -------------------------------------------------------------------------------------


def summary(better: str, p_holm: dict[tuple[str, str], float], **means: float | None) -> Summary:
    """Systems with intervals of ± 0.1 and comparisons of the pairs that are named."""
    return Summary.model_validate(
        {
            "command": "",
            "reference": "r",
            "versions": {},
            "interval": "",
            "metrics": {"m": {"label": "M", "better": better, "decimals": 1, "convention": ""}},
            "systems": {
                name: {
                    "folder": name,
                    "utterances": 5,
                    "failed": 0,
                    "scores": {
                        "m": {
                            "mean": mean,
                            "low": None if mean is None else mean - 0.1,
                            "high": None if mean is None else mean + 0.1,
                            "n": 0 if mean is None else 5,
                            "failures": 0,
                        }
                    },
                }
                for name, mean in means.items()
            },
            "problems": (),
            "comparisons": [
                {
                    "metric": "m",
                    "a": a,
                    "b": b,
                    "n": 5,
                    "difference": 0.1,
                    "low": 0.05,
                    "high": 0.15,
                    "p_value": p / 2,
                    "p_holm": p,
                    "effect_size": 1.0,
                    "sentence": "",
                }
                for (a, b), p in p_holm.items()
            ],
        }
    )


def test_the_best_mean_is_best_whichever_way_is_better():
    known = {"a": 1.0, "b": 2.0, "c": None}
    assert rank(summary("higher", {}, **known), "m", list(known)) == {"a": "", "b": "best", "c": ""}
    assert rank(summary("lower", {}, **known), "m", list(known)) == {"a": "best", "b": "", "c": ""}


def test_what_the_paired_comparison_cannot_tell_apart_is_tied():
    # The intervals of the means overlap in all of these; the pairs decide.
    p_holm = {("a", "b"): 0.2, ("c", "a"): 0.01}
    means = {"a": 2.0, "b": 1.95, "c": 1.96}
    assert rank(summary("higher", p_holm, **means), "m", list(means)) == {
        "a": "best",
        "b": "tied",
        "c": "",
    }


def test_too_few_utterances_make_no_tie():
    means = {"a": 2.0, "b": 1.95}
    own = summary("higher", {("a", "b"): 0.2}, **means)
    (comparison,) = own.comparisons
    for smallest, place in ((0.0625, ""), (0.03, "tied")):
        few = own.model_copy(
            update={"comparisons": (comparison.model_copy(update={"smallest_p_holm": smallest}),)}
        )
        assert rank(few, "m", list(means)) == {"a": "best", "b": place}


def test_without_a_comparison_overlapping_intervals_are_a_tie():
    means = {"a": 2.0, "b": 1.85, "c": 1.7}
    ranks = rank(summary("higher", {}, **means), "m", list(means))
    assert ranks == {"a": "best", "b": "tied", "c": ""}


def test_nobody_is_best_of_one():
    assert rank(summary("higher", {}, a=2.0, b=3.0), "m", ["a"]) == {"a": ""}


def test_what_is_beyond_the_recording_is_not_best():
    means = {"recording": 3.0, "a": 3.5, "b": 2.95, "c": 2.0, "d": 3.0}
    rivals = ["a", "b", "c"]
    assert rank(summary("higher", {}, **means), "m", rivals, ["recording"]) == {
        "a": "",
        "b": "best",
        "c": "",
    }
    assert rank(summary("higher", {}, **means), "m", [*rivals, "d"], ["recording"])["d"] == "best"
    lower = rank(summary("lower", {}, recording=3.0, a=3.5, b=2.0), "m", ["a", "b"], ["recording"])
    assert lower == {"a": "best", "b": ""}
    # One beyond the recording is the nearest to it: the best of the others is not the best.
    lower = rank(summary("lower", {}, **means), "m", rivals, ["recording"])
    assert lower == {"a": "", "b": "", "c": ""}
    # A recording that has no score sets no limit, and one that all exceed leaves no best.
    unscored = {**means, "recording": None}
    assert rank(summary("higher", {}, **unscored), "m", rivals, ["recording"])["a"] == "best"
    assert rank(summary("higher", {}, r=1.0, a=2.0, b=3.0), "m", ["a", "b"], ["r"]) == {
        "a": "",
        "b": "",
    }
