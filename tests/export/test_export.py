"""The module that is exported, and its file for torch: the waveform of the vocoder; ONNX files have
tests of their own."""

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch

import vocoder
from tests.export.speech import half_given, noise_of, recorded_mel
from tests.models.speech import ODD_HOP, SMALL, new_model
from vocoder.errors import VocoderError
from vocoder.export.files import export_module, save_torch
from vocoder.export.module import StreamModule
from vocoder.features.mel import PRESETS

# ---- the module, before it is a file -------------------------------------------------------------


@pytest.mark.parametrize("name", ["vocos_24k", "cosyvoice2_24k", "source_filter_16k", "odd hop"])
@torch.inference_mode()
def test_the_exported_arithmetic_is_the_vocoder(name):
    specs = {**PRESETS, "odd hop": ODD_HOP}
    model = vocoder.load().for_mel(specs[name]) if name in specs else vocoder.load(name)
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


@pytest.mark.parametrize("cost", [1, 4])
@torch.inference_mode()
def test_the_low_band_can_be_projected_too(cost: int):
    model = vocoder.load()
    mel = recorded_mel(model, 0.7)
    frames, noise = mel.shape[2], noise_of(mel, 256)
    module = export_module(model, low_band_projection=cost)
    nothing = torch.zeros(1, frames)
    found = module(mel, noise.view(1, frames, 256), nothing, nothing - 1)[0]
    expected = model(mel, noise=noise, low_band_projection=cost)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    assert (expected - model(mel, noise=noise, low_band_projection=0)).abs().max() > 0.01
    assert module.lookahead_frames == model.stream(low_band_projection=cost).lookahead_frames
    assert module.metadata()["low_band_projection"] == cost


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


@pytest.mark.parametrize("change", [{}, {"formant_scale": 1.1, "breath_db": 6.0}])
@torch.inference_mode()
def test_another_voice_in_the_exported_arithmetic(change: dict[str, float]):
    model = vocoder.load()
    mel = recorded_mel(model, 0.5)
    frames, noise = mel.shape[2], noise_of(mel, 256)
    module = export_module(model, meets="envelope", **change)
    predicted = model.predict_pitch(mel)
    f0_hz, voicing = predicted.f0_hz, predicted.voicing
    found = module(mel, noise.view(1, frames, 256), 1.2 * f0_hz, voicing)[0]
    expected = model(mel, f0_hz, voicing, f0_scale=1.2, noise=noise, **change)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    if change:
        same_filters = model(mel, f0_hz, voicing, f0_scale=1.2, noise=noise)
        assert (expected - same_filters).abs().max() > 0.01
    assert module.lookahead_frames == model.stream(f0_scale=1.2).lookahead_frames
    stream = export_module(model, True, "envelope", **change)
    metadata = {"meets": "envelope", "formant_scale": 1.0, "breath_db": 0.0} | change
    assert metadata.items() <= stream.metadata().items()


@pytest.mark.parametrize("low_band", [0, 1])
@torch.inference_mode()
def test_the_exported_stream_is_the_vocoder_after_silence(low_band: int):
    model = vocoder.load()
    module = export_module(model, streaming=True, low_band_projection=low_band)
    assert isinstance(module, StreamModule)
    mel = recorded_mel(model, 0.6)
    frames, hop, ahead = mel.shape[2], 256, module.lookahead_frames
    noise = noise_of(mel, hop)
    f0_hz, voicing = (torch.full((1, frames), value) for value in (130.0, 0.7))
    before = module.floor.expand(1, -1, module.silent_frames)
    held = torch.zeros(1, module.silent_frames)
    whole = module.silence(1, module.silent_frames)[1].flatten(1)
    expected = export_module(model, low_band_projection=low_band)(
        torch.cat([before, mel], dim=2),
        torch.cat([whole, noise], dim=1).view(1, -1, hop),
        torch.cat([held, f0_hz], dim=1),
        torch.cat([held - 1, voicing], dim=1),
    )[0][:, module.silent_frames * hop :]
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
    with pytest.raises(ValueError, match="mel_projection is -1"):
        export_module(vocoder.load(), mel_projection=-1)
    with pytest.raises(ValueError, match="low_band_projection is -1"):
        export_module(vocoder.load(), low_band_projection=-1)
    for options in ({"mel_projection": 0}, {"meets": "envelope"}):
        with pytest.raises(VocoderError, match="low_band_projection is 1, without"):
            export_module(vocoder.load(), low_band_projection=1, **options)


def test_another_voice_meets_the_envelope_unless_told_otherwise():
    for options in ({"formant_scale": 1.1}, {"breath_db": 3.0}):
        assert export_module(vocoder.load(), **options).options.meets == "envelope"
    # The mel correction of a model that has one is no projection: it stays.
    module = export_module(vocoder.load("source_filter_16k"), mel_projection=0)
    assert module.options.meets == "mel"


# ---- a file for torch ---------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [{}, {"meets": "envelope", "formant_scale": 1.1, "breath_db": 6.0}]
)
@torch.no_grad()
def test_a_torch_program_gives_the_same_waveform_and_state(options: dict, tmp_path: Path):
    config = SMALL.model_copy(update={"universal": True, "mel_projection": 1})
    model = new_model(PRESETS["vocos_24k"], config.model_copy(update={"mel_correction": False}))
    module = export_module(model.eval(), streaming=True, **options)
    path = tmp_path / "small.pt2"
    assert isinstance(module, StreamModule)
    save_torch(module, path)
    extra = {"metadata.json": ""}
    program = torch.export.load(path, extra_files=extra).module()
    metadata = json.loads(extra["metadata.json"])
    assert metadata == module.metadata()
    with np.load(io.BytesIO(base64.b64decode(metadata["state"]))) as packed:
        assert packed.files == list(module.state)
        state = [torch.from_numpy(packed[name]) for name in packed.files]
    mel = recorded_mel(model, 0.5)
    frames, pitch = mel.shape[2], half_given(mel.shape[2])
    arguments = (mel, noise_of(mel, 256).view(1, frames, 256), *pitch, *state)
    for found, expected in zip(program(*arguments), module(*arguments), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
