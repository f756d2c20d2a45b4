"""The inverse short-time Fourier transform against torch's and a loop, both in float64."""

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from vocoder.dsp.analysis.inverse_stft import check_overlap, inverse_stft, reach

SIZES = pytest.mark.parametrize(
    ("n_fft", "hop"), [(16, 4), (1024, 256), (1024, 300), (64, 20)], ids=str
)
BOTH = pytest.mark.parametrize("padding", ["center", "same"])


def random_spectrum(frames: int, n_fft: int, batch: int = 2) -> torch.Tensor:
    """Any complex numbers: no signal has exactly these frames."""
    generator = torch.Generator().manual_seed(0)
    parts = torch.randn(batch, frames, n_fft // 2 + 1, 2, generator=generator, dtype=torch.float64)
    return torch.view_as_complex(parts)


@SIZES
def test_centred_frames_are_inverted_as_by_torch(n_fft, hop):
    for frames in [1, 2, 9]:
        spectrum = random_spectrum(frames, n_fft)
        window = torch.hann_window(n_fft, dtype=torch.float64)
        expected = torch.istft(spectrum.mT, n_fft, hop, window=window, length=frames * hop)
        found = inverse_stft(spectrum, hop, "center")
        torch.testing.assert_close(found, expected, atol=1e-12, rtol=1e-10)


def by_loop(spectrum: np.ndarray, n_fft: int, hop: int, lead: int) -> np.ndarray:
    """Least squares, one sample at a time, of one utterance."""
    window = np.sin(np.pi * np.arange(n_fft) / n_fft) ** 2
    frames = [np.fft.irfft(row, n_fft) for row in spectrum]
    samples = []
    for n in range(len(frames) * hop):
        places = [(t, n + lead - t * hop) for t in range(len(frames))]
        inside = [(t, k) for t, k in places if 0 <= k < n_fft]
        weight = sum(window[k] ** 2 for _, k in inside)
        samples.append(sum(window[k] * frames[t][k] for t, k in inside) / weight)
    return np.array(samples)


@pytest.mark.parametrize(("n_fft", "hop"), [(16, 4), (64, 20)], ids=str)
@BOTH
def test_least_squares(n_fft, hop, padding):
    spectrum = random_spectrum(7, n_fft)
    lead = n_fft // 2 if padding == "center" else (n_fft - hop) // 2
    found = inverse_stft(spectrum, hop, padding)
    for row, frames in zip(found.numpy(), spectrum.numpy(), strict=True):
        np.testing.assert_allclose(row, by_loop(frames, n_fft, hop, lead), atol=1e-12)


@SIZES
@BOTH
def test_a_signals_own_frames_give_it_back(n_fft, hop, padding):
    signal = torch.randn(2, 20 * hop, generator=torch.Generator().manual_seed(1)).double()
    lead = n_fft // 2 if padding == "center" else (n_fft - hop) // 2
    padded = torch.nn.functional.pad(signal, (lead, n_fft))
    window = torch.hann_window(n_fft, dtype=torch.float64)
    frames = torch.stft(padded, n_fft, hop, window=window, center=False, return_complex=True)
    found = inverse_stft(frames.mT[:, :20], hop, padding)
    torch.testing.assert_close(found, signal, atol=1e-10, rtol=0)


@pytest.mark.parametrize(("n_fft", "hop"), [(16, 4), (31, 10), (64, 20), (16, 16)], ids=str)
def test_the_span_of_all_frames_with_another_window(n_fft, hop):
    window = torch.nn.functional.pad(torch.hann_window(n_fft - 4).double(), (2, 2))
    spectrum = random_spectrum(5, n_fft)
    found = inverse_stft(spectrum, hop, None, window)
    length = 4 * hop + n_fft
    assert found.shape == (2, length + -n_fft % hop)
    for row, frames in zip(found.numpy(), spectrum.numpy(), strict=True):
        total, weight = np.zeros(length), np.zeros(length)
        for t, frame in enumerate(frames):
            total[t * hop : t * hop + n_fft] += window.numpy() * np.fft.irfft(frame, n_fft)
            weight[t * hop : t * hop + n_fft] += window.numpy() ** 2
        expected = np.where(weight > 0, total / np.maximum(weight, 1e-8), 0)
        np.testing.assert_allclose(row[:length], expected, atol=1e-12)
        assert (row[length:] == 0).all()


@BOTH
def test_gradients(padding):
    spectrum = random_spectrum(4, 12, batch=1).requires_grad_()
    assert gradcheck(lambda x: inverse_stft(x, 4, padding), spectrum)


@SIZES
@BOTH
def test_reach_is_where_the_gradients_are(n_fft, hop, padding):
    for frame, offset in ((10, 0), (10, hop // 2), (12, hop - 1)):
        spectrum = random_spectrum(24, n_fft, batch=1).requires_grad_()
        sample = frame * hop + offset
        inverse_stft(spectrum, hop, padding)[0, sample].backward()
        seen = (spectrum.grad[0].abs() > 0).any(dim=1).nonzero()[:, 0]
        first, last = reach(sample, sample, n_fft, hop, padding)
        # The window begins at zero: what its first sample covers it does not move.
        assert int(seen.min()) == first
        assert int(seen.max()) in (last, last - 1)
        assert int(seen.max()) == last or (sample + _lead(n_fft, hop, padding)) % hop == 0


def _lead(n_fft: int, hop: int, padding: str) -> int:
    return n_fft // 2 if padding == "center" else (n_fft - hop) // 2


def test_no_sample_is_divided_by_almost_nothing():
    # At the least overlap that is allowed, a spectrum of size one gives samples of a few units.
    for n_fft, hop, padding in ((32, 16, "same"), (48, 16, "center")):
        ones = torch.ones(1, 5, n_fft // 2 + 1, dtype=torch.complex128)
        assert inverse_stft(ones, hop, padding).abs().max() < 5


@pytest.mark.parametrize(
    ("n_fft", "hop", "padding", "message"),
    [
        (30, 16, "same", "at least 32"),
        (46, 16, "center", "at least 48"),
        (34, 15, "same", "no middle"),
    ],
)
def test_windows_that_cover_too_little_are_refused(n_fft, hop, padding, message):
    with pytest.raises(ValueError, match=message):
        check_overlap(n_fft, hop, padding)
    with pytest.raises(ValueError, match=message):
        inverse_stft(torch.ones(1, 3, n_fft // 2 + 1, dtype=torch.complex64), hop, padding)
