"""The training loop: schedule, averaging, checks, the adversarial stage, and resuming."""

import itertools
import json
import math
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from vocoder.errors import CheckpointError, TrainingError
from vocoder.loading import METADATA, MODEL, read_tensors
from vocoder.training.checkpoint import TRAINING
from vocoder.training.losslog import LossLog, StepReport
from vocoder.training.schedule import Clock, TrainingConfig, learning_rate
from vocoder.training.trainer import Trainer

pytestmark = pytest.mark.slow

pytest_plugins = ["tests.training.fixtures"]

MakeTrainer = Callable[..., Trainer]


def copies(module: torch.nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in module.named_parameters()}


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


# -- schedule and averaging ----------------------------------------------------------------------


def test_the_learning_rate_rises_linearly_and_falls_along_half_a_cosine():
    config = TrainingConfig(steps=110, warmup_steps=10, final_learning_rate=1e-5)
    rates = [learning_rate(step, config, 1e-3) for step in range(111)]
    assert rates[:10] == pytest.approx([1e-4 * (step + 1) for step in range(10)])
    assert rates[10] == pytest.approx(1e-3)
    assert rates[60] == pytest.approx((1e-3 + 1e-5) / 2)
    assert rates[35] == pytest.approx(1e-5 + (1e-3 - 1e-5) * (1 + math.sqrt(0.5)) / 2)
    assert rates[110] == pytest.approx(1e-5)
    assert all(before > after for before, after in itertools.pairwise(rates[10:]))
    # A stage that begins later warms up from there, and falls to the same end.
    late = [learning_rate(step, config, 1e-3, begin=60) for step in range(60, 111)]
    assert late[:10] == pytest.approx(rates[:10])
    assert late[10] == pytest.approx(1e-3)
    assert late[30] == pytest.approx((1e-3 + 1e-5) / 2)
    assert late[50] == pytest.approx(1e-5)


def test_with_a_budget_the_cosine_follows_the_share_of_it_that_is_spent():
    config = TrainingConfig(steps=10**6, budget_minutes=1, warmup_steps=10, final_learning_rate=0)
    assert learning_rate(4, config, 1.0, share=0.3) == pytest.approx(0.5)
    for share in (0.0, 0.25, 0.5, 1.0, 1.2):
        expected = 0.5 * (1 + math.cos(math.pi * min(share, 1)))
        assert learning_rate(500, config, 1.0, share=share) == pytest.approx(expected)


def test_with_a_budget_a_later_stage_warms_up_and_decays_too():
    config = TrainingConfig(steps=10**6, budget_minutes=1, warmup_steps=10, final_learning_rate=0)
    # Steps that take equally long: the budget ends at step 2,000.
    rates = [
        learning_rate(step, config, 1.0, begin=1000, share=step / 2000)
        for step in range(1000, 2001)
    ]
    assert rates[:10] == pytest.approx([0.1 * (step + 1) for step in range(10)])
    assert rates[10] == pytest.approx(1.0, abs=1e-3)
    assert rates[500] == pytest.approx(0.5)
    assert rates[1000] == pytest.approx(0)
    assert learning_rate(1100, config, 1.0, begin=1000, share=1.1) == pytest.approx(0)
    assert all(before > after for before, after in itertools.pairwise(rates[10:]))


def test_the_clock_counts_work_and_not_waiting():
    clock = Clock(torch.device("cpu"))
    clock.start()
    time.sleep(0.2)
    assert clock.seconds() < 0.05
    wall = time.perf_counter()
    while clock.seconds() < 0.1:
        torch.ones(100).sum()
    assert time.perf_counter() - wall > 0.09


def test_both_optimizers_follow_the_schedule_each_from_its_own_start(make_trainer: MakeTrainer):
    trainer = make_trainer(
        "training.learning_rate=0.01", "adversarial.learning_rate=0.02", "adversarial.start_step=1"
    )
    for step in range(3):
        assert trainer.train_step().learning_rate == pytest.approx(0.01 * (step + 1) / 5)
        if step >= 1:
            rate = trainer.discriminator_optimizer.param_groups[0]["lr"]
            assert rate == pytest.approx(0.02 * step / 5)


def test_averaged_weights_are_the_exponential_mean(make_trainer: MakeTrainer):
    trainer = make_trainer("training.ema_decay=0.3", "adversarial=null")
    mean = {name: value.double() for name, value in copies(trainer.model).items()}
    for step in range(6):
        trainer.train_step()
        decay = min(0.3, (1 + step) / (10 + step))
        for name, value in trainer.model.named_parameters():
            mean[name] = decay * mean[name] + (1 - decay) * value.detach().double()
    for name, value in trainer.averaged.items():
        torch.testing.assert_close(value.double(), mean[name], rtol=1e-5, atol=1e-7)
    assert not equal(trainer.averaged, copies(trainer.model))


def test_gradients_are_clipped_to_the_norm_and_reported_unclipped(make_trainer: MakeTrainer):
    trainer = make_trainer("training.max_gradient_norm=0.01", "adversarial=null")
    report = trainer.train_step()
    norm = torch.cat([p.grad.flatten() for p in trainer.model.parameters()]).norm()
    assert float(norm) == pytest.approx(0.01, rel=1e-3)
    assert report.gradient_norm > 0.1


def test_the_reported_total_is_what_the_generator_descends(make_trainer: MakeTrainer):
    losses = make_trainer("adversarial.start_step=0").train_step().losses
    parts = {"stft", "mel", "f0", "voicing", "adversarial", "feature_matching"}
    assert losses.keys() == parts | {"total", "discriminator"}
    assert losses["total"] == pytest.approx(sum(losses[name] for name in parts), rel=1e-6)


# -- the adversarial stage -----------------------------------------------------------------------


def test_the_adversarial_stage_begins_at_its_step(make_trainer: MakeTrainer):
    trainer = make_trainer("adversarial.start_step=2")
    fresh = copies(trainer.discriminators)
    for step in range(4):
        report = trainer.train_step()
        assert ("adversarial" in report.losses) == (step >= 2)
        assert equal(fresh, copies(trainer.discriminators)) == (step < 2)
        assert bool(trainer.discriminator_optimizer.state_dict()["state"]) == (step >= 2)


def test_frames_alone_compared_with_the_recordings(make_trainer: MakeTrainer):
    trainer = make_trainer(
        "adversarial.start_step=0", "adversarial.kind=relativistic", "adversarial.period=null",
        "adversarial.spectrogram=null", "adversarial.frames={n_ffts: [256], channels: 8}",
    )  # fmt: skip
    before = copies(trainer.discriminators)
    losses = trainer.train_step().losses
    # Fresh scores hardly differ: ln 2.
    assert losses["discriminator"] == pytest.approx(math.log(2), abs=0.05)
    assert losses["adversarial"] == pytest.approx(0.1 * math.log(2), abs=0.005)
    assert not equal(before, copies(trainer.discriminators))


@pytest.mark.parametrize("kind", ["hinge", "least_squares"])
@pytest.mark.parametrize(
    ("off", "left"), [("period", "spectrogram"), ("spectrogram", "period"), (None, None)]
)
def test_each_discriminator_can_be_switched_off(
    make_trainer: MakeTrainer, kind: str, off: str | None, left: str | None
):
    switched = [f"adversarial.{off}=null"] if off else []
    trainer = make_trainer("adversarial.start_step=0", f"adversarial.kind={kind}", *switched)
    names = [type(member).__name__.lower() for member in trainer.discriminators.members]
    assert len(names) == (1 if off else 2)
    assert left is None or left in names[0]
    before = copies(trainer.discriminators)
    first = trainer.train_step().losses
    # A fresh discriminator gives scores near zero.
    assert first["discriminator"] == pytest.approx({"hinge": 2, "least_squares": 1}[kind], abs=0.4)
    assert first["feature_matching"] > 0
    assert not equal(before, copies(trainer.discriminators))


def test_a_recipe_without_discriminators_trains_spectrally(make_trainer: MakeTrainer):
    trainer = make_trainer("adversarial=null", "training.steps=2")
    reports: list[StepReport] = []
    trainer.run(reports.append)
    assert reports[-1].losses.keys() == {"stft", "mel", "f0", "voicing", "total"}
    state = read_tensors(trainer.checkpoints / "step-00000002" / TRAINING)
    assert not [name for name in state if name.startswith("discriminator")]


def test_the_generators_losses_leave_the_discriminators_alone(make_trainer: MakeTrainer):
    after = []
    for weight in (0.0, 50.0):
        trainer = make_trainer(
            "adversarial.start_step=0",
            f"adversarial.weight={weight}",
            f"adversarial.feature_matching_weight={weight}",
        )
        before = copies(trainer.model)
        trainer.train_step()
        after.append((copies(trainer.discriminators), copies(trainer.model)))
        assert not equal(before, after[-1][1])
    assert equal(after[0][0], after[1][0])
    assert not equal(after[0][1], after[1][1])


# -- guards --------------------------------------------------------------------------------------


def test_a_loss_that_is_not_a_number_stops_the_run(make_trainer: MakeTrainer):
    trainer = make_trainer("training.steps=6", "training.save_every=2")
    trainer.objective.spectral.register_forward_hook(
        lambda module, given, losses: losses | {"mel": losses["mel"] * nan_from(trainer, 3)}
    )
    with pytest.raises(TrainingError, match=r"^mel is nan at step 3; no checkpoint") as caught:
        trainer.run()
    assert "\n" not in str(caught.value)
    assert "lower training.learning_rate" in str(caught.value)
    assert [path.name for path in trainer.checkpoints.iterdir()] == ["step-00000002"]
    kept = read_tensors(trainer.checkpoints / "step-00000002" / TRAINING)
    assert all(bool(torch.isfinite(value).all()) for value in kept.values())


def nan_from(trainer: Trainer, step: int) -> float:
    return math.nan if trainer.step >= step else 1.0


def test_weights_that_are_not_numbers_stop_the_run(make_trainer: MakeTrainer):
    trainer = make_trainer("training.steps=6", "training.save_every=3")

    def spoil(report: StepReport) -> None:
        with torch.no_grad():
            trainer.model.filter_network.output.weight.fill_(math.nan)

    with pytest.raises(TrainingError, match="at step 1; no checkpoint"):
        trainer.run(spoil)
    assert not trainer.checkpoints.exists()


def test_a_gradient_that_is_not_a_number_stops_the_run_before_the_update(
    make_trainer: MakeTrainer,
):
    trainer = make_trainer("adversarial=null")
    weight = trainer.model.filter_network.output.weight
    weight.register_hook(lambda gradient: gradient * math.nan)
    before = copies(trainer.model)
    with pytest.raises(TrainingError, match="gradient norm is nan at step 0"):
        trainer.train_step()
    assert equal(before, copies(trainer.model))


def test_a_discriminator_that_breaks_stops_the_run_before_its_update(make_trainer: MakeTrainer):
    trainer = make_trainer("adversarial.start_step=0")
    next(trainer.discriminators.parameters()).register_hook(lambda gradient: gradient * math.inf)
    before = copies(trainer.discriminators)
    with pytest.raises(TrainingError, match=r"discriminator gradient norm is (nan|inf) at step 0"):
        trainer.train_step()
    assert equal(before, copies(trainer.discriminators))


def test_weights_that_are_not_finite_are_never_saved(make_trainer: MakeTrainer):
    # The last step's loss was fine, its update was not.
    trainer = make_trainer("adversarial=null", "training.steps=1")

    def overflow(report: StepReport) -> None:
        with torch.no_grad():
            trainer.model.filter_network.output.bias[0] = math.inf

    with pytest.raises(TrainingError, match=r"output\.bias is not finite at step 1; no checkpoint"):
        trainer.run(overflow)
    assert not trainer.checkpoints.exists()


def test_processes_that_drift_apart_are_not_saved(
    make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch
):
    trainer = make_trainer()
    monkeypatch.setattr(trainer.accelerator, "gather", lambda sums: torch.cat([sums, sums + 1e-6]))
    with pytest.raises(TrainingError, match="the processes hold different weights at step 0"):
        trainer.save({})
    assert not trainer.checkpoints.exists()


# -- a budget of time ----------------------------------------------------------------------------


class Metronome:
    """A clock to which every step takes two seconds."""

    def start(self) -> None:
        pass

    def seconds(self) -> float:
        return 2.0


def budgeted(make_trainer: MakeTrainer, folder: str) -> Trainer:
    trainer = make_trainer(
        "adversarial=null",
        "training.steps=1000",
        "training.budget_minutes=0.3",
        "training.warmup_steps=1",
        "training.save_every=4",
        "training.snapshots=[0.2, 0.5, 1.0]",
        folder=folder,
    )
    trainer._clock = Metronome()
    return trainer


def test_a_run_ends_when_its_budget_is_spent_and_leaves_snapshots(make_trainer: MakeTrainer):
    trainer = budgeted(make_trainer, "run")
    reports: list[StepReport] = []
    trainer.run(reports.append)
    # 18 seconds: nine steps of two.
    assert [report.step for report in reports] == list(range(9))
    shares = [2 * step / 18 for step in range(9)]
    rates = [learning_rate(s, trainer.config, 1e-3, share=shares[s]) for s in range(9)]
    assert [report.learning_rate for report in reports] == pytest.approx(rates)
    found = {
        path.name: json.loads((path / METADATA).read_text())
        for path in sorted(trainer.snapshots.iterdir())
    }
    assert {name: about["step"] for name, about in found.items()} == {
        "at-0200": 2,
        "at-0500": 5,
        "at-1000": 9,
    }
    assert [about["spent_s"] for about in found.values()] == [4, 10, 18]
    assert equal(read_tensors(trainer.snapshots / "at-1000" / MODEL), trainer.averaged)


def test_a_resumed_run_has_what_was_left_of_its_budget(make_trainer: MakeTrainer):
    whole = budgeted(make_trainer, "whole")
    whole.run()
    stopped = budgeted(make_trainer, "stopped")
    for _ in range(4):
        stopped.train_step()
    stopped.save({})
    again = budgeted(make_trainer, "stopped")
    assert again.resume()
    assert again.spent_s == 8
    again.run()
    assert again.step == 9
    assert equal(again.averaged, whole.averaged)


# -- going on ------------------------------------------------------------------------------------


@pytest.mark.parametrize("start_step", [1, 3, 5])
def test_a_resumed_run_goes_on_bit_for_bit(make_trainer: MakeTrainer, start_step: int):
    """Stopped after three of six steps: within, at and before the start of the second stage."""
    overrides = (f"adversarial.start_step={start_step}", "training.steps=6")
    whole = make_trainer(*overrides, folder="whole")
    expected: list[StepReport] = []
    whole.run(expected.append)

    stopped = make_trainer(*overrides, folder="stopped")
    reports = [stopped.train_step() for _ in range(3)]
    stopped.save({})
    again = make_trainer(*overrides, folder="stopped")
    assert again.resume()
    assert again.step == 3
    again.run(reports.append)
    assert reports == expected
    for file in (MODEL, TRAINING):
        one, other = (
            read_tensors(trainer.checkpoints / "step-00000006" / file) for trainer in (whole, again)
        )
        assert equal(one, other)


def test_without_a_checkpoint_there_is_nothing_to_resume(make_trainer: MakeTrainer):
    trainer = make_trainer()
    assert not trainer.resume()
    assert trainer.step == 0


def test_a_half_written_checkpoint_does_no_harm(
    make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch
):
    trainer = make_trainer("training.steps=3", "training.save_every=1", "adversarial=null")
    trainer.train_step()
    trainer.save({})
    trainer.train_step()
    # Stopped between the last file and the move to its place: nothing is left of it.
    monkeypatch.setattr("pathlib.Path.rename", _interrupt)
    with pytest.raises(KeyboardInterrupt):
        trainer.save({})
    monkeypatch.undo()
    (whole,) = trainer.checkpoints.iterdir()
    # Killed at that moment: a hidden folder stays, here with a truncated file in it.
    partial = trainer.checkpoints / ".step-00000002.0123abcd.part"
    shutil.copytree(whole, partial)
    (partial / MODEL).write_bytes((partial / MODEL).read_bytes()[:1000])
    again = make_trainer("training.steps=3", "training.save_every=1", "adversarial=null")
    assert again.resume()
    assert again.step == 1
    again.run()
    assert sorted(path.name for path in again.checkpoints.glob("step-*")) == [
        "step-00000002",
        "step-00000003",
    ]


def _interrupt(*args: object, **options: object) -> None:
    raise KeyboardInterrupt


def test_only_the_newest_checkpoints_are_kept(make_trainer: MakeTrainer):
    trainer = make_trainer(
        "adversarial=null",
        "training.steps=5",
        "training.save_every=1",
        "training.keep_checkpoints=3",
    )
    trainer.run()
    assert sorted(path.name for path in trainer.checkpoints.iterdir()) == [
        f"step-{step:08d}" for step in (3, 4, 5)
    ]


def test_a_checkpoint_says_what_it_is(make_trainer: MakeTrainer):
    trainer = make_trainer("adversarial=null", "training.steps=3", "training.save_every=2")
    trainer.run(validate=lambda step, weights: {"pesq_wb": step / 10})
    described = {
        folder.name: json.loads((folder / METADATA).read_text())
        for folder in trainer.checkpoints.iterdir()
    }
    last = described["step-00000003"]
    assert last["step"] == 3
    assert last["mel_fingerprint"] == trainer.model.spec.fingerprint
    assert last["data_hash"] == trainer.source.data_hash
    assert last["vocoder_version"]
    assert last["git_revision"]
    # Scores are those of these very weights, or there are none.
    assert last["scores"] == {"pesq_wb": 0.3}
    assert described["step-00000002"]["scores"] == {}


def test_a_run_does_not_go_on_with_other_recordings(make_trainer: MakeTrainer):
    trainer = make_trainer("adversarial=null")
    trainer.train_step()
    trainer.save({})
    again = make_trainer("adversarial=null")
    again.source.__dict__["data_hash"] = "another hash"
    with pytest.raises(CheckpointError, match="recordings of the train split have changed"):
        again.resume()


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        ("generator.filter_network.norm.weight", "missing: filter_network.norm.weight"),
        ("averaged.filter_network.norm.weight", "missing: filter_network.norm.weight"),
        ("discriminators.members.0.stacks.0.layers.0.bias", "missing: members.0"),
        ("optimizer.0.exp_avg", "missing: optimizer.0.exp_avg"),
    ],
)
def test_a_lost_tensor_of_the_training_state_is_named(
    make_trainer: MakeTrainer, spoilt: str, said: str
):
    from safetensors.torch import save_file

    trainer = make_trainer("adversarial.start_step=0")
    trainer.train_step()
    folder = trainer.save({})
    state = read_tensors(folder / TRAINING)
    save_file({name: value for name, value in state.items() if name != spoilt}, folder / TRAINING)
    metadata = json.loads((folder / METADATA).read_text())
    (folder / METADATA).write_text(json.dumps(metadata | {"sha256": {}}))
    with pytest.raises(CheckpointError, match=said) as caught:
        make_trainer("adversarial.start_step=0").resume()
    assert "\n" not in str(caught.value)


def test_the_log_of_losses_drops_what_comes_again_and_half_lines(tmp_path: Path):
    path = tmp_path / "losses.jsonl"
    log = LossLog(path, 0)
    for step in range(5):
        log.add(StepReport(step, {"total": 1 / 3 + step}, 1.0, 1e-3, 1.0), 0.5)
    log.flush()
    path.write_text(path.read_text() + '{"step": 1, "seco')
    resumed = LossLog(path, 3)
    resumed.add(StepReport(3, {"total": 7.0}, 1.0, 1e-3, 1.0), 0.5)
    resumed.flush()
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["step"] for row in rows] == [0, 1, 2, 3]
    assert rows[1]["total"] == 1 / 3 + 1
    assert rows[3]["total"] == 7.0
