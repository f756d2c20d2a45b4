"""How a band of a signal swells with every pitch pulse.

In voiced speech the vocal tract rings anew at each closing of the glottis, so that the envelope of
a band above some 1 kHz has a maximum per period. Where it stands, and how deep the envelope falls
in between, is not in short-time magnitudes whose windows are longer than a period.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import conv1d

from vocoder.dsp.framing import interpolate_linear
from vocoder.dsp.sources.oscillators import wrap

PULSE_BAND_HZ = (1000.0, 4000.0)
"""Above the harmonics whose phases rooms and microphones turn most, below the noise of breath."""
PULSE_WINDOW_S = 0.2
"""Several periods: what one period's noise adds to the phase, harmonic k takes k times."""


class Modulation(NamedTuple):
    """Movement of an envelope with a phase φ, ``e ∝ 1 + d cos 2π(φ + ψ)``."""

    depth: Float[Tensor, "batch frames"]
    """d, zero without any movement, two for single impulses."""
    lead: Float[Tensor, "batch frames"]
    """ψ in cycles, [-0.5, 0.5]: by so much the maxima come before phase zero."""


def band_envelope(
    waveform: Float[Tensor, "batch samples"], sample_rate: int, low_hz: float, high_hz: float
) -> Float[Tensor, "batch samples"]:
    """Magnitude of the analytic signal of a band (Hz), its spectrum cut at both edges: twice the
    positive frequencies, transformed back (D. Gabor, "Theory of communication", 1946).

    >>> tone = torch.cos(2 * torch.pi * torch.arange(800) / 8)[None]  # 1 kHz at 8 kHz
    >>> torch.allclose(band_envelope(tone, 8000, 500, 2000), torch.ones(1, 800), atol=1e-5)
    True
    """
    samples = waveform.shape[1]
    hertz = torch.fft.fftfreq(samples, 1 / sample_rate, device=waveform.device)
    inside = (hertz > low_hz) & (hertz < high_hz)
    return 2 * torch.fft.ifft(torch.fft.fft(waveform) * inside).abs()


def envelope_modulation(
    envelope: Float[Tensor, "batch samples"],
    phase: Float[Tensor, "batch samples"],
    hop_length: int,
    window_length: int,
    harmonic: int = 1,
) -> Modulation:
    """Movement of an envelope with ``harmonic`` times a phase (cycles), in Hann windows around the
    samples 0, hop, 2 hop, …:

        c = Σ w e exp(-2πi k φ) / Σ w e,  d = 2 |c|,  ψ = arg c / 2π

    ``hop_length`` and ``window_length`` are in samples.

    Raises:
        ValueError: a window of an even length, which has no sample in its middle.

    >>> phase = wrap(torch.arange(4000) * 0.01)[None]
    >>> envelope = 1 + 0.5 * torch.cos(2 * torch.pi * (phase + 0.1))
    >>> depth, lead = envelope_modulation(envelope, phase, 1000, 801)
    >>> [round(float(value[0, 2]), 3) for value in (depth, lead)]
    [0.5, 0.1]
    """
    if window_length % 2 == 0:
        raise ValueError(f"window_length is {window_length}; an odd one has a middle")
    angle = (2 * math.pi * harmonic) * phase
    turned = torch.stack([envelope, envelope * torch.cos(angle), -envelope * torch.sin(angle)])
    window = torch.hann_window(window_length, False, dtype=envelope.dtype, device=envelope.device)
    sums = conv1d(
        turned.flatten(0, 1)[:, None],
        window[None, None],
        stride=hop_length,
        padding=window_length // 2,
    )
    mean, real, imaginary = sums[:, 0].unflatten(0, (3, -1)).unbind(0)
    depth = 2 * torch.hypot(real, imaginary) / mean.clamp(min=1e-9)
    return Modulation(depth, torch.atan2(imaginary, real) / (2 * math.pi))


def phase_in_step(
    phase: Float[Tensor, "batch samples"],
    waveform: Float[Tensor, "batch samples"],
    sample_rate: int,
    hop_length: int,
) -> Float[Tensor, "batch samples"]:
    """A phase (cycles), moved so that its zeros fall on the maxima of a recording's envelope.

    The envelope is that of `PULSE_BAND_HZ`; what is added is its lead in windows of
    `PULSE_WINDOW_S`, unwrapped and interpolated linearly between multiples of the hop, so that an
    F0 that is wrong by a hertz or two is corrected too. Where the envelope does not move, as in
    unvoiced speech, the result means nothing.

    Raises:
        ValueError: samples that are no multiple of the hop.

    >>> phase = wrap(torch.arange(16000) * 0.01)[None]  # 160 Hz at 16 kHz
    >>> clicks = (phase.abs() < 0.005).float()
    >>> moved = phase_in_step(wrap(phase + 0.3), clicks, 16000, 160)
    >>> bool(wrap(moved - phase)[:, 2000:-2000].abs().max() < 0.01)
    True
    """
    samples = phase.shape[1]
    if samples % hop_length:
        raise ValueError(f"{samples} samples are no multiple of the hop, {hop_length}")
    envelope = band_envelope(waveform, sample_rate, *PULSE_BAND_HZ)
    window_length = 2 * round(PULSE_WINDOW_S * sample_rate / 2) + 1
    lead = envelope_modulation(envelope, phase, hop_length, window_length).lead
    steps = wrap(lead.diff(dim=1)).cumsum(dim=1)
    course = torch.cat([lead[:, :1], lead[:, :1] + steps], dim=1)
    course = torch.cat([course, course[:, -1:]], dim=1)
    return wrap(phase + interpolate_linear(course, hop_length))
