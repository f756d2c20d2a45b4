"""Commands that describe, measure and show a model: `info`, `bench`, `demo`."""

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.tools import SPEECH, files, refusal, vocoder
from vocoder.models import registry

pytestmark = pytest.mark.slow

pytest_plugins = ["tests.training.fixtures"]


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


def test_info_lists_the_architectures_at_once_and_their_costs_if_asked(
    monkeypatch: pytest.MonkeyPatch,
):
    rows = {row["model"]: row for row in json.loads(vocoder("info", "--models", "--json").stdout)}
    assert list(rows) == list(registry.MODELS)
    assert rows["hifigan"]["parameters"] == pytest.approx(13.94e6, rel=1e-3)
    assert rows["vocos"] | {"parameters": 0} == {
        "model": "vocos", "parameters": 0, "sample_rate": 24000, "source": "arXiv 2306.00814",
    }  # fmt: skip
    monkeypatch.setattr(registry, "MODELS", {"vocos": registry.MODELS["vocos"]})
    (row,) = json.loads(vocoder("info", "--models", "--costs", "--json").stdout)
    # Nearly every weight is multiplied once a frame.
    assert row["macs_per_second"] == pytest.approx(row["parameters"] * 24000 / 256, rel=0.01)
    assert "1,266" in vocoder("info", "--models", "--costs").stdout
    assert "--costs: only with --models" in refusal("info", "--costs")


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
