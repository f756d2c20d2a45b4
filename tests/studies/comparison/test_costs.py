"""The comparison under one budget: operations of a training step, costs of a synthesis."""

from pathlib import Path

import pytest
import torch

from bench.baselines import Entry, Row, entries, measure
from studies.comparison.costs import measure_costs, read_costs
from studies.comparison.operations import Operations, StepOperations, count_step
from studies.comparison.systems import CLASSICAL, OURS, all_systems
from tests.training.tiny import ROOT
from vocoder.evaluation.cost import Cost, Memory, count_macs, count_operations, fft_macs
from vocoder.training.recipe import load_recipe

pytestmark = pytest.mark.slow

SYSTEMS = all_systems()


def test_a_step_of_a_small_network_is_counted_as_by_hand():
    torch.manual_seed(0)
    x = torch.randn(2, 8, 50)
    spread_out = torch.nn.Conv1d(8, 8, 7, padding=3, groups=8)
    mixed = torch.nn.ConvTranspose1d(8, 4, 4, stride=2)
    out = torch.nn.Linear(102, 64)

    def step() -> None:
        spectrum = torch.fft.rfft(out(mixed(spread_out(x))))
        spectrum.abs().sum().backward()

    # Two operations a multiply-accumulate; backward once for weights and once for inputs, but for
    # the inputs of the first layer, which are data.
    first = 2 * 2 * 8 * 7 * 50
    second = 2 * 2 * 8 * 4 * 4 * 50
    third = 2 * 2 * 4 * 102 * 64
    # The transform's own gradient is a full complex transform.
    transforms = 2 * 8 * (fft_macs(64) + fft_macs(64, real=False))
    assert count_operations(step) == 2 * first + 3 * second + 3 * third + transforms


def test_a_training_step_is_both_passes_and_grows_with_the_batch():
    recipe = load_recipe(SYSTEMS[OURS].path, ["model.channels=32", "data.batch_size=2"])
    double = load_recipe(SYSTEMS[OURS].path, ["model.channels=32", "data.batch_size=4"])
    one, two = count_step(recipe), count_step(double)
    assert one.before == one.after
    assert two.after == pytest.approx(2 * one.after, rel=1e-3)
    model = recipe.build_model()
    macs = count_macs(model, torch.zeros(2, 80, 56 + sum(model.context)))
    assert 4 * macs < one.after < 12 * macs  # three passes, and the losses' transforms


def test_the_adversarial_stage_is_counted_from_its_beginning():
    recipe = load_recipe(
        ROOT / "recipes" / "source_filter" / "tiny.yaml", ["adversarial.start_step=100"]
    )
    counted = count_step(recipe)
    assert counted.start_step == 100
    assert counted.after > 1.2 * counted.before
    assert counted.until(130) == 100 * counted.before + 30 * counted.after


def test_a_teachers_operations_count_for_its_student():
    known = Operations(StepOperations(2, 2, 0), StepOperations(5, 5, 0), None)
    assert known.training(10, teacher_steps=3) == 35


def test_the_bench_measures_what_a_model_says_of_itself():
    sizes = {(entry.name, entry.size) for entry in entries()}
    assert {
        (OURS, "paper"),
        (OURS, "budget"),
        ("hifigan_v1", "paper"),
        ("lpc", "classical"),
    } <= sizes
    assert {(name, "budget") for name in SYSTEMS} <= sizes
    row = measure(Entry(OURS, "budget", str(SYSTEMS[OURS].path)), longest_s=0.3, repeats=1)
    model = SYSTEMS[OURS].recipe.build_model()
    assert row.cost.parameters == model.parameters_count
    assert row.latency_s == model.lookahead_frames * 256 / 16000
    assert row.cost.audio_s >= 0.3
    mel = torch.zeros(1, 80, round(row.cost.audio_s * 16000 / 256))
    expected = count_macs(model, mel) / row.cost.audio_s
    assert row.cost.macs_per_second == pytest.approx(expected)
    assert 0 < row.cost.memory.increase < row.cost.memory.peak


def test_costs_are_added_to_what_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked: list[list[str]] = []

    def all_or_these(names: list[str]) -> list[Entry]:
        asked.append(list(names))
        return [Entry(name, "budget", "") for name in names or [*SYSTEMS, *CLASSICAL]]

    monkeypatch.setattr("studies.comparison.costs.chosen", all_or_these)
    monkeypatch.setattr("studies.comparison.costs.measure", lambda entry: cost_row(entry.name))
    path = tmp_path / "costs.json"
    for names in ([OURS], [OURS, "vocos"], ["vocos"], [], [], [OURS]):
        measure_costs(path, names)
    assert asked == [[OURS], ["vocos"], []]
    assert {row.name for row in read_costs(path)} == {*SYSTEMS, *CLASSICAL}


def cost_row(name: str) -> Row:
    memory = Memory(peak=2, increase=1)
    cost = Cost(1, 1.0, 0.1, 0.1, parameters=1, macs_per_second=1.0, memory=memory)
    return Row(name, "classical" if name in CLASSICAL else "budget", 16000, None, cost)
