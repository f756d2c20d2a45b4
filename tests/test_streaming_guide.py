"""docs/streaming.md: the code of its sections Streaming and ONNX runs."""

import re
from pathlib import Path

import pytest
import torch

import vocoder
from tests.test_readme import blocks, newcomer, run
from vocoder.data.audio import read_audio, resample, write_audio

ROOT = Path(__file__).parent.parent
GUIDE = (ROOT / "docs" / "streaming.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", GUIDE, re.DOTALL | re.MULTILINE)[1]


def run_python(text: str) -> dict:
    """Run a guide's blocks; returns their variables."""
    session: dict = {}
    for block in blocks("python", text):
        exec(compile(block, "guide", "exec"), session)
    return session


def test_the_streaming_section_speaks_and_its_numbers_hold(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(newcomer(tmp_path))
    run_python(section("Streaming"))
    spoken = read_audio("streamed.wav", 24000).waveform
    original = read_audio("egs/tiny/wavs/test/ru_0806.wav", 24000).waveform
    assert len(spoken) - len(original) in range(257)
    model = vocoder.load()
    streams = (
        model.stream(),
        model.stream(mel_projection=1),
        model.stream(meets="nothing"),
        model.stream(f0_scale=1.2),
    )
    frames = [stream.lookahead_frames for stream in streams]
    latency_ms = [round(1000 * count * 256 / 24000) for count in frames]
    pairs = [rf"{count}(\s+frames)?, {ms} ms" for count, ms in zip(frames, latency_ms, strict=True)]
    for pair in pairs:
        assert re.search(pair, GUIDE), pair
    with torch.inference_mode():
        streams[0].push(model.mel(original))
    size = sum(tensor.nbytes for tensor in streams[0].state().values())
    assert f"{size / 1000:.0f} kB" in section("Streaming")


def export_commands() -> list[str]:
    """The commands of the section on ONNX that export."""
    lines = "".join(blocks("bash", section("ONNX"))).splitlines()
    return [line for line in lines if line.startswith("vocoder export ")]


@pytest.mark.slow
@pytest.mark.xdist_group("export")
def test_the_onnx_section_runs(exported: Path, repository: Path, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for file in exported.glob("*.onnx"):
        (tmp_path / file.name).symlink_to(file)
    recording = resample(read_audio(repository / "egs/tiny/wavs/test/ru_0806.wav"), 22050)
    write_audio("recording.wav", recording.waveform, 22050)
    run_python(section("ONNX"))
    (command,) = re.findall(r"^python -m vocoder_runtime .*", section("ONNX"), re.MULTILINE)
    run(["bash", "-c", command], tmp_path)
    spoken = read_audio("speech.wav")
    assert spoken.sample_rate == 22050
    assert len(recording.waveform) - len(spoken.waveform) in range(256)
