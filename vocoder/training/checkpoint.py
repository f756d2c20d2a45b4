"""Checkpoints of a training run: folders written atomically.

Besides the files for inference (`vocoder.loading`) a checkpoint has

    recipe.yaml            the resolved recipe
    training.safetensors   everything needed to resume a run exactly
"""

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import save
from torch import Tensor

from vocoder import __version__
from vocoder.data.files import replacing_folder, write_text
from vocoder.errors import CheckpointError
from vocoder.loading import (
    DESCRIPTION,
    METADATA,
    MODEL,
    check_tensors,
    dump_description,
    find_checkpoint,
    parse_description,
    read_metadata,
    read_tensors,
)

TRAINING, RECIPE = "training.safetensors", "recipe.yaml"


def save_checkpoint(
    folder: Path,
    model_state: dict[str, Tensor],
    texts: Mapping[str, str],
    metadata: dict[str, Any],
    training_state: dict[str, Tensor] | None = None,
) -> None:
    """Write a checkpoint atomically, by renaming a temporary folder.

    Args:
        folder: of the checkpoint.
        model_state: weights for inference.
        texts: contents of ``model.yaml`` and ``recipe.yaml`` by file name.
        metadata: JSON without NaN.
        training_state: state needed only for training.
    """
    described = json.dumps(metadata, indent=2, sort_keys=True, allow_nan=False)
    with replacing_folder(folder) as fresh:
        (fresh / MODEL).write_bytes(save(_contiguous(model_state)))
        if training_state is not None:
            (fresh / TRAINING).write_bytes(save(_contiguous(training_state)))
        for name, text in texts.items():
            (fresh / name).write_text(text, encoding="utf-8")
        (fresh / METADATA).write_text(f"{described}\n", encoding="utf-8")


def publish_checkpoint(model: str | Path, output: Path) -> Path:
    """Copy a checkpoint's weights, description, recipe and metadata, without the training state.

    Weights are stored as float16, which halves the file, and loaded as float32. Returns the copied
    checkpoint.

    Raises:
        CheckpointError: it cannot be read, or ``output`` has other contents.
    """
    folder = find_checkpoint(model)
    known = {MODEL, DESCRIPTION, RECIPE, METADATA}
    if output.exists() and {path.name for path in output.iterdir()} - known:
        raise CheckpointError(
            f"{output}: holds other files, which would be lost; name a new folder"
        )
    weights = {name: tensor.half() for name, tensor in read_tensors(folder / MODEL).items()}
    texts = {name: _text(folder / name) for name in (DESCRIPTION, RECIPE)}
    save_checkpoint(output, weights, texts, read_metadata(folder))
    return folder


def convert_checkpoint(folder: Path) -> Path:
    """Write ``model.yaml`` beside the recipe of a checkpoint of an older version.

    Returns the written file.

    Raises:
        CheckpointError: no recipe, or one with an unknown model.
    """
    folder = find_checkpoint(folder)
    recipe = folder / RECIPE
    try:
        values = yaml.safe_load(_text(recipe))
    except yaml.YAMLError as error:
        raise CheckpointError(f"{recipe}: not valid YAML ({error})") from error
    if not isinstance(values, dict) or not all(
        isinstance(values.get(key), dict) for key in ("mel", "model")
    ):
        raise CheckpointError(f"{recipe}: lacks mel or model; it is no resolved recipe")
    # The oldest checkpoints name no model, since there was only one.
    model = {"name": "source_filter", **values["model"]}
    text = yaml.safe_dump({"mel": values["mel"], "model": model})
    path = folder / DESCRIPTION
    write_text(path, dump_description(parse_description(text, str(recipe))))
    return path


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(
            f"{path}: cannot be read ({error}); the checkpoint is incomplete"
        ) from error


def prune_checkpoints(folder: Path, keep: int) -> None:
    """Remove all but the newest ``keep`` checkpoints, and incomplete ones of a killed run."""
    for path in sorted(folder.glob("step-*"))[:-keep]:
        shutil.rmtree(path)
    for path in folder.glob(".step-*"):
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
    """Restore the tensors of :func:`optimizer_tensors`: moments of all parameters, or none."""
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
    """Copies without shared memory, as safetensors requires."""
    return {name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}
