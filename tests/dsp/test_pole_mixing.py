"""The four-pole filter against its loop solved sample by sample, and its mixes against theory."""

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from tests.oracles import iir as oracle
from vocoder.dsp.filters.pole_mixing import MIXES, four_pole
from vocoder.dsp.filters.state_variable import warp

RATE = 16000


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def courses(batch: int, n_samples: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Random cutoff, resonance and mix at every sample."""
    shape = (batch, n_samples)
    cutoff = 1000 * torch.exp(random(*shape, seed=1).clamp(-3, 2))
    return cutoff, 2.8 * random(*shape, seed=2).sigmoid(), random(*shape, 5, seed=3)


def response(name: str, resonance: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Complex gains of a filter at rest at 1 kHz, and the analogue frequencies s = jω they are of,
    in units of the cutoff."""
    pulse = torch.eye(1, 16000, dtype=torch.float64)
    cutoff = torch.full((1, 16000), 1000.0, dtype=torch.float64)
    gains = torch.tensor(MIXES[name], dtype=torch.float64).expand(1, 16000, 5)
    found, _ = four_pole(pulse, cutoff, 0 * cutoff + resonance, gains, RATE)
    omega = np.arange(1, 8000) * 2 * np.pi / RATE
    return np.fft.rfft(found[0].numpy())[1:8000], 1j * np.tan(omega / 2) / np.tan(np.pi / 16)


EXPECTED = {
    "low_pass_6": lambda s: 1 / (1 + s),
    "low_pass_12": lambda s: 1 / (1 + s) ** 2,
    "low_pass_18": lambda s: 1 / (1 + s) ** 3,
    "low_pass_24": lambda s: 1 / (1 + s) ** 4,
    "high_pass_6": lambda s: s / (1 + s),
    "high_pass_12": lambda s: s**2 / (1 + s) ** 2,
    "high_pass_18": lambda s: s**3 / (1 + s) ** 3,
    "high_pass_24": lambda s: s**4 / (1 + s) ** 4,
    "band_pass_6": lambda s: 2 * s / (1 + s) ** 2,
    "band_pass_12": lambda s: 4 * s**2 / (1 + s) ** 4,
    "notch": lambda s: (1 + s**2) / (1 + s) ** 2,
    "all_pass_1": lambda s: (1 - s) / (1 + s),
    "all_pass_3": lambda s: (1 - s) ** 3 / (1 + s) ** 3,
    "all_pass_4": lambda s: (1 - s) ** 4 / (1 + s) ** 4,
}


@pytest.mark.parametrize("name", sorted(MIXES))
def test_mixes_are_the_responses_they_are_called(name):
    found, s = response(name)
    np.testing.assert_allclose(found, EXPECTED[name](s), atol=1e-9)


@pytest.mark.parametrize("resonance", [1.0, 3.5])
def test_resonance_closes_the_loop(resonance):
    found, s = response("low_pass_24", resonance)
    np.testing.assert_allclose(found, 1 / ((1 + s) ** 4 + resonance), atol=1e-8)


@pytest.mark.parametrize("backend", ["philtorch", "torch"])
def test_a_moving_filter_is_the_loop_solved_sample_by_sample(backend):
    signal, (cutoff, resonance, gains) = random(2, 60), courses(2, 60)
    found, _ = four_pole(signal, cutoff, resonance, gains, RATE, backend=backend)
    for row in range(2):
        g = warp(cutoff[row], RATE).numpy()
        taps = oracle.four_pole(signal[row].numpy(), g, resonance[row].numpy())
        expected = (taps * gains[row].numpy()).sum(axis=1)
        np.testing.assert_allclose(found[row], expected, atol=1e-11)


def test_just_below_its_limit_it_rings_at_the_cutoff_and_falls():
    cutoff = torch.full((1, 16000), 1000.0, dtype=torch.float64)
    gains = torch.tensor(MIXES["low_pass_24"], dtype=torch.float64).expand(1, 16000, 5)
    pulse = torch.eye(1, 16000, dtype=torch.float64)
    found, _ = four_pole(pulse, cutoff, 0 * cutoff + 3.999, gains, RATE)
    early, late = found[0, 2000:6000], found[0, 12000:]
    assert 0.2 < float(late.square().mean().sqrt() / early.square().mean().sqrt()) < 1
    assert int(torch.fft.rfft(late).abs().argmax()) == 250  # bins of 4 Hz


@pytest.mark.parametrize("cut", [1, 31])
def test_pieces_are_the_whole(cut):
    inputs = random(2, 60), *courses(2, 60)
    whole, end = four_pole(*inputs, RATE)
    first, state = four_pole(*(x[:, :cut] for x in inputs), RATE)
    second, last = four_pole(*(x[:, cut:] for x in inputs), RATE, state)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)
    torch.testing.assert_close(last, end)


def test_gradients():
    inputs = [x.requires_grad_() for x in (random(1, 4), *courses(1, 4), random(1, 4))]

    def run(x, cutoff, resonance, gains, state):
        return four_pole(x, cutoff, resonance, gains, RATE, state)

    assert gradcheck(run, inputs)
    assert gradgradcheck(run, inputs, atol=1e-4)


@pytest.mark.parametrize("cutoff_hz", [20.0, 7999.0])
@pytest.mark.parametrize("resonance", [0.0, 3.9])
def test_single_precision_holds_at_the_edges(cutoff_hz, resonance):
    signal, cutoff = random(1, 2000), torch.full((1, 2000), cutoff_hz, dtype=torch.float64)
    gains = torch.tensor(MIXES["low_pass_24"], dtype=torch.float64).expand(1, 2000, 5)
    exact, _ = four_pole(signal, cutoff, 0 * cutoff + resonance, gains, RATE)
    single, _ = four_pole(
        signal.float(), cutoff.float(), (0 * cutoff + resonance).float(), gains.float(), RATE
    )
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), exact, atol=5e-3, rtol=5e-3)


def test_out_of_range_is_refused():
    x, gains = torch.ones(1, 4), torch.ones(1, 4, 5)
    with pytest.raises(ValueError, match=r"below Nyquist, 8000\.0 Hz"):
        four_pole(x, 8000 * x, 0 * x, gains, RATE)
    for resonance in (-0.1, 4.0):
        with pytest.raises(ValueError, match="between 0 and 4"):
            four_pole(x, 100 * x, resonance * x, gains, RATE)
