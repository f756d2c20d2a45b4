"""Vocoders written as ONNX graphs and as PyTorch's exported programs."""

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from vocoder.data.files import write_bytes
from vocoder.errors import VocoderError
from vocoder.export.module import INPUTS, ExportModule, StreamModule, WholeModule
from vocoder.models.base import Vocoder, VoiceChange
from vocoder.models.source_filter import SourceFilter
from vocoder.models.source_filter.config import Meets
from vocoder.models.source_filter.rendering import Options

if TYPE_CHECKING:
    from onnx import ModelProto

Precision = Literal["float32", "float16", "int8"]
"""Of the weights in an ONNX file, see `store_weights`."""

PITCH_PREDICTOR, FILTER_NETWORK = "vocoder.pitch_predictor.", "vocoder.filter_network."
"""Beginnings of the names of learned weights in an ONNX file."""

OPSET = 20
"""ONNX operators, the first set with the inverse of a one-sided Fourier transform."""


def export_module(
    model: Vocoder,
    streaming: bool = False,
    meets: Meets | None = None,
    mel_projection: int | None = None,
    low_band_projection: int = 0,
    formant_scale: float = 1.0,
    breath_db: float = 0.0,
) -> ExportModule:
    """The module of a vocoder that can be exported, for whole utterances or for a stream.

    The other arguments are those of `SourceFilter.stream`; F0 comes from outside.

    Raises:
        VocoderError: it is no source-filter vocoder, or the low band is to be projected without
            the mel.
        OptionError: an argument is out of range.
    """
    if not isinstance(model, SourceFilter):
        raise VocoderError(
            f"{type(model).__name__} cannot be exported: choose weights of a source_filter model"
        )
    change = VoiceChange(formant_scale=formant_scale, breath_db=breath_db)
    options = Options.of(model.config, meets, mel_projection, low_band_projection, change)
    if low_band_projection and not options.mel_projection:
        raise VocoderError(
            f"low_band_projection is {low_band_projection}, without a mel projection: meets is "
            f"{options.meets}, or mel_projection is 0"
        )
    return (StreamModule if streaming else WholeModule)(model, options).eval()


def save_torch(module: ExportModule, path: Path) -> None:
    """Write a file for `torch.export.load`, its metadata as the extra file ``metadata.json``."""
    extra = {"metadata.json": json.dumps(module.metadata())}
    program = _traced(module)
    content = io.BytesIO()  # torch's own writer of files raises RuntimeError on a full disk
    torch.export.save(program, content, extra_files=extra)
    write_bytes(path, content.getvalue())


def save_onnx(module: ExportModule, path: Path, precision: Precision = "float32") -> None:
    """Write an ONNX file, its metadata as `metadata_props`, and check it.

    Args:
        module: to be exported.
        path: of the file.
        precision: of the networks' weights in the file, see `store_weights`.

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
    model = program.model_proto
    for node in model.graph.node:
        # Where in the source each node comes from, megabytes with paths of this machine.
        node.ClearField("metadata_props")
    for name, value in (module.metadata() | {"precision": precision}).items():
        text = value if isinstance(value, str) else json.dumps(value)
        model.metadata_props.add(key=name, value=text)
    store_weights(model, precision)
    onnx.checker.check_model(model)
    write_bytes(path, model.SerializeToString())


def store_weights(model: "ModelProto", precision: Precision) -> None:
    """Store the networks' matrices and convolutions in fewer bytes, decoded to float32 for use.

    With "float16" in half the bytes, rounded by up to 2⁻¹¹ of a weight; published weights
    (`vocoder.training.checkpoint.publish_checkpoint`) are so rounded already and stay as they are.
    With "int8" the filter network's in a quarter,

        q = round(w / s),  s = max |w| / 127 of each output channel;  w ≈ s q

    and the pitch predictor's as float16: a rounded F0 moves the phases of all harmonics, and PESQ
    with them, by up to 0.15 up or down in single recordings.

    Biases and signal processing (filter banks, Fourier matrices, windows) remain float32. So do
    activations: the scale to quantise them by would depend on the frames pushed at once, and a
    stream's signal on the size of its pieces.

    Args:
        model: as `save_onnx` makes it, changed in place.
        precision: to store in.
    """
    if precision == "float32":
        return
    from onnx import TensorProto, helper, numpy_helper

    graph, decoders = model.graph, []
    for weight in list(graph.initializer):
        if not weight.name.startswith((PITCH_PREDICTOR, FILTER_NETWORK)) or len(weight.dims) < 2:
            continue
        name, stored, scales = weight.name, f"{weight.name} stored", f"{weight.name} scales"
        values = numpy_helper.to_array(weight)
        if precision == "float16" or name.startswith(PITCH_PREDICTOR):
            rounded = values.astype(np.float16)
            decoder = helper.make_node("Cast", [stored], [name], to=TensorProto.FLOAT)
        else:
            largest = np.abs(values).max(axis=tuple(range(1, values.ndim)), keepdims=True)
            # Of a channel of zeros any scale will do.
            scale = np.where(largest > 0, largest, 1).astype(np.float32) / 127
            rounded = np.rint(values / scale).astype(np.int8)
            graph.initializer.append(numpy_helper.from_array(scale.flatten(), scales))
            decoder = helper.make_node("DequantizeLinear", [stored, scales], [name], axis=0)
        weight.CopyFrom(numpy_helper.from_array(rounded, stored))
        decoders.append(decoder)
    nodes = [*decoders, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


@torch.no_grad()
def _traced(module: ExportModule) -> torch.export.ExportedProgram:
    inputs, dimensions = module.example()
    # Windows and filters are cached: tracing must find tensors there, and leave none of its own.
    module(*inputs)
    # A state is one parameter, `*state`.
    named = len(INPUTS)
    shapes = (*dimensions[:named], *[dimensions[named:]] * (len(dimensions) > named))
    return torch.export.export(module, inputs, dynamic_shapes=shapes, strict=False)
