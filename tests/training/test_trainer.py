"""The training loop: averaging, the adversarial stage, guards, and a budget of time."""

import json
import math

import pytest
import torch

from tests.training.tiny import MakeTrainer, copies, equal
from vocoder.errors import TrainingError
from vocoder.loading import METADATA, MODEL, read_tensors
from vocoder.training.checkpoint import TRAINING
from vocoder.training.losslog import StepReport
from vocoder.training.schedule import learning_rate
from vocoder.training.trainer import Trainer

pytestmark = pytest.mark.slow

pytest_plugins = ["tests.training.fixtures"]


# -- rates and averaging ----------------------------------------------------------------------


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
