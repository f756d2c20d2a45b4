"""Ablations by training: rows, their speakers, and the table from their files."""

from pathlib import Path

import numpy as np
import torch

from studies.ablations.robustness import noisy
from studies.ablations.smoothed_pairs import chosen, degraded
from studies.ablations.speech import METRIC_NAMES, difference
from studies.ablations.trained import (
    BASE,
    EARLIER,
    PAGE,
    RECIPE,
    ROWS,
    USES,
    Outcome,
    _fewer_speakers,
    outcome_path,
    read_outcomes,
    rows_left,
    trained_table,
)
from studies.scores import Scores
from vocoder.data.manifest import Utterance, read_manifest, write_manifest
from vocoder.features.mel import PRESETS
from vocoder.training.recipe import load_recipe


def scores(shift: float) -> Scores:
    values = shift + np.array([3.0, 3.5, 4.0])
    return Scores(
        utterances=("a", "b", "c"),
        values={metric: tuple(values.tolist()) for metric in METRIC_NAMES},
    )


def outcome(row: str, shift: float) -> Outcome:
    return Outcome(
        row=row, settings=ROWS[row].settings, speakers=ROWS[row].speakers, minutes=5.04, steps=900,
        parameters=1, commit="0000000", finished="2026-11-30",
        scores=dict.fromkeys(USES, scores(shift)),
    )  # fmt: skip


def test_every_row_has_a_file_of_its_own_and_a_recipe_that_holds():
    assert len({outcome_path(name) for name in ROWS}) == len(ROWS) >= 14
    base = load_recipe(RECIPE, ["data.manifests=[m.jsonl]", *EARLIER])
    for name, row in ROWS.items():
        recipe = load_recipe(RECIPE, ["data.manifests=[m.jsonl]", *EARLIER, *row.settings])
        changed = name != BASE and row.speakers is None
        assert (recipe != base) == changed, name


def test_a_row_of_one_mel_is_scored_in_that_mel_alone():
    for name, row in ROWS.items():
        recipe = load_recipe(RECIPE, ["data.manifests=[m.jsonl]", *row.settings])
        used = [PRESETS[USES[use].mel] for use in row.uses]
        assert recipe.mel in used, name
        assert recipe.data.mels is not None or set(used) == {recipe.mel}, name
    found = {name: outcome(name, 0.0) for name in (BASE, "3 blocks", "HiFi-GAN's mel alone")}
    assert "3 blocks" not in trained_table(found, "HiFi-GAN's mel")
    assert "HiFi-GAN's mel alone" not in trained_table(found, "one pass")


def test_the_page_is_built_from_the_files():
    outcomes, page = read_outcomes(), PAGE.read_text(encoding="utf-8")
    assert rows_left(outcomes) in page
    for use in USES:
        assert trained_table(outcomes, use) in page, use
    assert rows_left({BASE: outcomes[BASE]}).startswith(f"1 of {len(ROWS)} rows")


def test_pairs_to_train_on_leave_out_who_is_held_out(tmp_path: Path):
    entries = [
        Utterance(
            path=Path(f"{speaker}{n}.wav"),
            speaker=speaker,
            split=split,
            duration_s=1.0,
            licence="x",
        )
        for speaker, split in (("a", "train"), ("b", "train"), ("c", "test"))
        for n in range(3)
    ]
    write_manifest(tmp_path / "m.jsonl", entries)
    found = chosen(tmp_path / "m.jsonl", {"b"}, 2)
    assert [(each.path.name, each.split) for each in found] == [
        ("a0.wav", "train"), ("a1.wav", "train"), ("b0.wav", "valid"), ("b1.wav", "valid"),
    ]  # fmt: skip
    assert all(each.path.is_absolute() for each in found)


def test_each_recording_has_a_degradation_of_its_own():
    mel = torch.randn(1, 100, 200, generator=torch.Generator().manual_seed(0))
    first, again, other = degraded(mel, 1), degraded(mel, 1), degraded(mel, 2)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    kinds = {round(float(degraded(mel, index).std()), 1) for index in range(40)}
    assert len(kinds) >= 5


def test_the_table_has_differences_of_the_same_speakers():
    found = {name: outcome(name, shift) for name, shift in ((BASE, 0.0), ("3 blocks", -0.25))}
    lines = trained_table(found, "one pass").splitlines()
    assert len(lines) == 4
    assert lines[2].startswith(f"| {BASE} |  | 5.0 | 3.500 |")
    assert lines[2].endswith("| – | – |")
    assert lines[3].endswith("| -0.250 ± 0.000 | -0.250 ± 0.000 |")
    # Student's t with two degrees of freedom: 4.303 times the standard error.
    wider = Scores(utterances=("a", "b", "c"), values={"pesq": (3.0, 4.0, 5.0)})
    assert difference(wider, scores(0.0), "pesq") == "+0.500 ± 1.242"


def test_fewer_speakers_are_those_with_most_speech_and_some_of_the_others(tmp_path: Path):
    held_out = load_recipe(RECIPE, ["data.manifests=[m.jsonl]"]).data.held_out
    named = {f"s{number:02d}": 1.0 for number in range(20)} | {"a": 90.0, "b": 80.0, "c": 70.0}
    named |= dict.fromkeys(held_out, 200.0)
    write_manifest(
        tmp_path / "manifest.jsonl",
        [
            Utterance(
                path=Path(f"{name}.wav"), speaker=name, split="train", duration_s=s, licence="x"
            )
            for name, s in named.items()
        ],
    )
    path = _fewer_speakers([tmp_path / "manifest.jsonl"], 8, tmp_path / "few.jsonl")
    speakers = {entry.speaker for entry in read_manifest(path)} - set(held_out)
    assert {"a", "b", "c"} < speakers
    assert len(speakers) == 8
    assert all(entry.path.parent == tmp_path for entry in read_manifest(path))


def test_a_noisy_mel_gets_the_level_asked_for():
    flat = torch.full((1, 100, 400), -3.0)
    nepers = (noisy(flat, sigma_db=3) - flat).std()
    decibels = float(nepers) * 20 / np.log(10)
    assert abs(decibels - 3) < 0.05
    assert PRESETS["vocos_24k"].log == "ln"  # in which a neper is one
