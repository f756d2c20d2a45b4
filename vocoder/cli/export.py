"""``vocoder export``: a vocoder as one file for another runtime."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from vocoder.cli.console import say
from vocoder.cli.options import BreathDb, FormantScale, load_for_mel, require_mel
from vocoder.errors import VocoderError


def export(
    model: Annotated[str, typer.Argument(help="A model's name, a checkpoint or a training run.")],
    output: Annotated[Path, typer.Option(help="File to write.")],
    form: Annotated[
        Literal["onnx", "torch"], typer.Option("--format", help="ONNX, or torch.export's .pt2.")
    ] = "onnx",
    spec: Annotated[
        str | None,
        typer.Option(
            help="Preset of the mel, or its YAML file, of universal models; default: the model's."
        ),
    ] = None,
    mel_projection: Annotated[
        int | None, typer.Option(min=0, help="Passes; default: the model's.")
    ] = None,
    low_band_projection: Annotated[
        int,
        typer.Option(min=0, help="Cost, in whole passes, of further passes below 740 Hz."),
    ] = 0,
    meets: Annotated[
        Literal["mel", "envelope", "nothing"] | None,
        typer.Option(help="What of the mel is met: its envelope, for F0 that is not the mel's."),
    ] = None,
    formant_scale: FormantScale = 1.0,
    breath_db: BreathDb = 0.0,
    precision: Annotated[
        Literal["float32", "float16", "int8"],
        typer.Option(help="Of the networks' weights in an ONNX file; arithmetic is in float32."),
    ] = "float32",
    streaming: Annotated[
        bool, typer.Option("--streaming", help="A few frames and a state in and out.")
    ] = False,
) -> None:
    """Write a source-filter vocoder as one file: mel, noise, F0 and voicing in, waveform out."""
    from vocoder.export.files import export_module, save_onnx, save_torch

    if form == "torch" and precision != "float32":
        raise VocoderError(f"--precision {precision}: only with --format onnx")
    if output.is_dir():
        raise VocoderError(f"--output {output}: is a folder; name the file")
    vocoder = require_mel(load_for_mel(model, spec, "--spec"), model)
    module = export_module(
        vocoder,
        streaming,
        meets,
        mel_projection,
        low_band_projection,
        formant_scale,
        breath_db,
    )
    if form == "onnx":
        save_onnx(module, output, precision)
    else:
        save_torch(module, output)
    say(Console(), f"{output}: {output.stat().st_size / 1e6:.1f} MB")
