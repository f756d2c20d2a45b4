"""``vocoder synth``, ``resynth`` and ``demo``: mels and recorded speech through a vocoder."""

import json
import warnings
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from vocoder.cli.console import progress_bar, say
from vocoder.cli.options import (
    BreathDb,
    DeviceOption,
    FormantScale,
    JsonFlag,
    MelName,
    ModelName,
    SeedOption,
    ThreadsOption,
    load_for_mel,
    mel_of,
    require_mel,
)
from vocoder.errors import VocoderError, printable

F0Scale = Annotated[float, typer.Option(min=0.1, max=10, help="Factor on F0.")]
Speed = Annotated[float, typer.Option(min=0.25, max=4, help="Of speech; pitch and formants stay.")]

DEMO_MELS = ("vocos_24k", "hifigan_22k", "speecht5_16k")
"""Mels that `vocoder demo` gives to a universal model; Griffin-Lim gets the first."""


def resynth(
    inputs: Annotated[list[Path], typer.Argument(help="Audio files and folders.")],
    output: Annotated[Path, typer.Option(help="Folder for the resynthesised WAVs.")],
    model: ModelName = "default",
    mel: MelName = None,
    f0_scale: F0Scale = 1.0,
    formant_scale: FormantScale = 1.0,
    breath_db: BreathDb = 0.0,
    speed: Speed = 1.0,
    seed: SeedOption = 0,
    threads: ThreadsOption = 1,
    device: DeviceOption = "cpu",
    batch: Annotated[
        int | None,
        typer.Option(min=1, help="Files per batch; default: depends on the model."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Recorded speech → mel → speech; --model world or lpc analyses the waveform directly."""
    import torch

    from vocoder.data.files import remove_leftovers
    from vocoder.evaluation.resynthesis import Resynthesis, output_paths, resynthesise_files
    from vocoder.models.base import VoiceChange

    torch.set_num_threads(threads)
    targets, failed = output_paths(inputs, output)
    vocoder = load_for_mel(model, mel, device=device)
    remove_leftovers(output)
    with progress_bar() as progress:
        task = progress.add_task("resynthesis", total=len(targets) + len(failed))

        def done(result: Resynthesis) -> None:
            progress.advance(task)
            source = printable(str(result.source))
            for note in result.notes:
                say(progress.console, f"{source}: {note}")
            if result.error:
                # Reading and writing errors name their file; model errors do not.
                named = "" if source in result.error else f"{source}: "
                say(progress.console, f"failed: {named}{result.error}")

        for result in failed:
            done(result)
        change = VoiceChange(f0_scale, formant_scale, breath_db)
        made = resynthesise_files(vocoder, targets, change, seed, done, batch, speed)
        results = [*failed, *made]
    failed = [result for result in results if result.error]
    audio_s = sum(result.duration_s for result in results)
    seconds = sum(result.seconds for result in results)
    report = {
        "written": len(results) - len(failed),
        "failed": {str(result.source): result.error for result in failed},
        "audio_s": round(audio_s, 3),
        "real_time_factor": round(seconds / audio_s, 5) if audio_s else None,
        "output": str(output),
    }
    if as_json:
        print(json.dumps(report))
    else:
        pace = f", {audio_s / seconds:.0f} times real time with the mel" if audio_s else ""
        counts = f"{report['written']} written, {len(failed)} failed"
        say(Console(), f"{counts}, {audio_s:.1f} s of audio{pace}: {output}")
    if failed:
        raise typer.Exit(1)


def synth(
    inputs: Annotated[
        list[Path], typer.Argument(help=".npy or .pt files with mels, or folders of them.")
    ],
    output: Annotated[Path, typer.Option(help="Folder for the WAVs.")],
    spec: Annotated[
        str | None,
        typer.Option(
            help="Preset of the mels (`vocoder info`), or a YAML file; default: the model's."
        ),
    ] = None,
    model: ModelName = "default",
    f0_scale: F0Scale = 1.0,
    formant_scale: FormantScale = 1.0,
    breath_db: BreathDb = 0.0,
    speed: Speed = 1.0,
    seed: SeedOption = 0,
    threads: ThreadsOption = 1,
    device: DeviceOption = "cpu",
    as_json: JsonFlag = False,
) -> None:
    """Mels → speech: .npy or .pt files, as TTS systems write them, to one WAV per file.

    Universal models serve any preset. Other models convert a mel of another preset if that is
    exact, and reject it otherwise.
    """
    import torch

    from vocoder.data.audio import write_audio
    from vocoder.data.files import remove_leftovers
    from vocoder.data.mels import find_mels, read_mel
    from vocoder.errors import MelError
    from vocoder.features.mel_plausibility import MelWarning
    from vocoder.features.stretch import stretch_mel
    from vocoder.loading import load
    from vocoder.models.base import VoiceChange

    torch.set_num_threads(threads)
    vocoder = require_mel(load(model, device), model)
    change = VoiceChange(f0_scale, formant_scale, breath_db)
    options = change.arguments(vocoder.voice_changes, model)
    try:
        given = vocoder.spec if spec is None else mel_of(spec)
    except MelError as error:
        raise MelError(f"--spec {spec}: {error}") from error
    if vocoder.serves_any_mel:
        vocoder = vocoder.for_mel(given)
    failed: dict[str, str] = {}
    targets = find_mels(inputs)
    remove_leftovers(output)
    with progress_bar() as progress, torch.inference_mode():
        for source, name in progress.track(targets.items(), description="synthesis"):
            try:
                mel = given.convert(read_mel(source, given), vocoder.spec)
                mel = stretch_mel(mel, vocoder.spec, speed)
                generator = torch.Generator().manual_seed(seed)
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    waveform = vocoder(mel, generator=generator, **options)
                    write_audio(output / name, waveform[0], vocoder.sample_rate)
                for warning in caught:
                    of_mel = issubclass(warning.category, MelWarning)  # others name their file
                    named = f"{printable(str(source))}: " if of_mel else ""
                    say(progress.console, f"warning: {named}{warning.message}")
            except VocoderError as error:
                shown = printable(str(source))
                named = "" if shown in str(error) else f"{shown}: "
                failed[str(source)] = str(error)
                say(progress.console, f"failed: {named}{error}")
    written = len(targets) - len(failed)
    if as_json:
        print(json.dumps({"written": written, "failed": failed, "output": str(output)}))
    else:
        say(Console(), f"{written} written, {len(failed)} failed: {output}")
    if failed:
        raise typer.Exit(1)


def demo(
    output: Annotated[Path, typer.Option(help="Folder for WAVs and spectrograms.")] = Path("demo"),
    manifest: Annotated[
        Path, typer.Option(help="Manifest of utterances; those of split train are skipped.")
    ] = Path("egs/tiny/manifest.jsonl"),
    model: ModelName = "default",
) -> None:
    """Resynthesise recorded utterances with the vocoder and Griffin-Lim, from the same mel.

    Universal models resynthesise from mels at 16, 22.05 and 24 kHz.
    """
    import torch

    from vocoder.cli.demo import run_demo
    from vocoder.loading import GRIFFIN_LIM, load

    torch.set_num_threads(1)
    vocoder = require_mel(load(model), model)
    mels = DEMO_MELS if vocoder.serves_any_mel else ()
    systems = {mel: vocoder.for_mel(mel) for mel in mels} or {Path(model).resolve().name: vocoder}
    spec = next(iter(systems.values())).spec
    systems[GRIFFIN_LIM] = require_mel(load(GRIFFIN_LIM), GRIFFIN_LIM).for_mel(spec)
    rows = run_demo(systems, manifest, output)
    # Short headings, or rich breaks names at 80 columns.
    scores = ("PESQ-WB", "F0 cents", "V/UV", "RTF")
    table = Table("speaker, utterance", "system", *scores, box=None, padding=(0, 1, 0, 0))
    for row in rows:
        table.add_row(
            f"{row.speaker}, {row.utterance}" if row.system == next(iter(systems)) else "",
            row.system,
            f"{row.pesq_wb:.2f}",
            f"{row.f0_cents:.0f}",
            f"{100 * row.voicing_error:.1f} %",
            f"{row.real_time_factor:.4f}",
        )
    console = Console()
    console.print(table)
    console.print("F0 cents: RMSE. V/UV: voicing error.")
    console.print("RTF: computing time per second of audio, mel to waveform, one thread.")
    say(console, f"Listen: {output.resolve()}")
    say(console, f"Look:   {(output / 'spectrograms.png').resolve()}")
