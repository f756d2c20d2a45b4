"""An evaluation at scale: memory over time, a kill half-way, and the time of the second run.

    python bench/evaluation.py data/festvox_ru/wavs/test --utterances 1000 --seconds 1.5

Different pieces of real recordings are the references; three cheap degradations of them are the
systems. `vocoder evaluate` scores them with all fast metrics (`--metrics` selects others), is
killed with SIGKILL after half of the pairs, restarted, and then run once more with all scores
cached.
"""

import argparse
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import torch
from scipy.signal import butter, sosfiltfilt

from vocoder.data.audio import find_audio, read_audio, write_audio
from vocoder.evaluation.registry import METRICS

# More than a tenth of a second per second of audio, see docs/metrics.md: larger networks, and
# WORLD's analysis, which alone takes twice the time of all the others together.
SLOW = ("dnsmos", "distillmos", "periodicity", "vuv_f1", "crepe", "cer_", "mcd_world")
CHEAP = tuple(name for name in METRICS if not name.startswith(SLOW))
SYSTEMS = ("coarse", "low_pass", "noise")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recordings", type=Path, nargs="+", help="files or folders of speech")
    parser.add_argument("--utterances", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=1.5, help="length of each")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--metrics", default=",".join(CHEAP))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), arguments)


def measure(folder: Path, arguments: argparse.Namespace) -> None:
    """Build the folders in `folder` and run the evaluation three times."""
    lay_out(folder, arguments.recordings, arguments.utterances, arguments.seconds)
    command = [
        sys.executable,
        "-m",
        "vocoder",
        "evaluate",
        "--reference",
        str(folder / "recordings"),
    ]
    for name in SYSTEMS:
        command += ["--system", f"{name}={folder / name}"]
    command += ["--output", str(folder / "out"), "--metrics", arguments.metrics]
    command += ["--jobs", str(arguments.jobs)]
    pairs = len(SYSTEMS) * arguments.utterances
    print(
        f"{arguments.utterances} utterances of {arguments.seconds:g} s, {len(SYSTEMS)} systems, "
        f"{arguments.metrics.count(',') + 1} metrics, {arguments.jobs} jobs"
    )
    print(f"{'seconds':>8} {'pairs':>6} {'parent MB':>10} {'largest worker MB':>18}")
    killed_s = run(folder, command, pairs, kill_at=pairs // 2)
    kept = remembered(folder)
    print(f"killed after {killed_s:.0f} s; {kept} pairs are remembered")
    rest_s = run(folder, command, pairs)
    again_s = run(folder, command, pairs)
    first_s = killed_s + rest_s
    print(
        f"first run, in two parts: {first_s:.1f} s; second run: {again_s:.1f} s, "
        f"{first_s / again_s:.0f} times faster"
    )


def lay_out(folder: Path, recordings: list[Path], utterances: int, seconds: float) -> None:
    """Write pieces of the recordings, taken from each file in turn, and their systems."""
    draw = np.random.default_rng(0)
    pieces = _pieces(recordings, utterances, seconds)
    for number, (piece, rate) in enumerate(pieces):
        name = f"{number:05}.wav"
        # A cutoff far below Nyquist at any rate.
        low = sosfiltfilt(butter(6, 0.4, output="sos"), piece.numpy()).astype(np.float32)
        noise = torch.from_numpy(draw.normal(0, 0.003, len(piece)).astype(np.float32))
        made = {
            "recordings": piece,
            "coarse": (piece * 128).round() / 128,
            "low_pass": torch.from_numpy(low),
            "noise": piece + noise,
        }
        for system, waveform in made.items():
            write_audio(folder / system / name, waveform, rate)


def _pieces(
    recordings: list[Path], utterances: int, seconds: float
) -> list[tuple[torch.Tensor, int]]:
    found: list[tuple[torch.Tensor, int]] = []
    files = [read_audio(path) for path in find_audio(recordings)]
    long_enough = [audio for audio in files if audio.duration_s >= seconds]
    if not long_enough:
        sys.exit(f"no recording is {seconds:g} s long")
    places = math.ceil(utterances / len(long_enough))
    for place in range(places):
        for audio in long_enough:
            size = round(seconds * audio.sample_rate)
            start = (len(audio.waveform) - size) * place // max(1, places - 1)
            found.append((audio.waveform[start : start + size], audio.sample_rate))
    return found[:utterances]


def run(folder: Path, command: list[str], pairs: int, kill_at: int | None = None) -> float:
    """Seconds of one run; prints memory at every tenth of the pairs, and optionally kills it."""
    environment = {**os.environ, "VOCODER_CACHE": str(folder / "cache")}
    start, shown = time.perf_counter(), 0
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        while process.poll() is None:
            done = remembered(folder)
            if 10 * done // pairs > shown:
                shown = 10 * done // pairs
                show(time.perf_counter() - start, done, process.pid)
            if kill_at is not None and done >= kill_at:
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.2)
    seconds = time.perf_counter() - start
    if kill_at is None and process.returncode != 0:
        sys.exit(f"vocoder evaluate ended with status {process.returncode}")
    return seconds


def remembered(folder: Path) -> int:
    """Number of pairs in the score cache."""
    return sum(len(files) for _, _, files in os.walk(folder / "cache"))


def show(seconds: float, done: int, pid: int) -> None:
    """Print the resident memory of the run and of its largest worker."""
    try:
        parent = psutil.Process(pid)
        workers = [child.memory_info().rss for child in parent.children(recursive=True)]
        parent_mb = parent.memory_info().rss / 2**20
    except psutil.NoSuchProcess:
        return
    worker = f"{max(workers) / 2**20:18.0f}" if workers else f"{'none':>18}"
    print(f"{seconds:8.0f} {done:6} {parent_mb:10.0f} {worker}", flush=True)


if __name__ == "__main__":
    main()
