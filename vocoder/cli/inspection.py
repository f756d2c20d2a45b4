"""``vocoder info`` and ``bench``: models, mel presets, architectures, and the cost of synthesis."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from vocoder.cli.console import progress_bar
from vocoder.cli.options import JsonFlag, ModelName, require_mel
from vocoder.errors import VocoderError

if TYPE_CHECKING:
    from torch import Tensor

    from vocoder.models.base import Vocoder
    from vocoder.models.waveform import WaveVocoder


def info(
    model: Annotated[
        str | None, typer.Argument(help="A model; default: list models and mel presets.")
    ] = None,
    models: Annotated[
        bool, typer.Option("--models", help="List the architectures at their papers' sizes.")
    ] = False,
    costs: Annotated[
        bool,
        typer.Option("--costs", help="With --models: count multiplications too, half a minute."),
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """List models and mel presets; describe one model; or list the architectures."""
    if costs and not models:
        raise VocoderError("--costs: only with --models; `vocoder bench` measures one model")
    if models:
        _show_architectures(costs, as_json)
        return
    if model is None:
        _show_names(as_json)
        return
    from vocoder.loading import UNTRAINED, find_checkpoint, load, read_metadata

    described = _description(load(model))
    if model not in UNTRAINED:
        described["checkpoint"] = read_metadata(find_checkpoint(model))
    if as_json:
        print(json.dumps(described))
    else:
        Console().print_json(data=described)


def bench(
    model: ModelName = "default",
    seconds: Annotated[float, typer.Option(min=0.1, help="Length of the audio.")] = 10.0,
    repeats: Annotated[
        int, typer.Option(min=1, help="Timed calls; the result is their median.")
    ] = 10,
    as_json: JsonFlag = False,
) -> None:
    """Real-time factor on one thread and on all, peak memory, parameters and MACs."""
    import os
    from dataclasses import asdict, replace

    from vocoder.evaluation.cost import measure_cost, measure_memory
    from vocoder.loading import PicklableVocoder

    loaded = PicklableVocoder(model)
    vocoder = require_mel(loaded.vocoder, model)
    mel = _noise_mel(vocoder, seconds)
    rows = []
    for threads in dict.fromkeys([1, os.cpu_count() or 1]):
        cost = measure_cost(vocoder, mel, vocoder.sample_rate, threads, repeats, 2, memory=False)
        if threads == 1:
            cost = replace(cost, memory=measure_memory(loaded, mel))
        rows.append(asdict(cost))
    if as_json:
        print(json.dumps({"model": model, "costs": rows}))
        return
    table = Table("threads", "real-time factor", "times real time", title=f"{model}, {seconds:g} s")
    for row in rows:
        factor = row["real_time_factor"]
        table.add_row(str(row["threads"]), f"{factor:.5f}", f"{1 / factor:.0f}")
    console = Console()
    console.print(table)
    first = rows[0]
    console.print(
        f"{first['parameters'] / 1e6:.2f} M parameters, "
        f"{first['macs_per_second'] / 1e6:.0f} M multiply-accumulates per second of audio, "
        f"peak memory {first['memory']['peak'] / 1e6:.0f} MB "
        f"({first['memory']['increase'] / 1e6:.0f} MB by synthesis)"
    )


def _show_names(as_json: bool) -> None:
    """Print the names of models and mel presets."""
    from vocoder.features.mel import PRESETS
    from vocoder.loading import SHIPPED, UNTRAINED

    models = [*SHIPPED, *UNTRAINED]
    if as_json:
        presets = {name: spec.fingerprint for name, spec in PRESETS.items()}
        print(json.dumps({"models": models, "mel_presets": presets}))
        return
    print("models:", *(f"  {name}" for name in models), "mel presets:", sep="\n")
    for name, spec in PRESETS.items():
        print(
            f"  {name:16} {spec.sample_rate} Hz, {spec.n_mels} bands, hop {spec.hop_length}, "
            f"{spec.f_min:g}-{spec.f_max:g} Hz, {spec.log}, {spec.fingerprint}"
        )


def _description(vocoder: "Vocoder | WaveVocoder") -> dict[str, Any]:
    """Type and input of a vocoder; WORLD and LPC take a waveform instead of a mel."""
    from vocoder.models.waveform import WaveVocoder

    name = type(vocoder).__name__
    if isinstance(vocoder, WaveVocoder):
        return {"model": name, "parameters": 0, "mel": None, "sample_rate": vocoder.sample_rate}
    described = {
        "model": name,
        "parameters": vocoder.parameters_count,
        "mel": vocoder.spec.model_dump(mode="json"),
        "mel_fingerprint": vocoder.spec.fingerprint,
        "serves_any_mel": vocoder.serves_any_mel,
        "streams": vocoder.streams,
    }
    for timing in ("latency_seconds", "lookahead_frames", "history_frames"):
        if hasattr(vocoder, timing):
            described[timing] = getattr(vocoder, timing)
    return described


def _show_architectures(costs: bool, as_json: bool) -> None:
    """Print one line per architecture that a recipe can name, at its paper's size."""
    import torch

    from vocoder.evaluation.cost import macs_per_second
    from vocoder.features.mel import PRESETS
    from vocoder.models.registry import MODELS

    torch.set_num_threads(1)  # many small operations
    rows: list[dict[str, Any]] = []
    with progress_bar() as progress:
        for name, entry in progress.track(MODELS.items(), description="counting"):
            vocoder = entry.build().eval().requires_grad_(False)
            row: dict[str, Any] = {"model": name, "parameters": vocoder.parameters_count}
            if costs:
                row["macs_per_second"] = macs_per_second(vocoder)
            rate = PRESETS[entry.mel].sample_rate
            rows.append(row | {"sample_rate": rate, "source": entry.source})
    if as_json:
        print(json.dumps(rows))
        return
    table = Table("model.name", "parameters", *["MMAC a second"] * costs, "at", "source")
    for row in rows:
        counted = [f"{row['macs_per_second'] / 1e6:,.0f}"] if costs else []
        table.add_row(
            row["model"],
            f"{row['parameters'] / 1e6:.2f} M",
            *counted,
            f"{row['sample_rate'] / 1000:g} kHz",
            row["source"],
        )
    Console().print(table)


def _noise_mel(vocoder: "Vocoder", seconds: float) -> "Tensor":
    """Mel of white noise: the cost of synthesis does not depend on the content."""
    import torch

    samples = int(seconds * vocoder.sample_rate)
    generator = torch.Generator().manual_seed(0)
    frames = samples // vocoder.spec.hop_length
    mel = vocoder.mel(0.1 * torch.randn(1, samples, generator=generator))
    return mel[:, :, :frames]
