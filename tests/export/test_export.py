"""Exported vocoders: the waveform of PyTorch, at any batch and length, with and without pitch."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import vocoder
from tests.models.speech import SMALL, new_model, seeded
from vocoder.data.audio import read_audio
from vocoder.errors import VocoderError
from vocoder.export.files import export_module, save_onnx, save_torch
from vocoder.export.module import StreamModule
from vocoder.features.mel import PRESETS
from vocoder.models.source_filter import SourceFilter

WAV = Path(__file__).parents[2] / "egs" / "tiny" / "wavs" / "test" / "ru_0806.wav"


def recorded_mel(model: SourceFilter, seconds: float) -> Tensor:
    start, samples = model.sample_rate // 2, int(seconds * model.sample_rate)
    return model.mel(read_audio(WAV, model.sample_rate).waveform[start : start + samples])


def noise_of(mel: Tensor, hop_length: int) -> Tensor:
    return torch.randn(mel.shape[0], mel.shape[2] * hop_length, generator=seeded())


def half_given(frames: int) -> tuple[Tensor, Tensor]:
    """F0 and voicing from outside in the second half of an utterance."""
    late = torch.arange(frames)[None] >= frames // 2
    return 150.0 * late, late.float() * 1.5 - 1


# ---- the module, before it is a file -------------------------------------------------------------


@pytest.mark.parametrize("name", ["vocos_24k", "cosyvoice2_24k", "source_filter_16k"])
@torch.inference_mode()
def test_the_exported_arithmetic_is_the_vocoder(name):
    model = vocoder.load().for_mel(name) if name in PRESETS else vocoder.load(name)
    hop = model.spec.hop_length
    mel = recorded_mel(model, 0.7)
    frames, noise = mel.shape[2], noise_of(mel, hop)
    module = export_module(model)
    nothing = torch.zeros(1, frames)
    found, f0_hz, voicing = module(mel, noise.view(1, frames, hop), nothing, nothing - 1)
    torch.testing.assert_close(
        found, model(mel, noise=noise, low_band_projection=0), atol=1e-4, rtol=0
    )
    predicted = model.predict_pitch(mel)
    torch.testing.assert_close(f0_hz, predicted.f0_hz)
    torch.testing.assert_close(voicing, predicted.voicing)
    given = (torch.full((1, frames), 140.0), torch.full((1, frames), 0.5))
    found = module(mel, noise.view(1, frames, hop), *given)[0]
    torch.testing.assert_close(
        found, model(mel, *given, noise=noise, low_band_projection=0), atol=1e-4, rtol=0
    )


@torch.inference_mode()
def test_without_projection_the_mel_is_not_met():
    model = vocoder.load()
    mel = recorded_mel(model, 0.5)
    frames, noise = mel.shape[2], noise_of(mel, 256)
    module = export_module(model, mel_projection=0)
    nothing = torch.zeros(1, frames)
    found = module(mel, noise.view(1, frames, 256), nothing, nothing - 1)[0]
    expected = model(mel, noise=noise, meets="nothing")
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    assert module.lookahead_frames == 10
    assert export_module(model).lookahead_frames == model.stream().lookahead_frames


@torch.inference_mode()
def test_the_exported_stream_is_the_vocoder_after_silence():
    model = vocoder.load()
    module = export_module(model, streaming=True)
    assert isinstance(module, StreamModule)
    mel = recorded_mel(model, 0.6)
    frames, hop, ahead = mel.shape[2], 256, module.lookahead_frames
    noise = noise_of(mel, hop)
    f0_hz, voicing = (torch.full((1, frames), value) for value in (130.0, 0.7))
    before = module.floor.expand(1, -1, module.SILENT_FRAMES)
    held = torch.zeros(1, module.SILENT_FRAMES)
    whole = module.silence(1, module.SILENT_FRAMES)[1].flatten(1)
    expected = export_module(model)(
        torch.cat([before, mel], dim=2),
        torch.cat([whole, noise], dim=1).view(1, -1, hop),
        torch.cat([held, f0_hz], dim=1),
        torch.cat([held - 1, voicing], dim=1),
    )[0][:, module.SILENT_FRAMES * hop :]
    after = module.silence(1, ahead)
    signals = [
        torch.cat([mel, after[0]], dim=2),
        torch.cat([noise.view(1, frames, hop), after[1]], dim=1),
        torch.cat([f0_hz, f0_hz[:, :1].expand(1, ahead)], dim=1),
        torch.cat([voicing, voicing[:, :1].expand(1, ahead)], dim=1),
    ]
    state, pieces = tuple(module.state.values()), []
    for start, stop in ((0, 1), (1, 3), (3, 20), (20, frames + ahead)):
        piece = [signals[0][:, :, start:stop], *(s[:, start:stop] for s in signals[1:])]
        samples, _, _, *state = module(*piece, *state)
        assert [t.shape for t in state] == [t.shape for t in module.state.values()]
        assert samples.shape == (1, (stop - start) * hop)
        pieces.append(samples)
    late = torch.cat(pieces, dim=1)[:, module.delay_samples :]
    # The projection raises rounding in bands of the mel that this F0 leaves empty.
    torch.testing.assert_close(late[:, : frames * hop], expected, atol=1e-3, rtol=0)
    assert 0 <= ahead * hop - module.delay_samples < hop


def test_what_cannot_be_exported_is_refused():
    with pytest.raises(VocoderError, match="GriffinLim cannot be exported"):
        export_module(vocoder.load("griffin_lim"))
    with pytest.raises(VocoderError, match="mel_projection is -1"):
        export_module(vocoder.load(), -1)


# ---- files ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def onnx_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("onnx", reason="in the extra export")
    pytest.importorskip("onnxscript", reason="in the extra export")
    path = tmp_path_factory.mktemp("export") / "folder" / "universal.onnx"
    save_onnx(export_module(vocoder.load()), path)
    return path


@pytest.mark.slow
@torch.inference_mode()
def test_onnx_runtime_gives_the_waveform_of_pytorch(onnx_file: Path):
    from vocoder.export.runtime import OnnxVocoder

    model, exported = vocoder.load(), OnnxVocoder(onnx_file)
    mel = recorded_mel(model, 2.0)
    for piece in (mel, mel[:, :, 30:31], torch.cat([mel[:, :, 20:70], mel[:, :, 60:110]])):
        noise = noise_of(piece, 256)
        expected = model(piece, noise=noise, low_band_projection=0)
        found = torch.from_numpy(exported(piece.numpy(), noise=noise.numpy()))
        torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)
    f0_hz, voicing = half_given(mel.shape[2])
    noise = noise_of(mel, 256)
    arguments = (mel, noise.view(1, -1, 256), f0_hz, voicing)
    expected = export_module(model)(*arguments)
    names = [each.name for each in exported.session.get_inputs()]
    inputs = {n: v.float().numpy() for n, v in zip(names, arguments, strict=True)}
    found = exported.session.run(None, inputs)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(torch.from_numpy(one), other, atol=1e-3, rtol=1e-5)
    assert (found[1][0, 100:] == 150).all()
    assert not (found[1][0, :90] == 150).any()


@pytest.mark.slow
def test_an_onnx_file_says_what_it_takes(onnx_file: Path):
    import onnx

    graph = onnx.load(onnx_file)
    held = {each.key: each.value for each in graph.metadata_props}
    assert json.loads(held["mel"]) == PRESETS["vocos_24k"].model_dump(mode="json")
    assert held["vocoder_version"] == vocoder.__version__
    lookahead = vocoder.load().stream().lookahead_frames
    assert int(held["lookahead_frames"]) == lookahead
    assert float(held["latency_seconds"]) == lookahead * 256 / 24000
    complex_types = {onnx.TensorProto.COMPLEX64, onnx.TensorProto.COMPLEX128}
    kinds = {value.type.tensor_type.elem_type for value in graph.graph.value_info}
    assert not kinds & complex_types


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked_shapes")
def test_the_runtime_needs_no_torch_and_refuses_other_mels(onnx_file: Path):
    import subprocess
    import sys

    code = (
        "import sys, numpy; from vocoder.export.runtime import OnnxVocoder; "
        f"v = OnnxVocoder({str(onnx_file)!r}); "
        "w = v(numpy.full((1, 100, 5), -3.0)); "
        "assert w.shape == (1, 5 * v.hop_length) and numpy.isfinite(w).all(); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    from vocoder.export.runtime import OnnxVocoder

    exported = OnnxVocoder(onnx_file)
    with pytest.raises(ValueError, match=r"\(batch, 100, frames\)"):
        exported(np.zeros((1, 80, 5)))
    with pytest.raises(ValueError, match="NaN"):
        exported(np.full((1, 100, 5), np.nan))
    with pytest.raises(ValueError, match="voicing is"):
        exported(np.zeros((1, 100, 5)), voicing=np.zeros(5))


@pytest.mark.slow
def test_an_onnx_stream_is_the_exported_stream(tmp_path: Path):
    pytest.importorskip("onnx", reason="in the extra export")
    from vocoder.export.runtime import OnnxStream, OnnxVocoder

    model = vocoder.load()
    path = tmp_path / "stream.onnx"
    module = export_module(model, streaming=True)
    assert isinstance(module, StreamModule)
    save_onnx(module, path)
    mel = recorded_mel(model, 0.8)
    frames, silent = mel.shape[2], module.SILENT_FRAMES
    noise = noise_of(mel, 256)
    before, hush = module.silence(1, silent)[:2]
    expected = model(
        torch.cat([before, mel], dim=2),
        noise=torch.cat([hush.flatten(1), noise], dim=1),
        low_band_projection=0,
    )[:, silent * 256 :]
    stream = OnnxStream(OnnxVocoder(path))
    for sizes in ([1] * frames, [4] * 10 + [frames - 40]):
        pieces = [
            stream.push(m.numpy(), noise=n.flatten(1).numpy())
            for m, n in zip(
                mel.split(sizes, 2), noise.view(1, -1, 256).split(sizes, 1), strict=True
            )
        ]
        found = torch.from_numpy(np.concatenate([*pieces, stream.flush()], axis=1))
        torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)


@pytest.mark.slow
@torch.no_grad()
def test_a_torch_program_gives_the_same_waveform(tmp_path: Path):
    config = SMALL.model_copy(update={"universal": True, "mel_projection": 1})
    model = new_model(PRESETS["vocos_24k"], config.model_copy(update={"mel_correction": False}))
    module, path = export_module(model.eval()), tmp_path / "small.pt2"
    save_torch(module, path)
    extra = {"metadata.json": ""}
    program = torch.export.load(path, extra_files=extra).module()
    assert json.loads(extra["metadata.json"]) == module.metadata()
    mel = recorded_mel(model, 0.5).repeat(3, 1, 1)
    pitch = half_given(mel.shape[2])
    arguments = (
        mel, noise_of(mel, 256).view(3, -1, 256), *(value.repeat(3, 1) for value in pitch)
    )  # fmt: skip
    for found, expected in zip(program(*arguments), module(*arguments), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
