"""Vocoders written as ONNX graphs and as PyTorch's exported programs."""

import json
from pathlib import Path

import torch
from torch import Tensor

import vocoder
from vocoder.errors import VocoderError
from vocoder.export.module import INPUTS, OUTPUTS, ExportModule
from vocoder.models.base import Vocoder
from vocoder.models.source_filter import SourceFilter

OPSET = 20
"""ONNX operators, the first set with the inverse of a one-sided Fourier transform."""
EXAMPLE_BATCH, EXAMPLE_FRAMES = 2, 40
"""Shape that is traced; any other is served."""


def export_module(model: Vocoder, mel_projection: int | None = None) -> ExportModule:
    """The module of a vocoder that can be exported.

    Raises:
        VocoderError: it is no source-filter vocoder, or passes are below zero.
    """
    if not isinstance(model, SourceFilter):
        raise VocoderError(
            f"{type(model).__name__} cannot be exported: choose weights of a source_filter model"
        )
    if mel_projection is not None and mel_projection < 0:
        raise VocoderError(f"mel_projection is {mel_projection}: passes, 0 for none")
    return ExportModule(model, mel_projection).eval()


def save_torch(module: ExportModule, path: Path) -> None:
    """Write a file for `torch.export.load`, its metadata as the extra file ``metadata.json``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    extra = {"metadata.json": json.dumps(metadata(module))}
    torch.export.save(_traced(module), path, extra_files=extra)


def save_onnx(module: ExportModule, path: Path) -> None:
    """Write an ONNX file, its metadata as `metadata_props`, and check it.

    Raises:
        VocoderError: the packages of the extra ``export`` are missing.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise VocoderError(f"{error}: pip install 'vocoder[export]'") from error
    # The exporter's own optimisation takes the small numbers that keep quotients finite for zero.
    program = torch.onnx.export(
        _traced(module),
        input_names=INPUTS,
        output_names=OUTPUTS,
        opset_version=OPSET,
        dynamo=True,
        optimize=False,
        verbose=False,
    )
    assert program is not None
    for name, value in metadata(module).items():
        program.model.metadata_props[name] = value if isinstance(value, str) else json.dumps(value)
    path.parent.mkdir(parents=True, exist_ok=True)
    program.save(path, external_data=False)
    onnx.checker.check_model(str(path))


def metadata(module: ExportModule) -> dict[str, object]:
    """What a user of the file must know: the mel as JSON, rate, hop, latency, version."""
    spec = module.vocoder.spec
    return {
        "vocoder_version": vocoder.__version__,
        "mel": spec.model_dump(mode="json"),
        "mel_fingerprint": spec.fingerprint,
        "sample_rate": spec.sample_rate,
        "hop_length": spec.hop_length,
        "mel_projection": module.passes,
        "lookahead_frames": module.lookahead_frames,
        "latency_seconds": module.lookahead_frames * spec.hop_length / spec.sample_rate,
    }


def example(module: ExportModule, batch: int, frames: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Inputs of a silent mel with predicted pitch."""
    mel = module.floor.expand(batch, -1, frames).clone()
    noise = mel.new_zeros(batch, frames, module.vocoder.spec.hop_length)
    nothing = mel.new_zeros(batch, frames)
    return mel, noise, nothing, nothing - 1


@torch.no_grad()
def _traced(module: ExportModule) -> torch.export.ExportedProgram:
    inputs = example(module, EXAMPLE_BATCH, EXAMPLE_FRAMES)
    # Windows and filters are cached: tracing must find tensors there, and leave none of its own.
    module(*inputs)
    batch, frames = torch.export.Dim("batch"), torch.export.Dim("frames")
    shapes = ({0: batch, 2: frames}, *[{0: batch, 1: frames}] * 3)
    return torch.export.export(module, inputs, dynamic_shapes=shapes, strict=False)
