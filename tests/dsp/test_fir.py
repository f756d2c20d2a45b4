"""FIR filters: the specified response, and convolution by its definition."""

import numpy as np
import pytest
import torch
from scipy.signal import freqz, welch
from torch.autograd import gradcheck, gradgradcheck

from tests.oracles import dsp as oracle
from tests.oracles import fir as fir_oracle
from vocoder.dsp.filters import fir
from vocoder.dsp.filters.fir import (
    fast_length,
    filter_frames,
    filter_frames_causal,
    filter_interpolated,
    filter_samples,
    frequency_sampled_fir,
    sinc_high_pass,
    sinc_low_pass,
)

CUTOFFS = [0.1, 0.3, 0.5, 0.7, 0.9]


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def response(taps: torch.Tensor, bins: int) -> np.ndarray:
    """Response about the middle tap at ``bins`` frequencies from 0 to Nyquist."""
    omega, values = freqz(taps.numpy(), worN=np.linspace(0, np.pi, bins))
    return values * np.exp(1j * omega * (len(taps) // 2))


def test_the_response_is_the_wanted_one_smoothed_by_the_window():
    wanted = random(65).abs()
    found = response(frequency_sampled_fir(wanted), 65)
    mirrored = np.concatenate([wanted[1:2], wanted, wanted[-2:-1]])
    expected = 0.25 * mirrored[:-2] + 0.5 * mirrored[1:-1] + 0.25 * mirrored[2:]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_noise_through_the_filter_has_the_wanted_spectrum():
    bins = torch.arange(65, dtype=torch.float64)
    wanted = torch.exp(-3 * bins / 64) * (1 + 0.5 * torch.cos(bins / 6))
    noise = random(1, 64 * 4000)
    taps = frequency_sampled_fir(wanted).expand(1, 4000, -1)
    _, power = welch(filter_frames(noise, taps)[0].numpy(), 2.0, nperseg=128)
    # Each estimate is the mean of some thousands.
    inner = slice(2, 63)
    np.testing.assert_allclose(np.sqrt(power)[inner], wanted[inner], rtol=0.08)


def test_a_flat_response_changes_nothing():
    signal = random(2, 960)
    flat = frequency_sampled_fir(torch.ones(2, 15, 33, dtype=torch.float64))
    torch.testing.assert_close(filter_frames(signal, flat), signal)


@pytest.mark.parametrize("n_taps", [1, 2, 8, 31, 64])
def test_frames_are_filtered_by_their_own_taps(n_taps):
    signal, taps = random(2, 120), random(2, 6, n_taps, seed=1)
    found = filter_frames(signal, taps)
    for row in range(2):
        expected = oracle.filter_frames(signal[row].numpy(), taps[row].numpy())
        np.testing.assert_allclose(found[row], expected, atol=1e-12)


def test_samples_are_filtered_by_their_own_taps():
    signal, taps = random(2, 40), random(2, 40, 7, seed=1)
    found = filter_samples(signal, taps)
    for row in range(2):
        expected = oracle.filter_samples(signal[row].numpy(), taps[row].numpy())
        np.testing.assert_allclose(found[row], expected, atol=1e-12)


@pytest.mark.parametrize("n_taps", [1, 2, 8, 31, 64])
def test_causal_frames_begin_with_the_first_tap(n_taps):
    signal, taps = random(2, 120), random(2, 6, n_taps, seed=1)
    found, ringing = filter_frames_causal(signal, taps)
    for row in range(2):
        expected = fir_oracle.filter_frames_causal(signal[row].numpy(), taps[row].numpy())
        np.testing.assert_allclose(torch.cat([found, ringing], 1)[row], expected, atol=1e-12)


@pytest.mark.parametrize("n_taps", [1, 8, 64, 101])
def test_pieces_are_the_whole(n_taps):
    for cut in [1, 2, 5]:
        signal, taps = random(2, 120), random(2, 6, n_taps, seed=1)
        whole, end = filter_frames_causal(signal, taps)
        first, state = filter_frames_causal(signal[:, : 20 * cut], taps[:, :cut])
        second, last = filter_frames_causal(signal[:, 20 * cut :], taps[:, cut:], state)
        torch.testing.assert_close(torch.cat([first, second], dim=1), whole)
        torch.testing.assert_close(last, end)
        # The output of `filter_frames`, delayed by half the taps.
        late = torch.cat([whole, end], dim=1)[:, n_taps // 2 :]
        shown = min(late.shape[1], 120)
        torch.testing.assert_close(filter_frames(signal, taps)[:, :shown], late[:, :shown])


def test_a_long_batch_is_filtered_in_blocks(monkeypatch: pytest.MonkeyPatch):
    signal, taps = random(5, 120), random(5, 6, 31, seed=1)
    whole = filter_frames(signal, taps)
    monkeypatch.setattr(fir, "_BLOCK_ELEMENTS", 1000)
    assert torch.equal(filter_frames(signal, taps), whole)


def test_fast_lengths_hold_what_they_must():
    for length in range(1, 600):
        found = fast_length(length)
        assert length <= found < max(2 * length, 2)
        assert found % 2 == 0 or found == 1


@pytest.mark.parametrize("n_taps", [1, 2, 8, 31, 64])
def test_interpolated_filters_are_those_of_each_sample(n_taps):
    signal, taps = random(2, 120), random(2, 6, n_taps, seed=1)
    found = filter_interpolated(signal, taps)
    for row in range(2):
        each = fir_oracle.interpolated_taps(taps[row].numpy(), 20)
        expected = oracle.filter_samples(signal[row].numpy(), each)
        np.testing.assert_allclose(found[row], expected, atol=1e-12)
        by_samples = filter_samples(signal[row : row + 1], torch.from_numpy(each)[None])
        torch.testing.assert_close(found[row : row + 1], by_samples)


def test_one_frame_is_one_filter():
    signal, taps = random(1, 50), random(1, 1, 9, seed=1)
    expected = np.convolve(signal[0], taps[0, 0], mode="same")[None]
    np.testing.assert_allclose(filter_frames(signal, taps), expected, atol=1e-12)
    np.testing.assert_allclose(filter_interpolated(signal, taps), expected, atol=1e-12)


def test_steps_approach_the_interpolated_filter_as_frames_shorten():
    # The steps are up to a hop late: the error falls in proportion to the hop.
    signal = random(1, 6400)
    moving = torch.sin(torch.arange(6400) / 800)[None, :, None] * random(1, 1, 3, seed=1)
    errors = []
    for hop in (160, 40, 10):
        taps = moving[:, ::hop]
        exact = filter_interpolated(signal, taps)
        errors.append(float((filter_frames(signal, taps) - exact).norm() / exact.norm()))
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.2)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.2)
    assert errors[0] < 0.15


def test_constant_taps_are_the_same_filter_both_ways():
    signal, taps = random(1, 200), random(31, seed=1)
    by_frame = filter_frames(signal, taps.expand(1, 10, -1))
    by_sample = filter_samples(signal, taps.expand(1, 200, -1))
    torch.testing.assert_close(by_frame, by_sample)
    np.testing.assert_allclose(by_frame[0], np.convolve(signal[0], taps, mode="same"), atol=1e-12)


@pytest.mark.parametrize("cutoff", CUTOFFS)
def test_sinc_filters_pass_one_side_and_stop_the_other(cutoff):
    tensor = torch.tensor(cutoff, dtype=torch.float64)
    low, high = (response(f(tensor, 101), 1001) for f in (sinc_low_pass, sinc_high_pass))
    # Phase is zero: the taps are symmetric.
    assert np.abs(np.stack([low, high]).imag).max() < 1e-12
    frequency = np.linspace(0, 1, 1001)
    below, above = frequency < cutoff - 0.04, frequency > cutoff + 0.04
    np.testing.assert_allclose(low.real[below], 1, atol=0.01)
    np.testing.assert_allclose(high.real[above], 1, atol=0.01)
    assert np.abs(low[above]).max() < 0.01
    assert np.abs(high[below]).max() < 0.01
    assert low.real[0] == pytest.approx(1, abs=1e-12)
    assert high.real[-1] == pytest.approx(1, abs=1e-12)
    at_cutoff = round(1000 * cutoff)
    assert low.real[at_cutoff] == pytest.approx(0.5, abs=0.01)
    assert high.real[at_cutoff] == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("cutoff", CUTOFFS)
def test_low_and_high_pass_together_pass_everything(cutoff):
    # But for the scaling to one at 0 Hz and Nyquist, in the sum a unit pulse without delay.
    tensor = torch.tensor(cutoff, dtype=torch.float64)
    both = sinc_low_pass(tensor, 31) + sinc_high_pass(tensor, 31)
    np.testing.assert_allclose(response(both, 501), 1, atol=0.014)


def test_a_cutoff_that_moves_has_the_taps_of_each_moment():
    cutoff = torch.linspace(0.2, 0.8, 50, dtype=torch.float64)
    moving = sinc_low_pass(cutoff[None], 31)
    for n in (0, 20, 49):
        torch.testing.assert_close(moving[0, n], sinc_low_pass(cutoff[n], 31))


def test_gradients():
    magnitudes = random(2, 3, 5).abs().requires_grad_()
    signal = random(2, 12, seed=1).requires_grad_()
    cutoff = torch.rand(2, 12, dtype=torch.float64).mul(0.8).add(0.1).requires_grad_()
    assert gradcheck(lambda s, m: filter_frames(s, frequency_sampled_fir(m)), (signal, magnitudes))
    assert gradcheck(lambda s, c: filter_samples(s, sinc_low_pass(c, 5)), (signal, cutoff))
    taps, state = random(2, 3, 4, seed=2).requires_grad_(), random(2, 3, seed=3).requires_grad_()
    assert gradcheck(filter_interpolated, (signal, taps))
    assert gradcheck(filter_frames_causal, (signal, taps, state))
    assert gradgradcheck(filter_interpolated, (signal, taps))
    assert gradgradcheck(filter_frames_causal, (signal, taps, state))
    assert gradcheck(lambda s, c: filter_samples(s, sinc_high_pass(c, 5)), (signal, cutoff))


def test_dtypes_agree():
    signal, magnitudes = random(1, 640), random(1, 10, 33, seed=1).abs()
    cutoff = torch.linspace(0.1, 0.9, 640, dtype=torch.float64)[None]
    for exact, single in (
        (
            filter_frames(signal, frequency_sampled_fir(magnitudes)),
            filter_frames(signal.float(), frequency_sampled_fir(magnitudes.float())),
        ),
        (
            filter_interpolated(signal, frequency_sampled_fir(magnitudes)),
            filter_interpolated(signal.float(), frequency_sampled_fir(magnitudes.float())),
        ),
        (
            filter_samples(signal, sinc_low_pass(cutoff, 31)),
            filter_samples(signal.float(), sinc_low_pass(cutoff.float(), 31)),
        ),
    ):
        assert single.dtype == torch.float32
        torch.testing.assert_close(single.double(), exact, atol=2e-5, rtol=0)


def test_misfits_are_refused():
    with pytest.raises(ValueError, match="100 samples cannot be shared out to 3 filters"):
        filter_frames(torch.zeros(1, 100), torch.zeros(1, 3, 4))
    with pytest.raises(ValueError, match="100 samples cannot be shared out to 3 filters"):
        filter_interpolated(torch.zeros(1, 100), torch.zeros(1, 3, 4))
    with pytest.raises(ValueError, match="state of 2 samples for 4 taps: it must have 3"):
        filter_frames_causal(torch.zeros(1, 99), torch.zeros(1, 3, 4), torch.zeros(1, 2))
    with pytest.raises(ValueError, match="30 taps have no middle one: choose an odd number"):
        sinc_low_pass(torch.tensor(0.5), 30)
