"""The one door to a vocoder: a name, or the folder of a checkpoint or a training run.

A checkpoint is a folder with

    model.safetensors      the weights, loaded strictly
    model.yaml             the model and its mel: with the weights all that use needs
    metadata.json          step, scores, mel fingerprint, versions, SHA-256 of the weights

and, for training only, what `vocoder.training.checkpoint` lists. Only safetensors, YAML and JSON
are read: nothing is unpickled. A description whose model is outside the package, ``module:Class``,
makes loading import that module: load weights of strangers only if their `model.yaml` names a
module that you trust.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast, overload

import torch
import yaml
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from torch import Tensor, nn

from vocoder.errors import CheckpointError, VocoderError, one_line
from vocoder.features.mel import PRESETS
from vocoder.models.base import Vocoder
from vocoder.models.classical import GriffinLim
from vocoder.models.lpc import LPCVocoder
from vocoder.models.outside import OutsideModelError
from vocoder.models.registry import ModelDescription
from vocoder.models.waveform import WaveVocoder
from vocoder.models.world import WorldVocoder
from vocoder.reading import open_file, parse_yaml, read_json, read_text

WEIGHTS = Path(__file__).parent / "weights"
SHIPPED = {
    name: WEIGHTS / name for name in ("universal", "nano", "low_latency", "source_filter_16k")
}
"""Weights inside the package, by name; the first is the default."""
GRIFFIN_LIM, WORLD, LPC = UNTRAINED = ("griffin_lim", "world", "lpc")
"""Vocoders without training. Griffin-Lim (32 iterations) takes SpeechT5's mel, or another by
``for_mel``; WORLD and LPC analyse the waveform itself."""
MODEL, DESCRIPTION, METADATA = "model.safetensors", "model.yaml", "metadata.json"
CHECKSUMS = "sha256"
"""Key of the metadata: SHA-256 of the files of tensors, by file name."""
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


@overload
def load(  # type: ignore[overload-overlap]
    model: Literal["world", "lpc"], device: str | torch.device = ..., dtype: torch.dtype = ...
) -> WaveVocoder: ...
@overload
def load(
    model: str | Path = ..., device: str | torch.device = ..., dtype: torch.dtype = ...
) -> Vocoder: ...
def load(
    model: str | Path = "default",
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Vocoder | WaveVocoder:
    """A vocoder ready for use.

    Args:
        model: "default", another name from :data:`SHIPPED` or :data:`UNTRAINED`, or a folder: a
            checkpoint, or a training run, whose newest checkpoint is taken. A `Path` is a folder.
        device: where its weights go; WORLD and LPC work on the CPU.
        dtype: of its weights and of what it computes with; with float16 and bfloat16 signals are
            still processed in float32. Only the source-filter vocoder works in 16 bits.

    Where ``model.yaml`` names its model as ``module:Class``, that module is imported, and its code
    runs.

    Raises:
        CheckpointError: no such name or folder, a checkpoint that is corrupt, pickled, or does
            not fit its own description, or a module or class that is not there.
        VocoderError: a device that PyTorch cannot use.

    >>> load().sample_rate
    24000
    >>> load().for_mel("speecht5_16k").sample_rate
    16000
    """
    if model == WORLD:
        return WorldVocoder()
    if model == LPC:
        return LPCVocoder()
    vocoder = GriffinLim(PRESETS["speecht5_16k"]) if model == GRIFFIN_LIM else _trained(model)
    vocoder = vocoder.eval().requires_grad_(False)
    try:
        return vocoder.to(device, dtype)
    # Without a GPU, or PyTorch built without one, whatever the kind of device.
    except (RuntimeError, AssertionError) as error:
        raise VocoderError(
            f'device "{device}": PyTorch cannot use it here ({one_line(error)}); take "cpu", or '
            "install PyTorch for your GPU"
        ) from error


def _trained(model: str | Path) -> Vocoder:
    """The model of a checkpoint, with its weights."""
    folder = find_checkpoint(model)
    description = read_description(folder)
    try:
        with torch.random.fork_rng(devices=[]):  # the first weights are drawn, and then replaced
            vocoder = description.build()
    except VocoderError as error:
        raise CheckpointError(f"{folder / DESCRIPTION}: {error}") from error
    load_weights(vocoder, folder / MODEL)
    fingerprint = read_metadata(folder)["mel_fingerprint"]
    if fingerprint != vocoder.spec.fingerprint:
        raise CheckpointError(
            f"{folder}: the weights were trained on mel {fingerprint}, its {DESCRIPTION} describes "
            f"{vocoder.spec.fingerprint}; one of the two files is from another checkpoint"
        )
    return vocoder


class PicklableVocoder:
    """A model by its name, as a function from mel to waveform that another process loads anew.

    Modules with weight norm cannot be sent to other processes as they are.
    """

    def __init__(self, model: str | Path) -> None:
        self.model, self.vocoder = model, load(model)

    def __reduce__(self) -> tuple[type["PicklableVocoder"], tuple[str | Path]]:
        return PicklableVocoder, (self.model,)

    def __call__(self, mel: Float[Tensor, "batch n_mels frames"]) -> Tensor:
        return cast(Tensor, self.vocoder(mel))


def find_checkpoint(model: str | Path) -> Path:
    """The checkpoint folder that a name, a checkpoint or a training run means; a `Path` is never a
    name.

    Raises:
        CheckpointError: there is none.
    """
    if model == "default":
        return next(iter(SHIPPED.values()))
    if isinstance(model, str) and model in SHIPPED:
        return SHIPPED[model]
    if model in UNTRAINED:
        raise CheckpointError(
            f"{model}: needs no weights and has no checkpoint; name a model that has"
        )
    folder = Path(model)
    if (folder / MODEL).is_file():
        return folder
    newest = latest_checkpoint(folder / "checkpoints")
    if newest is not None:
        return newest
    names = ", ".join(["default", *SHIPPED, *UNTRAINED])
    raise CheckpointError(
        f"{model}: neither a model's name ({names}) nor a folder with {MODEL} or a training run"
    )


def latest_checkpoint(folder: Path) -> Path | None:
    """The complete checkpoint of the highest step in a run's ``checkpoints`` folder."""
    complete = [path for path in step_folders(folder) if (path / METADATA).is_file()]
    return complete[-1] if complete else None


def step_name(step: int) -> str:
    """Name of the checkpoint folder of a step."""
    return f"step-{step:08d}"


def step_folders(folder: Path) -> list[Path]:
    """The folders ``step-NNNNNNNN`` of a run's checkpoints, in the order of their steps.

    Copies under other names, such as ``step-best``, are none of them.
    """
    found = [path for path in folder.glob("step-*") if re.fullmatch(r"step-[0-9]{8,}", path.name)]
    return sorted(found, key=lambda path: int(path.name.removeprefix("step-")))


def read_description(folder: Path) -> ModelDescription:
    """``model.yaml`` of a checkpoint.

    Raises:
        CheckpointError: it is missing, not readable, or describes no model of this version and
            none that can be imported.
    """
    path = folder / DESCRIPTION
    if not path.exists():
        raise CheckpointError(
            f"{path}: missing; an incomplete copy, or a checkpoint of an older version: "
            f"`vocoder convert {folder}` writes it"
        )
    return parse_description(read_text(path, CheckpointError), str(path))


def parse_description(text: str, source: str) -> ModelDescription:
    """A description from YAML; ``source`` names it in errors."""
    values, _ = parse_yaml(text, source, CheckpointError)
    try:
        return ModelDescription.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        reason = first.get("ctx", {}).get("error")
        if isinstance(reason, OutsideModelError):
            raise CheckpointError(f"{source}: {where} {first['input']}: {reason}") from error
        raise CheckpointError(
            f"{source}: {where}: {first['msg']}; the model was saved by another version of its "
            "code, or the file was edited"
        ) from error


def dump_description(description: ModelDescription) -> str:
    """The text of ``model.yaml``; :func:`parse_description` reads it back to an equal one."""
    return yaml.safe_dump(description.model_dump(mode="json"), sort_keys=False, width=100)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file; a missing, corrupt or pickled file is refused."""
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; a checkpoint folder holds {MODEL}")
    with open_file(path, CheckpointError) as (file, _):
        content = file.read()
    try:
        tensors = load_tensors(content)
    # An unknown type of numbers is a KeyError.
    except (SafetensorError, KeyError, ValueError) as error:
        raise CheckpointError(
            f"{path}: not a readable safetensors file ({error}); pickled or truncated checkpoints "
            "are not loaded, save it again with this package"
        ) from error
    _check_sum(content, path)
    return tensors


def _check_sum(content: bytes, path: Path) -> None:
    """Raise CheckpointError if the metadata beside a file knows another checksum of it."""
    if not (path.parent / METADATA).is_file():
        return
    known = read_metadata(path.parent).get(CHECKSUMS, {}).get(path.name)
    if known is not None and hashlib.sha256(content).hexdigest() != known:
        raise CheckpointError(
            f"{path}: damaged or replaced: its SHA-256 is not that of {METADATA}; copy the whole "
            "checkpoint again"
        )


def load_weights(model: nn.Module, path: Path) -> None:
    """Load ``model.safetensors`` strictly: every weight must be there, with its shape, finite."""
    tensors = read_tensors(path)
    check_tensors(tensors, model.state_dict(), path)
    model.load_state_dict(tensors)


def check_tensors(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path) -> None:
    """Raise CheckpointError unless names, shapes and kinds of numbers agree, and all numbers are
    finite; the first of each kind of error are named."""
    common = expected.keys() & found
    parts = {
        "missing": expected.keys() - found,
        "unknown": found.keys() - expected,
        "of another shape": {name for name in common if expected[name].shape != found[name].shape},
        "of another type": {name for name in common if not _same_kind(expected[name], found[name])},
    }
    if any(parts.values()):
        wrong = "; ".join(f"{w}: {', '.join(sorted(n)[:3])}" for w, n in parts.items() if n)
        raise CheckpointError(
            f"{path}: does not fit its model ({wrong}); the files of a checkpoint belong together, "
            "copy the whole folder again"
        )
    if infinite := [name for name in common if not bool(torch.isfinite(found[name]).all())]:
        raise CheckpointError(
            f"{path}: NaN or infinite values in {', '.join(sorted(infinite)[:3])}; take another "
            "checkpoint of the run"
        )


def _same_kind(expected: Tensor, found: Tensor) -> bool:
    """Whether both are floating point, of any precision, or of one other type."""
    if expected.is_floating_point():
        return found.dtype in _FLOATS
    return found.dtype == expected.dtype


class _Metadata(BaseModel):
    """The keys of ``metadata.json`` that this package reads; others may stand beside them."""

    model_config = ConfigDict(extra="allow", strict=True)

    step: int = Field(ge=0, lt=2**62)
    mel_fingerprint: str
    spent_s: float = Field(0.0, ge=0, allow_inf_nan=False)
    data_hash: str | None = None
    sha256: dict[str, str] = Field(default_factory=dict)


def read_metadata(folder: Path) -> dict[str, Any]:
    """``metadata.json`` of a checkpoint."""
    path = folder / METADATA
    metadata = read_json(path, CheckpointError)
    try:
        _Metadata.model_validate(metadata)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise CheckpointError(
            f"{path}: {where}: {first['msg']}; copy the checkpoint again"
        ) from error
    return cast(dict[str, Any], metadata)
