"""The program's commands as a stage calls them."""

import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from studies.resynthesis import resynthesise_folder
from vocoder.errors import VocoderError
from vocoder.evaluation.folders import SUMMARY_NAME
from vocoder.loading import load


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
    """What `vocoder resynth` does, on one thread, unless the folder is there.

    Raises:
        VocoderError: a file could not be made; the first reason is given.
    """
    if not output.exists():
        print(f"{model} → {output}", flush=True)
        resynthesise_folder(load(model), reference, output)


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
