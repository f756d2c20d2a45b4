"""A training killed at random moments, and resumed each time, against one that is never killed.

    python -m tests.training.killed [--kills 20] [--steps 200] [--seed 0] [--folder FOLDER]

Both are processes of `vocoder train` on the tiny recipe of the source-filter model, with the
adversarial stage from a third of the steps on. A moment is a real number of steps: the process is
killed (SIGKILL) when the last checkpoint before it exists and the time of the remaining fraction
has passed. If that checkpoint exists already, the time counts from the start of the process, so
that loading is hit too. The losses of all steps, and the files of weights and training state of the
last checkpoint, must be equal byte for byte.
"""

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.training.tiny import ROOT, SMALL, TINY_RECIPE, settings
from vocoder.loading import MODEL, latest_checkpoint, step_name
from vocoder.training.checkpoint import TRAINING

SAVE_EVERY = 4
"""Steps between checkpoints."""


def _command(run: Path, steps: int) -> list[str]:
    overrides = (
        *SMALL,
        f"adversarial.start_step={steps // 3}",
        f"training.steps={steps}",
        f"training.save_every={SAVE_EVERY}",
        "training.validate_every=null",
    )
    command = [sys.executable, "-m", "vocoder", "train", str(TINY_RECIPE), "--output", str(run)]
    return [*command, *settings(overrides)]


def _start(run: Path, steps: int) -> subprocess.Popen[str]:
    with (run.parent / f"{run.name}.log").open("a") as log:
        return subprocess.Popen(_command(run, steps), cwd=ROOT, stdout=log, stderr=log, text=True)


def _finish(process: subprocess.Popen[str]) -> None:
    assert process.wait() == 0, "the training failed; see its .log in --folder"


def train_whole(run: Path, steps: int) -> float:
    """Train without a kill; returns the seconds per step, saving included."""
    process = _start(run, steps)
    while _newest_step(run) is None and process.poll() is None:
        time.sleep(0.005)
    began = time.monotonic()
    while _newest_step(run) != steps and process.poll() is None:
        time.sleep(0.005)
    seconds = time.monotonic() - began
    _finish(process)
    return seconds / (steps - SAVE_EVERY)


def kill_at(run: Path, steps: int, moment: float, seconds_per_step: float) -> str:
    """Train up to a moment and kill; returns what the kill interrupted."""
    process = _start(run, steps)
    before = int(moment) // SAVE_EVERY * SAVE_EVERY
    log = run / "losses.jsonl"
    started = time.time()
    while before and (_newest_step(run) or 0) < before:
        assert process.poll() is None, f"the training ended before step {moment:.2f}"
        time.sleep(0.002)
    time.sleep((moment - before) * seconds_per_step)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, f"the training ended before step {moment:.2f}"
    if list((run / "checkpoints").glob(".*.part")):
        return "saving"
    trained = log.exists() and log.stat().st_mtime > started
    return "training" if trained else "loading"


def _newest_step(run: Path) -> int | None:
    folder = latest_checkpoint(run / "checkpoints")
    return None if folder is None else int(folder.name.removeprefix("step-"))


def outcome(run: Path, steps: int) -> dict[str, str]:
    """SHA-256 of the losses, and of the files of the last checkpoint."""
    rows = [json.loads(line) for line in (run / "losses.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(steps))
    losses = [{name: row[name] for name in row if name != "seconds"} for row in rows]
    last = run / "checkpoints" / step_name(steps)
    contents = {name: (last / name).read_bytes() for name in (MODEL, TRAINING)}
    contents["losses"] = json.dumps(losses).encode()
    return {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}


def compare(folder: Path, kills: int, steps: int, seed: int) -> bool:
    """Train both, print what the kills interrupted, and compare."""
    os.environ["VOCODER_CACHE"] = str(folder / "cache")
    seconds_per_step = train_whole(folder / "whole", steps)
    chance = random.Random(seed)
    moments = sorted(chance.uniform(0, steps - SAVE_EVERY) for _ in range(kills))
    interrupted = Counter(
        kill_at(folder / "killed", steps, moment, seconds_per_step) for moment in moments
    )
    _finish(_start(folder / "killed", steps))
    print(f"{kills} kills in {steps} steps, seed {seed}; interrupted: {dict(interrupted)}")
    one, other = (outcome(folder / name, steps) for name in ("whole", "killed"))
    for name, digest in one.items():
        print(f"{name}: {'equal' if other[name] == digest else 'DIFFERENT'} ({digest[:16]})")
    return one == other


def main() -> int:
    """The status is 1 if a file differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="kept; default: a temporary one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        equal = compare(folder, options.kills, options.steps, options.seed)
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
