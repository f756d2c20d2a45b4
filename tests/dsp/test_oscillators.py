"""Phase and harmonic sources against exact arithmetic and explicit sums of cosines."""

from fractions import Fraction
from math import pi

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from tests.oracles import dsp as oracle
from vocoder.dsp.framing import interpolate_linear
from vocoder.dsp.sources import oscillators
from vocoder.dsp.sources.oscillators import (
    boundary_phase,
    harmonic_bank,
    pulse_train,
    sample_phase,
    wrap,
)

RATE = 16000


def random_f0(frames: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> torch.Tensor:
    """A random track between 80 and 400 Hz."""
    generator = torch.Generator().manual_seed(seed)
    return 80 * 5 ** torch.rand(2, frames, generator=generator, dtype=dtype)


def phases(f0: torch.Tensor, hop: int, rate: int = RATE) -> torch.Tensor:
    return sample_phase(boundary_phase(f0, rate, hop), f0, rate, hop)


def tone(f0_hz: float, samples: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """The pulse train of a constant F0."""
    f0 = torch.full((1, samples // 250 + 1), f0_hz, dtype=dtype)
    return pulse_train(phases(f0, 250), interpolate_linear(f0, 250), RATE)[0]


def test_wrapping_takes_whole_cycles_away():
    cycles = torch.linspace(-7, 7, 4001, dtype=torch.float64)
    wrapped = wrap(cycles)
    assert wrapped.min() >= -0.5
    assert wrapped.max() < 0.5
    whole = cycles - wrapped
    torch.testing.assert_close(whole, whole.round(), atol=1e-12, rtol=0)


@pytest.mark.parametrize("hop", [1, 80, 256])
def test_phase_is_the_integral_of_f0(hop):
    f0 = random_f0(30)
    starts, samples = boundary_phase(f0, RATE, hop), phases(f0, hop)
    for row in range(2):
        expected = oracle.unwrapped_phase(f0[row].numpy(), RATE, hop)
        assert oracle.circular_distance(samples[row], expected) < 1e-11
        assert oracle.circular_distance(starts[row, :-1], expected[::hop]) < 1e-11
    assert samples.abs().max() <= 0.5


def test_single_precision_phase_keeps_to_the_integral():
    # 16 cycles at most within a frame, and the boundaries are exact: 2^-20 of a cycle.
    f0 = random_f0(300)
    samples = phases(f0.float(), 256)
    assert samples.dtype == torch.float32
    expected = oracle.unwrapped_phase(f0[0].float().double().numpy(), RATE, 256)
    assert oracle.circular_distance(samples[0], expected) < 1e-6


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_chunks_carry_the_phase_on(dtype):
    for cut in [1, 7, 19]:
        f0 = random_f0(21, dtype)
        whole = phases(f0, 200)
        first = boundary_phase(f0[:, : cut + 1], RATE, 200)
        second = boundary_phase(f0[:, cut:], RATE, 200, first[:, -1])
        pieces = torch.cat(
            [
                sample_phase(first, f0[:, : cut + 1], RATE, 200),
                sample_phase(second, f0[:, cut:], RATE, 200),
            ],
            dim=1,
        )
        assert oracle.circular_distance(pieces, whole) < 1e-6


@pytest.mark.parametrize("f0_hz", [100.0, 123.456, 499.9])
def test_no_drift_in_an_hour(f0_hz):
    hop, frames = 256, 3600 * RATE // 256
    f0 = torch.full((1, frames + 1), f0_hz)
    starts = boundary_phase(f0, RATE, hop)
    # A single-precision frequency is a fraction, so that the reference is exact.
    a_sample = Fraction(float(f0[0, 0])) / RATE

    def error(found: float, sample: int) -> float:
        difference = Fraction(found) - a_sample * sample
        return 2 * pi * abs(float(difference - round(difference)))

    checked = [*range(0, frames + 1, 499), frames]
    assert max(error(float(starts[0, t]), t * hop) for t in checked) < 1e-4
    last = sample_phase(starts[:, -3:], f0[:, -3:], RATE, hop)[0]
    begin = (frames - 2) * hop
    assert max(error(float(value), begin + n) for n, value in enumerate(last)) < 1e-4


def test_drift_would_be_seen():
    # The same hour accumulated in single precision is off by more than the test above allows.
    advance = np.full(225_000, 123.456 * 256 / RATE, dtype=np.float32)
    exact = (123.456 * 256 / RATE * 225_000) % 1
    assert oracle.circular_distance(np.cumsum(advance)[-1] % 1, exact) > 1e-3


def test_pulse_train_is_the_sum_of_its_harmonics():
    for f0_hz in [
        *(20.0, 33.3, 50.0, 61.7, 100.0, 123.456, 200.0, 333.3, 500.0, 799.0, 1000.0),
        *(1849.0, 1850.0, 2466.7, 3699.0, 3700.0, 3701.0, 5333.0, 7000.0, 7399.0),
    ]:
        f0 = torch.full((1, 17), f0_hz, dtype=torch.float64)
        phase, track = phases(f0, 250), interpolate_linear(f0, 250)
        expected = oracle.pulse_train(phase[0].numpy(), track[0].numpy(), RATE)
        np.testing.assert_allclose(pulse_train(phase, track, RATE)[0], expected, atol=1e-9)
        # In single precision a phase is known to 2^-25 of a cycle, the 400th harmonic to 8e-5 rad,
        # and the pulse, √(2K) high, by as much more.
        single = pulse_train(phase.float(), track.float(), RATE)[0]
        assert single.dtype == torch.float32
        height = max(1.0, np.sqrt(2 * 8000 / f0_hz))
        np.testing.assert_allclose(single, expected, atol=5e-5 * height)


def test_pulse_train_is_silent_from_the_top_on():
    for f0_hz in [7400.0, 7401.0, 8000.0, 12000.0, 30000.0]:
        f0 = torch.full((1, 9), f0_hz, dtype=torch.float64)
        assert pulse_train(phases(f0, 100), interpolate_linear(f0, 100), RATE).abs().max() < 1e-9


def test_pulse_train_of_a_track_that_leaps():
    f0 = random_f0(40)
    phase, track = phases(f0, 128), interpolate_linear(f0, 128)
    expected = oracle.pulse_train(phase[0].numpy(), track[0].numpy(), RATE)
    np.testing.assert_allclose(pulse_train(phase, track, RATE)[0], expected, atol=1e-9)


def test_pulses_stand_where_the_phase_is_zero():
    periods = tone(100.0, 4000).reshape(25, 160)
    assert torch.equal(periods.argmax(dim=1), torch.zeros(25).long())
    # 73 harmonics and none at the top itself, 7400 Hz: √(2 · 73) high.
    np.testing.assert_allclose(periods[:, 0], np.sqrt(2 * 73), rtol=1e-9)


def test_power_is_one_whatever_f0():
    for f0_hz in np.geomspace(20, 3700, 25).tolist():
        # Whole periods, as nearly as a second has them, weighted so that the rest does not count.
        signal = tone(f0_hz, 16000)[:16000]
        window = torch.hann_window(16000, dtype=torch.float64)
        power = (window * signal.square()).sum() / window.sum()
        assert float(power) == pytest.approx(1, abs=0.01)


def test_power_falls_to_nothing_between_half_the_top_and_the_top():
    powers = [float(tone(f, 16000).square().mean()) for f in (3700, 5000, 6000, 7000, 7300)]
    expected = [(7400 / f - 1) ** 2 for f in (3700, 5000, 6000, 7000, 7300)]
    np.testing.assert_allclose(powers, expected, atol=0.01)


def bank(harmonics: int, frames: int, seed: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, frames, harmonics, generator=generator, dtype=torch.float64)


def test_harmonic_bank_is_the_sum_of_its_harmonics():
    f0, amplitudes = random_f0(13), bank(harmonics=60, frames=13)
    phase, track = phases(f0, 100), interpolate_linear(f0, 100)
    found = harmonic_bank(phase, track, amplitudes, RATE)
    for row in range(2):
        lines = np.stack([oracle.line_samples(a, 100) for a in amplitudes[row].T.numpy()])
        expected = oracle.harmonic_sum(phase[row].numpy(), track[row].numpy(), RATE, lines)
        np.testing.assert_allclose(found[row], expected, atol=1e-10)


def test_sines_are_cosines_a_quarter_of_their_period_later(monkeypatch: pytest.MonkeyPatch):
    f0, cosine, sine = random_f0(7), bank(harmonics=40, frames=7), bank(40, 7, seed=4)
    phase, track = phases(f0, 100), interpolate_linear(f0, 100)
    found = harmonic_bank(phase, track, cosine, RATE, sine)
    for row in range(2):
        expected = np.zeros(600)
        for k in range(1, 41):
            turn = 2 * np.pi * k * phase[row].numpy()
            a, b = (oracle.line_samples(x[row, :, k - 1].numpy(), 100) for x in (cosine, sine))
            strength = oracle.fade(track[row].numpy(), k, RATE)
            expected += strength * (a * np.cos(turn) + b * np.sin(turn))
        np.testing.assert_allclose(found[row], expected, atol=1e-10)
    monkeypatch.setattr(oscillators, "_BLOCK_ELEMENTS", 1)
    torch.testing.assert_close(harmonic_bank(phase, track, cosine, RATE, sine), found)


def test_one_harmonic_has_the_amplitude_it_was_given():
    f0 = torch.full((1, 65), 250.0, dtype=torch.float64)
    amplitudes = torch.zeros(1, 65, 5, dtype=torch.float64)
    amplitudes[..., 2] = 0.3
    signal = harmonic_bank(phases(f0, 250), interpolate_linear(f0, 250), amplitudes, RATE)[0]
    spectrum = torch.fft.rfft(signal).abs() / 8000
    assert int(spectrum.argmax()) == 750
    assert float(spectrum[750]) == pytest.approx(0.3, rel=1e-9)
    spectrum[750] = 0
    assert spectrum.max() < 1e-12


def test_harmonics_at_and_above_the_top_are_silent():
    f0 = torch.full((1, 5), 1850.0, dtype=torch.float64)
    amplitudes = torch.zeros(1, 5, 9, dtype=torch.float64)
    amplitudes[..., 3:] = 1.0  # the fourth harmonic stands on 7400 Hz
    signal = harmonic_bank(phases(f0, 100), interpolate_linear(f0, 100), amplitudes, RATE)
    assert signal.abs().max() == 0


def test_harmonic_bank_refuses_frames_that_do_not_fit():
    phase = torch.zeros(1, 100)
    for frames in (1, 8):
        with pytest.raises(ValueError, match="100 samples cannot be shared out"):
            harmonic_bank(phase, phase + 100, torch.ones(1, frames, 2), RATE)


def test_equally_strong_harmonics_are_the_pulse_train():
    f0 = random_f0(20)
    phase, track = phases(f0, 128), interpolate_linear(f0, 128)
    ones = torch.ones(2, 20, 100, dtype=torch.float64)
    gain = torch.from_numpy(np.stack([oracle.pulse_gain(row, RATE) for row in track.numpy()]))
    torch.testing.assert_close(
        pulse_train(phase, track, RATE), gain * harmonic_bank(phase, track, ones, RATE)
    )


def test_single_precision_agrees():
    f0 = random_f0(200)
    outputs = []
    for dtype in (torch.float64, torch.float32):
        track = f0.float().to(dtype)  # the same frequencies in both
        phase, samples = phases(track, 256), interpolate_linear(track, 256)
        amplitudes = torch.ones(2, 200, 20, dtype=dtype) / 20
        outputs.append(
            (pulse_train(phase, samples, RATE), harmonic_bank(phase, samples, amplitudes, RATE))
        )
    for exact, single in zip(*outputs, strict=True):
        assert single.dtype == torch.float32
        error = (single.double() - exact).square().mean().sqrt() / exact.square().mean().sqrt()
        assert 20 * torch.log10(error) < -85


def test_gradients():
    # The ratio of the top to F0 stays clear of whole numbers, where the topmost harmonic changes.
    f0 = torch.tensor([[330.0, 325.0, 328.0, 326.0]], dtype=torch.float64, requires_grad=True)
    assert torch.all((7400 / f0 % 1 - 0.5).abs() < 0.45)
    amplitudes, sines = (bank(4, 4, seed)[:1].requires_grad_() for seed in (3, 4))

    def bank_of(f0: torch.Tensor, *amplitudes: torch.Tensor) -> torch.Tensor:
        cosine, sine = (*amplitudes, None)[:2]
        return harmonic_bank(phases(f0, 8), interpolate_linear(f0, 8), cosine, RATE, sine)

    def pulses_of(f0: torch.Tensor) -> torch.Tensor:
        return pulse_train(phases(f0, 8), interpolate_linear(f0, 8), RATE)

    assert gradcheck(bank_of, (f0, amplitudes))
    assert gradcheck(bank_of, (f0, amplitudes, sines))
    assert gradcheck(pulses_of, f0)


def test_gradient_is_finite_at_the_breaks():
    # On the pulse itself, on a whole ratio, at half of the top, at the top and above.
    f0 = torch.tensor([[100.0, 925.0, 3700.0, 7400.0, 9000.0]], requires_grad=True)
    phase = torch.zeros_like(f0, requires_grad=True)
    pulse_train(phase, f0, RATE).square().sum().backward()
    assert f0.grad is not None
    assert phase.grad is not None
    assert f0.grad.isfinite().all()
    assert phase.grad.isfinite().all()


def test_harmonics_are_summed_in_blocks(monkeypatch: pytest.MonkeyPatch):
    f0, amplitudes = random_f0(13), bank(harmonics=9, frames=13)
    phase, track = phases(f0, 100), interpolate_linear(f0, 100)
    whole = harmonic_bank(phase, track, amplitudes, RATE)
    for elements in (1, 5 * 2 * 100 * 9):
        monkeypatch.setattr(oscillators, "_BLOCK_ELEMENTS", elements)
        torch.testing.assert_close(harmonic_bank(phase, track, amplitudes, RATE), whole)
