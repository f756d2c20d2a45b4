"""Homomorphic deconvolution: convolution in time is addition in the cepstrum.

The complex cepstrum of a signal is the inverse Fourier transform of its complex log spectrum, the
phase unwrapped. The signal's sign and linear phase are kept separately: ``x[n] = sign * x₀[n -
delay]`` with ``log X₀(ω) = Σ_n c[n] e^{-jωn}``. A cepstrum of ``n_fft`` points has c[n] at n for n
< n_fft / 2 and at n + n_fft for n < 0.

Source: A. V. Oppenheim and R. W. Schafer, "Discrete-Time Signal Processing", ch. 13.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Complex, Float
from torch import Tensor

_DENSEST = 2**22
"""Points of the densest grid for unwrapping the phase."""


class ComplexCepstrum(NamedTuple):
    """A complex cepstrum, with the sign and the delay that it cannot represent."""

    cepstrum: Float[Tensor, "batch n_fft"]
    sign: Float[Tensor, " batch"]
    """1 or -1."""
    delay: Float[Tensor, " batch"]
    """Whole samples."""


def signal_cepstrum(
    signal: Float[Tensor, "batch samples"], n_fft: int
) -> Float[Tensor, "batch n_fft"]:
    """Real cepstrum, the inverse Fourier transform of ``log|X|``: the even part of the complex one.

    Raises:
        ValueError: an ``n_fft`` that is odd or shorter than the signal, or a spectrum with a zero.

    >>> c = signal_cepstrum(torch.tensor([[1.0, 0.5]]), 64)
    >>> round(c[0, 1].item(), 4)  # half of 0.5
    0.25
    """
    return torch.fft.irfft(_spectrum(signal, n_fft).abs().log(), n=n_fft)


def power_cepstrum(
    signal: Float[Tensor, "batch samples"], n_fft: int
) -> Float[Tensor, "batch n_fft"]:
    """Squared inverse Fourier transform of ``log|X|²``, four times the real cepstrum squared.

    An echo of the gain a after D samples is a peak of a² at D.

    Raises:
        ValueError: as :func:`signal_cepstrum`.

    Source: B. P. Bogert, M. J. R. Healy, J. W. Tukey, "The quefrency alanysis of time series for
    echoes", 1963.

    >>> round(power_cepstrum(torch.tensor([[1.0, 0.5]]), 64)[0, 1].item(), 4)
    0.25
    """
    return (2 * signal_cepstrum(signal, n_fft)).square()


def complex_cepstrum(signal: Float[Tensor, "batch samples"], n_fft: int) -> ComplexCepstrum:
    """Complex cepstrum of a finite signal, with its sign and delay.

    The phase is unwrapped on a grid that is refined until every step between two bins agrees with
    the prediction from the group delay, to a quarter of a turn. The cepstrum of zeros of radius r
    wraps around after ``n_fft`` samples, where it has fallen to ``r^n_fft / n_fft``. Computed in
    double precision; differentiable, except sign and delay.

    Raises:
        ValueError: an ``n_fft`` that is odd or shorter than the signal; zeros on the unit circle
            or too close to it for unwrapping the phase.

    Source: the module's; for the check by the group delay J. M. Tribolet, "A new phase unwrapping
    algorithm", IEEE TASSP 25, 1977.

    >>> found = complex_cepstrum(torch.tensor([[0.0, -1.0, 0.5]]), 64)
    >>> found.cepstrum[0, :3].round(decimals=4).tolist(), found.sign.item(), found.delay.item()
    ([0.0, -0.5, -0.125], -1.0, 1.0)
    """
    exact = signal.double()
    spectrum = _spectrum(exact, n_fft)
    sign = spectrum[:, 0].real.sign()
    phase = _unwrapped_phase((exact * sign[:, None]).detach(), n_fft)
    delay = -torch.round(phase[:, -1] / torch.pi)
    omega = torch.linspace(0, torch.pi, spectrum.shape[1], dtype=torch.float64, device=phase.device)
    # Only the whole turns come from the dense grid; the rest is differentiable.
    angle = (spectrum * sign[:, None]).angle()
    turns = torch.round((phase - angle.detach()) / (2 * torch.pi))
    angle = angle + 2 * torch.pi * turns + delay[:, None] * omega
    cepstrum = torch.fft.irfft(torch.complex(spectrum.abs().log(), angle), n=n_fft)
    return ComplexCepstrum(*(x.to(signal.dtype) for x in (cepstrum, sign, delay)))


def inverse_complex_cepstrum(
    cepstrum: Float[Tensor, "batch n_fft"],
    sign: Float[Tensor, " batch"],
    delay: Float[Tensor, " batch"],
    n_samples: int,
) -> Float[Tensor, "batch samples"]:
    """The first ``n_samples`` of the signal of a complex cepstrum; inverse of
    :func:`complex_cepstrum`, even if the cepstrum was aliased.

    Raises:
        ValueError: more samples than the cepstrum has.

    >>> x = torch.tensor([[0.5, -2.0, 1.0]])
    >>> inverse_complex_cepstrum(*complex_cepstrum(x, 64), 3).round(decimals=4).tolist()
    [[0.5, -2.0, 1.0]]
    """
    n_fft = cepstrum.shape[1]
    if n_samples > n_fft:
        raise ValueError(f"{n_samples} samples from a cepstrum of {n_fft}: use a longer one")
    omega = torch.arange(n_fft // 2 + 1, dtype=torch.float64, device=cepstrum.device)
    shift = (-2 * torch.pi / n_fft) * omega * delay.double()[:, None]
    spectrum = torch.fft.rfft(cepstrum).exp() * torch.polar(
        sign[:, None].expand_as(shift), shift.to(cepstrum.dtype)
    )
    return torch.fft.irfft(spectrum, n=n_fft)[:, :n_samples]


def low_time(cepstrum: Float[Tensor, "batch n_fft"], cutoff: int) -> Float[Tensor, "batch n_fft"]:
    """The part with ``|n| < cutoff``, which describes the smooth spectrum; the rest is the
    high-time part, the fine structure.

    Raises:
        ValueError: a ``cutoff`` below one or beyond half of the cepstrum.

    >>> low_time(torch.ones(1, 8), 2).tolist()
    [[1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]]
    """
    n_fft = cepstrum.shape[1]
    if not 1 <= cutoff <= n_fft // 2:
        raise ValueError(f"a cutoff of {cutoff} for a cepstrum of {n_fft}: 1 to {n_fft // 2}")
    n = torch.arange(n_fft, device=cepstrum.device)
    return cepstrum * (torch.minimum(n, n_fft - n) < cutoff)


def deconvolve(
    signal: Float[Tensor, "batch samples"], n_fft: int, cutoff: int
) -> tuple[Float[Tensor, "batch n_fft"], Float[Tensor, "batch n_fft"]]:
    """Two signals whose circular convolution is the given one, split at a quefrency: a short
    response around sample 0 (negative times at the end), and a sequence of pulses or echoes.

    For voiced speech these are the vocal tract and its excitation, if the cutoff is below the pitch
    period.

    Raises:
        ValueError: as :func:`complex_cepstrum` and :func:`low_time`.

    >>> short, pulses = deconvolve(torch.tensor([[1.0, 0.5, 0.0, 0.0, 0.4, 0.2]]), 128, 4)
    >>> short[0, :2].round(decimals=2), pulses[0, [0, 4]].round(decimals=2)
    (tensor([1.0000, 0.5000]), tensor([1.0000, 0.3800]))
    """
    whole, sign, delay = complex_cepstrum(signal, n_fft)
    low = low_time(whole, cutoff)
    one, none = torch.ones_like(sign), torch.zeros_like(delay)
    short = inverse_complex_cepstrum(low, one, none, n_fft)
    return short, inverse_complex_cepstrum(whole - low, sign, delay, n_fft)


def find_echo(
    signal: Float[Tensor, "batch samples"], n_fft: int, shortest: int, longest: int
) -> tuple[Float[Tensor, " batch"], Float[Tensor, " batch"]]:
    """Delay in samples and gain of the strongest echo between two delays.

    ``x[n] + a x[n - D]`` with |a| < 1 adds ``a`` at D to the complex cepstrum (-a²/2 at 2 D, …) and
    half of it to the real one, whose largest value is used. The estimated gain includes the
    signal's own cepstrum at D.

    Raises:
        ValueError: as :func:`signal_cepstrum`, or delays that are not
            ``1 <= shortest <= longest < n_fft / 2``.

    >>> delay, gain = find_echo(torch.tensor([[1.0, 0.0, 0.0, -0.5]]), 64, 2, 20)
    >>> delay.item(), round(gain.item(), 4)
    (3.0, -0.5)
    """
    if not 1 <= shortest <= longest < n_fft // 2:
        raise ValueError(
            f"delays from {shortest} to {longest} samples: they must lie in 1 … {n_fft // 2 - 1}"
        )
    part = 2 * signal_cepstrum(signal, n_fft)[:, shortest : longest + 1]
    peak = part.abs().argmax(dim=1, keepdim=True)
    return (peak[:, 0] + shortest).to(signal.dtype), part.gather(1, peak)[:, 0]


def _spectrum(signal: Tensor, n_fft: int) -> Complex[Tensor, "batch bins"]:
    """Spectrum on ``n_fft`` points, without zeros."""
    if n_fft % 2 or n_fft < signal.shape[1]:
        raise ValueError(
            f"n_fft {n_fft} for {signal.shape[1]} samples: it must be even and no shorter"
        )
    spectrum = torch.fft.rfft(signal, n=n_fft)
    if bool((spectrum == 0).any()):
        raise ValueError(
            "a spectrum with a zero has no logarithm: is the signal silent, or add a little noise"
        )
    return spectrum


def _unwrapped_phase(signal: Tensor, n_fft: int) -> Float[Tensor, "batch bins"]:
    """Continuous phase at the bins of ``n_fft``, zero at 0 Hz."""
    phase = signal.new_empty(len(signal), n_fft // 2 + 1)
    waiting = torch.arange(len(signal), device=signal.device)
    dense = 4 * n_fft
    # Only the few signals with zeros near the unit circle need a dense grid.
    while len(waiting) and dense <= max(_DENSEST, 8 * n_fft):
        followed, steady = _follow_phase(signal[waiting], dense)
        phase[waiting[steady]] = followed[steady, :: dense // n_fft]
        waiting = waiting[~steady]
        dense *= 2
    if len(waiting):
        raise ValueError(
            "zeros too near the unit circle to follow the phase: weight the signal by r^n, r below "
            "one"
        )
    return phase


def _follow_phase(
    signal: Tensor, n_fft: int
) -> tuple[Float[Tensor, "batch bins"], Bool[Tensor, " batch"]]:
    """Cumulative phase, and whether the group delay agrees with every step."""
    n = torch.arange(signal.shape[1], dtype=signal.dtype, device=signal.device)
    # The phase of a signal centred on its energy changes most slowly.
    energy = signal.square()
    centre = torch.round((energy * n).sum(dim=1) / energy.sum(dim=1))[:, None]
    spectrum = _spectrum(signal, n_fft)
    slope = -(torch.fft.rfft((n - centre) * signal, n=n_fft) / spectrum).real
    predicted = (slope[:, 1:] + slope[:, :-1]) * (torch.pi / n_fft)
    step = (spectrum[:, 1:] / spectrum[:, :-1]).angle() + 2 * torch.pi / n_fft * centre
    step = step + 2 * torch.pi * torch.round((predicted - step) / (2 * torch.pi))
    turned = torch.cat([torch.zeros_like(step[:, :1]), step.cumsum(dim=1)], dim=1)
    omega = 2 * torch.pi / n_fft * torch.arange(turned.shape[1], device=signal.device)
    return turned - centre * omega, ((step - predicted).abs() < torch.pi / 2).all(dim=1)
