"""Checkpoints of a run: resuming from them, what they say, and what is refused."""

import json
import shutil

import pytest

from tests.training.tiny import MakeTrainer, equal
from vocoder.errors import CheckpointError
from vocoder.loading import METADATA, MODEL, read_tensors
from vocoder.training.checkpoint import TRAINING
from vocoder.training.losslog import StepReport

pytestmark = pytest.mark.slow

pytest_plugins = ["tests.training.fixtures"]


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
