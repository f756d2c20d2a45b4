"""The glottal flow's derivative after Liljencrants and Fant, with one parameter for its shape.

Over a period of length one the derivative of the flow is

    E(t) = E₀ e^{αt} sin ωt,                                 0 ≤ t ≤ t_e,   ω = π / t_p
    E(t) = -(e^{-ε(t - t_e)} - e^{-ε(1 - t_e)}) / (ε t_a),   t_e ≤ t ≤ 1

The flow peaks at ``t_p``. The folds close at ``t_e``, the main excitation, where the derivative is
-1 (``E_e = 1``); ``t_a`` is the time constant of the return phase. ``E₀`` joins both branches at
``t_e``, ε makes the second one end at zero, and α makes the flow periodic: ``∫E = 0``. ``R_d`` sets
the three times together, from pressed (0.3) over modal (1) to breathy (2.7) voice.

The pulse is synthesised from its closed-form Fourier coefficients, with the fade of
:mod:`vocoder.dsp.sources.oscillators` below Nyquist, so that kinks in the waveform do not alias.
The aliases are 97 dB below the whole for a glide of F0 from 100 to 1000 Hz in 0.2 s, and 110 dB in
a vibrato; sampling the waveform itself gives 26 dB. The main excitation is at phase zero, like the
pulse of ``pulse_train``, but negative.

Sources: G. Fant, J. Liljencrants and Q. Lin, "A four-parameter model of glottal flow", STL-QPSR
4/1985; G. Fant, "The LF-model revisited. Transformations and frequency domain analysis", STL-QPSR
2-3/1995.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from vocoder.dsp.sources.oscillators import TOP, harmonic_bank

RD_RANGE = (0.3, 2.7)
"""Range of validity of Fant's regression of the times on Rd."""

_NEWTON_STEPS = 12
"""Eight steps determine α and ε to the last bits of float64 in the whole range."""


class LFShape(NamedTuple):
    """Times as fractions of the period, and the two derived constants, in float64."""

    t_p: Tensor
    t_e: Tensor
    t_a: Tensor
    alpha: Tensor
    epsilon: Tensor


def lf_shape(rd: Float[Tensor, "*batch"]) -> LFShape:
    """Times and constants of the pulse for Rd, each of Rd's shape.

        100 R_a = 4.8 R_d - 1,   100 R_k = 22.4 + 11.8 R_d,
        R_g = R_k / (4 (0.11 R_d / (0.5 + 1.2 R_k) - R_a))
        t_a = R_a,   t_p = 1 / (2 R_g),   t_e = t_p (1 + R_k)

    α and ε are found by Newton's method in float64. Only the last two steps, at the converged root,
    are differentiated: by the implicit function theorem, first and second derivatives are exact.

    Raises:
        ValueError: an Rd outside 0.3 … 2.7, or not a number.

    Source: Fant 1995 for the three ratios.

    >>> shape = lf_shape(torch.tensor(1.0))
    >>> [round(x.item(), 4) for x in shape]
    [0.4844, 0.65, 0.038, 2.8065, 26.3132]
    """
    if not bool(((rd >= RD_RANGE[0] - 1e-6) & (rd <= RD_RANGE[1] + 1e-6)).all()):
        raise ValueError(
            f"Rd from {rd.min().item():.3g} to {rd.max().item():.3g}: keep it within "
            f"{RD_RANGE[0]} and {RD_RANGE[1]}"
        )
    rd = rd.double()
    t_a = (4.8 * rd - 1) / 100
    r_k = (22.4 + 11.8 * rd) / 100
    t_p = 2 * (0.11 * rd / (0.5 + 1.2 * r_k) - t_a) / r_k
    t_e = t_p * (1 + r_k)
    epsilon = _epsilon(t_a, 1 - t_e)
    return LFShape(t_p, t_e, t_a, _alpha(t_p, t_e, t_a, epsilon), epsilon)


def _epsilon(t_a: Tensor, t_b: Tensor) -> Tensor:
    """The positive root of ``1 - e^{-ε t_b} - ε t_a``, with ``t_b`` the return's share."""

    def step(epsilon: Tensor, t_a: Tensor, t_b: Tensor) -> Tensor:
        decay = torch.exp(-epsilon * t_b)
        return epsilon - (1 - decay - epsilon * t_a) / (t_b * decay - t_a)

    with torch.no_grad():
        # The function is concave: starting right of the root, no step overshoots.
        epsilon = 1 / t_a
        for _ in range(_NEWTON_STEPS):
            epsilon = step(epsilon, t_a, t_b)
    return step(step(epsilon, t_a, t_b), t_a, t_b)


def _alpha(t_p: Tensor, t_e: Tensor, t_a: Tensor, epsilon: Tensor) -> Tensor:
    """The α for which both branches have the same area."""

    def step(alpha: Tensor, t_p: Tensor, t_e: Tensor, closing: Tensor) -> Tensor:
        omega = math.pi / t_p
        sine, cosine = torch.sin(omega * t_e), torch.cos(omega * t_e)
        decay, norm = torch.exp(-alpha * t_e), alpha.square() + omega.square()
        opening = (alpha * sine - omega * cosine + omega * decay) / (norm * sine)
        slope = (sine - omega * t_e * decay) / (norm * sine) - 2 * alpha * opening / norm
        return alpha - (opening + closing) / slope

    t_b = 1 - t_e
    closing = 1 / epsilon - t_b / (epsilon * t_a) + t_b
    with torch.no_grad():
        alpha = torch.zeros_like(t_p)
        for _ in range(_NEWTON_STEPS):
            alpha = step(alpha, t_p, t_e, closing)
    return step(step(alpha, t_p, t_e, closing), t_p, t_e, closing)


def lf_power(rd: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """Mean square ``∫₀¹ E²`` of the pulse whose main excitation is -1, in closed form.

    Dividing by its square root gives a source of unit power for every Rd, like a pulse train,
    except for the part above Nyquist. It grows from -15.7 dB at an Rd of 0.3 to -4.5 dB at 2.7.

    Raises:
        ValueError: as :func:`lf_shape`.

    >>> round(lf_power(torch.tensor(1.0)).item(), 4)
    0.1064
    """
    t_p, t_e, t_a, alpha, epsilon = lf_shape(rd)
    omega, t_b = math.pi / t_p, 1 - t_e
    # sin² x = (1 - cos 2x) / 2.
    decay = torch.exp(-2 * alpha * t_e)
    constant = (1 - decay) / (2 * alpha)
    turn = alpha * torch.cos(2 * omega * t_e) + omega * torch.sin(2 * omega * t_e) - alpha * decay
    turn = turn / (2 * (alpha.square() + omega.square()))
    opening = (constant - turn) / (2 * torch.sin(omega * t_e).square())
    rest = 1 - epsilon * t_a
    closing = (1 - rest.square()) / (2 * epsilon) - 2 * rest * t_a + rest.square() * t_b
    return (opening + closing / (epsilon * t_a).square()).to(rd.dtype)


def lf_harmonics(
    rd: Float[Tensor, "*batch"], n_harmonics: int
) -> tuple[Float[Tensor, "*batch harmonics"], Float[Tensor, "*batch harmonics"]]:
    """Cosine and sine amplitudes of the harmonics ``1 … n_harmonics`` (the mean is zero): ``E(t_e +
    φ) = Σ_k a_k cos 2πkφ + b_k sin 2πkφ`` with -1 at phase zero.

    ``a_k - i b_k = 2 ∫₀¹ E(t) e^{-2πik(t - t_e)} dt``, closed-form in both branches. Above the
    first few harmonics the amplitudes fall by 6 dB per octave, and above ``f0 / (2π t_a)`` by 12.

    Raises:
        ValueError: as :func:`lf_shape`.

    >>> cosine, sine = lf_harmonics(torch.tensor(1.0), 2000)
    >>> round(cosine.sum().item(), 2)
    -1.0
    """
    shape = lf_shape(rd)
    coefficients = 2 * _fourier(shape, n_harmonics)
    return coefficients.real.to(rd.dtype), -coefficients.imag.to(rd.dtype)


def _fourier(shape: LFShape, n_harmonics: int) -> Complex[Tensor, "*batch harmonics"]:
    """``∫₀¹ E(t) e^{-2πik(t - t_e)} dt`` for ``k = 1 … n_harmonics``."""
    t_p, t_e, t_a, alpha, epsilon = (x[..., None] for x in shape)
    order = torch.arange(1, n_harmonics + 1, dtype=torch.float64, device=t_p.device)
    turn = 1j * (2 * math.pi) * order
    omega, t_b = math.pi / t_p, 1 - t_e
    sine, cosine = torch.sin(omega * t_e), torch.cos(omega * t_e)
    s = alpha - turn
    opening = (s * sine - omega * cosine + omega * torch.exp(-s * t_e)) / (
        (s * s + omega * omega) * -sine
    )
    rest = 1 - epsilon * t_a
    end = torch.exp(-turn * t_b)
    closing = (1 - rest * end) / (epsilon + turn) - rest * (1 - end) / turn
    return opening - closing / (epsilon * t_a)


def lf_source(
    phase: Float[Tensor, "batch samples"],
    f0_hz: Float[Tensor, "batch samples"],
    rd: Float[Tensor, "batch frames_plus_one"],
    sample_rate: int,
) -> Float[Tensor, "batch samples"]:
    """Glottal flow derivative, band-limited, with Rd (0.3 … 2.7) given at frame boundaries.

    Phase in cycles from ``sample_phase``; the main excitation, -1 before band limiting, is at phase
    zero. Between boundaries the Fourier coefficients, not Rd, are interpolated linearly: two
    neighbouring pulses are cross-faded. The harmonics fade below Nyquist as in ``harmonic_bank``,
    at twice its cost. Divide by the square root of :func:`lf_power` for unit power. F0 must be
    above zero: the lowest F0 determines the number of harmonics.

    Raises:
        ValueError: an Rd outside its range, an F0 of zero or less, or samples that are no multiple
            of the frames.

    >>> phase = (torch.arange(200)[None] / 200 + 0.5) % 1 - 0.5
    >>> source = lf_source(phase, torch.full((1, 200), 80.0), torch.ones(1, 2), 16000)
    >>> source.argmin().item(), round(source.min().item(), 2), source.mean().abs().item() < 1e-6
    (0, -0.98, True)
    """
    lowest = f0_hz.min().item()
    if not lowest > 0:
        raise ValueError(f"an F0 of {lowest:g} Hz has no period: give one above zero throughout")
    n_harmonics = max(1, math.ceil(TOP * 0.5 * sample_rate / lowest))
    cosine, sine = lf_harmonics(rd, n_harmonics)
    return harmonic_bank(phase, f0_hz, cosine, sample_rate, sine)
