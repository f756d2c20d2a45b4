"""Wavetables against their Fourier series, harmonic by harmonic, and aliasing."""

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from tests.dsp.test_aliasing import GLIDES, HOP, RATE, at_high_rate, decibels_of_aliases
from tests.oracles import dsp as dsp_oracle
from tests.oracles import sources as oracle
from vocoder.dsp.framing import interpolate_linear
from vocoder.dsp.sources.oscillators import boundary_phase, sample_phase
from vocoder.dsp.sources.wavetable import wavetable, wavetable_levels


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def tone(
    f0: torch.Tensor, tables: torch.Tensor, mixture: torch.Tensor | None = None, hop: int = HOP
) -> torch.Tensor:
    """The tables at an F0 given at frame boundaries; by default their sum."""
    if mixture is None:
        mixture = f0.new_ones(*f0.shape, tables.shape[-2])
    phase = sample_phase(boundary_phase(f0, RATE, hop), f0, RATE, hop)
    track = interpolate_linear(f0, hop)
    return wavetable(phase, track, wavetable_levels(tables), mixture, RATE)


@pytest.mark.parametrize("length", [3, 4, 15, 16, 255, 256, 1000])
def test_levels_are_the_series_cut_off(length):
    table = random(1, length)
    values, harmonics = wavetable_levels(table)
    assert harmonics[0] == (length - 1) // 2
    assert harmonics[-2:] == [0, 0]
    entries = values.shape[-1]
    expected = np.fft.rfft(table[0].numpy()) / length
    for level, count in zip(values[0], harmonics, strict=True):
        found = np.fft.rfft(level.numpy()) / entries
        np.testing.assert_allclose(found[1 : count + 1], expected[1 : count + 1], atol=1e-12)
        found[1 : count + 1] = 0
        assert np.abs(found).max() < 1e-12


def test_half_of_what_fits_is_always_whole():
    for length in range(3, 600, 19):
        harmonics = wavetable_levels(torch.zeros(1, length)).harmonics
        for above, next_below in zip(harmonics, harmonics[2:], strict=False):
            # Just below ``above`` the level under it is heard together with the next one.
            assert next_below >= (above - 1) // 2


def test_a_table_is_its_series():
    for f0_hz in [20.0, 61.7, 100.0, 333.3, 924.9, 1850.0, 2466.7, 3701.0, 7000.0, 7401.0, 20000.0]:
        f0, table = torch.full((1, 11), f0_hz, dtype=torch.float64), random(1, 200)
        phase = sample_phase(boundary_phase(f0, RATE, 100), f0, RATE, 100)
        levels = wavetable_levels(table)
        fitting = np.full(1000, 7400 / f0_hz)
        expected = oracle.wavetable(phase[0].numpy(), fitting, table[0].numpy(), levels.harmonics)
        found = tone(f0, table, hop=100)[0].numpy()
        assert np.abs(found - expected).max() < 1e-4 * float(table.abs().max())
        if f0_hz > 7400:
            assert not found.any()


def test_tables_are_mixed_along_lines():
    f0 = 80 + 900 * random(2, 9).abs()
    tables, mixture = random(2, 3, 64), random(2, 9, 3, seed=1)
    phase = sample_phase(boundary_phase(f0, RATE, 50), f0, RATE, 50)
    track = interpolate_linear(f0, 50)
    levels = wavetable_levels(tables)
    found = wavetable(phase, track, levels, mixture, RATE)
    for row in range(2):
        expected = np.zeros(400)
        for i in range(3):
            weight = dsp_oracle.line_samples(mixture[row, :, i].numpy(), 50)
            part = (phase[row].numpy(), 7400 / track[row].numpy(), tables[row, i].numpy())
            expected += weight * oracle.wavetable(*part, levels.harmonics)
        np.testing.assert_allclose(found[row], expected, atol=2e-4)


def test_a_set_of_tables_serves_the_whole_batch():
    f0, tables = 100 + 100 * random(3, 5).abs(), random(2, 32)
    shared = tone(f0, tables)
    torch.testing.assert_close(shared, tone(f0, tables.expand(3, -1, -1)))


def saw(length: int) -> torch.Tensor:
    return torch.linspace(1, -1, length + 1, dtype=torch.float64)[None, :-1]


@pytest.mark.parametrize(
    ("glide", "in_all"), [("octaves up", -98), ("vibrato", -102), ("speech", -106)]
)
def test_next_to_nothing_folds_back(glide, in_all):
    f0, table = GLIDES[glide], saw(200)
    phase, track = at_high_rate(f0)
    levels = wavetable_levels(table).harmonics
    fitting = 0.925 * 0.5 * RATE / track
    high_rate = oracle.wavetable(phase, fitting, table[0].numpy(), levels)
    found = tone(torch.from_numpy(f0).float()[None], table.float())
    aliases, _ = decibels_of_aliases(found[0].double().numpy(), high_rate)
    assert aliases < in_all


def test_a_table_without_levels_would_fold_back():
    f0 = GLIDES["octaves up"]
    phase, _ = at_high_rate(f0)
    sharp = 1 - 2 * (phase % 1)
    aliases, _ = decibels_of_aliases(sharp[::8], sharp)
    assert aliases > -20


@pytest.mark.parametrize("cut", [1, 4, 8])
def test_pieces_are_the_whole(cut):
    f0, tables, mixture = 80 + 300 * random(2, 10).abs(), random(2, 64), random(2, 10, 2, seed=1)
    levels, track = wavetable_levels(tables), interpolate_linear(f0, HOP)
    phase = sample_phase(boundary_phase(f0, RATE, HOP), f0, RATE, HOP)
    whole = wavetable(phase, track, levels, mixture, RATE)
    pieces = [
        wavetable(phase[:, samples], track[:, samples], levels, mixture[:, frames], RATE)
        for samples, frames in (
            (slice(0, cut * HOP), slice(0, cut + 1)),
            (slice(cut * HOP, None), slice(cut, None)),
        )
    ]
    torch.testing.assert_close(torch.cat(pieces, dim=1), whole)


def test_gradients():
    # F0 lies between two levels, away from where another one is chosen.
    f0 = torch.tensor([[430.0, 425.0, 428.0]], dtype=torch.float64, requires_grad=True)
    tables, mixture = random(2, 16).requires_grad_(), random(1, 3, 2, seed=1).requires_grad_()
    assert gradcheck(lambda f, t, m: tone(f, t, m, 4), (f0, tables, mixture))


def test_a_table_can_be_learnt():
    f0, wanted = torch.full((1, 9), 200.0).double(), random(1, 32)
    wanted = wanted - wanted.mean()
    target, table = tone(f0, wanted), torch.zeros_like(wanted).requires_grad_()
    optimizer = torch.optim.LBFGS([table], max_iter=50, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        error = (tone(f0, table) - target).square().mean()
        error.backward()
        return error

    optimizer.step(loss)
    # All but the mean and what is at the table's own Nyquist frequency, which is never heard.
    found, expected = (torch.fft.rfft(x.detach())[..., 1:16] for x in (table, wanted))
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)


def test_dtypes_agree():
    f0, tables = torch.linspace(50, 3000, 41)[None], random(2, 128).float()
    single, exact = tone(f0, tables), tone(f0.double(), tables.double())
    assert single.dtype == torch.float32
    error = (single - exact).square().mean().sqrt() / exact.square().mean().sqrt()
    assert 20 * torch.log10(error) < -80


def test_misfits_are_refused():
    with pytest.raises(ValueError, match="a table of 2 entries has no harmonic"):
        wavetable_levels(torch.zeros(1, 2))
    levels, phase = wavetable_levels(torch.zeros(1, 8)), torch.zeros(1, 100)
    for boundaries in (1, 8):
        with pytest.raises(ValueError, match="100 samples cannot be shared out"):
            wavetable(phase, phase + 100, levels, torch.ones(1, boundaries, 1), RATE)
