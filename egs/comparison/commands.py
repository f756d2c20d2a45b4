"""The program's commands as a stage calls them."""

import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from vocoder.errors import VocoderError
from vocoder.evaluation.folders import SUMMARY_NAME
from vocoder.pretrained import load
from vocoder.resynthesis import WAVE_VOCODERS, output_paths, resynthesise_files


def vocoder(*arguments: str | Path) -> None:
    """Run `vocoder …` in a process of its own, after saying so.

    Raises:
        VocoderError: it failed; what it printed says why.
    """
    words = [str(argument) for argument in arguments]
    print(f"$ {shlex.join(['vocoder', *words])}", flush=True)
    done = subprocess.run([sys.executable, "-m", "vocoder", *words], check=False)
    if done.returncode:
        raise VocoderError(f"vocoder {words[0]} ended with status {done.returncode}")


def resynthesise(model: str | Path, reference: Path, output: Path) -> None:
    """What `vocoder resynth` does, on one thread, unless the folder is there: it appears whole or
    not at all.

    Raises:
        VocoderError: a file could not be made; the first reason is given.
    """
    if output.exists():
        return
    print(f"{model} → {output}", flush=True)
    partial = output.with_name(f".{output.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    wave = WAVE_VOCODERS.get(str(model))
    targets, failed = output_paths([reference], partial)
    made = resynthesise_files(load(model) if wave is None else wave(), targets)
    if problems := [result for result in [*failed, *made] if result.error]:
        raise VocoderError(f"{model}: {problems[0].source}: {problems[0].error}")
    partial.rename(output)


def evaluate(
    reference: Path,
    systems: dict[str, Path],
    output: Path,
    metrics: Sequence[str],
    jobs: int,
) -> None:
    """`vocoder evaluate` of folders by name; scores that were measured before are remembered.

    Scores that are not defined, as F0 of what has none early in a training, make the command end
    with status 1 after writing all others; they are counted in the tables, and stop nothing here.
    """
    named = [part for name, folder in systems.items() for part in ("--system", f"{name}={folder}")]
    summary = output / SUMMARY_NAME
    before = summary.stat().st_mtime_ns if summary.exists() else None
    try:
        vocoder(
            "evaluate", "--reference", reference, *named, "--output", output,
            "--metrics", ",".join(metrics), "--jobs", str(jobs),
        )  # fmt: skip
    except VocoderError:
        if not summary.exists() or summary.stat().st_mtime_ns == before:
            raise
