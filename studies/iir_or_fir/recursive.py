"""Cascaded or parallel filters of second and fourth order: biquads, state-variable filters and pole
mixing."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from studies.iir_or_fir.family import (
    RATE,
    Family,
    to_samples,
)
from vocoder.dsp.filters.biquad import Kind, biquad_cascade, design_biquad
from vocoder.dsp.filters.pole_mixing import four_pole
from vocoder.dsp.filters.state_variable import trapezoidal, warp

LOW_HZ, HIGH_HZ = 40.0, 7960.0
"""Range of centre frequencies."""
LOW_Q, HIGH_Q = 0.3, 30.0
"""At 500 Hz the sharpest resonance is 17 Hz wide, about the bin spacing: a sharper one could be
between bins."""
START_Q = 2.0
HIGH_RESONANCE = 3.99
"""Largest resonance of pole mixing, which oscillates at 4."""


@dataclass(frozen=True)
class Biquads(Family):
    """Cascade of low shelf, peaks and high shelf; each with a frequency, a q and a gain."""

    label = "biquad cascade"
    sizes = (4, 6, 8, 11, 15)

    @property
    def parameters(self) -> int:
        """Three per section, and the gain."""
        return 3 * self.size + 1

    @property
    def sample_macs(self) -> float:
        """Five per section, and the gain."""
        return 5 * self.size + 1

    @property
    def response_macs(self) -> float:
        """Two polynomials and their quotient per section."""
        return 20.0 * self.size

    def start(self) -> Tensor:
        """Mel-spaced, all gains 0 dB."""
        return torch.cat([torch.zeros(1, dtype=torch.float64), _spread(self.size, 1).flatten()])

    def sections(self, controls: Float[Tensor, "*batch count"]) -> Float[Tensor, "*batch s 5"]:
        """Coefficients from controls: gain, then frequency (Hz), q and gain (dB) of each
        section."""
        frequency, q, gain_db = controls[..., 1:].unflatten(-1, (self.size, 3)).unbind(-1)
        parts: tuple[tuple[Kind, slice], ...] = (
            ("low_shelf", slice(0, 1)),
            ("peak", slice(1, -1)),
            ("high_shelf", slice(-1, None)),
        )
        found = [
            design_biquad(kind, frequency[..., part], q[..., part], RATE, gain_db[..., part])
            for kind, part in parts
        ]
        return torch.cat(found, dim=-2)

    def controls(self, numbers: Tensor) -> Tensor:
        """Numbers mapped to their ranges; a number of one is a gain of one neper."""
        frequency, q, gain = numbers[..., 1:].unflatten(-1, (self.size, 3)).unbind(-1)
        bounded = torch.stack([_frequency(frequency), _q(q), gain * (20 / math.log(10))], dim=-1)
        return torch.cat([numbers[..., :1].exp(), bounded.flatten(-2)], dim=-1)

    def response(self, numbers: Tensor, n_fft: int) -> Tensor:
        """Product of the sections' responses."""
        controls = self.controls(numbers)
        b0, b1, b2, a1, a2 = self.sections(controls)[..., None].unbind(-2)
        back = _delay(n_fft, numbers)
        each = (b0 + back * (b1 + back * b2)) / (1 + back * (a1 + back * a2))
        return controls[..., :1] * _product(each)

    def samples(self, signal: Tensor, boundaries: Tensor) -> Tensor:
        """Linearly interpolated frequencies, q and gains in dB."""
        controls = to_samples(self.controls(boundaries))
        sections = self.sections(controls)
        return biquad_cascade(signal * controls[..., 0], sections, form="direct")[0]


@dataclass(frozen=True)
class Bank(Family):
    """Parallel state-variable filters; each with a frequency, a q, and band-pass and low-pass mixed
    by a loudness and an angle. Neighbours start with opposite signs, as in a parallel formant
    synthesiser: with equal signs they would cancel between resonances."""

    label = "SVF bank"
    sizes = (4, 6, 8, 11, 15)

    @property
    def parameters(self) -> int:
        """Four per band, and the direct path."""
        return 4 * self.size + 1

    @property
    def sample_macs(self) -> float:
        """Three in the loop and two in the mix per band, and the direct path."""
        return 5 * self.size + 1

    @property
    def response_macs(self) -> float:
        """One complex quotient per band."""
        return 16.0 * self.size

    def start(self) -> Tensor:
        """Mel-spaced, no direct path."""
        return torch.cat([torch.zeros(1, dtype=torch.float64), _spread(self.size, 2).flatten()])

    def controls(self, numbers: Tensor) -> Tensor:
        """Direct path, then frequency (Hz), q, and gains of band and low of each filter."""
        frequency, q, loudness, angle = numbers[..., 1:].unflatten(-1, (self.size, 4)).unbind(-1)
        sign = (-1.0) ** torch.arange(self.size, device=numbers.device)
        gain = sign * loudness.exp()
        bounded = [_frequency(frequency), _q(q), gain * angle.cos(), gain * angle.sin()]
        return torch.cat([numbers[..., :1], torch.stack(bounded, dim=-1).flatten(-2)], dim=-1)

    def response(self, numbers: Tensor, n_fft: int) -> Tensor:
        """Sum of the bands', of ``(low + band k s) / (s² + k s + 1)``, ``s = j tan(ω/2) / g``."""
        controls = self.controls(numbers)
        shape = (self.size, 4)
        frequency, q, band, low = controls[..., 1:].unflatten(-1, shape)[..., None].unbind(-2)
        # Over s², which has no infinity at Nyquist: 1 / s.
        inverse = -1j * _cotangent(n_fft, numbers) * warp(frequency, RATE)
        damped = inverse / q
        each = (low * inverse + band / q) * inverse / (1 + damped + inverse * inverse)
        return controls[..., :1] + each.sum(dim=-2)

    def samples(self, signal: Tensor, boundaries: Tensor) -> Tensor:
        """Linearly interpolated frequencies, q and gains; the bands as a batch."""
        controls = to_samples(self.controls(boundaries))
        bands = controls[..., 1:].unflatten(-1, (self.size, 4))
        frequency, q, band, low = bands.movedim(2, 1).flatten(0, 1).unbind(-1)
        each = signal.repeat_interleave(self.size, dim=0)
        outputs, _ = trapezoidal(each, warp(frequency, RATE), 1 / q)
        mixed = low * outputs[..., 0] + band / q * outputs[..., 1]
        return controls[..., 0] * signal + mixed.unflatten(0, (-1, self.size)).sum(dim=1)


@dataclass(frozen=True)
class PoleMixing(Family):
    """Cascaded four-pole stages; each with a frequency, a resonance and five gains."""

    label = "pole mixing"
    sizes = (1, 2, 3, 4, 6)

    @property
    def parameters(self) -> int:
        """Seven per stage, with one redundant gain in all stages but one."""
        return 6 * self.size + 1

    @property
    def sample_macs(self) -> float:
        """Four poles, six in the loop and five in the mix per stage."""
        return 15 * self.size

    @property
    def response_macs(self) -> float:
        """Pole, its powers, mix and quotient per stage."""
        return 34.0 * self.size

    def start(self) -> Tensor:
        """Mel-spaced, low resonance, unit gain."""
        stages = torch.zeros(self.size, 7, dtype=torch.float64)
        stages[:, 0] = _spread(self.size, 0)[:, 0]
        stages[:, 1], stages[:, 2] = -3.0, 1.0
        return stages.flatten()

    def controls(self, numbers: Tensor) -> Tensor:
        """Frequency (Hz), resonance and gains of each stage."""
        stages = numbers.unflatten(-1, (self.size, 7))
        resonance = HIGH_RESONANCE * stages[..., 1:2].sigmoid()
        bounded = [_frequency(stages[..., :1]), resonance, stages[..., 2:]]
        return torch.cat(bounded, dim=-1).flatten(-2)

    def response(self, numbers: Tensor, n_fft: int) -> Tensor:
        """Product of the stages', ``Σ_i gain_i wⁱ / (1 + r w⁴)``, ``w = 1 / (1 + s)``."""
        shape = (self.size, 7)
        controls = self.controls(numbers).unflatten(-1, shape)[..., None].unbind(-2)
        frequency, resonance, *gains = controls
        inverse = -1j * _cotangent(n_fft, numbers) * warp(frequency, RATE)
        pole = inverse / (1 + inverse)
        mixed = gains[4]
        for gain in gains[3::-1]:
            mixed = mixed * pole + gain
        squared = pole * pole
        return _product(mixed / (1 + resonance * squared * squared))

    def samples(self, signal: Tensor, boundaries: Tensor) -> Tensor:
        """Linearly interpolated frequencies, resonances and gains."""
        controls = to_samples(self.controls(boundaries)).unflatten(-1, (self.size, 7))
        for stage in controls.unbind(2):
            signal = four_pole(signal, stage[..., 0], stage[..., 1], stage[..., 2:], RATE)[0]
        return signal


def _spread(count: int, more: int) -> Float[Tensor, "count numbers"]:
    """Numbers for frequencies evenly spaced in mel from 150 to 7500 Hz, START_Q, and zeros."""
    low, high = (math.log1p(f / 700) for f in (150.0, 7500.0))
    if count == 1:
        place = torch.tensor([0.5], dtype=torch.float64)
    else:
        place = torch.linspace(0, 1, count, dtype=torch.float64)
    frequency = 700 * torch.expm1(low + (high - low) * place)
    share = math.log(START_Q / LOW_Q) / math.log(HIGH_Q / LOW_Q)
    numbers = torch.zeros(count, 2 + more, dtype=torch.float64)
    numbers[:, 0] = torch.logit((frequency - LOW_HZ) / (HIGH_HZ - LOW_HZ))
    numbers[:, 1] = math.log(share / (1 - share))
    return numbers


def _frequency(numbers: Tensor) -> Tensor:
    return LOW_HZ + (HIGH_HZ - LOW_HZ) * numbers.sigmoid()


def _q(numbers: Tensor) -> Tensor:
    return LOW_Q * torch.exp(math.log(HIGH_Q / LOW_Q) * numbers.sigmoid())


def _delay(n_fft: int, like: Tensor) -> Tensor:
    """z⁻¹ at the bins."""
    angle = torch.linspace(0, math.pi, n_fft // 2 + 1, dtype=torch.float64)
    return torch.polar(torch.ones_like(angle), -angle).to(like.dtype.to_complex())


def _cotangent(n_fft: int, like: Tensor) -> Tensor:
    """cot(ω / 2) at the bins; at 0 Hz, where it is infinite, that of a thousandth of a bin."""
    angle = torch.linspace(0, math.pi, n_fft // 2 + 1, dtype=torch.float64)
    angle[0] = 1e-3 * angle[1]
    return (angle / 2).cos().div((angle / 2).sin()).to(like.dtype)


def _product(factors: Tensor) -> Tensor:
    """Product over the axis before the last; cheaper to differentiate than ``prod``."""
    total, *others = factors.unbind(-2)
    for factor in others:
        total = total * factor
    return total
