"""What the stages share with the command line: training in a process of its own, copies, scores."""

import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from studies.resynthesis import resynthesise_folder
from vocoder.errors import VocoderError
from vocoder.evaluation.cache import default_cache
from vocoder.evaluation.folders import evaluate_folders
from vocoder.loading import load


def vocoder(*arguments: str | Path) -> None:
    """Print and run `vocoder …` in a separate process.

    Raises:
        VocoderError: it failed; its output has the reason.
    """
    words = [str(argument) for argument in arguments]
    print(f"$ {shlex.join(['vocoder', *words])}", flush=True)
    done = subprocess.run([sys.executable, "-m", "vocoder", *words], check=False)
    if done.returncode:
        raise VocoderError(f"vocoder {words[0]} ended with status {done.returncode}")


def resynthesise(model: str | Path, reference: Path, output: Path) -> None:
    """As `vocoder resynth`, on one thread, unless the folder exists.

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
    """As `vocoder evaluate`, of folders by name, with cached scores.

    Undefined scores, such as F0 early in training, are no error here: the tables count them.
    """
    evaluate_folders(
        reference,
        systems,
        output,
        metrics,
        jobs=jobs,
        cache=default_cache(),
        command="studies/comparison/run.sh",
    )
