"""The trapezoidal state-variable filter; cutoff and resonance may change at audio rate.

    high = x - k band - low,   band = ∫ high,   low = ∫ band

with both integrators trapezoidal, of gain ``g = tan(π cutoff / sample_rate)``, solved without a
delay in the loop. The states are the integrators' memories, whose meaning does not depend on g. The
energy ``s₁² + s₂²`` changes per sample by ``4 g band (x - k band)``: without input it never grows,
for any sequence of g > 0 and k ≥ 0; with input it grows by at most ``g x² / k``.

Source: V. Zavalishin, "The Art of VA Filter Design".
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from vocoder.dsp.filters.recursion import Backend, linear_recursion, states_before

Response = Literal["low", "band", "high", "notch", "peak", "all_pass"]


def state_variable_filter(
    signal: Float[Tensor, "batch samples"],
    cutoff_hz: Float[Tensor, "batch samples"],
    q: Float[Tensor, "batch samples"],
    sample_rate: float,
    response: Response,
    state: Float[Tensor, "batch 2"] | None = None,
    backend: Backend = "philtorch",
) -> tuple[Float[Tensor, "batch samples"], Float[Tensor, "batch 2"]]:
    """Second-order filter with a cutoff and a resonance per sample, and its final state.

    ``low`` and ``high`` have a gain of one at 0 Hz and at Nyquist, respectively, and of ``q`` at
    the cutoff; ``band`` (``k band`` of :func:`trapezoidal`) and ``all_pass = x - 2 band`` have a
    gain of one at the cutoff, ``notch = x - band`` of zero, ``peak = low - high`` of ``2 q``.

    Args:
        cutoff_hz: above 0 and below Nyquist.
        q: above 0; 1/√2 is Butterworth's.
        state: of the previous call; silence when absent.

    Raises:
        ValueError: a cutoff or q is out of range, or the response is unknown.

    >>> step, course = torch.ones(1, 400), torch.full((1, 400), 100.0)
    >>> low, _ = state_variable_filter(step, course, course / 100, 1000, "low", backend="torch")
    >>> round(low[0, -1].item(), 4)
    1.0
    """
    if not bool(((cutoff_hz > 0) & (cutoff_hz < 0.5 * sample_rate)).all()):
        raise ValueError(f"the cutoff lies above 0 and below Nyquist, {0.5 * sample_rate} Hz")
    if not bool((q > 0).all()):
        raise ValueError("the resonance q lies above 0")
    damping = 1 / q
    outputs, state = trapezoidal(signal, warp(cutoff_hz, sample_rate), damping, state, backend)
    low, band, high = outputs.unbind(-1)
    band = damping * band
    if response == "low":
        return low, state
    if response == "band":
        return band, state
    if response == "high":
        return high, state
    if response == "notch":
        return signal - band, state
    if response == "peak":
        return low - high, state
    if response == "all_pass":
        return signal - 2 * band, state
    raise ValueError(f"unknown response {response!r}: low, band, high, notch, peak or all_pass")


def warp(frequency_hz: Float[Tensor, "*shape"], sample_rate: float) -> Float[Tensor, "*shape"]:
    """``tan(π f / sample_rate)``: the integrator gain for a cutoff of exactly f, with pre-warping
    for the trapezoidal rule.

    >>> round(warp(torch.tensor(250.0), 1000).item(), 6)
    1.0
    """
    return torch.tan(frequency_hz * (torch.pi / sample_rate))


def trapezoidal(
    signal: Float[Tensor, "batch samples"],
    g: Float[Tensor, "batch samples"],
    damping: Float[Tensor, "batch samples"],
    state: Float[Tensor, "batch 2"] | None = None,
    backend: Backend = "philtorch",
) -> tuple[Float[Tensor, "batch samples 3"], Float[Tensor, "batch 2"]]:
    """Low, band and high outputs of the filter above, and its final state; ``band`` has a gain of 1
    / k at the cutoff. With ``d = 1 / (1 + g (g + k))``,

        band = d (s₁ + g (x - s₂)),   low = s₂ + g band,   s₁ ← 2 band - s₁,   s₂ ← 2 low - s₂

    Args:
        g: integrator gain, above 0 (:func:`warp`).
        damping: k = 1 / q, at least 0; at 0 it oscillates without growing.

    >>> outputs, _ = trapezoidal(torch.ones(1, 1), *torch.ones(2, 1, 1), backend="torch")
    >>> [round(value, 4) for value in outputs.flatten().tolist()]
    [0.3333, 0.3333, 0.3333]
    """
    if state is None:
        state = signal.new_zeros(signal.shape[0], 2)
    d = 1 / (1 + g * (g + damping))
    drive = 2 * g * d
    turn = g * drive
    matrices = torch.stack([2 * d - 1, -drive, drive, 1 - turn], dim=-1).unflatten(-1, (2, 2))
    inputs = torch.stack([drive * signal, turn * signal], dim=-1)
    states = linear_recursion(inputs, matrices, state, backend)
    s1, s2 = states_before(state, states).unbind(-1)
    band = d * (s1 + g * (signal - s2))
    low = s2 + g * band
    high = signal - damping * band - low
    return torch.stack([low, band, high], dim=-1), states[:, -1]
