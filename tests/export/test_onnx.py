"""ONNX files, in the runtime: the waveform of PyTorch, at any batch and length, with and without
pitch, at once and in pieces."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import vocoder
from tests.export.speech import WAV, after_silence, half_given, noise_of, recorded_mel
from tests.models.speech import SMALL, new_model
from vocoder.data.audio import read_audio
from vocoder.export.files import Precision, export_module, save_onnx, store_weights
from vocoder.features.mel import PRESETS
from vocoder.metrics.pesq import pesq_wb
from vocoder.models.source_filter import SourceFilter
from vocoder_runtime import OnnxVocoder

# One process exports, once.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("export")]

SPEC = PRESETS["hifigan_22k"]
HOP = SPEC.hop_length


@pytest.fixture(scope="module")
def model() -> SourceFilter:
    return vocoder.load().for_mel(SPEC)


@torch.inference_mode()
def test_onnx_runtime_gives_the_waveform_of_pytorch(exported: Path, model: SourceFilter):
    v = OnnxVocoder(exported / "universal.onnx")
    mel = recorded_mel(model, 2.0)
    for piece in (mel, mel[:, :, 30:31], torch.cat([mel[:, :, 20:70], mel[:, :, 60:110]])):
        noise = noise_of(piece, HOP)
        expected = model(piece, noise=noise, low_band_projection=0)
        found = torch.from_numpy(v(piece.numpy(), noise=noise.numpy()))
        torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)
    f0_hz, voicing = half_given(mel.shape[2])
    noise = noise_of(mel, HOP)
    expected = export_module(model)(mel, noise.view(1, -1, HOP), f0_hz, voicing)
    inputs = v.prepared(mel.numpy(), f0_hz.numpy(), voicing.numpy(), noise.numpy())
    found = v.session.run(None, inputs)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(torch.from_numpy(one), other, atol=1e-3, rtol=1e-5)
    middle = mel.shape[2] // 2
    assert (found[1][0, middle + 5 :] == 150).all()
    assert not (found[1][0, : middle - 5] == 150).any()
    found, predicted = v.predict_pitch(mel.numpy()), model.predict_pitch(mel)
    for one, other in zip(found, (predicted.f0_hz, predicted.voicing), strict=True):
        torch.testing.assert_close(torch.from_numpy(one), other, atol=1e-3, rtol=1e-5)


def test_an_onnx_file_says_what_it_takes(exported: Path):
    import onnx

    graph = onnx.load(exported / "universal.onnx")
    held = {each.key: each.value for each in graph.metadata_props}
    assert json.loads(held["mel"]) == SPEC.model_dump(mode="json")
    assert held["vocoder_version"] == vocoder.__version__
    lookahead = vocoder.load().for_mel(SPEC).stream().lookahead_frames
    assert int(held["lookahead_frames"]) == lookahead
    assert float(held["latency_seconds"]) == lookahead * HOP / SPEC.sample_rate
    assert held["meets"] == "mel"
    complex_types = {onnx.TensorProto.COMPLEX64, onnx.TensorProto.COMPLEX128}
    kinds = {value.type.tensor_type.elem_type for value in graph.graph.value_info}
    assert not kinds & complex_types


def test_an_onnx_stream_is_the_vocoder_after_silence(exported: Path, model: SourceFilter):
    v = OnnxVocoder(exported / "stream.onnx")
    mel = recorded_mel(model, 0.8)
    frames, noise = mel.shape[2], noise_of(mel, HOP)
    expected = after_silence(model, mel, noise, mel_projection=1)
    stream = v.stream()
    for sizes in ([1] * frames, [4] * 10 + [frames - 40]):
        pieces = [
            stream.push(m.numpy(), noise=n.flatten(1).numpy())
            for m, n in zip(
                mel.split(sizes, 2), noise.view(1, -1, HOP).split(sizes, 1), strict=True
            )
        ]
        found = torch.from_numpy(np.concatenate([*pieces, stream.flush()], axis=1))
        torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)


def test_an_onnx_stream_holds_given_pitch_at_its_end(exported: Path, model: SourceFilter):
    v = OnnxVocoder(exported / "stream.onnx")
    mel = recorded_mel(model, 0.8).numpy()
    frames, ahead = mel.shape[2], int(v.metadata["lookahead_frames"])
    silence = np.array(json.loads(v.metadata["silence"]))[None, :, None].repeat(ahead, axis=2)
    noise = np.zeros((1, ahead * HOP))
    stream, by_hand, predicted = v.stream(1), v.stream(1), v.stream(1)
    for each in (stream, by_hand, predicted):
        early = each.push(mel, np.full((1, frames), 150.0), np.full((1, frames), 0.7))
    found, owed = stream.flush(), frames * HOP - early.shape[1]
    held = np.full((1, ahead), 150.0), np.full((1, ahead), 0.7)
    expected = by_hand.push(silence, *held, noise)[:, :owed]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(found - predicted.push(silence, noise=noise)[:, :owed]).max() > 1e-3


@pytest.mark.parametrize("streaming", [False, True])
@torch.inference_mode()
def test_onnx_runtime_projects_the_low_band_as_pytorch(streaming: bool, tmp_path: Path):
    # SpeechT5's mel at 16 kHz makes eight passes of a cost of one, half of other mels': a smaller
    # graph, and one with the anchor that mels of few bands have.
    config = SMALL.model_copy(update={"mel_projection": 1, "mel_correction": streaming})
    # Weights that are rounded to float16 already are the same in a file that stores them so.
    model = new_model(PRESETS["speecht5_16k"], config).half().float().eval()
    path, hop = tmp_path / "low_band.onnx", model.spec.hop_length
    save_onnx(export_module(model, streaming=streaming, low_band_projection=1), path, "float16")
    v = OnnxVocoder(path)
    assert (v.metadata["low_band_projection"], v.metadata["precision"]) == ("1", "float16")
    mel = recorded_mel(model, 0.6)
    noise = noise_of(mel, hop)
    if not streaming:
        found = v(mel.numpy(), noise=noise.numpy())
        expected = model(mel, noise=noise, low_band_projection=1)
    else:
        stream, pieces = v.stream(), []
        for m, n in zip(mel.split(7, 2), noise.split(7 * hop, 1), strict=True):
            pieces.append(stream.push(m.numpy(), noise=n.numpy()))
        found = np.concatenate([*pieces, stream.flush()], axis=1)
        expected = after_silence(model, mel, noise, 1, low_band_projection=1)
    torch.testing.assert_close(torch.from_numpy(found), expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    ("precision", "size", "bound"), [("float16", 0.56, 1e-6), ("int8", 0.42, 0.02)]
)
@torch.inference_mode()
def test_weights_in_fewer_bytes_speak_the_same(
    exported: Path,
    model: SourceFilter,
    tmp_path: Path,
    precision: Precision,
    size: float,
    bound: float,
):
    import onnx

    full, path = exported / "universal.onnx", tmp_path / "small.onnx"
    graph = onnx.load(full)
    store_weights(graph, precision)
    onnx.checker.check_model(graph)
    learned = ("vocoder.pitch_predictor.", "vocoder.filter_network.")
    rest = {i.data_type for i in graph.graph.initializer if not i.name.startswith(learned)}
    assert rest <= {onnx.TensorProto.FLOAT, onnx.TensorProto.INT64}
    onnx.save(graph, path)
    assert path.stat().st_size < size * full.stat().st_size
    v, small = OnnxVocoder(full), OnnxVocoder(path)
    mel = recorded_mel(model, 2.0)
    noise = noise_of(mel, HOP).numpy()
    expected, found = v(mel.numpy(), noise=noise), small(mel.numpy(), noise=noise)
    assert np.abs(found - expected).max() < bound
    assert (precision == "int8") == (np.abs(found - expected).max() > 1e-4)
    # The F0 of shipped weights, which are rounded to float16 already, is not rounded further.
    for one, other in zip(
        small.predict_pitch(mel.numpy()), v.predict_pitch(mel.numpy()), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-6)
    start = model.sample_rate // 2
    recording = read_audio(WAV, model.sample_rate).waveform[start : start + found.shape[1]]
    scores = [
        pesq_wb(recording, torch.from_numpy(wave[0, : len(recording)]), model.sample_rate)
        for wave in (expected, found)
    ]
    assert scores[1] > scores[0] - 0.05
