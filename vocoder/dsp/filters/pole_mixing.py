"""Four equal poles in series with mixed stage outputs: one recursion, many responses.

    u = x - r y₄,   y_i = w y_{i-1} with y₀ = u and w = 1 / (1 + s),   y = Σ_i gain_i y_i

As ``y_i = wⁱ u``, five gains give any numerator of degree four in s over the same poles, and
changing the gains changes the response without a click. The stages are trapezoidal, and the loop is
solved without a delay. At ``r = 4`` the filter oscillates.

Sources: the multimode filter of the Oberheim Xpander for the mixing; V. Zavalishin, "The Art of VA
Filter Design", for the ladder without delay.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from vocoder.dsp.filters.recursion import Backend, linear_recursion, states_before
from vocoder.dsp.filters.state_variable import warp

MIXES: dict[str, tuple[float, float, float, float, float]] = {
    "low_pass_6": (0.0, 1.0, 0.0, 0.0, 0.0),
    "low_pass_12": (0.0, 0.0, 1.0, 0.0, 0.0),
    "low_pass_18": (0.0, 0.0, 0.0, 1.0, 0.0),
    "low_pass_24": (0.0, 0.0, 0.0, 0.0, 1.0),
    "high_pass_6": (1.0, -1.0, 0.0, 0.0, 0.0),
    "high_pass_12": (1.0, -2.0, 1.0, 0.0, 0.0),
    "high_pass_18": (1.0, -3.0, 3.0, -1.0, 0.0),
    "high_pass_24": (1.0, -4.0, 6.0, -4.0, 1.0),
    "band_pass_6": (0.0, 2.0, -2.0, 0.0, 0.0),
    "band_pass_12": (0.0, 0.0, 4.0, -8.0, 4.0),
    "notch": (1.0, -2.0, 2.0, 0.0, 0.0),
    "all_pass_1": (-1.0, 2.0, 0.0, 0.0, 0.0),
    "all_pass_3": (-1.0, 6.0, -12.0, 8.0, 0.0),
    "all_pass_4": (1.0, -8.0, 24.0, -32.0, 16.0),
}
"""Gains of y₀ … y₄ for responses with unit pass-band gain, without resonance. The number is the
slope in dB per octave, on each side for the band-passes, or the order of the all-pass."""


def four_pole(
    signal: Float[Tensor, "batch samples"],
    cutoff_hz: Float[Tensor, "batch samples"],
    resonance: Float[Tensor, "batch samples"],
    gains: Float[Tensor, "batch samples 5"],
    sample_rate: float,
    state: Float[Tensor, "batch 4"] | None = None,
    backend: Backend = "philtorch",
) -> tuple[Float[Tensor, "batch samples"], Float[Tensor, "batch 4"]]:
    """The mixed stage outputs, and the final integrator states.

    With ``g = tan(π cutoff / sample_rate)``, ``G = g / (1 + g)`` and ``h = 1 / (1 + g)``,

        u = (x - r h Σ_j G^{4-j} s_j) / (1 + r G⁴),   y_i = Gⁱ u + h Σ_{j≤i} G^{i-j} s_j,
        s_i ← 2 y_i - s_i

    Stability: for a constant resonance (below 4) there is a quadratic form of the states that never
    grows without input for any cutoff modulation, since the cutoff only scales time. If the
    resonance changes too, there is one for all r between 0 and ``1 / cos⁵(π / 5) ≈ 2.885``, by the
    circle criterion; above that, up to 4, fast modulation has no such guarantee.

    Args:
        cutoff_hz: of each of the four poles, above 0 and below Nyquist.
        resonance: r, from 0 to below 4.
        gains: of the input of the first stage and the outputs of the four; see ``MIXES``.
        state: of the previous call; silence when absent.

    Raises:
        ValueError: a cutoff or a resonance is out of range.

    >>> step, cutoff = torch.ones(1, 200), torch.full((1, 200), 100.0)
    >>> gains = torch.tensor(MIXES["low_pass_24"]).expand(1, 200, 5)
    >>> y, _ = four_pole(step, cutoff, 0 * cutoff, gains, 1000, backend="torch")
    >>> round(y[0, -1].item(), 4)
    1.0
    """
    if not bool(((cutoff_hz > 0) & (cutoff_hz < 0.5 * sample_rate)).all()):
        raise ValueError(f"the cutoff lies above 0 and below Nyquist, {0.5 * sample_rate} Hz")
    if not bool(((resonance >= 0) & (resonance < 4)).all()):
        raise ValueError("the resonance lies between 0 and 4, where it rings for ever")
    if state is None:
        state = signal.new_zeros(signal.shape[0], 4)
    from_state, from_input = _solve_loop(warp(cutoff_hz, sample_rate), resonance)
    stages = from_state[..., 1:, :]
    matrices = 2 * stages - torch.eye(4, dtype=signal.dtype, device=signal.device)
    inputs = 2 * from_input[..., 1:] * signal[..., None]
    states = linear_recursion(inputs, matrices, state, backend)
    # Mix first: five gains become four for the states and one for the input.
    mixed = (gains[..., None, :] @ from_state)[..., 0, :]
    output = (mixed * states_before(state, states)).sum(dim=-1)
    return output + (gains * from_input).sum(dim=-1) * signal, states[:, -1]


def _solve_loop(
    g: Float[Tensor, "batch samples"], resonance: Float[Tensor, "batch samples"]
) -> tuple[Float[Tensor, "batch samples 5 4"], Float[Tensor, "batch samples 5"]]:
    """Coefficients of y₀ … y₄ on the four states, and on the input."""
    scale = 1 / (1 + g)
    pole = g * scale
    squared = pole * pole
    powers = [torch.ones_like(g), pole, squared, squared * pole, squared * squared]
    nothing = torch.zeros_like(g)
    reach = [powers[tap - j] if tap >= j else nothing for tap in range(5) for j in range(1, 5)]
    from_state = scale[..., None, None] * torch.stack(reach, dim=-1).unflatten(-1, (5, 4))
    from_input = torch.stack(powers, dim=-1) / (1 + resonance * powers[4])[..., None]
    loop = resonance[..., None] * from_state[..., 4, :]
    return from_state - from_input[..., :, None] * loop[..., None, :], from_input
