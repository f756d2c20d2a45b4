"""Free sinusoids against a loop over samples, the harmonic bank, and silence above Nyquist."""

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from tests.oracles import dsp as dsp_oracle
from tests.oracles import sources as oracle
from vocoder.dsp.framing import interpolate_linear
from vocoder.dsp.sources import sinusoids as module
from vocoder.dsp.sources.oscillators import boundary_phase, harmonic_bank, sample_phase
from vocoder.dsp.sources.sinusoids import sinusoids

RATE = 16000


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(*shape, generator=generator, dtype=torch.float64)


def tracks(boundaries: int, count: int, top_hz: float = 8500.0) -> tuple[torch.Tensor, ...]:
    return random(2, boundaries, count), top_hz * random(2, boundaries, count, seed=1)


@pytest.mark.parametrize(("frames", "hop"), [(1, 1), (1, 64), (7, 30), (30, 7)])
def test_it_is_the_sum_of_its_oscillators(frames, hop):
    amplitudes, frequencies = tracks(frames + 1, 5)
    start = random(2, 5, seed=2) - 0.5
    found, end = sinusoids(amplitudes, frequencies, RATE, hop, start)
    assert found.shape == (2, frames * hop)
    for row in range(2):
        controls = (amplitudes[row].numpy(), frequencies[row].numpy())
        expected = oracle.sinusoids(*controls, RATE, hop, start[row].numpy())
        np.testing.assert_allclose(found[row], expected, atol=1e-10)
        for i in range(5):
            track = frequencies[row, :, i].numpy()
            cycles = np.trapezoid(track, dx=hop / RATE) + float(start[row, i])
            assert dsp_oracle.circular_distance(end[row, i], cycles) < 1e-10


def test_multiples_of_one_frequency_are_the_harmonic_bank():
    f0 = 80 + 200 * random(2, 9)
    order = torch.arange(1, 15, dtype=torch.float64)
    amplitudes = random(2, 9, 14, seed=3)
    found, _ = sinusoids(amplitudes, f0[..., None] * order, RATE, 100)
    phase = sample_phase(boundary_phase(f0, RATE, 100), f0, RATE, 100)
    expected = harmonic_bank(phase, interpolate_linear(f0, 100), amplitudes, RATE)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("cut", [1, 4, 8])
def test_pieces_are_the_whole(dtype, cut):
    amplitudes, frequencies = (x.to(dtype) for x in tracks(10, 6))
    whole, end = sinusoids(amplitudes, frequencies, RATE, 160)
    head, phase = sinusoids(amplitudes[:, : cut + 1], frequencies[:, : cut + 1], RATE, 160)
    assert phase.dtype == torch.float64
    tail, last = sinusoids(amplitudes[:, cut:], frequencies[:, cut:], RATE, 160, phase)
    pieces = torch.cat([head, tail], dim=1)
    torch.testing.assert_close(pieces, whole, atol=5e-5 if dtype == torch.float32 else 1e-9, rtol=0)
    assert dsp_oracle.circular_distance(last, end) < 1e-9


@pytest.mark.parametrize("share", [0.5, 0.85, 0.8875, 0.925, 1.0, 1.5])
def test_amplitude_fades_below_nyquist(share):
    tone, _ = sinusoids(
        torch.ones(1, 65, 1).double(), torch.full((1, 65, 1), share * 8000).double(), RATE, 250
    )
    expected = min(max((0.925 - share) / 0.075, 0), 1)
    assert float((2 * tone.square().mean()).sqrt()) == pytest.approx(expected, abs=1e-9)


def test_what_glides_past_nyquist_does_not_fold_back():
    # From 7 to 12 kHz in half a second: without the fade it would come back down to 4 kHz.
    frequencies = torch.linspace(7000, 12000, 101, dtype=torch.float64)[None]
    faded, _ = sinusoids(torch.ones(1, 101, 1).double(), frequencies[..., None], RATE, 80)
    phase = sample_phase(boundary_phase(frequencies, RATE, 80), frequencies, RATE, 80)

    def decibels_below_6500(signal: torch.Tensor) -> float:
        power = torch.fft.rfft(signal * torch.hann_window(8000)).abs().square()
        return float(10 * torch.log10(power[:3250].sum() / power.sum()))

    assert decibels_below_6500(faded[0]) < -58
    assert decibels_below_6500(torch.cos(2 * torch.pi * phase[0])) > -5


def test_a_frequency_of_zero_holds_its_phase():
    still, phase = sinusoids(
        torch.ones(1, 3, 1), torch.zeros(1, 3, 1), RATE, 10, torch.tensor([[1 / 6]]).double()
    )
    torch.testing.assert_close(still, torch.full((1, 20), 0.5))
    assert float(phase) == pytest.approx(1 / 6)


def test_frames_are_summed_in_blocks(monkeypatch: pytest.MonkeyPatch):
    amplitudes, frequencies = tracks(10, 3)
    whole, _ = sinusoids(amplitudes, frequencies, RATE, 16)
    for elements in (1, 4 * 2 * 3 * 16):
        monkeypatch.setattr(module, "_BLOCK_ELEMENTS", elements)
        torch.testing.assert_close(sinusoids(amplitudes, frequencies, RATE, 16)[0], whole)


def test_gradients():
    amplitudes, frequencies = (x.requires_grad_() for x in tracks(3, 2, top_hz=6000.0))
    start = random(2, 2, seed=4).requires_grad_()
    for check in (gradcheck, gradgradcheck):
        assert check(
            lambda *x: sinusoids(x[0], x[1], RATE, 4, x[2]), (amplitudes, frequencies, start)
        )


def test_dtypes_agree():
    amplitudes, frequencies = (x.float() for x in tracks(40, 8))
    single, _ = sinusoids(amplitudes, frequencies, RATE, 256)
    exact, _ = sinusoids(amplitudes.double(), frequencies.double(), RATE, 256)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), exact, atol=3e-4, rtol=0)


def test_one_boundary_is_refused():
    with pytest.raises(ValueError, match="one boundary makes no frame"):
        sinusoids(torch.ones(1, 1, 2), torch.ones(1, 1, 2), RATE, 8)
