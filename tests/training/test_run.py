"""From a recipe to a run folder: files, output, and resuming a killed run."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.training.tiny import (
    ROOT,
    SMALL,
    TINY_RECIPE,
    UNINTERRUPTED,
    leftover,
    quiet,
    settings,
)
from vocoder.data.locks import locked
from vocoder.errors import (
    AudioError,
    CheckpointError,
    CorpusError,
    OutputError,
    RecipeError,
    TrainingError,
)
from vocoder.loading import METADATA, MODEL, read_tensors
from vocoder.training.checkpoint import TRAINING
from vocoder.training.recipe import load_recipe
from vocoder.training.run import Lines, Throughput, train
from vocoder.training.trainer import Trainer

pytestmark = pytest.mark.slow

pytest_plugins = ["tests.training.fixtures"]


def losses(run: Path) -> list[dict[str, float]]:
    """Losses of every step, without the time it took."""
    rows = [json.loads(line) for line in (run / "losses.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def train_in_process(run: Path, *overrides: str) -> str:
    """Run the recipe in this process; returns its output."""
    said = io.StringIO()
    recipe = load_recipe(TINY_RECIPE, [*SMALL, *overrides])
    train(recipe, run, Console(file=said, width=200))
    return said.getvalue()


# -- what a run leaves ---------------------------------------------------------------------------


def test_a_run_leaves_recipe_losses_checkpoints_and_pictures(trained_run: Path):
    assert load_recipe(trained_run / "recipe.yaml") == load_recipe(TINY_RECIPE, UNINTERRUPTED)
    rows = losses(trained_run)
    assert [row["step"] for row in rows] == list(range(30))
    assert all(("adversarial" in row) == (row["step"] >= 7) for row in rows)
    names = sorted(path.name for path in (trained_run / "checkpoints").iterdir())
    assert names == ["step-00000027", "step-00000030"]
    scores = json.loads((trained_run / "checkpoints" / names[-1] / METADATA).read_text())["scores"]
    assert scores.keys() == {
        *("stft", "mel", "pesq_wb", "f0_cents", "voicing_error"),
        *("loss_stft", "loss_mel", "loss_f0", "loss_voicing"),
    }
    assert 1 < scores["pesq_wb"] < 4.65

    board = EventAccumulator(str(trained_run / "tensorboard"))
    board.Reload()
    tags = board.Tags()
    assert {"train/stft", "train/gradient_norm", "valid/pesq_wb"} <= set(tags["scalars"])
    assert tags["images"] == ["valid/en_conf-onlyperson"]
    assert tags["audio"] == ["valid/en_conf-onlyperson", "recording/en_conf-onlyperson"]
    logged = board.Scalars("train/stft")
    assert [event.step for event in logged] == list(range(1, 31))
    assert logged[3].value == pytest.approx(rows[3]["stft"], rel=1e-6)


def test_a_run_without_validation_still_shows_its_training(tmp_path: Path, fresh_accelerator: None):
    run = tmp_path / "run"
    without = ("training.steps=2", "training.validate_every=null", "training.log_every=1")
    train_in_process(run, *without, "adversarial=null")
    board = EventAccumulator(str(run / "tensorboard"))
    board.Reload()
    assert [event.step for event in board.Scalars("train/stft")] == [1, 2]
    assert not any(tag.startswith("valid/") for tag in board.Tags()["scalars"])


def test_training_learns(trained_run: Path):
    """Voicing is learned in a few steps, for any segments."""
    voicing = [row["voicing"] for row in losses(trained_run)]
    assert sum(voicing[-8:]) / 8 < 0.9 * sum(voicing[:4]) / 4


def test_a_finished_run_is_left_as_it_is(tmp_path: Path, fresh_accelerator: None):
    run = tmp_path / "run"
    said = train_in_process(run, "training.steps=1", "adversarial=null")
    assert "starting from step 0 of 1" in said
    before = {path: path.stat().st_mtime_ns for path in (run / "checkpoints").rglob("*")}
    first = losses(run)
    said = train_in_process(run, "training.steps=1", "adversarial=null")
    assert "resumed at step 1 of 1" in said
    assert before == {path: path.stat().st_mtime_ns for path in (run / "checkpoints").rglob("*")}
    assert losses(run) == first


# -- whose folder it is --------------------------------------------------------------------------


def test_the_folder_of_another_recipe_is_refused_by_the_differing_keys(trained_run: Path):
    before = sorted(path.name for path in (trained_run / "checkpoints").iterdir())
    other = load_recipe(
        TINY_RECIPE,
        [*UNINTERRUPTED, "training.learning_rate=0.5", "model.blocks=2", "training.save_every=4"],
    )
    with pytest.raises(RecipeError) as caught:
        train(other, trained_run, quiet())
    message = str(caught.value)
    assert str(trained_run / "recipe.yaml") in message
    assert "training.learning_rate: 0.001 there, 0.5 here" in message
    assert "model.blocks: 1 there, 2 here" in message
    assert "save_every" not in message
    assert "\n" not in message
    assert before == sorted(path.name for path in (trained_run / "checkpoints").iterdir())


def test_bookkeeping_may_change_when_a_run_goes_on(tmp_path: Path, fresh_accelerator: None):
    run = tmp_path / "run"
    train_in_process(run, "training.steps=1", "adversarial=null")
    changed = [
        "training.threads=1",
        "training.log_every=9",
        "training.validate_every=9",
        "training.save_every=9",
        "training.keep_checkpoints=9",
    ]
    said = train_in_process(run, "training.steps=1", "adversarial=null", *changed)
    assert "resumed at step 1" in said


def test_a_run_goes_on_for_more_steps_and_not_for_fewer(tmp_path: Path, fresh_accelerator: None):
    run = tmp_path / "run"
    train_in_process(run, "training.steps=2", "adversarial=null")
    said = train_in_process(run, "training.steps=4", "adversarial=null")
    assert "resumed at step 2 of 4" in said
    assert (run / "checkpoints" / "step-00000004").is_dir()
    assert load_recipe(run / "recipe.yaml").training.steps == 4
    assert [row["step"] for row in losses(run)] == [0, 1, 2, 3]
    with pytest.raises(RecipeError, match=r"training\.steps: 4 there, 3 here"):
        train_in_process(run, "training.steps=3", "adversarial=null")


def test_a_start_that_fails_leaves_the_folder_free(tmp_path: Path, fresh_accelerator: None):
    run = tmp_path / "run"
    with pytest.raises(CorpusError, match=r"typo\.jsonl"):
        train_in_process(run, "data.manifests=[typo.jsonl]")
    assert not (run / "recipe.yaml").exists()
    train_in_process(run, "training.steps=1", "adversarial=null")


def test_a_resume_keeps_what_was_logged_up_to_the_checkpoint(tmp_path: Path, fresh_accelerator):
    run = tmp_path / "run"
    options = ("adversarial=null", "training.log_every=1", "training.validate_every=2",
               "training.save_every=2")  # fmt: skip
    train_in_process(run, "training.steps=2", *options)
    train_in_process(run, "training.steps=4", *options)
    board = EventAccumulator(str(run / "tensorboard"))
    board.Reload()
    assert [event.step for event in board.Scalars("train/stft")] == [1, 2, 3, 4]
    validated = next(tag for tag in board.Tags()["scalars"] if tag.startswith("valid/"))
    assert [event.step for event in board.Scalars(validated)] == [2, 4]


def test_without_a_terminal_a_run_says_now_and_then_where_it_is(monkeypatch: pytest.MonkeyPatch):
    said = io.StringIO()
    monkeypatch.setattr(Lines, "every_s", 0.0)
    lines = Lines(Console(file=said, width=40), 100, "steps")
    for done in (1, 2, 50):
        lines.add(done, "stft 0.7 | 20 s/s")
    assert "50/100 steps  stft 0.7 | 20 s/s  " in said.getvalue()
    assert "min left" in said.getvalue()
    silent = io.StringIO()
    Lines(Console(file=silent, force_terminal=True), 100, "steps").add(1, "text")
    assert silent.getvalue() == ""


def test_recordings_of_a_lower_rate_are_told(tmp_path: Path, fresh_accelerator: None):
    """A 16 kHz model on 8 kHz speech would learn an empty band above 4 kHz."""
    rows = []
    for split in ("train", "valid"):
        noise = np.random.default_rng(0).normal(0, 0.1, 16000)
        soundfile.write(tmp_path / f"{split}.wav", noise, 8000)
        rows.append({"path": f"{split}.wav", "speaker": "a", "split": split, "duration_s": 2.0,
                     "licence": "none"})  # fmt: skip
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    said = train_in_process(
        tmp_path / "run", f"data.manifests=[{manifest}]", "training.steps=1", "adversarial=null"
    )
    assert "1 of 1 recordings have a lower rate than the model's 16000 Hz, down to 8000 Hz" in said


def test_a_run_starts_from_other_weights_once(trained_run: Path, tmp_path: Path, fresh_accelerator):
    """With a negligible learning rate, the weights are unchanged."""
    run = tmp_path / "run"
    given = tmp_path / "given"
    given.symlink_to(trained_run)
    overrides = (
        f"initialise_from={given}",
        "adversarial=null",
        "training.learning_rate=1e-12",
        "training.final_learning_rate=0",
    )
    train_in_process(run, *overrides, "training.steps=2", "training.save_every=1")
    before = read_tensors(trained_run / "checkpoints" / "step-00000030" / MODEL)
    after = read_tensors(run / "checkpoints" / "step-00000002" / MODEL)
    assert before.keys() == after.keys()
    for name, value in after.items():
        assert float((value - before[name]).abs().max()) < 1e-6, name
    # It has its own weights now, and needs the others no longer.
    given.unlink()
    assert "resumed at step 2" in train_in_process(
        run, *overrides, "training.steps=2", "training.save_every=1"
    )
    with pytest.raises(CheckpointError, match="neither a model's name"):
        train_in_process(tmp_path / "other", *overrides, "training.steps=2")


def test_weights_of_another_model_are_refused_with_what_differs(tmp_path: Path, fresh_accelerator):
    said = r"model\.channels.*model\.blocks.*take over the section `model` of .*model\.yaml"
    with pytest.raises(RecipeError, match=said) as caught:
        train_in_process(tmp_path / "run", "initialise_from=universal", "adversarial=null")
    assert "model.name" not in str(caught.value)


def test_a_recording_of_nan_stops_before_the_first_step(tmp_path: Path, fresh_accelerator: None):
    soundfile.write(tmp_path / "bad.wav", np.full(16000, np.nan, np.float32), 16000, "FLOAT")
    row = {"speaker": "a", "split": "train", "duration_s": 1.0, "licence": "none"}
    (tmp_path / "m.jsonl").write_text(json.dumps({"path": "bad.wav", **row}))
    with pytest.raises(AudioError, match=r"bad\.wav: holds NaN"):
        train_in_process(tmp_path / "run", f"data.manifests=[{tmp_path / 'm.jsonl'}]")
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_throughput_is_seconds_of_audio_a_second(monkeypatch: pytest.MonkeyPatch):
    clock = iter([0.0, 2.0, 4.0, 5.0])
    monkeypatch.setattr("vocoder.training.run.time.perf_counter", lambda: next(clock))
    speed = Throughput()
    speed.add(6.0)
    assert speed.value == pytest.approx(3.0)
    speed.add(6.0)
    assert speed.value == pytest.approx(3.0)
    speed.add(6.0)
    assert speed.value == pytest.approx(0.95 * 3 + 0.05 * 6)


# -- kill -9 -------------------------------------------------------------------------------------


def wait_for(condition, process: subprocess.Popen, seconds: float = 300) -> None:
    """Until the condition holds; fails where the process ends before."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_killed_run_goes_on_bit_for_bit(trained_run: Path, tmp_path: Path):
    """kill -9 in the second stage, a checkpoint half written, and the same command once more."""
    run = tmp_path / "run"
    command = [sys.executable, "-m", "vocoder", "train", str(TINY_RECIPE), "--output", str(run)]
    command += settings(UNINTERRUPTED)
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        wait_for((run / "checkpoints" / "step-00000009").is_dir, process)
    finally:
        process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    newest = max((run / "checkpoints").glob("step-*"))
    assert newest.name < "step-00000030"
    # As if the next checkpoint had been half written, and a line of the log.
    partial = run / "checkpoints" / leftover("part")
    partial.mkdir()
    whole = (newest / TRAINING).read_bytes()
    (partial / TRAINING).write_bytes(whole[: len(whole) // 3])
    with (run / "losses.jsonl").open("a") as log:
        log.write('{"step": 10, "stft": 1.2')

    said = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert f"resumed at step {int(newest.name[5:])} of 30" in said
    assert losses(run) == losses(trained_run)
    for file in (MODEL, TRAINING):
        one, other = (
            read_tensors(folder / "checkpoints" / "step-00000030" / file)
            for folder in (run, trained_run)
        )
        assert one.keys() == other.keys()
        assert [name for name in one if not one[name].equal(other[name])] == []
    assert not partial.exists()


# -- several processes ---------------------------------------------------------------------------


def run_quietly(command: list[str], folder: Path) -> str:
    """Output of a command, which must succeed."""
    environment = {**os.environ, "HF_HOME": str(folder / "hf")}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_two_processes_train_as_one(tmp_path: Path, fresh_accelerator: None):
    """Each with half of the batch; adversarial from step 5. The weights of both are compared at
    every save: see `Trainer.save`."""
    overrides = (
        "data.batch_size=4",
        "adversarial.start_step=5",
        "training.steps=20",
        "training.warmup_steps=20",
        "training.save_every=5",
        "training.validate_every=1000",
    )
    train_in_process(tmp_path / "one", *overrides)
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "2", "--cpu"]
    launch += ["-m", "vocoder", "train", str(TINY_RECIPE), "--output", str(tmp_path / "two")]
    said = run_quietly([*launch, *settings([*SMALL, *overrides])], tmp_path)
    assert "2 processes" in said
    assert said.count("starting from step 0 of 20") == 1
    one, two = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert [row["step"] for row in two] == list(range(20))
    for alone, shared in zip(one, two, strict=True):
        assert alone.keys() == shared.keys()
        for name, value in alone.items():
            # The adversarial loss is a mean score near zero, times 0.1; the scores' scale is one.
            near = pytest.approx(value, rel=0.02, abs=0.002 if name == "adversarial" else 0)
            assert shared[name] == near, (name, alone["step"])
    # The first step's losses are those of the very same segments, noise and weights.
    for name, value in one[0].items():
        assert two[0][name] == pytest.approx(value, rel=1e-5), name


# -- refused runs --------------------------------------------------------------------------------


def test_two_runs_never_share_a_folder(tmp_path: Path):
    run = tmp_path / "run"
    with locked(run), pytest.raises(OutputError, match=r"run: in use by another process .*pid"):
        train_in_process(run)
    assert not run.exists()


def test_a_run_refused_before_its_first_step_leaves_the_folder_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_accelerator: None
):
    run = tmp_path / "run"

    def refuse(self: Trainer) -> None:
        raise TrainingError("refused")

    monkeypatch.setattr(Trainer, "train_step", refuse)
    with pytest.raises(TrainingError, match="refused"):
        train_in_process(run, "training.steps=1", "training.validate_every=null")
    assert not (run / "recipe.yaml").exists()
    monkeypatch.undo()
    train_in_process(run, "training.steps=1", "training.validate_every=null", "training.seed=3")
    assert load_recipe(run / "recipe.yaml").training.seed == 3
