"""Cascaded second-order sections with coefficients for every sample.

A section is ``(b₀ + b₁ z^-1 + b₂ z^-2) / (1 + a₁ z^-1 + a₂ z^-2)``; the last axis holds
``b₀ b₁ b₂ a₁ a₂``.
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from vocoder.dsp.filters.recursion import Backend, linear_recursion, states_before
from vocoder.dsp.filters.state_variable import trapezoidal

Kind = Literal[
    "low_pass",
    "high_pass",
    "band_pass",
    "notch",
    "all_pass",
    "peak",
    "low_shelf",
    "high_shelf",
]
Form = Literal["direct", "state_variable"]


def biquad_cascade(
    signal: Float[Tensor, "batch samples"],
    coefficients: Float[Tensor, "batch samples sections terms"],
    state: Float[Tensor, "batch sections 2"] | None = None,
    form: Form = "direct",
    backend: Backend = "philtorch",
) -> tuple[Float[Tensor, "batch samples"], Float[Tensor, "batch sections 2"]]:
    """The output of all sections in series, and their final states.

    ``direct`` is direct form II transposed,

        y = b₀ x + s₁,   s₁ ← b₁ x - a₁ y + s₂,   s₂ ← b₂ x - a₂ y,

    suitable for constant or slowly varying coefficients. With changes at audio rate it can grow
    without bound although every section is stable. ``state_variable`` has the same response for
    constant coefficients and is stable for any sequence of stable ones, see
    :func:`state_variable_section`. The states of the two forms are not interchangeable.

    Args:
        coefficients: five terms ``b₀ b₁ b₂ a₁ a₂``, or six, ``b₀ b₁ b₂ a₀ a₁ a₂``, divided by a₀.
        state: of the previous call; silence when absent.

    Raises:
        ValueError: the sections have neither five nor six terms, or the form is unknown.

    >>> one_pole = torch.tensor([1.0, 0.0, 0.0, -0.5, 0.0]).expand(1, 3, 1, 5)
    >>> y, state = biquad_cascade(torch.tensor([[1.0, 0.0, 0.0]]), one_pole, backend="torch")
    >>> y.tolist(), state.tolist()
    ([[1.0, 0.5, 0.25]], [[[0.125, 0.0]]])
    """
    n_sections, n_terms = coefficients.shape[2:]
    if n_terms == 6:
        coefficients = coefficients[..., [0, 1, 2, 4, 5]] / coefficients[..., 3:4]
    elif n_terms != 5:
        raise ValueError(f"sections of {n_terms} terms: b₀ b₁ b₂ a₁ a₂, or with a₀ before a₁")
    if form not in ("direct", "state_variable"):
        raise ValueError(f"unknown form {form!r}: 'direct' or 'state_variable'")
    if state is None:
        state = signal.new_zeros(signal.shape[0], n_sections, 2)
    run = _direct_section if form == "direct" else _passive_section
    ends = []
    for section, before in zip(coefficients.unbind(2), state.unbind(1), strict=True):
        signal, end = run(signal, section, before, backend)
        ends.append(end)
    return signal, torch.stack(ends, dim=1) if ends else state


def state_variable_section(
    coefficients: Float[Tensor, "*batch 5"],
) -> tuple[Float[Tensor, "*batch"], Float[Tensor, "*batch"], Float[Tensor, "*batch 3"]]:
    """Integrator gain g, damping k and output gains (low, band, high) of the equivalent
    state-variable filter (:func:`~vocoder.dsp.filters.state_variable.trapezoidal`).

    With ``z^-1 = (1 - s) / (1 + s)`` the numerator becomes ``n₀ + n₁ s + n₂ s²`` with terms ``b₀ +
    b₁ + b₂``, ``2 (b₀ - b₂)``, ``b₀ - b₁ + b₂``, and the denominator likewise with ``d``:

        g² = d₀ / d₂,   k = d₁ / √(d₀ d₂),   gains n₀ / d₀, n₁ / √(d₀ d₂), n₂ / d₂

    Both poles are inside the unit circle if and only if ``d > 0``. A pole on the circle gives
    infinities.

    >>> g, damping, gains = state_variable_section(torch.tensor([1.0, 0.0, 0.0, 0.0, 0.0]))
    >>> g.item(), damping.item(), gains.tolist()
    (1.0, 2.0, [1.0, 2.0, 1.0])
    """
    b0, b1, b2, a1, a2 = coefficients.unbind(-1)
    n0, n1, n2 = b0 + b1 + b2, 2 * (b0 - b2), b0 - b1 + b2
    d0, d1, d2 = 1 + a1 + a2, 2 * (1 - a2), 1 - a1 + a2
    middle = torch.sqrt(d0 * d2)
    return torch.sqrt(d0 / d2), d1 / middle, torch.stack([n0 / d0, n1 / middle, n2 / d2], dim=-1)


def design_biquad(
    kind: Kind,
    frequency_hz: Float[Tensor, "*batch"],
    q: Float[Tensor, "*batch"],
    sample_rate: float,
    gain_db: Float[Tensor, "*batch"] | None = None,
) -> Float[Tensor, "*batch 5"]:
    """The sections of the "audio EQ cookbook", differentiable, for tensors of equal shape.

    ``band_pass`` has a gain of 0 dB at its centre; ``peak`` has ``gain_db`` there. The shelves have
    ``gain_db`` on their side, and half of it at the frequency itself.

    Args:
        frequency_hz: above 0 and below Nyquist: cutoff, centre, or middle of the slope.
        q: above 0; 1/√2 gives Butterworth low- and high-pass filters, and the steepest shelves
            without overshoot.
        gain_db: for ``peak`` and shelves only.

    Raises:
        ValueError: the kind is unknown, or a gain is missing or superfluous.

    Source: R. Bristow-Johnson, "Cookbook formulae for audio equalizer biquad filter coefficients".

    >>> section = design_biquad("low_pass", torch.tensor(250.0), torch.tensor(0.5), 1000)
    >>> [round(value, 4) for value in section.tolist()]
    [0.25, 0.5, 0.25, 0.0, 0.0]
    """
    if (gain_db is None) == (kind in ("peak", "low_shelf", "high_shelf")):
        raise ValueError(
            f"{kind}: peak, low_shelf and high_shelf need gain_db, the others have none"
        )
    omega = frequency_hz * (2 * torch.pi / sample_rate)
    cos, alpha = torch.cos(omega), torch.sin(omega) / (2 * q)
    if gain_db is None:
        b, a = _plain(kind, cos, alpha)
    else:
        b, a = _with_gain(kind, cos, alpha, torch.exp(gain_db * (_NEPERS_PER_DB / 2)))
    return torch.stack([*b, *a[1:]], dim=-1) / a[0][..., None]


_NEPERS_PER_DB = 0.11512925464970229

_Terms = tuple[Tensor, Tensor, Tensor]


def _plain(kind: str, cos: Tensor, alpha: Tensor) -> tuple[_Terms, _Terms]:
    zero, one = torch.zeros_like(cos), torch.ones_like(cos)
    a = (1 + alpha, -2 * cos, 1 - alpha)
    if kind == "low_pass":
        return ((1 - cos) / 2, 1 - cos, (1 - cos) / 2), a
    if kind == "high_pass":
        return ((1 + cos) / 2, -1 - cos, (1 + cos) / 2), a
    if kind == "band_pass":
        return (alpha, zero, -alpha), a
    if kind == "notch":
        return (one, -2 * cos, one), a
    if kind == "all_pass":
        return a[::-1], a
    raise ValueError(f"unknown kind of section {kind!r}")


def _with_gain(kind: str, cos: Tensor, alpha: Tensor, root: Tensor) -> tuple[_Terms, _Terms]:
    """``root`` is the square root of the gain's amplitude, the cookbook's A."""
    if kind == "peak":
        return (1 + alpha * root, -2 * cos, 1 - alpha * root), (
            1 + alpha / root,
            -2 * cos,
            1 - alpha / root,
        )
    # A high shelf mirrors a low one at half Nyquist: cos and the middle terms change sign.
    side = 1.0 if kind == "low_shelf" else -1.0
    plus, minus, turned = root + 1, root - 1, side * cos
    width = 2 * torch.sqrt(root) * alpha
    b = (
        root * (plus - minus * turned + width),
        2 * side * root * (minus - plus * turned),
        root * (plus - minus * turned - width),
    )
    a = (
        plus + minus * turned + width,
        -2 * side * (minus + plus * turned),
        plus + minus * turned - width,
    )
    return b, a


def _direct_section(
    signal: Tensor, section: Tensor, state: Tensor, backend: Backend
) -> tuple[Tensor, Tensor]:
    b0, b1, b2, a1, a2 = section.unbind(-1)
    one, zero = torch.ones_like(a1), torch.zeros_like(a1)
    matrices = torch.stack([-a1, one, -a2, zero], dim=-1).unflatten(-1, (2, 2))
    inputs = torch.stack([(b1 - a1 * b0) * signal, (b2 - a2 * b0) * signal], dim=-1)
    states = linear_recursion(inputs, matrices, state, backend)
    return b0 * signal + states_before(state, states)[..., 0], states[:, -1]


def _passive_section(
    signal: Tensor, section: Tensor, state: Tensor, backend: Backend
) -> tuple[Tensor, Tensor]:
    g, damping, gains = state_variable_section(section)
    outputs, state = trapezoidal(signal, g, damping, state, backend)
    return (outputs * gains).sum(dim=-1), state
