"""Every preset against an independent computation of its convention."""

from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
import torch
import torchaudio
from numpy.lib.stride_tricks import sliding_window_view

from vocoder.features import PRESETS

REAL_FILES = sorted((Path(__file__).parents[2] / "egs" / "tiny").rglob("*.wav"))[:4]


def slaney_filters(sample_rate, n_fft, n_mels, f_min, f_max):
    """Triangles of equal area on the scale of Slaney's Auditory Toolbox, written out."""

    def to_mel(hz):
        return hz * 3.0 / 200.0 if hz < 1000.0 else 15.0 + 27.0 * np.log(hz / 1000.0) / np.log(6.4)

    def to_hz(mel):
        return mel * 200.0 / 3.0 if mel < 15.0 else 1000.0 * 6.4 ** ((mel - 15.0) / 27.0)

    edges = [to_hz(mel) for mel in np.linspace(to_mel(f_min), to_mel(f_max), n_mels + 2)]
    bins_hz = np.arange(n_fft // 2 + 1) * sample_rate / n_fft
    filters = np.zeros((n_mels, len(bins_hz)))
    for index in range(n_mels):
        low, peak, high = edges[index : index + 3]
        rising, falling = (bins_hz - low) / (peak - low), (high - bins_hz) / (high - peak)
        filters[index] = np.maximum(0.0, np.minimum(rising, falling)) * 2.0 / (high - low)
    return filters


def magnitudes(padded, n_fft, hop_length):
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    frames = sliding_window_view(padded, n_fft)[::hop_length] * window
    return np.abs(np.fft.rfft(frames, axis=1)).T


def hifigan(samples, sample_rate, n_mels, n_fft, f_max):
    """HiFi-GAN's mel_spectrogram (BigVGAN, Matcha-TTS and CosyVoice took it over)."""
    hop_length = n_fft // 4
    pad = int((n_fft - hop_length) / 2)
    spectrum = magnitudes(np.pad(samples, pad, mode="reflect"), n_fft, hop_length)
    spectrum = np.sqrt(spectrum**2 + 1e-9)
    mel = slaney_filters(sample_rate, n_fft, n_mels, 0.0, f_max) @ spectrum
    return np.log(np.clip(mel, 1e-5, None))


def speecht5(samples):
    """SpeechT5FeatureExtractor: frames of 64 ms every 16 ms."""
    spectrum = magnitudes(np.pad(samples, 512, mode="reflect"), 1024, 256)
    return np.log10(np.maximum(1e-10, slaney_filters(16000, 1024, 80, 80.0, 7600.0) @ spectrum))


def vocos(samples):
    """torchaudio's MelSpectrogram with its defaults, power 1."""
    transform = torchaudio.transforms.MelSpectrogram(
        sample_rate=24000,
        n_fft=1024,
        hop_length=256,
        n_mels=100,
        center=True,
        power=1,
        # A window rounded to float32 leaks 1e-4 into the quiet bins of real speech.
        window_fn=lambda length: torch.hann_window(length, dtype=torch.float64),
    ).double()
    return torch.log(torch.clip(transform(torch.from_numpy(samples)), min=1e-7)).numpy()


def librosa_mel(samples, sample_rate, n_fft, hop_length, win_length, f_min, f_max):
    spectrum = librosa.stft(
        samples, n_fft=n_fft, hop_length=hop_length, win_length=win_length, pad_mode="reflect"
    )
    filters = librosa.filters.mel(sr=sample_rate, n_fft=n_fft, n_mels=80, fmin=f_min, fmax=f_max)
    return filters @ np.abs(spectrum)


def espnet(samples, sample_rate, n_fft, hop_length, win_length, f_min):
    """ParallelWaveGAN's logmelfilterbank; r9y9's logmelspectrogram differs in fmin alone."""
    mel = librosa_mel(samples, sample_rate, n_fft, hop_length, win_length, f_min, 7600.0)
    return np.log10(np.maximum(1e-10, mel))


def coqui(samples):
    """Coqui's AudioProcessor.melspectrogram with BaseAudioConfig, step by step."""
    mel = librosa_mel(samples, 22050, 1024, 256, 1024, 0.0, None)
    decibels = 20.0 * np.log10(np.maximum(1e-8, mel)) - 20.0
    normalised = (decibels - -100.0) / 100.0
    return np.clip(2.0 * 4.0 * normalised - 4.0, -4.0, 4.0)


ORACLES = {
    "speecht5_16k": speecht5,
    "hifigan_22k": lambda x: hifigan(x, 22050, 80, 1024, 8000.0),
    "bigvgan_24k": lambda x: hifigan(x, 24000, 100, 1024, 12000.0),
    "bigvgan_22k_8k": lambda x: hifigan(x, 22050, 80, 1024, 8000.0),
    "bigvgan_22k_11k": lambda x: hifigan(x, 22050, 80, 1024, 11025.0),
    "vocos_24k": vocos,
    "espnet_24k": lambda x: espnet(x, 24000, 2048, 300, 1200, 80.0),
    "espnet_22k": lambda x: espnet(x, 22050, 1024, 256, None, 80.0),
    "cosyvoice1_22k": lambda x: hifigan(x, 22050, 80, 1024, 8000.0),
    "cosyvoice2_24k": lambda x: hifigan(x, 24000, 80, 1920, 8000.0),
    "cosyvoice3_24k": lambda x: hifigan(x, 24000, 80, 1920, 12000.0),
    "coqui_22k": coqui,
    "r9y9_22k": lambda x: espnet(x, 22050, 1024, 256, 1024, 125.0),
}


def assert_agrees(name, samples, dtype):
    mel = PRESETS[name].mel(torch.from_numpy(samples).to(dtype)[None])[0]
    assert mel.dtype == dtype
    oracle = ORACLES[name](samples)
    assert mel.shape == oracle.shape
    assert np.ptp(oracle) > 3.0  # the signal is not all floor
    np.testing.assert_allclose(mel.numpy(), oracle, rtol=0.0, atol=1e-4)


def test_every_preset_has_an_oracle():
    assert set(ORACLES) == set(PRESETS)


@pytest.mark.parametrize("name", ORACLES)
def test_preset_is_its_convention(name, speech):
    for dtype in [torch.float32, torch.float64]:
        assert_agrees(name, speech(PRESETS[name].sample_rate), dtype)


@pytest.mark.skipif(not REAL_FILES, reason="no real utterances in egs/tiny")
@pytest.mark.parametrize("name", ORACLES)
def test_preset_is_its_convention_on_real_speech(name):
    for path in REAL_FILES:
        samples, _ = soundfile.read(path, dtype="float64")
        assert_agrees(name, samples, torch.float32)


def test_silence_is_the_log_floor():
    for name in ORACLES:
        spec = PRESETS[name]
        mel = spec.mel(torch.zeros(1, spec.sample_rate // 4))
        assert isinstance(spec.log_floor, float)
        assert torch.equal(mel, torch.full_like(mel, spec.log_floor))
