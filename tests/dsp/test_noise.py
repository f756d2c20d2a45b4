"""Noise: reproducible, white, of unit power, and modulated without changing its power."""

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from vocoder.dsp.sources.noise import extend_noise, pulse_modulation, white_noise


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_generator_decides_and_nothing_else():
    torch.manual_seed(1)
    first = white_noise(2, 1000, seeded())
    torch.manual_seed(2)
    assert torch.equal(white_noise(2, 1000, seeded()), first)
    assert not torch.allclose(white_noise(2, 1000, seeded(1)), first)
    # Two draws from one generator differ.
    generator = seeded()
    torch.testing.assert_close(white_noise(2, 1000, generator), first)
    assert not torch.allclose(white_noise(2, 1000, generator), first)


def test_drawing_leaves_the_global_state_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    white_noise(1, 100, seeded())
    assert torch.equal(torch.rand(3), expected)


def test_noise_has_unit_power_and_is_gaussian():
    noise = white_noise(4, 100_000, seeded()).double()
    # Standard deviations of the estimates: 0.0016, 0.0022 and 0.008; five of them.
    assert float(noise.mean()) == pytest.approx(0, abs=0.008)
    assert float(noise.square().mean()) == pytest.approx(1, abs=0.011)
    assert float(noise.pow(4).mean()) == pytest.approx(3, abs=0.08)


def test_noise_is_white():
    # 1000 spectra of 256 samples: the mean power of a bin is known to 1/√1000, of the two real
    # ones at the ends to √2 of that.
    blocks = white_noise(1, 256_000, seeded()).double().reshape(1000, 256)
    power = torch.fft.rfft(blocks).abs().square().mean(dim=0) / 256
    assert (power[1:-1] - 1).abs().max() < 5 / np.sqrt(1000)
    assert (power[[0, -1]] - 1).abs().max() < 5 * np.sqrt(2 / 1000)
    # Rows of a batch are independent.
    rows = white_noise(2, 100_000, seeded()).double()
    assert float((rows[0] * rows[1]).mean()) == pytest.approx(0, abs=0.016)


@pytest.mark.parametrize("pieces", [[300, 600, 300], [1, 1, 1, 1197], [7, 193, 1000], [1200]])
def test_noise_is_the_same_in_however_many_pieces_it_is_drawn(pieces):
    expected = white_noise(1, 1200, seeded())
    generator, rest, taken = seeded(), torch.empty(1, 0), []
    for piece in pieces:
        rest = extend_noise(rest, piece, generator)
        taken.append(rest[:, :piece])
        rest = rest[:, piece:]
    found = torch.cat(taken, dim=1)
    assert torch.equal(found, expected[:, : found.shape[1]])


def test_noise_that_is_long_enough_is_left_alone():
    noise, generator = white_noise(2, 40, seeded()), seeded(1)
    before = generator.get_state()
    assert torch.equal(extend_noise(noise, 30, generator), noise)
    assert torch.equal(generator.get_state(), before)


@pytest.mark.parametrize("depth", [(0.0, 0.0), (1.0, 0.0), (0.0, -1.0), (0.6, 0.8), (-0.3, 0.5)])
def test_modulation_keeps_the_mean_power(depth):
    phase = torch.arange(1000, dtype=torch.float64)[None] / 1000 - 0.5
    cosine, sine = (torch.full_like(phase, d) for d in depth)
    gain = pulse_modulation(phase, cosine, sine)
    assert float(gain.square().mean()) == pytest.approx(1, rel=1e-9)
    assert gain.min() >= -1e-12
    # And that of noise: over a minute at 100 Hz the estimate is good to 0.2 %.
    minute = torch.arange(960_000)[None] % 160 / 160 - 0.5
    moved = white_noise(1, 960_000, seeded()) * pulse_modulation(
        minute, torch.full_like(minute, depth[0]), torch.full_like(minute, depth[1])
    )
    assert float(moved.square().mean()) == pytest.approx(1, abs=0.01)


def test_modulation_is_loudest_where_it_is_told():
    phase = torch.arange(1000, dtype=torch.float64)[None] / 1000 - 0.5
    zero, deep = torch.zeros_like(phase), torch.full_like(phase, 0.8)
    on_the_pulse = pulse_modulation(phase, deep, zero)
    assert float(phase[0, on_the_pulse.argmax()]) == 0.0
    quarter_later = pulse_modulation(phase, zero, deep)
    assert float(phase[0, quarter_later.argmax()]) == 0.25
    # (1 + 0.8) / (1 - 0.8): the ratio of the extremes.
    assert float(on_the_pulse.max() / on_the_pulse.min()) == pytest.approx(9)


def test_the_power_of_moved_noise_follows_the_phase():
    # 25,000 periods of 40 samples: the power at each phase is known to √(2 / 25,000), five of them.
    phase = (torch.arange(1_000_000)[None] % 40 / 40 - 0.5).double()
    gain = pulse_modulation(phase, torch.full_like(phase, 0.5), torch.full_like(phase, -0.4))
    moved = (white_noise(1, 1_000_000, seeded()) * gain).reshape(25_000, 40)
    ratio = moved.square().mean(dim=0) / gain[0, :40].square()
    np.testing.assert_allclose(ratio, 1, atol=5 * np.sqrt(2 / 25_000))
    # Neighbouring samples stay uncorrelated: the result is noise, not a tone.
    product = (moved[:, :-1] * moved[:, 1:]).mean()
    assert float(product) == pytest.approx(0, abs=0.01)


def test_no_depth_is_no_modulation():
    phase = torch.rand(1, 100, generator=seeded())
    zero = torch.zeros_like(phase)
    assert torch.equal(pulse_modulation(phase, zero, zero), torch.ones_like(phase))


def test_gradients_and_dtypes():
    values = torch.rand(3, 1, 9, generator=seeded(), dtype=torch.float64) * 0.6
    inputs = tuple(v.clone().requires_grad_() for v in values)
    assert gradcheck(pulse_modulation, inputs)
    exact = pulse_modulation(*values)
    single = pulse_modulation(*values.float())
    torch.testing.assert_close(single.double(), exact, atol=1e-6, rtol=0)
