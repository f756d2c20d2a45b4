"""The glottal pulse against bracketed roots, quadrature of its waveform, and synthesis at a high
rate."""

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from tests.dsp.test_aliasing import (
    FRAMES,
    GLIDES,
    HOP,
    RATE,
    UP,
    at_high_rate,
    decibels_of_aliases,
)
from tests.oracles import dsp as oracle
from tests.oracles import sources
from vocoder.dsp.framing import interpolate_linear
from vocoder.dsp.sources.glottal import lf_harmonics, lf_power, lf_shape, lf_source
from vocoder.dsp.sources.oscillators import boundary_phase, sample_phase

pytestmark = pytest.mark.slow

RDS = [0.3, 0.5, 0.8, 1.0, 1.7, 2.4, 2.7]


def double(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def source(f0: torch.Tensor, rd: torch.Tensor, hop: int = HOP) -> torch.Tensor:
    phase = sample_phase(boundary_phase(f0, RATE, hop), f0, RATE, hop)
    return lf_source(phase, interpolate_linear(f0, hop), rd, RATE)


@pytest.mark.parametrize("rd", RDS)
def test_the_shape_is_what_bracketing_finds(rd):
    shape = lf_shape(double(rd))
    np.testing.assert_allclose(torch.cat(shape[:3]), sources.lf_times(rd), rtol=1e-12)
    np.testing.assert_allclose(torch.cat(shape[3:]), sources.lf_constants(rd), rtol=1e-9)


def test_the_whole_range_settles_in_one_call():
    rd = torch.linspace(0.3, 2.7, 2000, dtype=torch.float64)
    t_p, t_e, t_a, alpha, epsilon = lf_shape(rd)
    t_b, omega = 1 - t_e, torch.pi / t_p
    end = torch.exp(-epsilon * t_b)
    np.testing.assert_allclose(epsilon * t_a, 1 - end, atol=1e-13)
    rate = torch.complex(alpha, omega)
    opened = ((torch.exp(rate * t_e) - 1) / rate).imag / (
        torch.exp(alpha * t_e) * torch.sin(omega * t_e)
    )
    closed = ((1 - end) / epsilon - t_b * end) / (epsilon * t_a)
    np.testing.assert_allclose(opened + closed, 0, atol=1e-13)
    # The order of events: flow maximum, closure, end of the return phase within the period.
    assert (t_p < t_e).all()
    assert (t_e + t_a < 1).all()
    assert (alpha > 0).all()


@pytest.mark.parametrize("rd", RDS)
def test_harmonics_are_the_transform_of_the_waveform(rd):
    cosine, sine = lf_harmonics(double(rd), 300)
    expected = sources.lf_harmonics(rd, 300)
    np.testing.assert_allclose(cosine[0], expected.real, atol=1e-10)
    np.testing.assert_allclose(sine[0], -expected.imag, atol=1e-10)


@pytest.mark.parametrize("rd", RDS)
def test_power_is_that_of_the_waveform_and_of_all_harmonics(rd):
    power = float(lf_power(double(rd)))
    waveform = sources.lf_waveform(rd, np.arange(2**20) / 2**20)
    assert power == pytest.approx(np.mean(waveform**2), rel=1e-8)
    cosine, sine = lf_harmonics(double(rd), 3000)
    assert power == pytest.approx(float((cosine**2 + sine**2).sum() / 2), rel=1e-5)


@pytest.mark.parametrize("rd", RDS)
def test_the_folds_meet_at_phase_zero(rd):
    # 80 Hz: 92 whole harmonics and half a one. The pulse is at its deepest within a sample of it.
    signal = source(torch.full((1, 11), 80.0).double(), torch.full((1, 11), rd).double(), 200)[0]
    periods = signal.reshape(10, 200)
    assert set(((periods.argmin(dim=1) + 2) % 200).tolist()) <= {1, 2, 3}
    smooth = sources.lf_waveform(rd, np.arange(200) / 200)
    assert (periods - torch.from_numpy(smooth)).square().mean().sqrt() < 0.01
    assert periods.mean(dim=1).abs().max() < 1e-10


def test_breathier_voices_have_less_of_the_high_harmonics():
    cosine, sine = lf_harmonics(double(*RDS), 40)
    level = 10 * torch.log10(cosine**2 + sine**2)
    tilt = level[:, 20:].mean(dim=1) - level[:, 0]
    assert (tilt.diff() < -2).all()


def test_unit_power():
    rd = double(0.4, 1.0, 2.5)[:, None].expand(3, 81)
    signal = source(torch.full((3, 81), 100.0).double(), rd) / lf_power(rd[:, :1]).sqrt()
    np.testing.assert_allclose(signal.square().mean(dim=1), 1, atol=0.01)


def weights(rd: np.ndarray) -> np.ndarray:
    """Complex amplitudes at frame boundaries as lines at the high rate, (harmonics, samples)."""
    each = np.stack([sources.lf_harmonics(value, 74, 2**14) for value in rd])
    return np.stack([oracle.line_samples(column, HOP * UP) for column in each.T])


@pytest.mark.parametrize(
    ("glide", "in_all"), [("octaves up", -92), ("vibrato", -106), ("speech", -115)]
)
def test_next_to_nothing_folds_back(glide, in_all):
    f0 = GLIDES[glide]
    rd = np.interp(np.arange(FRAMES + 1), [0, FRAMES], [0.4, 2.5])
    found = source(torch.from_numpy(f0).float()[None], torch.from_numpy(rd).float()[None])
    phase, track = at_high_rate(f0)
    lines = weights(rd)
    high_rate = sum(
        oracle.fade(track, k, RATE) * np.real(line * np.exp(2j * np.pi * k * phase))
        for k, line in enumerate(lines, 1)
    )
    aliases, _ = decibels_of_aliases(found[0].double().numpy(), high_rate)
    assert aliases < in_all


def test_the_waveform_itself_would_fold_back():
    # Direct sampling of the two branches: their kink aliases.
    f0 = GLIDES["vibrato"]
    phase, _ = at_high_rate(f0)
    naive = sources.lf_waveform(0.4, phase)
    aliases, _ = decibels_of_aliases(naive[::UP], naive)
    assert aliases > -30


@pytest.mark.parametrize("f0_hz", [20.0, 3699.0, 7399.0, 7401.0])
def test_the_edges_of_f0(f0_hz):
    f0 = torch.full((1, 5), f0_hz)
    signal = source(f0, torch.full((1, 5), 0.3))
    assert signal.isfinite().all()
    assert signal.abs().max() <= 1.1
    if f0_hz > 7400:
        assert signal.abs().max() == 0


def test_pieces_are_the_whole():
    generator = torch.Generator().manual_seed(0)
    f0 = 80 * 5 ** torch.rand(2, 13, generator=generator, dtype=torch.float64)
    rd = 0.3 + 2.4 * torch.rand(2, 13, generator=generator, dtype=torch.float64)
    starts = boundary_phase(f0, RATE, HOP)
    first = boundary_phase(f0[:, :6], RATE, HOP)
    second = boundary_phase(f0[:, 5:], RATE, HOP, first[:, -1])
    whole, *pieces = (
        lf_source(sample_phase(s, f, RATE, HOP), interpolate_linear(f, HOP), r, RATE)
        for s, f, r in (
            (starts, f0, rd),
            (first, f0[:, :6], rd[:, :6]),
            (second, f0[:, 5:], rd[:, 5:]),
        )
    )
    torch.testing.assert_close(torch.cat(pieces, dim=1), whole)


def test_gradients():
    rd = double(0.31, 0.8, 1.6, 2.69).requires_grad_()
    for check in (gradcheck, gradgradcheck):
        assert check(lambda r: lf_shape(r)[3:], rd)
        assert check(lf_power, rd)
        assert check(lambda r: lf_harmonics(r, 5), rd)
    f0 = double(1330.0, 1325.0, 1328.0, 1326.0)[None].requires_grad_()
    assert gradcheck(lambda f, r: source(f, r, 8), (f0, rd[None]))


def test_dtypes_agree():
    f0 = torch.full((1, 21), 123.0)
    rd = torch.linspace(0.3, 2.7, 21)[None]
    single, exact = source(f0, rd), source(f0.double(), rd.double())
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), exact, atol=2e-5, rtol=0)
    assert lf_power(rd).dtype == torch.float32


@pytest.mark.parametrize("rd", [0.2, 2.8, float("nan")])
def test_shapes_outside_the_regression_are_refused(rd):
    with pytest.raises(ValueError, match=r"keep it within 0\.3 and 2\.7"):
        lf_shape(torch.tensor([1.0, rd]))


def test_an_f0_of_zero_is_refused():
    with pytest.raises(ValueError, match="an F0 of 0 Hz has no period"):
        lf_source(
            torch.zeros(1, 4), torch.tensor([[100.0, 0.0, 100.0, 100.0]]), torch.ones(1, 2), RATE
        )
