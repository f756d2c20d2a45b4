"""Biquads against SciPy, and the cookbook's designs against their specifications."""

import numpy as np
import pytest
import torch
from scipy.signal import butter, freqz, iirnotch, iirpeak, lfilter, sosfilt
from torch.autograd import gradcheck, gradgradcheck

from tests.oracles import iir as oracle
from vocoder.dsp.filters.biquad import biquad_cascade, design_biquad, state_variable_section

RATE = 16000
FORMS = ["direct", "state_variable"]
KINDS = [
    "low_pass",
    "high_pass",
    "band_pass",
    "notch",
    "all_pass",
    "peak",
    "low_shelf",
    "high_shelf",
]
WITH_GAIN = KINDS[5:]


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def design(kind: str, frequency_hz: float, q: float, gain_db: float = 6.0) -> torch.Tensor:
    values = [torch.tensor(value, dtype=torch.float64) for value in (frequency_hz, q, gain_db)]
    gain = values[2] if kind in WITH_GAIN else None
    return design_biquad(kind, values[0], values[1], RATE, gain)


def sections(batch: int, n_samples: int, count: int) -> torch.Tensor:
    """Stable sections that change with every sample."""
    shape = (batch, n_samples, count)
    frequency = 2000 * torch.exp(0.3 * random(*shape, seed=1).clamp(-3, 3))
    q = torch.exp(0.5 * random(*shape, seed=2))
    return design_biquad("peak", frequency, q, RATE, 5 * random(*shape, seed=3))


def gain_at(section: torch.Tensor, frequency_hz: float) -> float:
    b, a = section[:3].numpy(), np.concatenate([[1.0], section[3:].numpy()])
    return float(np.abs(freqz(b, a, [frequency_hz], fs=RATE)[1][0]))


def test_designs_are_those_of_scipy():
    def expect(section, b, a):
        np.testing.assert_allclose(section, np.concatenate([b, a[1:]]) / a[0], atol=1e-12)

    expect(design("low_pass", 1000, 0.5**0.5), *butter(2, 1000, "low", fs=RATE))
    expect(design("high_pass", 1000, 0.5**0.5), *butter(2, 1000, "high", fs=RATE))


def test_centres_of_notch_and_band_pass_are_those_of_scipy():
    for kind, scipy_design in (("notch", iirnotch), ("band_pass", iirpeak)):
        b, a = scipy_design(1000, 20, fs=RATE)
        section = design(kind, 1000, 20)
        for frequency_hz in (100.0, 990.0, 1000.0, 4000.0):
            expected = float(np.abs(freqz(b, a, [frequency_hz], fs=RATE)[1][0]))
            # SciPy means the bandwidth between -3 dB points, the cookbook that of the analogue.
            assert gain_at(section, frequency_hz) == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize(
    ("kind", "low", "middle", "high"),
    [
        ("low_pass", 0, 6, None),
        ("high_pass", None, 6, 0),
        ("band_pass", None, 0, None),
        ("notch", 0, None, 0),
        ("all_pass", 0, 0, 0),
        ("peak", 0, 6, 0),
        ("low_shelf", 6, 3, 0),
        ("high_shelf", 0, 3, 6),
    ],
)
def test_gains_are_those_promised(kind, low, middle, high):
    # In dB; None is nothing. A q of 6 dB raises the resonance of low- and high-pass by as much.
    section = design(kind, 1000, 10 ** (6 / 20))
    for frequency_hz, expected in ((0.0, low), (1000.0, middle), (RATE / 2, high)):
        amplitude = 0.0 if expected is None else 10 ** (expected / 20)
        assert gain_at(section, frequency_hz) == pytest.approx(amplitude, abs=1e-9)


@pytest.mark.parametrize("backend", ["philtorch", "torch"])
def test_a_moving_section_is_direct_form_two_transposed(backend):
    signal, moving = random(2, 60), sections(2, 60, 1)
    found, _ = biquad_cascade(signal, moving, backend=backend)
    for row in range(2):
        expected = oracle.biquad(signal[row].numpy(), moving[row, :, 0].numpy())
        np.testing.assert_allclose(found[row], expected, atol=1e-11)


@pytest.mark.parametrize("form", FORMS)
def test_resting_cascades_are_those_of_scipy(form):
    for kind in KINDS:
        rows = torch.stack([design(kind, 500, 2.0), design(kind, 3000, 0.5, -9.0)])
        signal = random(1, 500)
        found, _ = biquad_cascade(signal, rows.expand(1, 500, 2, 5), form=form)
        sos = np.insert(rows.numpy(), 3, 1.0, axis=1)
        np.testing.assert_allclose(found[0], sosfilt(sos, signal[0].numpy()), atol=1e-9)


@pytest.mark.parametrize("form", FORMS)
def test_a_pole_at_radius_0_999(form):
    section = torch.tensor([1.0, 0.0, 0.0, -2 * 0.999 * np.cos(0.3), 0.999**2]).double()
    pulse = torch.eye(1, 3000, dtype=torch.float64)
    found, _ = biquad_cascade(pulse, section.expand(1, 3000, 1, 5), form=form)
    expected = lfilter([1.0], np.concatenate([[1.0], section[3:].numpy()]), pulse[0].numpy())
    np.testing.assert_allclose(found[0], expected, atol=1e-9)


def test_the_numerator_may_have_a_scale_and_order_is_kept():
    signal, moving = random(1, 40), sections(1, 40, 3)
    expected, _ = biquad_cascade(signal, moving)
    scale = torch.exp(random(1, 40, 3, 1, seed=5))
    b, a = moving.split([3, 2], dim=-1)
    six = torch.cat([b * scale, scale, a * scale], dim=-1)
    torch.testing.assert_close(biquad_cascade(signal, six)[0], expected)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("cut", [1, 29])
def test_pieces_are_the_whole(form, cut):
    signal, moving = random(2, 60), sections(2, 60, 3)
    whole, end = biquad_cascade(signal, moving, form=form)
    first, state = biquad_cascade(signal[:, :cut], moving[:, :cut], form=form)
    second, last = biquad_cascade(signal[:, cut:], moving[:, cut:], state, form=form)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)
    torch.testing.assert_close(last, end)


@pytest.mark.parametrize("form", FORMS)
def test_gradients_of_cascades(form):
    inputs = [x.requires_grad_() for x in (random(1, 5), sections(1, 5, 2), random(1, 2, 2))]
    assert gradcheck(lambda *i: biquad_cascade(*i, form=form), inputs)
    assert gradgradcheck(lambda *i: biquad_cascade(*i, form=form), inputs)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_designs(kind):
    frequency, q, gain = (
        torch.tensor(values, dtype=torch.float64, requires_grad=True)
        for values in ([900.0, 3000.0], [0.7, 4.0], [-6.0, 9.0])
    )
    inputs = (frequency, q, gain) if kind in WITH_GAIN else (frequency, q)
    assert gradcheck(lambda f, q, *g: design_biquad(kind, f, q, RATE, *g), inputs)


@pytest.mark.parametrize("form", FORMS)
def test_dtypes_agree(form):
    signal, moving = random(2, 2000), sections(2, 2000, 2)
    exact, _ = biquad_cascade(signal, moving, form=form)
    single, _ = biquad_cascade(signal.float(), moving.float(), form=form)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), exact, atol=1e-3, rtol=1e-3)


def test_sections_and_state_variable_filters_are_the_same_designs():
    g, damping, _ = state_variable_section(design("low_pass", 1000, 5.0))
    assert float(g) == pytest.approx(np.tan(np.pi * 1000 / RATE))
    assert float(damping) == pytest.approx(0.2)


def test_what_cannot_be_is_refused():
    x, one = torch.ones(1, 4), torch.tensor(1.0)
    with pytest.raises(ValueError, match="sections of 4 terms"):
        biquad_cascade(x, torch.ones(1, 4, 1, 4))
    with pytest.raises(ValueError, match="unknown form 'lattice'"):
        biquad_cascade(x, torch.ones(1, 4, 1, 5), form="lattice")
    with pytest.raises(ValueError, match="peak, low_shelf and high_shelf need gain_db"):
        design_biquad("peak", one, one, RATE)
    with pytest.raises(ValueError, match="the others have none"):
        design_biquad("notch", one, one, RATE, one)
    with pytest.raises(ValueError, match="unknown kind of section 'comb'"):
        design_biquad("comb", one, one, RATE)
