"""Vocoders written as ONNX graphs and as PyTorch's exported programs."""

import io
import json
from pathlib import Path

import torch

from vocoder.data.files import replacing, write_bytes
from vocoder.errors import VocoderError
from vocoder.export.module import INPUTS, ExportModule, StreamModule, WholeModule
from vocoder.models.base import Vocoder
from vocoder.models.source_filter import SourceFilter

OPSET = 20
"""ONNX operators, the first set with the inverse of a one-sided Fourier transform."""


def export_module(
    model: Vocoder,
    mel_projection: int | None = None,
    streaming: bool = False,
    meets_envelope: bool = False,
    low_band_projection: int = 0,
) -> ExportModule:
    """The module of a vocoder that can be exported, for whole utterances or for a stream.

    Arguments are those of `ExportModule`.

    Raises:
        VocoderError: it is no source-filter vocoder, passes are below zero, or the low band is to
            be projected without the mel.
    """
    if not isinstance(model, SourceFilter):
        raise VocoderError(
            f"{type(model).__name__} cannot be exported: choose weights of a source_filter model"
        )
    if mel_projection is not None and mel_projection < 0:
        raise VocoderError(f"mel_projection is {mel_projection}: passes, 0 for none")
    if low_band_projection < 0:
        raise VocoderError(
            f"low_band_projection is {low_band_projection}: cost in passes, 0 for none"
        )
    passes = model.config.mel_projection if mel_projection is None else mel_projection
    if low_band_projection and (meets_envelope or passes == 0):
        raise VocoderError(
            f"low_band_projection is {low_band_projection}, without a mel projection (meets_envelope "
            "is asked for, or mel_projection is 0): leave one of them out"
        )
    return (StreamModule if streaming else WholeModule)(
        model, mel_projection, meets_envelope, low_band_projection
    ).eval()


def save_torch(module: ExportModule, path: Path) -> None:
    """Write a file for `torch.export.load`, its metadata as the extra file ``metadata.json``."""
    extra = {"metadata.json": json.dumps(module.metadata())}
    program = _traced(module)
    content = io.BytesIO()  # torch's own writer of files raises RuntimeError on a full disk
    torch.export.save(program, content, extra_files=extra)
    write_bytes(path, content.getvalue())


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
        input_names=module.inputs,
        output_names=module.outputs,
        opset_version=OPSET,
        dynamo=True,
        optimize=False,
        verbose=False,
    )
    assert program is not None
    for name, value in module.metadata().items():
        program.model.metadata_props[name] = value if isinstance(value, str) else json.dumps(value)
    with replacing(path) as temporary:
        program.save(temporary, external_data=False)
        onnx.checker.check_model(str(temporary))


@torch.no_grad()
def _traced(module: ExportModule) -> torch.export.ExportedProgram:
    inputs, dimensions = module.example()
    # Windows and filters are cached: tracing must find tensors there, and leave none of its own.
    module(*inputs)
    # A state is one parameter, `*state`.
    named = len(INPUTS)
    shapes = (*dimensions[:named], *[dimensions[named:]] * (len(dimensions) > named))
    return torch.export.export(module, inputs, dynamic_shapes=shapes, strict=False)
