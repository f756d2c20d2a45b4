"""Checkpoints of a training run: folders written atomically.

Besides the files for inference (`vocoder.loading`) a checkpoint has

    recipe.yaml            the resolved recipe
    training.safetensors   everything needed to resume a run exactly
"""

import functools
import hashlib
import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import save
from torch import Tensor

from vocoder import __version__
from vocoder.data.files import remove_leftovers, replacing_folder, write_text
from vocoder.errors import CheckpointError
from vocoder.loading import (
    CHECKSUMS,
    DESCRIPTION,
    METADATA,
    MODEL,
    check_tensors,
    dump_description,
    find_checkpoint,
    load,
    parse_description,
    read_metadata,
    read_tensors,
    step_folders,
)
from vocoder.reading import parse_yaml, read_text

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
        metadata: JSON without NaN; the SHA-256 of the files of tensors are added to it.
        training_state: state needed only for training.
    """
    files = {MODEL: save(_contiguous(model_state))}
    if training_state is not None:
        files[TRAINING] = save(_contiguous(training_state))
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    described = json.dumps({**metadata, CHECKSUMS: sums}, indent=2, sort_keys=True, allow_nan=False)
    with replacing_folder(folder) as fresh:
        for name, content in files.items():
            (fresh / name).write_bytes(content)
        for name, text in texts.items():
            (fresh / name).write_text(text, encoding="utf-8")
        (fresh / METADATA).write_text(f"{described}\n", encoding="utf-8")


def publish_checkpoint(
    model: str | Path, output: Path, mean_with: Sequence[str | Path] = (), part: str = ""
) -> Path:
    """Copy a checkpoint's weights, description, recipe and metadata, without the training state.

    Weights are stored as float16, which halves the file, and loaded as float32. Returns the copied
    checkpoint.

    Args:
        mean_with: other checkpoints of the same model, such as those of other stages of its
            training, for the mean w = (w₀ + … + w_N) / (N + 1) of all weights (Wortsman et al.,
            "Model soups", ICML 2022). What stays equal in all of them is unchanged.
        part: a submodule, such as ``filter_network``; only its weights are averaged.

    Raises:
        CheckpointError: it cannot be read, its weights do not fit its description or lie beyond
            float16, ``output`` has other contents, the other checkpoints are of another model or
            mel, or there is no such part or nothing to average it with.
    """
    folder = find_checkpoint(model)
    known = {MODEL, DESCRIPTION, RECIPE, METADATA}
    if output.exists() and {path.name for path in output.iterdir()} - known:
        raise CheckpointError(
            f"{output}: holds other files, which would be lost; name a new folder"
        )
    state, metadata = load(folder).state_dict(), read_metadata(folder)
    if mean_with:
        others = [find_checkpoint(other) for other in mean_with]
        state = _mean(state, others, part, metadata["mel_fingerprint"])
        sums = [read_metadata(other).get(CHECKSUMS, {}).get(MODEL) for other in others]
        metadata["mean_with"] = {"part": part, CHECKSUMS: sums}
    elif part:
        raise CheckpointError(f"part {part}: nothing is averaged; name a checkpoint by mean_with")
    weights = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in state.items()
    }
    for name, tensor in weights.items():
        if not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(
                f"{folder / MODEL}: {name} has values beyond float16 (65504); such weights cannot "
                "be published, train with a lower training.learning_rate"
            )
    texts = {name: _text(folder / name) for name in (DESCRIPTION, RECIPE)}
    save_checkpoint(output, weights, texts, metadata)
    return folder


def _mean(
    state: dict[str, Tensor], others: Sequence[Path], part: str, fingerprint: str
) -> dict[str, Tensor]:
    """The mean of a state with those of other checkpoints; outside of ``part`` the state's own."""
    chosen = [name for name in state if not part or name.startswith(f"{part}.")]
    if not chosen:
        parts = ", ".join(sorted({name.split(".")[0] for name in state}))
        raise CheckpointError(f"part {part}: the model has none of that name; its parts: {parts}")
    states = [state]
    for folder in others:
        if read_metadata(folder)["mel_fingerprint"] != fingerprint:
            raise CheckpointError(f"{folder}: of another mel; a mean wants weights of one model")
        states.append(read_tensors(folder / MODEL))
        check_tensors(states[-1], state, folder / MODEL)
    floating = [name for name in chosen if state[name].is_floating_point()]
    return state | {n: torch.stack([one[n].float() for one in states]).mean(0) for n in floating}


def convert_checkpoint(folder: Path) -> Path:
    """Write ``model.yaml`` beside the recipe of a checkpoint of an older version.

    Returns the written file.

    Raises:
        CheckpointError: no recipe, or one with an unknown model.
    """
    folder = find_checkpoint(folder)
    recipe = folder / RECIPE
    values, _ = parse_yaml(_text(recipe), str(recipe), CheckpointError)
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
        return read_text(path, CheckpointError)
    except CheckpointError as error:
        raise CheckpointError(f"{error}; the checkpoint is incomplete") from error


def prune_checkpoints(folder: Path, keep: int) -> None:
    """Remove all but the newest ``keep`` checkpoints, and incomplete ones of a killed run.

    Folders with other names, such as copies made by hand, are kept and do not count.
    """
    for path in step_folders(folder)[:-keep]:
        shutil.rmtree(path)
    remove_leftovers(folder)


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
    found = with_prefix(under_prefix(tensors, prefix), prefix)
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    expected = {
        f"{prefix}.{index}.{name}": torch.zeros(()) if name == "step" else parameter
        for index, parameter in enumerate(parameters)
        for name in ("step", "exp_avg", "exp_avg_sq")
    }
    if found:
        check_tensors(found, expected, path)
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in found.items():
        index, name = key.rsplit(".", 2)[1:]
        state.setdefault(int(index), {})[name] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def with_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Tensors under ``prefix.name``."""
    return {f"{prefix}.{name}": value for name, value in tensors.items()}


def under_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with ``prefix.``, without it."""
    start = f"{prefix}."
    return {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}


@functools.cache
def provenance() -> dict[str, str]:
    """Version of the package and, in a git checkout with git installed, the revision."""
    try:
        # Without optional locks git writes nothing, so that none is left on a full disk.
        described = subprocess.run(
            ["git", "--no-optional-locks", "describe", "--always", "--dirty"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
        revision = described.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        revision = "unknown"
    return {"vocoder_version": __version__, "git_revision": revision}


def _contiguous(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copies without shared memory, as safetensors requires."""
    return {name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}
