"""The mel filters against librosa's, and the properties of triangles."""

import librosa
import numpy as np
import pytest

from vocoder.features.filterbank import hz_to_mel, mel_filters, mel_to_hz
from vocoder.features.mel import PRESETS


@pytest.mark.parametrize("name", PRESETS)
def test_filters_are_those_of_librosa_to_the_last_bit(name: str):
    """Shipped weights require bit-exact filters."""
    spec = PRESETS[name]
    norm = "slaney" if spec.mel_norm == "slaney" else None
    expected = librosa.filters.mel(
        sr=spec.sample_rate, n_fft=spec.n_fft, n_mels=spec.n_mels, fmin=spec.f_min,
        fmax=spec.f_max, htk=spec.mel_scale == "htk", norm=norm, dtype=np.float64,
    )  # fmt: skip
    found = mel_filters(
        spec.sample_rate, spec.n_fft, spec.n_mels, spec.f_min, spec.f_max, spec.mel_scale,
        norm is not None,
    )  # fmt: skip
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("scale", ["slaney", "htk"])
def test_scales_are_inverted_and_grow(scale):
    hz = np.linspace(0, 24000, 4001)
    mel = hz_to_mel(hz, scale)
    assert (np.diff(mel) > 0).all()
    assert np.allclose(mel_to_hz(mel, scale), hz, rtol=1e-12, atol=1e-9)
    assert hz_to_mel(np.array(1000.0), scale) == pytest.approx(
        {"slaney": 15, "htk": 999.9855}[scale]
    )


def test_triangles_add_up_to_one_between_the_first_and_the_last_peak():
    filters = mel_filters(16000, 4096, 40, 80.0, 7600.0, "htk", area_normalised=False)
    hz = np.fft.rfftfreq(4096, 1 / 16000)
    edges = mel_to_hz(np.linspace(*hz_to_mel(np.array([80.0, 7600.0]), "htk"), 42), "htk")
    inside = (hz >= edges[1]) & (hz <= edges[-2])
    assert np.allclose(filters[:, inside].sum(0), 1.0)
    assert (filters[:, (hz <= 80) | (hz >= 7600)] == 0).all()
