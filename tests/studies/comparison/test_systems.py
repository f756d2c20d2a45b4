"""The comparison under one budget: who takes part, and by which rules."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from studies.comparison.curves import choose_excerpts, read_snapshots
from studies.comparison.systems import OURS, TEACHERS, Layout, all_systems, choose, settings_of
from studies.comparison.train import Budget, jobs
from tests.training.tiny import ROOT
from vocoder.data.manifest import Utterance
from vocoder.errors import VocoderError
from vocoder.training.checkpoint import save_checkpoint

pytestmark = pytest.mark.slow

SYSTEMS = all_systems()


def utterance(name: str, duration_s: float, split: str = "valid") -> Utterance:
    return Utterance(
        path=Path(f"{name}.wav"), speaker="s", split=split, duration_s=duration_s, licence="none"
    )


def test_ours_comes_first_and_every_budget_recipe_takes_part():
    stems = {path.stem for path in (ROOT / "recipes" / "baselines" / "budget").glob("*.yaml")}
    assert next(iter(SYSTEMS)) == OURS
    assert set(SYSTEMS) == (stems - {"common"}) | {OURS}


def test_all_systems_share_speech_mel_and_budget():
    ours = SYSTEMS[OURS].recipe
    for system in SYSTEMS.values():
        recipe = system.recipe
        # Half of a student's budget is its teacher's.
        shares = 2 if system.name in TEACHERS else 1
        assert shares * recipe.training.budget_minutes == ours.training.budget_minutes
        assert recipe.mel == ours.mel
        assert recipe.data.manifests == ours.data.manifests
        assert recipe.data.gain_db == ours.data.gain_db
        assert recipe.data.speeds == ours.data.speeds
        assert recipe.training.threads == ours.training.threads
        assert recipe.training.snapshots == ours.training.snapshots
        assert recipe.training.ema_decay == ours.training.ema_decay
        assert recipe.initialise_from is None
    assert ours.adversarial is None


def test_an_unknown_system_is_refused_with_the_nearest_name():
    assert [system.name for system in choose(["vocos", OURS], SYSTEMS)] == [OURS, "vocos"]
    assert len(choose([], SYSTEMS)) == len(SYSTEMS)
    with pytest.raises(VocoderError, match="did you mean vocos"):
        choose(["vocoss"], SYSTEMS)


def test_a_student_and_its_teacher_share_one_budget(tmp_path: Path):
    student = SimpleNamespace(name="student", path=Path("student.yaml"), teacher="teacher")
    teacher = SimpleNamespace(name="teacher", path=Path("teacher.yaml"), teacher=None)
    systems = {"student": student, "teacher": teacher}
    budget = Budget(Path("m.jsonl"), 30.0, 2, ("model.x=1",))
    layout = Layout(tmp_path)
    first, second = jobs(student, 1, budget, layout, systems)
    assert (first.recipe, second.recipe) == (teacher.path, student.path)
    for job in (first, second):
        assert "training.budget_minutes=15.0" in job.settings
        assert "training.seed=1" in job.settings
        assert "data.manifests=[m.jsonl]" in job.settings
        assert "model.x=1" in job.settings
    assert "training.snapshots=[]" in first.settings
    assert f"loss.teacher={first.output}" in second.settings
    (alone,) = jobs(teacher, 0, budget, layout, systems)
    assert "training.budget_minutes=30.0" in alone.settings
    assert len({first.output, second.output, alone.output}) == 3


def test_settings_survive_the_command_line():
    values = {"training.snapshots": [0.5, 1.0], "loss.teacher": "a b/c", "training.threads": 2}
    arguments = settings_of(values)
    assert arguments[::2] == ["--set"] * 3
    assert arguments[1::2] == [
        "training.snapshots=[0.5, 1.0]",
        "loss.teacher=a b/c",
        "training.threads=2",
    ]


def test_snapshots_come_in_the_order_of_the_training(tmp_path: Path):
    with pytest.raises(VocoderError, match="no snapshots"):
        read_snapshots(tmp_path)
    for name, step in {"at-1000": 7, "at-0050": 300}.items():
        metadata = {"step": step, "spent_s": float(step), "mel_fingerprint": "x"}
        save_checkpoint(tmp_path / "snapshots" / name, {}, {}, metadata)
    assert list(read_snapshots(tmp_path)) == ["at-1000", "at-0050"]


def test_excerpts_are_the_shortest_that_are_long_enough():
    found = [utterance(f"u{i}", 3 + 0.5 * i) for i in range(10)]
    found += [utterance("short", 2.9), utterance("other", 3.1, "test")]
    chosen = choose_excerpts(found[::-1])
    assert [u.path.stem for u in chosen] == [f"u{i}" for i in range(8)]
    with pytest.raises(VocoderError, match="no utterance of split valid lasts 3 s"):
        choose_excerpts([utterance("short", 2.9)])
