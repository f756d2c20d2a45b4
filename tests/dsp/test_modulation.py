"""Envelopes that move with a pulse: pulses of known times, noise, and phases brought in step."""

import math

import pytest
import torch

from vocoder.dsp.analysis.modulation import band_envelope, envelope_modulation, phase_in_step
from vocoder.dsp.sources.noise import white_noise
from vocoder.dsp.sources.oscillators import pulse_train, wrap

RATE, HOP = 24000, 256
SAMPLES = 90 * HOP
TIME = torch.arange(SAMPLES, dtype=torch.float64) / RATE


def glide() -> tuple[torch.Tensor, torch.Tensor]:
    """Phase (cycles) of a voice from 110 to 170 Hz, and its pulses through a resonance."""
    cycles = 110 * TIME + 30 * TIME.square() / TIME[-1] + 0.3
    phase = wrap(cycles)[None].float()
    f0_hz = (110 + 60 * TIME / TIME[-1])[None].float()
    return phase, pulse_train(phase, f0_hz, RATE)


def test_a_phase_is_moved_onto_the_pulses_of_the_recording():
    phase, pulses = glide()
    # Another start, and an F0 that is wrong by up to 0.9 Hz.
    wrong = wrap(phase + 0.37 + (0.15 * torch.sin(2 * math.pi * TIME)).float())
    moved = phase_in_step(wrong, pulses, RATE, HOP)
    inner = slice(8 * HOP, -8 * HOP)
    assert wrap(wrong - phase)[:, inner].abs().max() > 0.25
    assert wrap(moved - phase)[:, inner].abs().max() < 0.02
    noisy = pulses + 0.5 * white_noise(1, SAMPLES, torch.Generator().manual_seed(0))
    moved = phase_in_step(wrong, noisy, RATE, HOP)
    assert wrap(moved - phase)[:, inner].abs().max() < 0.03


def test_polarity_and_level_do_not_matter():
    phase, pulses = glide()
    wrong = wrap(phase + 0.37)
    moved = phase_in_step(wrong, pulses, RATE, HOP)
    other = phase_in_step(wrong, -1e-3 * pulses, RATE, HOP)
    assert wrap(moved - other).abs().max() < 1e-4


def test_impulses_move_an_envelope_by_two_and_steady_noise_hardly():
    phase = wrap(100 * TIME)[None].float()
    impulses = (phase.abs() < 1e-4).float()
    depth, lead = envelope_modulation(impulses, phase, HOP, 2401)
    assert (depth[:, 12:-12] - 2).abs().max() < 1e-3
    assert lead[:, 12:-12].abs().max() < 1e-3
    noise = white_noise(1, SAMPLES, torch.Generator().manual_seed(0))
    steady = envelope_modulation(band_envelope(noise, RATE, 1000, 4000), phase, HOP, 2401)
    assert steady.depth[:, 12:-12].mean() < 0.15
    swelling = noise * (1 + 0.8 * torch.cos(2 * math.pi * (phase - 0.2)))
    found = envelope_modulation(band_envelope(swelling, RATE, 1000, 4000), phase, HOP, 2401)
    assert abs(float(found.depth[:, 12:-12].mean()) - 0.8) < 0.05
    assert (wrap(found.lead[:, 12:-12] + 0.2)).abs().max() < 0.05


def test_the_second_harmonic_tells_two_pulses_a_period_from_one():
    phase = wrap(100 * TIME)[None].float()
    f0_hz = torch.full_like(phase, 200.0)
    envelope = band_envelope(pulse_train(wrap(2 * phase), f0_hz, RATE), RATE, 1000, 4000)
    assert envelope_modulation(envelope, phase, HOP, 2401).depth[:, 12:-12].max() < 0.05
    assert envelope_modulation(envelope, phase, HOP, 2401, 2).depth[:, 12:-12].min() > 0.7


def test_in_silence_nothing_is_undefined():
    phase, _ = glide()
    moved = phase_in_step(phase, torch.zeros(1, SAMPLES), RATE, HOP)
    assert moved.isfinite().all()


def test_windows_without_a_middle_and_parts_of_a_hop_are_refused():
    phase, pulses = glide()
    with pytest.raises(ValueError, match="window_length is 800"):
        envelope_modulation(pulses.abs(), phase, HOP, 800)
    with pytest.raises(ValueError, match="23039 samples are no multiple of the hop, 256"):
        phase_in_step(phase[:, 1:], pulses[:, 1:], RATE, HOP)
