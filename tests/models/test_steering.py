"""Another voice than the mel's: the F0, formants and breath that were asked for, and no others."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import parselmouth
import pytest
import torch
from torch import Tensor

import vocoder
from tests.models.speech import seeded
from vocoder.data.audio import read_audio
from vocoder.features.envelope import band_centres_hz, smoothing
from vocoder.models.source_filter import SourceFilter

WAV = Path(__file__).parents[2] / "egs" / "tiny" / "wavs" / "test" / "ru_0806.wav"
EVERY_MEL = pytest.mark.parametrize("preset", ["vocos_24k", "hifigan_22k", "speecht5_16k"])
EVERY_SHIFT = pytest.mark.parametrize("semitones", [-12, -4, 4, 12])


@lru_cache
def universal(preset: str) -> SourceFilter:
    return vocoder.load().for_mel(preset)


def recorded_mel(model: SourceFilter, seconds: float = 2.0) -> Tensor:
    start = int(0.5 * model.sample_rate)
    waveform = read_audio(WAV, model.sample_rate).waveform
    return model.mel(waveform[start : start + int(seconds * model.sample_rate)])


def f0_of(waveform: Tensor, sample_rate: int, scale: float) -> Tensor:
    """F0 by Praat, 0 where there is none, in windows that suit a voice and the scaled one."""
    sound = parselmouth.Sound(waveform[0].double().numpy(), sample_rate)
    pitch = sound.to_pitch_ac(0.01, 70 * min(scale, 1), pitch_ceiling=350 * max(scale, 1))
    return torch.tensor(pitch.selected_array["frequency"])


@EVERY_MEL
@EVERY_SHIFT
@torch.inference_mode()
def test_f0_moves_by_what_was_asked_for(preset, semitones):
    model, scale = universal(preset), 2 ** (semitones / 12)
    mel = recorded_mel(model)
    plain = f0_of(model(mel, generator=seeded()), model.sample_rate, scale)
    moved = f0_of(model(mel, f0_scale=scale, generator=seeded()), model.sample_rate, scale)
    frames = min(len(plain), len(moved))
    both = (plain[:frames] > 0) & (moved[:frames] > 0)
    assert both.sum() > 0.4 * frames
    cents = 1200 * torch.log2(moved[:frames][both] / plain[:frames][both]) - 100 * semitones
    assert cents.median().abs() < 15


def distance_db(model: SourceFilter, mel: Tensor, waveform: Tensor) -> float:
    """Mean distance of the envelopes, smoothed over frequency, where the mel is not silent; the
    recording ends at 8 kHz."""
    smooth, below = model.steering.over_bands, int((band_centres_hz(model.spec) < 7000).sum())

    def envelope(log_gain: Tensor) -> Tensor:
        return ((2 * log_gain).exp() @ smooth).log() / 2

    wanted = envelope(model.log_gain(mel))
    own = envelope(model.log_gain(model.mel(waveform)[:, :, : mel.shape[2]]))
    loud = wanted.mean(dim=2) > wanted.mean() - 1
    return float(8.686 * (own - wanted).abs()[loud][:, :below].mean())


@torch.inference_mode()
def test_a_scale_on_given_f0_is_that_f0_scaled_up_to_the_end():
    model = universal("vocos_24k")
    mel = recorded_mel(model, 0.5)
    predicted = model.predict_pitch(mel)
    f0_hz, voicing = predicted.f0_hz, predicted.voicing
    noise = torch.randn(1, mel.shape[2] * 256, generator=seeded())
    found = model(mel, f0_hz, voicing, f0_scale=1.2, noise=noise)
    expected = model(mel, 1.2 * f0_hz, voicing, meets="envelope", noise=noise)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


@EVERY_MEL
@pytest.mark.parametrize("semitones", [-4, 4])
@torch.inference_mode()
def test_the_envelope_stays(preset, semitones):
    model, scale = universal(preset), 2 ** (semitones / 12)
    mel = recorded_mel(model)
    distance = {
        meets: distance_db(model, mel, model(mel, f0_scale=scale, meets=meets, generator=seeded()))
        for meets in ("envelope", "nothing")
    }
    assert distance["envelope"] < 1.6
    assert distance["envelope"] < 0.2 * distance["nothing"]


@torch.inference_mode()
def test_under_its_own_f0_the_mels_envelope_is_met():
    # What is measured and corrected is then what sounds.
    model = universal("vocos_24k")
    mel = recorded_mel(model)
    distance = {
        meets: distance_db(model, mel, model(mel, meets=meets, generator=seeded()))
        for meets in ("mel", "envelope", "nothing")
    }
    assert distance["envelope"] < 0.1 * distance["nothing"]
    assert distance["mel"] < distance["envelope"] < 1.0


@torch.inference_mode()
def test_what_the_envelope_lacks_is_measured_under_the_mels_f0():
    # With a contour of its own too: where it is the predicted one, nothing else is heard.
    model = universal("vocos_24k")
    mel = recorded_mel(model, 1.0)
    noise = torch.randn(1, mel.shape[2] * 256, generator=seeded())
    predicted = model.predict_pitch(mel)
    scaled = model(mel, f0_scale=1.2, noise=noise)
    given = model(mel, 1.2 * predicted.f0_hz, meets="envelope", noise=noise)
    inside = slice(0, -16 * 256)  # at the end a given F0 is held
    torch.testing.assert_close(given[:, inside], scaled[:, inside], atol=1e-3, rtol=0)


def level_db(model: SourceFilter, waveform: Tensor) -> Tensor:
    """Mean level of the bins, (bins,), of the recording's middle."""
    spectrum = torch.stft(waveform, 1024, 256, window=torch.hann_window(1024), return_complex=True)
    return 10 * spectrum.abs().square().mean(dim=(0, 2)).clamp(min=1e-12).log10()


@pytest.mark.parametrize("formant_scale", [0.85, 1.18])
@torch.inference_mode()
def test_formants_move_by_their_factor(formant_scale):
    # The long-term spectrum, smoothed beyond its harmonics, over a logarithmic frequency axis.
    model = universal("vocos_24k")
    mel = recorded_mel(model)
    kernel = smoothing(np.linspace(0, 12000, 513), 300.0)
    octaves = torch.linspace(0, 4, 481)  # from 400 Hz
    hertz = 400 * 2**octaves

    def on_octaves(waveform: Tensor) -> Tensor:
        smooth = level_db(model, waveform) @ kernel
        return torch.tensor(np.interp(hertz, np.linspace(0, 12000, 513), smooth))

    plain = on_octaves(model(mel, meets="envelope", generator=seeded()))
    moved = on_octaves(model(mel, formant_scale=formant_scale, generator=seeded()))
    shifts = range(-60, 61)
    inside = slice(60, 400)
    distances = [
        (moved[inside] - plain[inside.start - shift : inside.stop - shift]).square().mean()
        for shift in shifts
    ]
    best = shifts[int(torch.stack(distances).argmin())] / 120
    assert 2**best == pytest.approx(formant_scale, rel=0.02)


@torch.inference_mode()
def test_breath_is_louder_by_what_was_asked_for_and_only_within_voice():
    model = universal("vocos_24k")
    mel = recorded_mel(model, 1.0)
    frames = mel.shape[2]
    f0_hz = torch.full((1, frames), 120.0)
    noise = torch.randn(1, frames * 256, generator=seeded())

    def breath(voicing: float, breath_db: float) -> Tensor:
        """What of the signal comes from the noise."""
        voiced = torch.full((1, frames), voicing)
        given = {"f0_hz": f0_hz, "voicing": voiced, "breath_db": breath_db, "meets": "nothing"}
        return model(mel, **given, noise=noise) - model(mel, **given, noise=0 * noise)

    plain, loud = breath(1.0, 0.0), breath(1.0, 6.0)
    torch.testing.assert_close(loud, plain * 10**0.3, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(breath(0.0, 6.0), breath(0.0, 0.0))


@torch.inference_mode()
def test_formants_out_of_range_are_refused():
    model = universal("vocos_24k")
    with pytest.raises(ValueError, match=r"formant_scale is 3.0: 0.5 to 2, 1 for none"):
        model.stream(formant_scale=3.0)


@torch.inference_mode()
def test_silence_stays_silent():
    model = universal("vocos_24k")
    mel = torch.full((1, 100, 60), float(torch.tensor(model.spec.log_floor)))
    assert model(mel, f0_scale=1.3, generator=seeded()).abs().max() < 1e-4
