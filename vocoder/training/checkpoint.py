"""Checkpoints: a folder that appears whole or not at all.

    model.safetensors      weights for use (averaged), loaded strictly
    recipe.yaml            the resolved recipe
    metadata.json          step, scores, mel fingerprint, package version, git revision, data hash
    training.safetensors   everything a run needs to go on with the same numbers

Only safetensors and JSON are read: nothing is unpickled.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from vocoder import __version__
from vocoder.errors import CheckpointError

MODEL, TRAINING, METADATA, RECIPE = (
    "model.safetensors",
    "training.safetensors",
    "metadata.json",
    "recipe.yaml",
)


def save_checkpoint(
    folder: Path,
    model_state: dict[str, Tensor],
    recipe_text: str,
    metadata: dict[str, Any],
    training_state: dict[str, Tensor] | None = None,
) -> None:
    """Write a checkpoint beside its final place and move it there in one rename."""
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    (partial / MODEL).write_bytes(save(_contiguous(model_state)))
    if training_state is not None:
        (partial / TRAINING).write_bytes(save(_contiguous(training_state)))
    (partial / RECIPE).write_text(recipe_text, encoding="utf-8")
    described = json.dumps(metadata, indent=2, sort_keys=True, allow_nan=False)
    (partial / METADATA).write_text(f"{described}\n", encoding="utf-8")
    if folder.exists():
        # A folder cannot be renamed onto a full one: the old one steps aside for that moment.
        aside = folder.with_name(f".{folder.name}.old")
        shutil.rmtree(aside, ignore_errors=True)
        os.replace(folder, aside)
        os.replace(partial, folder)
        shutil.rmtree(aside)
    else:
        os.replace(partial, folder)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file; a missing, corrupt or pickled file is refused."""
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; a checkpoint folder holds {MODEL}")
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{path}: not a readable safetensors file ({error}); pickled or truncated checkpoints "
            "are not loaded, save it again with this package"
        ) from error


def load_weights(model: nn.Module, path: Path) -> None:
    """Load ``model.safetensors`` strictly: every weight must be there, with its shape."""
    tensors = read_tensors(path)
    check_tensors(tensors, model.state_dict(), path)
    model.load_state_dict(tensors)


def check_tensors(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path) -> None:
    """Raise CheckpointError unless the names and shapes agree; the first of each kind are named."""
    parts = {
        "missing": expected.keys() - found,
        "unknown": found.keys() - expected,
        "of another shape": {
            name for name in expected.keys() & found if expected[name].shape != found[name].shape
        },
    }
    if any(parts.values()):
        wrong = "; ".join(f"{w}: {', '.join(sorted(n)[:3])}" for w, n in parts.items() if n)
        raise CheckpointError(
            f"{path}: does not fit the model of its recipe ({wrong}); the files of a checkpoint "
            "belong together, copy the whole folder again"
        )


def read_metadata(folder: Path) -> dict[str, Any]:
    """``metadata.json`` of a checkpoint."""
    path = folder / METADATA
    try:
        metadata = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: no readable metadata ({error})") from error
    if not isinstance(metadata, dict) or not metadata.keys() >= {"step", "mel_fingerprint"}:
        raise CheckpointError(f"{path}: lacks step or mel_fingerprint; copy the checkpoint again")
    return metadata


def latest_checkpoint(folder: Path) -> Path | None:
    """The checkpoint of the highest step in a run's ``checkpoints`` folder."""
    complete = [path for path in folder.glob("step-*") if (path / METADATA).is_file()]
    return max(complete, key=lambda path: path.name, default=None)


def prune_checkpoints(folder: Path, keep: int) -> None:
    """Remove all but the newest ``keep`` checkpoints, and what a killed run left half-written."""
    for path in sorted(folder.glob("step-*"))[:-keep]:
        shutil.rmtree(path)
    for path in [*folder.glob(".step-*.partial"), *folder.glob(".step-*.old")]:
        shutil.rmtree(path)


def optimizer_tensors(optimizer: torch.optim.Optimizer, prefix: str) -> dict[str, Tensor]:
    """The state of an optimizer as named tensors."""
    state = optimizer.state_dict()["state"]
    return {
        f"{prefix}.{index}.{name}": value
        for index, values in state.items()
        for name, value in values.items()
    }


def restore_optimizer(
    optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor], prefix: str, path: Path
) -> None:
    """Put back what :func:`optimizer_tensors` gave: moments of all parameters, or of none yet."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in under_prefix(tensors, prefix).items():
        index, name = key.split(".")
        state.setdefault(int(index), {})[name] = value
    groups = optimizer.state_dict()["param_groups"]
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for name in ("exp_avg", "exp_avg_sq") if state else ():
        found = {f"{prefix}.{i}.{name}": v[name] for i, v in state.items() if name in v}
        check_tensors(found, {f"{prefix}.{i}.{name}": p for i, p in enumerate(parameters)}, path)
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def with_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Tensors under ``prefix.name``."""
    return {f"{prefix}.{name}": value for name, value in tensors.items()}


def under_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with ``prefix.``, without it."""
    start = f"{prefix}."
    return {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}


def provenance() -> dict[str, str]:
    """Version of the package and, in a git checkout, the revision."""
    result = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    revision = result.stdout.strip() if result.returncode == 0 else "unknown"
    return {"vocoder_version": __version__, "git_revision": revision}


def _contiguous(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copies that share no memory, as safetensors wants them."""
    return {name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}
