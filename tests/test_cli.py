"""The command line: output, errors and exit status."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import yaml
from typer.testing import CliRunner

from tests.training.tiny import MANIFEST, ROOT, SMALL, TINY_RECIPE, UNINTERRUPTED, settings
from vocoder import __version__
from vocoder.cli import app
from vocoder.data.audio import read_audio, write_audio
from vocoder.features.mel import PRESETS
from vocoder.features.pitch import extract_pitch
from vocoder.training.recipe import dump_recipe, load_recipe

pytestmark = pytest.mark.slow

pytest_plugins = ["tests.training.fixtures"]

SPEECH = MANIFEST.parent / "wavs" / "test" / "ru_followme_sorry.wav"


def vocoder(*arguments: object) -> Any:
    """Run a command in this process."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def refusal(*arguments: object) -> str:
    """The one-line error of a command."""
    result = vocoder(*arguments)
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("error: ")
    return lines[0]


def speech(seconds: float = 1.0) -> np.ndarray:
    return soundfile.read(SPEECH, dtype="float32")[0][8000 : 8000 + int(seconds * 16000)]


def files(folder: Path) -> list[str]:
    """Everything in a folder, hidden or not."""
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


# -- resynth -------------------------------------------------------------------------------------


@pytest.fixture
def strange(tmp_path: Path) -> Path:
    """A folder of good and bad files."""
    folder = tmp_path / "in"
    (folder / "nested").mkdir(parents=True)
    x = speech()
    soundfile.write(folder / "good.wav", x, 16000)
    soundfile.write(folder / "nested" / "good.flac", x, 16000)
    soundfile.write(folder / "stereo.wav", np.stack([x, 0.5 * x], axis=1), 44100)
    soundfile.write(folder / "clipped.wav", np.clip(40 * x, -1, 1), 16000)
    soundfile.write(folder / "short.wav", x[:5], 16000)
    soundfile.write(folder / "silent.wav", np.zeros(8000), 16000)
    soundfile.write(folder / "nan.wav", np.full(8000, np.nan), 16000, subtype="FLOAT")
    soundfile.write(folder / "no_samples.wav", np.zeros(0), 16000)
    (folder / "empty.wav").touch()
    (folder / "text.wav").write_text("These are words.")
    (folder / "truncated.wav").write_bytes((folder / "good.wav").read_bytes()[:9000])
    (folder / "dangling.wav").symlink_to(folder / "nowhere.wav")
    (folder / "notes.txt").write_text("Not for resynthesis.")
    return folder


BAD = {
    "nan.wav": "NaN",
    "no_samples.wav": "no samples",
    "empty.wav": "empty file",
    "text.wav": "not an audio file",
    "truncated.wav": "truncated",
    "dangling.wav": "does not exist",
}
GOOD = [
    "clipped.wav",
    "good.wav",
    "nested/good.wav",
    "short.wav",
    "silent.wav",
    "stereo.wav",
]


def test_a_batch_goes_on_past_bad_files(trained_run: Path, strange: Path, tmp_path: Path):
    output = tmp_path / "out"
    result = vocoder("resynth", strange, "--output", output, "--model", trained_run)
    assert result.exit_code == 1
    assert "6 written, 6 failed" in result.stdout
    failures = [line for line in result.stderr.splitlines() if line.startswith("failed: ")]
    assert len(failures) == len(BAD)
    for name, reason in BAD.items():
        (line,) = [line for line in failures if str(strange / name) in line]
        assert reason in line
    assert files(output) == GOOD

    said = result.stderr
    assert f"{strange / 'stereo.wav'}: 2 channels averaged to one" in said
    assert f"{strange / 'stereo.wav'}: resampled from 44100 to 16000 Hz" in said
    assert f"{strange / 'clipped.wav'}: clipped (" in said
    assert f"{strange / 'silent.wav'}: silent" in said
    for name, samples in {"good.wav": 16000, "short.wav": 5, "stereo.wav": 5805}.items():
        written = soundfile.info(output / name)
        assert (written.frames, written.samplerate, written.channels) == (samples, 16000, 1)
        assert written.subtype == "PCM_16"
    assert np.abs(soundfile.read(output / "silent.wav")[0]).max() < 0.01
    assert np.abs(soundfile.read(output / "good.wav")[0]).max() > 0.05


def test_resynth_reports_in_json(trained_run: Path, strange: Path, tmp_path: Path):
    result = vocoder(
        "resynth",
        strange / "good.wav",
        strange / "text.wav",
        "--output",
        tmp_path / "out",
        "--model",
        trained_run,
        "--json",
    )
    report = json.loads(result.stdout)
    assert result.exit_code == 1
    assert report["written"] == 1
    assert list(report["failed"]) == [str(strange / "text.wav")]
    assert report["audio_s"] == 1.0
    assert report["real_time_factor"] > 0
    assert report["output"] == str(tmp_path / "out")


def test_unreadable_folders_and_missing_files_do_not_stop_the_others(
    trained_run: Path, strange: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    closed = tmp_path / "closed"
    closed.mkdir()
    listing = os.scandir

    def refuse(path: str | Path) -> object:  # root may read everything: permissions do not help
        if Path(path) == closed:
            raise PermissionError(13, "Permission denied", str(path))
        return listing(path)

    monkeypatch.setattr(os, "scandir", refuse)
    (tmp_path / "bare").mkdir()
    inputs = [closed, tmp_path / "nowhere.wav", tmp_path / "bare", strange / "good.wav"]
    result = vocoder("resynth", *inputs, "--output", tmp_path / "out", "--model", trained_run)
    assert result.exit_code == 1
    assert "1 written, 3 failed" in result.stdout
    said = result.stderr
    assert f"failed: {closed}: the folder cannot be read (Permission denied)" in said
    assert f"failed: {tmp_path / 'nowhere.wav'}: does not exist" in said
    assert f"failed: {tmp_path / 'bare'}: no audio in this folder" in said
    assert files(tmp_path / "out") == ["good.wav"]


def test_nothing_half_written_stays_when_writing_fails(
    trained_run: Path, strange: Path, tmp_path: Path
):
    out = tmp_path / "out"
    arguments = ("--output", out, "--model", trained_run)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        result = vocoder("resynth", strange / "good.wav", *arguments)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert result.exit_code == 1
    said = f"{out / 'good.wav'}: cannot be written (File too large); free space, or"
    assert f"failed: {strange / 'good.wav'}: {said}" in result.stderr
    assert files(out) == []


def test_names_with_brackets_and_spaces_are_said_as_they_are(trained_run: Path, tmp_path: Path):
    folder = tmp_path / "a [bold]b[x] :smile:"
    folder.mkdir()
    soundfile.write(folder / "[1].wav", np.zeros(4000), 16000)
    arguments = ("--output", tmp_path / "out", "--model", trained_run)
    result = vocoder("resynth", folder, *arguments)
    assert result.exit_code == 0
    assert f"{folder / '[1].wav'}: silent" in result.stderr
    assert files(tmp_path / "out") == ["[1].wav"]


def test_outputs_that_would_collide_are_refused_before_anything_is_written(
    trained_run: Path, strange: Path, tmp_path: Path
):
    output = tmp_path / "out"
    inputs = (strange / "good.wav", strange / "nested" / "good.flac")
    assert "would both become" in refusal(
        "resynth", *inputs, "--output", output, "--model", trained_run
    )
    assert not output.exists()
    before = (strange / "good.wav").read_bytes()
    assert "--output would overwrite it" in refusal(
        "resynth", strange / "good.wav", "--output", strange, "--model", trained_run
    )
    assert (strange / "good.wav").read_bytes() == before


def test_resynthesis_is_repeatable_and_its_noise_has_a_seed(trained_run: Path, tmp_path: Path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        result = vocoder(
            "resynth", SPEECH, "--output", tmp_path / name, "--model", trained_run, "--seed", seed
        )
        assert result.exit_code == 0
    one, same, other = ((tmp_path / name / SPEECH.name).read_bytes() for name in ("a", "b", "c"))
    assert one == same
    assert one != other


def test_griffin_lim_has_no_f0_to_scale(tmp_path: Path):
    arguments = ("--output", tmp_path, "--model", "griffin_lim", "--f0-scale", "1.5")
    result = vocoder("resynth", SPEECH, *arguments)
    assert result.exit_code == 1
    assert "GriffinLim takes no f0_scale; leave --f0-scale out" in result.stderr


@pytest.mark.parametrize("scale", [0.8, 1.25])
def test_f0_scale_moves_f0(tmp_path: Path, scale: float):
    """With the shipped weights, measured by Praat."""
    recording = MANIFEST.parent / "wavs" / "test" / "ru_0806.wav"
    tracks = []
    for name, factor in (("as it is", 1.0), ("scaled", scale)):
        arguments = ("--output", tmp_path / name, "--f0-scale", factor)
        assert vocoder("resynth", recording, *arguments).exit_code == 0
        waveform = read_audio(tmp_path / name / recording.name).waveform
        tracks.append(extract_pitch(waveform, 16000, 256, len(waveform) // 256, 0))
    both = (tracks[0].voicing * tracks[1].voicing) > 0
    assert both.sum() > 60
    ratio = (tracks[1].f0_hz / tracks[0].f0_hz)[both]
    assert float(ratio.median()) == pytest.approx(scale, rel=0.01)
    assert float((torch.log2(ratio / scale).abs() < 0.1).float().mean()) > 0.85


def test_world_resynthesises_from_the_waveform_itself(tmp_path: Path):
    source = tmp_path / "in" / "a.wav"
    source.parent.mkdir()
    soundfile.write(source, speech(), 16000)
    tracks = []
    for name, factor in (("as it is", 1.0), ("scaled", 1.25)):
        arguments = ("--output", tmp_path / name, "--model", "world", "--f0-scale", factor)
        assert vocoder("resynth", source, *arguments).exit_code == 0
        waveform = read_audio(tmp_path / name / "a.wav").waveform
        assert len(waveform) == 16000
        tracks.append(extract_pitch(waveform, 16000, 256, len(waveform) // 256, 0))
    original = extract_pitch(torch.from_numpy(speech()), 16000, 256, len(waveform) // 256, 0)
    for track, factor in zip(tracks, (1.0, 1.25), strict=True):
        both = (original.voicing * track.voicing) > 0
        assert both.sum() > 15
        ratio = (track.f0_hz / original.f0_hz)[both]
        assert float(ratio.median()) == pytest.approx(factor, rel=0.01)


# -- evaluate, info, bench, demo -----------------------------------------------------------------


@pytest.fixture
def two_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A reference with an utterance, and a system that has it too; a score cache of their own."""
    monkeypatch.setenv("VOCODER_CACHE", str(tmp_path / "cache"))
    reference, system = tmp_path / "reference", tmp_path / "system"
    reference.mkdir()
    system.mkdir()
    shutil.copy(SPEECH, reference / "a.wav")
    soundfile.write(system / "a.wav", 0.9 * soundfile.read(SPEECH)[0], 16000)
    return reference, system


def test_evaluate_scores_and_writes(two_folders: tuple[Path, Path], tmp_path: Path):
    reference, system = two_folders
    arguments = ("--output", tmp_path / "scores", "--metrics", "pesq, mel_distance", "--jobs", 1)
    folders = ("--reference", reference, "--system", f"ours={system}")
    result = vocoder("evaluate", *folders, *arguments, "--json")
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert summary == json.loads((tmp_path / "scores" / "summary.json").read_text())
    assert summary["systems"]["ours"]["scores"]["pesq"]["mean"] > 4.4
    assert (tmp_path / "scores" / "utterances.csv").read_text().startswith("system,utterance,")
    # As a table, with an utterance that is missing: said, and exit status 1.
    shutil.copy(SPEECH, reference / "b.wav")
    result = vocoder("evaluate", *folders, *arguments)
    assert result.exit_code == 1
    assert "| ours | 2 |" in result.stdout
    assert "ours/b: missing in this system" in result.stderr


def test_evaluate_compares_aligns_remembers_and_names_the_speakers(
    two_folders: tuple[Path, Path], tmp_path: Path
):
    reference, system = two_folders
    recorded = soundfile.read(SPEECH)[0]
    (tmp_path / "late").mkdir()
    soundfile.write(tmp_path / "late" / "a.wav", np.concatenate([np.zeros(40), recorded]), 16000)
    # Not all the same as the reference: a copy would not be compared.
    soundfile.write(tmp_path / "late" / "b.wav", 0.95 * recorded, 16000)
    for folder, level in ((reference, 1.0), (system, 0.9)):
        soundfile.write(folder / "b.wav", level * recorded, 16000)
    (tmp_path / "who.csv").write_text("utterance,speaker\na,Ann\nb,Bob\n")
    arguments = (
        "evaluate", "--reference", reference, "--system", f"quiet={system}",
        "--system", f"late={tmp_path / 'late'}", "--output", tmp_path / "scores",
        "--metrics", "mstft", "--speakers", tmp_path / "who.csv", "--jobs", 1,
    )  # fmt: skip
    result = vocoder(*arguments)
    assert result.exit_code == 0, result.output
    # Two utterances can show nothing: one sentence says so, and the pairs are in a file.
    assert "Paired comparisons (95 %" in result.stdout
    assert "n = 2: too few to show any difference (smallest possible p 0.5," in result.stdout
    assert "- quiet and late" not in result.stdout
    written = tmp_path / "scores" / "comparisons.txt"
    assert result.stdout.endswith(f"All comparisons: {written}\n")
    assert "- quiet and late: too few to show a difference on M-STFT: 0." in written.read_text()
    rows = (tmp_path / "scores" / "utterances.csv").read_text().splitlines()
    assert rows[0] == "system,utterance,speaker,duration_s,mstft,error,note"
    assert [row.split(",")[2] for row in rows[1:]] == ["Ann", "Bob", "Ann", "Bob"]
    late = next(row for row in rows if row.startswith("late,a"))
    assert late.split(",", 4)[4] == '0,,"delayed by 40 samples, aligned"'
    # Remembered by default, by content: a and b are the same to "quiet". As JSON, and without the
    # cache: the same.
    remembered = files(tmp_path / "cache" / "scores")
    assert len(remembered) == 3
    with_cache = json.loads(vocoder(*arguments, "--json").stdout)
    without = json.loads(vocoder(*arguments, "--json", "--no-cache").stdout)
    assert with_cache == without
    (comparison,) = without["comparisons"]
    assert (comparison["metric"], comparison["a"], comparison["b"]) == ("mstft", "quiet", "late")
    assert comparison["sentence"] in written.read_text()
    assert [entry["speaker"] for entry in without["speakers"]] == ["Ann", "Ann", "Bob", "Bob"]
    assert files(tmp_path / "cache" / "scores") == remembered
    # Beyond the bound: an error in the row, and exit status 1.
    result = vocoder(*arguments, "--max-delay-ms", 2)
    assert result.exit_code == 1
    assert "late/a: delayed by 40 samples (2.5 ms), allowed 2 ms" in result.stderr


def test_evaluate_takes_folders_that_are_named_cut_and_levelled_otherwise(tmp_path: Path):
    recorded = soundfile.read(SPEECH)[0]
    for name, sound in (
        ("reference/a", recorded),
        ("theirs/a_gen", np.concatenate([np.zeros(2400), 0.5 * recorded, np.zeros(9600)])),
    ):
        (tmp_path / name).parent.mkdir()
        soundfile.write(tmp_path / f"{name}.wav", sound, 16000)
    (tmp_path / "map.csv").write_text("system,file,utterance\ntheirs,a_gen,a\n")
    folders = ("--reference", tmp_path / "reference", "--system", f"theirs={tmp_path / 'theirs'}")
    arguments = (
        "evaluate", *folders, "--output", tmp_path / "scores", "--no-cache", "--jobs", 1,
        "--metrics", "mstft,level_difference", "--max-delay-ms", 200,
    )  # fmt: skip
    options = ("--max-length-difference", 0.7, "--match-level", "--sample-rate", "reference")
    for names in (("--strip-suffix", "_gen"), ("--map", tmp_path / "map.csv")):
        result = vocoder(*arguments, *options, *names)
        assert result.exit_code == 0, result.output
        assert "Scored at the rate of each recording, 16000 Hz.\n" in result.stdout
        row = (tmp_path / "scores" / "utterances.csv").read_text().splitlines()[1]
        mstft, level, rest = row.split(",", 6)[4:]
        assert float(mstft) < 0.01
        assert float(level) == pytest.approx(6.02, abs=0.01)
        assert rest == (
            ',"delayed by 2400 samples, aligned; longer than the reference by 9600 samples '
            '(600.0 ms), cropped; level -6.0 dB, matched"'
        )
    # What is allowed by default is less, and the error names the option.
    result = vocoder(*arguments, "--strip-suffix", "_gen")
    assert result.exit_code == 1
    assert "allowed 0.5 s (--max-length-difference)" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--system", "ours"), "--system ours: write it as NAME=FOLDER"),
        (("--system", "ours=/nowhere"), "/nowhere: no such folder"),
        (("--system", "ours={system}", "--metrics", "pesk"), "did you mean pesq?"),
        (("--system", "ours={system}", "--system", "ours={system}"), "ours stands there twice"),
        (("--system", "ours={system}", "--max-delay-ms", "900"), "max_delay_ms: 900 is not"),
        (("--system", "ours={system}", "--max-length-difference", "-1"), "max_length_difference:"),
        (("--system", "ours={system}", "--sample-rate", "16k"), "--sample-rate 16k: write a rate"),
        (("--system", "ours={system}", "--sample-rate", "16"), "sample_rate: 16 is neither"),
        (("--system", "ours={system}", "--strip-suffix", "_x"), "--strip-suffix '_x': no file's"),
        (("--system", "ours={system}", "--map", "/nowhere.csv"), "/nowhere.csv: cannot be"),
        (("--system", "ours={system}", "--speakers", "/nowhere.csv"), "/nowhere.csv: cannot be"),
        (("--system", "ours={system}", "--backend", "dask"), "needs --scheduler"),
    ],
)
def test_evaluate_refuses_what_it_cannot_do(
    two_folders: tuple[Path, Path], tmp_path: Path, arguments: tuple[str, ...], said: str
):
    reference, system = two_folders
    given = [argument.format(system=system) for argument in arguments]
    message = refusal("evaluate", "--reference", reference, "--output", tmp_path / "s", *given)
    assert said in message
    assert not (tmp_path / "s").exists()


def test_info_lists_what_there_is():
    listing = json.loads(vocoder("info", "--json").stdout)
    assert listing["models"] == [
        "universal",
        "nano",
        "low_latency",
        "source_filter_16k",
        "griffin_lim",
        "world",
        "lpc",
    ]
    assert len(listing["mel_presets"]["vocos_24k"]) == 12
    said = vocoder("info").stdout
    assert "source_filter_16k" in said
    assert listing["mel_presets"]["vocos_24k"] in said


def test_info_describes_a_model(trained_run: Path):
    described = json.loads(vocoder("info", trained_run, "--json").stdout)
    assert described["model"] == "SourceFilter"
    assert described["mel"]["sample_rate"] == 16000
    assert described["checkpoint"]["step"] == 30
    assert described["latency_seconds"] > 0
    assert json.loads(vocoder("info", trained_run).stdout) == described
    assert described["serves_any_mel"] is False
    assert json.loads(vocoder("info", "universal", "--json").stdout)["serves_any_mel"] is True
    assert json.loads(vocoder("info", "griffin_lim", "--json").stdout)["parameters"] == 0


@pytest.mark.parametrize("model", ["world", "lpc"])
def test_vocoders_without_a_mel_are_described_but_not_measured(model: str, tmp_path: Path):
    described = json.loads(vocoder("info", model, "--json").stdout)
    assert described["mel"] is None
    assert described["sample_rate"] == 16000
    assert f"{model}: takes a waveform, not a mel" in refusal("bench", "--model", model)
    output = ("--output", tmp_path / "out")
    assert f"{model}: takes a waveform, not a mel" in refusal("demo", "--model", model, *output)
    assert not (tmp_path / "out").exists()


def test_bench_measures(trained_run: Path):
    arguments = ("--model", trained_run, "--seconds", 1, "--repeats", 2)
    report = json.loads(vocoder("bench", *arguments, "--json").stdout)
    first = report["costs"][0]
    assert first["threads"] == 1
    assert first["audio_s"] == pytest.approx(1.0, abs=0.02)
    assert 0 < first["real_time_factor"] < 1
    assert first["macs_per_second"] > 1e5
    assert first["memory"]["peak"] > 50e6
    assert first["parameters"] > 1000


def test_universal_weights_are_resynthesised_from_the_mel_that_is_named(tmp_path: Path):
    output = ("--output", tmp_path / "out")
    assert vocoder("resynth", SPEECH, "--mel", "hifigan_22k", *output).exit_code == 0
    assert soundfile.info(tmp_path / "out" / SPEECH.name).samplerate == 22050
    said = refusal("resynth", SPEECH, "--mel", "hifigan_22", *output)
    assert "--mel hifigan_22" in said
    assert "hifigan_22k" in said
    dedicated = ("--model", "source_filter_16k", "--mel", "vocos_24k")
    assert "sample_rate: 16000 here" in refusal("resynth", SPEECH, *dedicated, *output)
    assert "takes a waveform" in refusal(
        "resynth", SPEECH, "--model", "world", *dedicated[2:], *output
    )


def test_demo_scores_and_draws(trained_run: Path, tmp_path: Path):
    shutil.copy(SPEECH, tmp_path / "one.wav")
    row = {"path": "one.wav", "speaker": "s", "split": "test", "duration_s": 3, "licence": "x"}
    (tmp_path / "m.jsonl").write_text(json.dumps(row))
    output = tmp_path / "demo"
    result = vocoder(
        "demo", "--output", output, "--manifest", tmp_path / "m.jsonl", "--model", trained_run
    )
    assert result.exit_code == 0, result.output
    assert files(output) == sorted(
        [
            "griffin_lim/one.wav",
            "recording/one.wav",
            f"{trained_run.name}/one.wav",
            "spectrograms.png",
        ]
    )
    assert str(output / "spectrograms.png") in result.stdout
    assert "griffin_lim" in result.stdout


# -- prepare, train, publish ---------------------------------------------------------------------


def test_prepare_lays_out_the_tiny_corpus(tmp_path: Path):
    source = MANIFEST.parent
    arguments = ("prepare", "tiny", "--source", source, "--output", tmp_path / "tiny")
    splits = json.loads(vocoder(*arguments, "--json").stdout)
    assert {split: row["utterances"] for split, row in splits.items()} == {
        "train": 4,
        "valid": 1,
        "test": 3,
    }
    assert "manifest.jsonl" in vocoder(*arguments).stdout
    assert (tmp_path / "tiny" / "manifest.jsonl").is_file()


def test_prepare_needs_a_source_and_a_known_corpus(tmp_path: Path):
    assert "name the folder of your local copy by --source" in refusal(
        "prepare", "ljspeech", "--output", tmp_path
    )
    result = vocoder("prepare", "timit", "--output", tmp_path)
    assert result.exit_code == 2
    assert "timit" in result.stderr


def test_train_prints_the_resolved_recipe(tmp_path: Path, fresh_accelerator: None):
    overrides = [*SMALL, "adversarial=null", "training.steps=1"]
    result = vocoder("train", TINY_RECIPE, "--output", tmp_path / "run", *settings(overrides))
    assert result.exit_code == 0, result.output
    assert dump_recipe(load_recipe(TINY_RECIPE, overrides)) in result.stdout
    assert "step 1: loss_stft" in result.stdout


def test_train_refuses_in_one_line(tmp_path: Path):
    message = refusal("train", TINY_RECIPE, "--output", tmp_path, "--set", "training.stps=5")
    assert "--set training.stps=5: unknown key training.stps; did you mean steps?" in message
    assert "no.yaml: cannot be read, it does not exist" in refusal(
        "train", tmp_path / "no.yaml", "--output", tmp_path
    )
    (tmp_path / "file").touch()
    result = vocoder("train", TINY_RECIPE, "--output", tmp_path / "file", *settings(UNINTERRUPTED))
    assert result.exit_code == 1
    message = result.stderr
    assert str(tmp_path / "file") in message
    assert "Traceback" not in message


def test_publish_copies_a_checkpoint(trained_run: Path, tmp_path: Path):
    result = vocoder("publish", trained_run, "--output", tmp_path / "p")
    assert result.exit_code == 0
    assert files(tmp_path / "p") == [
        "metadata.json",
        "model.safetensors",
        "model.yaml",
        "recipe.yaml",
    ]
    assert "step-00000030" in result.stdout


def test_convert_describes_the_models_of_older_checkpoints(trained_run: Path, tmp_path: Path):
    (checkpoint,) = (trained_run / "checkpoints").glob("step-*30")
    older = [tmp_path / "a", tmp_path / "b"]
    for folder in older:
        shutil.copytree(checkpoint, folder)
        (folder / "model.yaml").unlink()
    result = vocoder("convert", *older)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [str(folder / "model.yaml") for folder in older]
    for folder in older:
        described = json.loads(vocoder("info", folder, "--json").stdout)
        assert described == json.loads(vocoder("info", checkpoint, "--json").stdout)


def test_convert_refuses_what_is_no_checkpoint(tmp_path: Path):
    assert str(tmp_path) in refusal("convert", tmp_path)


@pytest.mark.parametrize("command", ["resynth", "bench", "info", "publish", "export"])
def test_an_unknown_model_is_one_line(command: str, tmp_path: Path):
    output = ("--output", tmp_path / "out")
    arguments = {
        "resynth": (SPEECH, "--model", "nobody", *output),
        "bench": ("--model", "nobody"),
        "info": ("nobody",),
        "publish": ("nobody", *output),
        "export": ("nobody", *output),
    }[command]
    message = refusal(command, *arguments)
    assert "nobody: neither a model's name (default, universal, nano, low_latency" in message
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_exported_is_one_line(tmp_path: Path):
    output = ("--output", tmp_path / "out.onnx")
    assert "GriffinLim cannot be exported" in refusal("export", "griffin_lim", *output)
    message = refusal("export", "source_filter_16k", "--spec", "vocos_24k", *output)
    assert "--spec vocos_24k: source_filter_16k: this vocoder serves only" in message
    message = refusal("export", "universal", "--format", "torch", "--precision", "int8", *output)
    assert "--precision int8: only with --format onnx" in message
    low_band = ("--low-band-projection", 1, "--mel-projection", 0)
    assert "without a mel projection" in refusal("export", "universal", *low_band, *output)
    assert not (tmp_path / "out.onnx").exists()


# -- as a program --------------------------------------------------------------------------------


def test_the_program_itself(tmp_path: Path):
    program = Path(sys.executable).parent / "vocoder"
    done = subprocess.run(
        [program, "resynth", SPEECH, "--output", tmp_path, "--model", "nobody"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: nobody: ")


def test_help_is_quick_and_names_every_command():
    code = (
        "import sys; from typer.testing import CliRunner; from vocoder.cli import app;"
        "print(CliRunner().invoke(app, ['--help']).output); sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    commands = (
        "prepare", "train", "resynth", "evaluate", "report", "bench", "info", "publish", "convert",
        "demo", "export", "listening-test",
    )  # fmt: skip
    for command in commands:
        assert f"│ {command} " in done.stdout


def test_an_interrupt_ends_with_one_line_and_the_same_command_goes_on(tmp_path: Path):
    """Ctrl-C between two files: what is written is whole, and the next run writes all."""
    for name in "abcdef":
        write_audio(tmp_path / "in" / f"{name}.wav", 0.1 * torch.randn(48_000), 16000)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "vocoder", "resynth", str(tmp_path / "in")]
    command += ["--output", str(out)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not list(out.glob("a.wav")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    said = process.communicate()[1]
    assert process.returncode in (130, 0)  # 0: it was faster
    if process.returncode == 130:
        assert said.strip().splitlines()[-1] == "interrupted"
        assert "Traceback" not in said
    assert all(len(read_audio(path).waveform) == 72_000 for path in out.iterdir())
    subprocess.run(command, check=True, capture_output=True)
    assert len(list(out.iterdir())) == 6


def test_a_mel_of_ones_own_comes_from_a_file(tmp_path: Path):
    fields = PRESETS["hifigan_22k"].model_dump(mode="json")
    (tmp_path / "own.yaml").write_text(yaml.safe_dump({"mel": fields}))
    for mel in ("hifigan_22k", str(tmp_path / "own.yaml")):
        output = tmp_path / f"by_{Path(mel).stem}"
        result = vocoder("resynth", SPEECH, "--output", output, "--model", "nano", "--mel", mel)
        assert result.exit_code == 0, result.output
    one, other = (next(tmp_path.glob(f"by_{name}/*.wav")) for name in ("hifigan_22k", "own"))
    assert one.read_bytes() == other.read_bytes()
    np.save(tmp_path / "m.npy", np.full((80, 30), -5.0, dtype=np.float32))
    spec = ("--spec", tmp_path / "own.yaml")
    result = vocoder("synth", tmp_path / "m.npy", *spec, "--output", tmp_path / "o")
    assert result.exit_code == 0, result.output
    assert soundfile.info(tmp_path / "o" / "m.wav").samplerate == 22050
    (tmp_path / "bad.yaml").write_text(yaml.safe_dump(fields | {"hop_lenght": 256}))
    message = refusal("synth", tmp_path / "m.npy", "--spec", tmp_path / "bad.yaml", "--output", "o")
    assert "bad.yaml: hop_lenght: " in message
    message = refusal("synth", tmp_path / "m.npy", "--spec", tmp_path / "no.yaml", "--output", "o")
    assert "no.yaml: " in message


def test_the_version_is_that_of_the_package():
    result = vocoder("--version")
    assert result.exit_code == 0
    assert result.stdout == f"{__version__}\n"
