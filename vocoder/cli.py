"""The command line: from preparing a corpus to training, evaluation and listening tests."""

import json
import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from typer.core import TyperGroup

from vocoder.errors import VocoderError
from vocoder.evaluation.listening.commands import app as listening_app

if TYPE_CHECKING:
    from vocoder.evaluation.rates import SampleRate

error_console = Console(stderr=True)


class _Group(TyperGroup):
    """Prints an error that the user can mend as one line and exits with status 1."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # whoever read our output has left: typer ends quietly
            raise
        except (VocoderError, OSError) as error:  # an OSError names its file
            _say(error_console, f"error: {' '.join(str(error).splitlines())}")
            raise typer.Exit(1) from error


app = typer.Typer(
    cls=_Group,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    help="Source-filter vocoders: mel spectrograms in, speech out.",
)
app.add_typer(listening_app, name="listening-test")


class CorpusName(StrEnum):
    """Corpora that can be prepared."""

    festvox_ru = "festvox_ru"
    asterisk = "asterisk"
    ljspeech = "ljspeech"
    vctk = "vctk"
    libritts = "libritts"
    tiny = "tiny"


class EvaluationBackend(StrEnum):
    """Where an evaluation runs."""

    loky = "loky"
    dask = "dask"


JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON for a script.")]
ModelName = Annotated[
    str,
    typer.Option(help="A model's name, a checkpoint folder or a training run; see `vocoder info`."),
]
Threads = Annotated[int, typer.Option(min=1, help="Threads of torch.")]


@app.command()
def prepare(
    corpus: Annotated[CorpusName, typer.Argument(help="Which corpus.")],
    output: Annotated[Path, typer.Option(help="Folder for WAVs and manifest.")],
    source: Annotated[
        Path | None,
        typer.Option(help="Your local copy, or a folder with the packages fetched by hand."),
    ] = None,
    sample_rate: Annotated[int | None, typer.Option(help="Hz; default: the corpus's.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Fetch, verify, decode and lay out a corpus; write its manifest.jsonl."""
    from vocoder.data.corpora import prepare as prepare_corpus

    utterances = prepare_corpus(corpus.value, output, source, sample_rate, progress=not as_json)
    splits: dict[str, dict[str, float]] = {}
    for utterance in utterances:
        row = splits.setdefault(utterance.split, {"utterances": 0, "hours": 0.0})
        row["utterances"] += 1
        row["hours"] += utterance.duration_s / 3600
    if as_json:
        print(json.dumps(splits))
        return
    table = Table("split", "utterances", "hours")
    for split, row in splits.items():
        table.add_row(split, f"{row['utterances']:.0f}", f"{row['hours']:.2f}")
    console = Console()
    console.print(table)
    _say(console, str(output / "manifest.jsonl"))


@app.command()
def train(
    recipe: Annotated[Path, typer.Argument(help="A recipe, such as those under recipes/.")],
    output: Annotated[Path, typer.Option(help="Folder of the run.")],
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="Override a key: section.key=value.")
    ] = None,
) -> None:
    """Train a model; the same command again resumes from the last checkpoint."""
    from vocoder.training.processes import is_main_process, start_processes

    start_processes()
    from vocoder.recipes import dump_recipe, load_recipe
    from vocoder.runs import train as train_recipe

    resolved = load_recipe(recipe, overrides or [])
    console = Console()
    if is_main_process():
        _say(console, dump_recipe(resolved))
    train_recipe(resolved, output, console)


@app.command()
def resynth(
    inputs: Annotated[list[Path], typer.Argument(help="Audio files and folders.")],
    output: Annotated[Path, typer.Option(help="Folder for the resynthesised WAVs.")],
    model: ModelName = "default",
    f0_scale: Annotated[float, typer.Option(min=0.1, max=10, help="Factor on F0.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Of the noise.")] = 0,
    threads: Threads = 1,
    batch: Annotated[
        int | None,
        typer.Option(min=1, help="Files at once; default: what suits the model."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Recorded speech → mel → speech; with --model world or lpc, from the speech itself."""
    import torch

    from vocoder.pretrained import load
    from vocoder.resynthesis import (
        WAVE_VOCODERS,
        Resynthesis,
        output_paths,
        resynthesise_files,
    )

    torch.set_num_threads(threads)
    targets, failed = output_paths(inputs, output)
    vocoder = WAVE_VOCODERS[model]() if model in WAVE_VOCODERS else load(model)
    with _bar() as progress:
        task = progress.add_task("resynthesis", total=len(targets) + len(failed))

        def done(result: Resynthesis) -> None:
            progress.advance(task)
            for note in result.notes:
                _say(progress.console, f"{result.source}: {note}")
            if result.error:
                # What was wrong names its file, but for errors of the model.
                named = "" if str(result.source) in result.error else f"{result.source}: "
                _say(progress.console, f"failed: {named}{result.error}")

        for result in failed:
            done(result)
        results = [*failed, *resynthesise_files(vocoder, targets, f0_scale, seed, done, batch)]
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
        speed = f", {audio_s / seconds:.0f} times real time with the mel" if audio_s else ""
        counts = f"{report['written']} written, {len(failed)} failed"
        _say(Console(), f"{counts}, {audio_s:.1f} s of audio{speed}: {output}")
    if failed:
        raise typer.Exit(1)


@app.command()
def evaluate(
    reference: Annotated[Path, typer.Option(help="Folder of the recordings.")],
    system: Annotated[list[str], typer.Option(help="NAME=FOLDER; repeat for each system.")],
    output: Annotated[Path, typer.Option(help="Folder for the scores, comparisons and summary.")],
    metrics: Annotated[
        str | None,
        typer.Option(help="Comma-separated; default: the common ones, and the plugins'."),
    ] = None,
    metric_plugin: Annotated[
        list[str] | None,
        typer.Option(help="FILE.py:OBJECT or MODULE:OBJECT, metrics of your own; may be repeated."),
    ] = None,
    to_7k: Annotated[bool, typer.Option(help="Report scores up to 7 kHz as well.")] = False,
    speakers: Annotated[
        Path | None,
        typer.Option(help="Who speaks: a manifest.jsonl, or CSV utterance,speaker; else folders."),
    ] = None,
    max_delay_ms: Annotated[
        float, typer.Option(help="Constant delay that is removed at most; 0: compare as they are.")
    ] = 50.0,
    max_length_difference: Annotated[
        float, typer.Option(help="Seconds that are then cut off the longer file at most.")
    ] = 0.5,
    match_level: Annotated[
        bool, typer.Option("--match-level", help="Bring each file to its recording's RMS first.")
    ] = False,
    sample_rate: Annotated[
        str,
        typer.Option(help="HZ, reference, or auto: the lowest rate among recordings and systems."),
    ] = "auto",
    strip_suffix: Annotated[
        list[str] | None,
        typer.Option(help="End of names that does not count, such as _gen; may be repeated."),
    ] = None,
    name_map: Annotated[
        Path | None,
        typer.Option("--map", help="CSV system,file,utterance for files with other names."),
    ] = None,
    cache: Annotated[
        bool, typer.Option(help="Remember scores in $VOCODER_CACHE or ~/.cache/vocoder.")
    ] = True,
    jobs: Annotated[int, typer.Option(help="Worker processes, -1 for one a core.")] = 2,
    backend: Annotated[
        EvaluationBackend, typer.Option(help="Processes here, or the workers of a Dask cluster.")
    ] = EvaluationBackend.loky,
    scheduler: Annotated[
        str | None, typer.Option(help="Of --backend dask: tcp://HOST:PORT.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Score folders of WAVs by file name against the recordings, and compare the systems."""
    from vocoder.evaluation.cache import default_cache
    from vocoder.evaluation.folders import COMPARISONS_NAME, evaluate_folders
    from vocoder.evaluation.plugins import load_plugins
    from vocoder.evaluation.registry import DEFAULT_METRICS
    from vocoder.evaluation.summary import format_comparisons, format_table

    plugins = metric_plugin or []
    default = [*DEFAULT_METRICS, *load_plugins(plugins)]
    summary = evaluate_folders(
        reference,
        {name: Path(folder) for name, folder in _named(system, "--system", "FOLDER").items()},
        output,
        [name.strip() for name in metrics.split(",")] if metrics else default,
        to_7k,
        jobs=jobs,
        command=shlex.join(["vocoder", *sys.argv[1:]]),
        progress=not as_json,
        speakers=speakers,
        max_delay_ms=max_delay_ms,
        cache=default_cache() if cache else None,
        backend=backend.value,
        scheduler=scheduler,
        plugins=plugins,
        max_length_difference_s=max_length_difference,
        match_level=match_level,
        strip_suffixes=strip_suffix or [],
        name_map=name_map,
        sample_rate=_rate(sample_rate),
    )
    if as_json:
        print(summary.model_dump_json())
    else:
        compared = format_comparisons(summary, only_best=True)
        where = f"All comparisons: {output / COMPARISONS_NAME}\n" if summary.comparisons else ""
        print("\n".join(filter(None, [format_table(summary), compared, where])), end="")
    for problem in summary.problems:
        _say(error_console, problem)
    if summary.failures:
        raise typer.Exit(1)


@app.command()
def report(
    results: Annotated[Path, typer.Argument(help="What `vocoder evaluate --output` wrote.")],
    output: Annotated[Path, typer.Option(help="Folder for report.html and its assets.")],
    cost: Annotated[
        list[str] | None,
        typer.Option(help="NAME=FILE of `vocoder bench --json`; repeat for each system."),
    ] = None,
    title: Annotated[str, typer.Option(help="Heading of the page.")] = "Vocoder evaluation",
    embed_audio: Annotated[
        bool, typer.Option(help="Put audio and pictures into the page: one large file.")
    ] = False,
    jobs: Annotated[int, typer.Option(help="Worker processes, -1 for one a core.")] = 2,
    as_json: JsonFlag = False,
) -> None:
    """Make a page of an evaluation: scores, plots, and players with spectrograms."""
    from vocoder.evaluation.report.build import build_report

    costs = {name: Path(file) for name, file in _named(cost or [], "--cost", "FILE").items()}
    page = build_report(results, output, title, costs, embed_audio, jobs, progress=not as_json)
    if as_json:
        print(json.dumps({"page": str(page)}))
    else:
        _say(Console(), str(page))


@app.command()
def bench(
    model: ModelName = "default",
    seconds: Annotated[float, typer.Option(min=0.1, help="Length of the audio.")] = 10.0,
    repeats: Annotated[int, typer.Option(min=1, help="Timed calls; the median counts.")] = 10,
    as_json: JsonFlag = False,
) -> None:
    """Real-time factor on one thread and on all, peak memory, parameters and MACs."""
    import os
    from dataclasses import asdict, replace

    from vocoder.evaluation.cost import measure_cost, measure_memory
    from vocoder.pretrained import Loaded

    loaded = Loaded(model)
    vocoder = loaded.vocoder
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
        f"{first['macs_per_second'] / 1e6:.0f} M multiply-accumulates a second of audio, "
        f"peak memory {first['memory']['peak'] / 1e6:.0f} MB "
        f"({first['memory']['increase'] / 1e6:.0f} MB by synthesis)"
    )


@app.command()
def info(
    model: Annotated[str | None, typer.Argument(help="A model; without it, what there is.")] = None,
    models: Annotated[
        bool, typer.Option("--models", help="The architectures at their papers' sizes.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """What there is: models and mel presets; all about one model; or the architectures."""
    if models:
        _show_architectures(as_json)
        return
    from vocoder.features.mel import PRESETS
    from vocoder.pretrained import GRIFFIN_LIM, SHIPPED, find_checkpoint, load
    from vocoder.training.checkpoint import read_metadata

    if model is None:
        listing = {
            "models": [*SHIPPED, GRIFFIN_LIM],
            "mel_presets": {name: spec.fingerprint for name, spec in PRESETS.items()},
        }
        print(json.dumps(listing) if as_json else _listing())
        return
    vocoder = load(model)
    described: dict[str, Any] = {
        "model": type(vocoder).__name__,
        "parameters": vocoder.parameters_count,
        "mel": vocoder.spec.model_dump(mode="json"),
        "mel_fingerprint": vocoder.spec.fingerprint,
    }
    for name in ("latency_seconds", "lookahead_frames", "history_frames"):
        if hasattr(vocoder, name):
            described[name] = getattr(vocoder, name)
    if model != GRIFFIN_LIM:
        described["checkpoint"] = read_metadata(find_checkpoint(model))
    Console().print_json(data=described) if not as_json else print(json.dumps(described))


@app.command()
def publish(
    model: Annotated[str, typer.Argument(help="A checkpoint folder or a training run.")],
    output: Annotated[Path, typer.Option(help="Folder for weights, recipe and metadata.")],
) -> None:
    """Copy a checkpoint for use by others: weights as float16, no training state."""
    from vocoder.pretrained import publish as publish_checkpoint

    folder = publish_checkpoint(model, output)
    _say(Console(), f"{folder} → {output}")


@app.command()
def demo(
    output: Annotated[Path, typer.Option(help="Folder for WAVs and spectrograms.")] = Path("demo"),
    manifest: Annotated[
        Path, typer.Option(help="Utterances; those of split train are left out.")
    ] = Path("egs/tiny/manifest.jsonl"),
    model: ModelName = "default",
) -> None:
    """Real utterances through the vocoder and through Griffin-Lim, from the same mel."""
    import torch

    from vocoder.demo import run_demo
    from vocoder.pretrained import GRIFFIN_LIM, load

    torch.set_num_threads(1)
    systems = {"source_filter": load(model), GRIFFIN_LIM: load(GRIFFIN_LIM)}
    rows = run_demo(systems, manifest, output)
    # Narrow enough for 80 columns, where rich would break names in two.
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
    console.print("RTF: seconds of computing a second of audio, mel to waveform, one thread.")
    _say(console, f"Listen: {output.resolve()}")
    _say(console, f"Look:   {(output / 'spectrograms.png').resolve()}")


def _rate(text: str) -> "SampleRate":
    """The argument of --sample-rate."""
    if text == "auto":
        return "auto"
    if text == "reference":
        return "reference"
    if not text.isdecimal():
        raise VocoderError(f"--sample-rate {text}: write a rate in Hz, or auto, or reference")
    return int(text)


def _named(entries: list[str], option: str, what: str) -> dict[str, str]:
    """Arguments of the form NAME=VALUE, each name once."""
    named: dict[str, str] = {}
    for entry in entries:
        name, equals, value = entry.partition("=")
        if not (name and equals and value):
            raise VocoderError(f"{option} {entry}: write it as NAME={what}")
        if name in named:
            raise VocoderError(f"{option} {entry}: {name} stands there twice; name each one once")
        named[name] = value
    return named


def _show_architectures(as_json: bool) -> None:
    """A line for each architecture that a recipe can name, at the size of its paper."""
    import torch

    from vocoder.architectures import ARCHITECTURES
    from vocoder.evaluation.cost import macs_per_second
    from vocoder.features.mel import PRESETS

    torch.set_num_threads(1)  # small operations, many of them
    rows: list[dict[str, Any]] = []
    with _bar() as progress:
        for name, architecture in progress.track(ARCHITECTURES.items(), description="counting"):
            vocoder = architecture.build().eval().requires_grad_(False)
            rows.append(
                {
                    "model": name,
                    "parameters": vocoder.parameters_count,
                    "macs_per_second": macs_per_second(vocoder),
                    "sample_rate": PRESETS[architecture.mel].sample_rate,
                    "source": architecture.source,
                }
            )
    if as_json:
        print(json.dumps(rows))
        return
    table = Table("model.name", "parameters", "MMAC a second", "at", "source")
    for row in rows:
        table.add_row(
            row["model"],
            f"{row['parameters'] / 1e6:.2f} M",
            f"{row['macs_per_second'] / 1e6:,.0f}",
            f"{row['sample_rate'] / 1000:g} kHz",
            row["source"],
        )
    Console().print(table)


def _listing() -> str:
    from vocoder.features.mel import PRESETS
    from vocoder.pretrained import GRIFFIN_LIM, SHIPPED

    lines = ["models:"] + [f"  {name}" for name in [*SHIPPED, GRIFFIN_LIM]] + ["mel presets:"]
    lines += [
        f"  {name:16} {spec.sample_rate} Hz, {spec.n_mels} bands, hop {spec.hop_length}, "
        f"{spec.f_min:g}-{spec.f_max:g} Hz, {spec.log}, {spec.fingerprint}"
        for name, spec in PRESETS.items()
    ]
    return "\n".join(lines)


def _noise_mel(vocoder: Any, seconds: float) -> Any:
    """Mel of white noise: the cost of synthesis does not depend on what is said."""
    import torch

    samples = int(seconds * vocoder.sample_rate)
    generator = torch.Generator().manual_seed(0)
    frames = samples // vocoder.spec.hop_length
    mel = vocoder.mel(0.1 * torch.randn(1, samples, generator=generator))
    return mel[:, :, :frames]


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=error_console,
    )


def _say(console: Console, text: str) -> None:
    """Print text as it is: no markup, no colours, no line breaks of the terminal's."""
    console.print(text, markup=False, highlight=False, emoji=False, soft_wrap=True)


if __name__ == "__main__":
    app()
