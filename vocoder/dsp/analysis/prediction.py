"""Descriptions of an all-pole filter, and conversions between them.

    autocorrelation ─Levinson─▶ predictor ◀─▶ reflection coefficients ──▶ autocorrelation
                                    ▲ ▲
                   line spectra ◀───┘ └───▶ cepstrum

The predictor holds the coefficients ``a_1 … a_p`` of ``A(z) = 1 + Σ_i a_i z^-i``; the filter is
``1 / A(z)``. It is stable if and only if every reflection coefficient lies between -1 and 1, or
equivalently if its line spectral frequencies rise strictly from above 0 to below π. Interpolating
these two between stable filters gives stable filters; interpolating the predictor does not. All
functions work on the last axis and are differentiable.
:func:`~vocoder.dsp.filters.allpole.levinson_durbin` estimates the predictor.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

_POLISHING_STEPS = 2


def predictor_from_reflection(
    reflection: Float[Tensor, "*batch order"],
) -> Float[Tensor, "*batch order"]:
    """Step-up recursion: ``a_i += k_m a_{m-i}`` for i < m, ``a_m = k_m``, for m = 1 … p.

    Args:
        reflection: between -1 and 1, ends excluded, for a stable filter.

    Source: J. Makhoul, "Linear prediction: a tutorial review", Proc. IEEE 63, 1975.

    >>> predictor_from_reflection(torch.tensor([-0.5, 0.5])).tolist()
    [-0.75, 0.5]
    """
    predictor = reflection[..., :0]
    for k in reflection[..., None].unbind(-2):
        predictor = torch.cat([predictor + k * predictor.flip(-1), k], dim=-1)
    return predictor


def reflection_from_predictor(
    predictor: Float[Tensor, "*batch order"],
) -> Float[Tensor, "*batch order"]:
    """Step-down recursion, the inverse of :func:`predictor_from_reflection`:
    ``k_m = a_m``, ``a_i = (a_i - k_m a_{m-i}) / (1 - k_m²)``, for m = p … 1.

    The filter is stable if and only if all results lie between -1 and 1. A reflection coefficient
    of exactly ±1 gives infinities.

    >>> reflection_from_predictor(torch.tensor([-0.75, 0.5])).tolist()
    [-0.5, 0.5]
    """
    found = []
    for _ in range(predictor.shape[-1]):
        k = predictor[..., -1:]
        found.append(k)
        shorter = predictor[..., :-1]
        predictor = (shorter - k * shorter.flip(-1)) / (1 - k * k)
    return torch.cat(found[::-1], dim=-1) if found else predictor


def autocorrelation_from_reflection(
    reflection: Float[Tensor, "*batch order"], power: Float[Tensor, "*batch"]
) -> Float[Tensor, "*batch lags"]:
    """Lags ``r_0 = power … r_p`` from which Levinson–Durbin gives these coefficients:

        r_m = -k_m e_{m-1} - Σ_{i<m} a_i r_{m-i},   e_m = (1 - k_m²) e_{m-1},   e_0 = r_0

    They are the autocorrelation of white noise through ``√e_p / A(z)``.

    >>> reflection = torch.tensor([-0.5, -0.5])
    >>> autocorrelation_from_reflection(reflection, torch.tensor(4.0)).tolist()
    [4.0, 2.0, 2.5]
    """
    lags, error, predictor = power[..., None], power[..., None], reflection[..., :0]
    for k in reflection[..., None].unbind(-2):
        seen = (predictor * lags[..., 1:].flip(-1)).sum(dim=-1, keepdim=True)
        lags = torch.cat([lags, -k * error - seen], dim=-1)
        predictor = torch.cat([predictor + k * predictor.flip(-1), k], dim=-1)
        error = (1 - k * k) * error
    return lags


def line_spectra_from_predictor(
    predictor: Float[Tensor, "*batch order"],
) -> Float[Tensor, "*batch order"]:
    """Line spectral frequencies of a stable filter, in radians per sample, rising from 0 to π.

    The angles in (0, π) of the roots, all on the unit circle and alternating, of

        P(z) = A(z) + z^-(p+1) A(1/z)   (the first, third, …),
        Q(z) = A(z) - z^-(p+1) A(1/z)   (the second, fourth, …)

    The roots are eigenvalues of companion matrices, found in float64. Two Newton steps on the real
    function ``Σ_i a_i cos(ω ((p + 1) / 2 - i) - φ)``, equal to P (φ = 0) and Q (φ = π/2) on the
    circle, refine them and carry the gradient: by the implicit function theorem, first, second and
    third derivatives are exact. The eigenvalues are not differentiated.

    Raises:
        ValueError: a filter is not stable; its frequencies would not alternate.

    Source: F. K. Soong and B.-H. Juang, "Line spectrum pair (LSP) and speech data compression",
    ICASSP 1984.

    >>> (line_spectra_from_predictor(torch.zeros(3)) / torch.pi).tolist()
    [0.25, 0.5, 0.75]
    """
    order = predictor.shape[-1]
    polynomial = pad(predictor, (1, 0), value=1.0)
    exact = polynomial.double()
    with torch.no_grad():
        stable = bool((reflection_from_predictor(exact[..., 1:]).abs() < 1).all())
    if not stable:
        raise ValueError(
            "some filter is not stable: expand its bandwidths, or predict from an autocorrelation"
        )
    if order == 0:
        return predictor
    start = _roots(exact.detach())
    lag = (order + 1) / 2 - torch.arange(order + 1, dtype=start.dtype, device=start.device)
    odd = torch.arange(order, device=start.device) % 2
    turned = (0.5 * math.pi) * odd.to(start.dtype)[:, None]
    omega = start
    for _ in range(_POLISHING_STEPS):
        angle = omega[..., None] * lag - turned
        value = (torch.cos(angle) * exact[..., None, :]).sum(dim=-1)
        slope = -(lag * torch.sin(angle) * exact[..., None, :]).sum(dim=-1)
        omega = omega - value / slope
    return omega.to(predictor.dtype)


def _roots(polynomial: Float[Tensor, "*batch terms"]) -> Float[Tensor, "*batch order"]:
    """Angles of the roots of P and Q in (0, π), in rising order."""
    order = polynomial.shape[-1] - 1
    longer = pad(polynomial, (0, 1))
    angles = torch.empty_like(polynomial[..., 1:])
    for first, sign in ((0, 1.0), (1, -1.0)):
        whole = longer + sign * longer.flip(-1)
        companion = torch.diag_embed(torch.ones_like(whole[..., 2:]), offset=-1)
        companion[..., 0, :] = -whole[..., 1:]
        found = torch.linalg.eigvals(companion).angle().abs().sort(dim=-1).values
        # Conjugate roots come in pairs; Q begins with the root at 0 Hz, and P or Q ends with one at
        # Nyquist.
        angles[..., first::2] = found[..., first:order:2]
    return angles


def predictor_from_line_spectra(
    line_spectra: Float[Tensor, "*batch order"],
) -> Float[Tensor, "*batch order"]:
    """``A(z) = (P(z) + Q(z)) / 2`` from line spectral frequencies (radians per sample).

    P is the product of ``1 - 2 cos ω z^-1 + z^-2`` over the first, third, … frequency, Q over the
    others; for an even order P has the factor ``1 + z^-1`` and Q ``1 - z^-1``, for an odd one Q has
    ``1 - z^-2``. Frequencies that rise strictly between 0 and π give a stable filter, and the
    closer two neighbours, the sharper the resonance between them.

    >>> line_spectra = torch.pi * torch.tensor([0.25, 0.5, 0.75])
    >>> predictor_from_line_spectra(line_spectra).abs().max().item() < 1e-6
    True
    """
    even = line_spectra.shape[-1] % 2 == 0
    one = line_spectra.new_ones((*line_spectra.shape[:-1], 1))
    p_ends, q_ends = ((1.0, 1.0), (1.0, -1.0)) if even else ((1.0,), (1.0, 0.0, -1.0))
    p = _times_pairs(one * one.new_tensor(p_ends), line_spectra[..., 0::2])
    q = _times_pairs(one * one.new_tensor(q_ends), line_spectra[..., 1::2])
    return (0.5 * (p + q))[..., 1:-1]


def _times_pairs(
    polynomial: Float[Tensor, "*batch terms"], omega: Float[Tensor, "*batch pairs"]
) -> Float[Tensor, "*batch longer"]:
    for angle in omega[..., None].unbind(-2):
        middle = -2 * torch.cos(angle) * pad(polynomial, (1, 1))
        polynomial = pad(polynomial, (0, 2)) + middle + pad(polynomial, (2, 0))
    return polynomial


def line_spectra_from_gaps(
    logits: Float[Tensor, "*batch gaps"],
) -> Float[Tensor, "*batch order"]:
    """Line spectral frequencies (radians per sample) of any ``order + 1`` real numbers: the softmax
    divides π into the gaps below, between and above them. Networks thus predict stable filters
    only; zeros give the identity filter. Stability holds in exact arithmetic: in floating point, a
    predictor of high order cannot represent many adjacent sharp resonances, so keep the numbers
    bounded (within ±1 at order 10, in float64).

    >>> (line_spectra_from_gaps(torch.zeros(4)) / torch.pi).tolist()
    [0.25, 0.5, 0.75]
    """
    return math.pi * logits.softmax(dim=-1).cumsum(dim=-1)[..., :-1]


def cepstrum_from_predictor(
    predictor: Float[Tensor, "*batch order"],
    gain: Float[Tensor, "*batch"],
    n_coefficients: int,
) -> Float[Tensor, "*batch coefficients"]:
    """Cepstrum ``c_0 … c_{n-1}`` (nepers) of the minimum-phase filter ``gain / A(z)``:

        c_0 = ln gain,   c_n = -a_n - Σ_{m=1}^{n-1} (m / n) c_m a_{n-m}

    with ``a_n = 0`` beyond the order. It is infinite; the truncated part decays as the n-th power
    of the largest pole. Input of :func:`~vocoder.dsp.analysis.cepstrum.minimum_phase_response`.

    Raises:
        ValueError: fewer than one coefficient.

    Source: L. Rabiner and R. Schafer, "Digital Processing of Speech Signals", 1978, ch. 8.

    >>> cepstrum_from_predictor(torch.tensor([-0.5]), torch.tensor(1.0), 4).tolist()
    [0.0, 0.5, 0.125, 0.0416666679084301]
    """
    if n_coefficients < 1:
        raise ValueError(f"a cepstrum of {n_coefficients} coefficients: ask for at least c_0")
    a = pad(predictor, (0, max(0, n_coefficients - 1 - predictor.shape[-1])))
    weighted = a[..., :0]  # 1 c_1, 2 c_2, …
    for n in range(1, n_coefficients):
        seen = (weighted * a[..., : n - 1].flip(-1)).sum(dim=-1, keepdim=True)
        weighted = torch.cat([weighted, -n * a[..., n - 1 : n] - seen], dim=-1)
    index = torch.arange(1, n_coefficients, dtype=a.dtype, device=a.device)
    return torch.cat([gain.log()[..., None], weighted / index], dim=-1)


def predictor_from_cepstrum(
    cepstrum: Float[Tensor, "*batch coefficients"], order: int
) -> tuple[Float[Tensor, "*batch order"], Float[Tensor, "*batch"]]:
    """Predictor and gain whose :func:`cepstrum_from_predictor` begins with c_0 … c_order:
    ``a_n = -c_n - Σ_{m=1}^{n-1} (m / n) c_m a_{n-m}``.

    The inverse for the cepstrum of an all-pole filter. For another cepstrum it gives the first
    terms of the inverse filter's response, and the filter need not be stable: use the
    autocorrelation instead.

    Raises:
        ValueError: the cepstrum is shorter than ``order + 1``.

    >>> predictor, gain = predictor_from_cepstrum(torch.tensor([0.0, 0.5, 0.125]), 2)
    >>> predictor.tolist(), gain.item()
    ([-0.5, 0.0], 1.0)
    """
    if cepstrum.shape[-1] <= order:
        raise ValueError(
            f"{cepstrum.shape[-1]} cepstral coefficients do not determine {order} poles: "
            f"give c_0 … c_{order}"
        )
    index = torch.arange(cepstrum.shape[-1], dtype=cepstrum.dtype, device=cepstrum.device)
    weighted = cepstrum * index
    predictor = cepstrum[..., :0]
    for n in range(1, order + 1):
        seen = (weighted[..., 1:n] * predictor.flip(-1)).sum(dim=-1, keepdim=True)
        following = -cepstrum[..., n : n + 1] - seen / n
        predictor = torch.cat([predictor, following], dim=-1)
    return predictor, cepstrum[..., 0].exp()


def expand_bandwidth(
    predictor: Float[Tensor, "*batch order"], bandwidth_hz: float, sample_rate: float
) -> Float[Tensor, "*batch order"]:
    """``A(z / γ)``, that is ``a_i γ^i`` with ``γ = exp(-π bandwidth_hz / sample_rate)``: every pole
    moves towards the origin and its resonance becomes wider by ``bandwidth_hz``.

    >>> expand_bandwidth(torch.tensor([0.0, 1.0]), 110.3178, 1000).tolist()[1]
    0.5
    """
    index = torch.arange(1, predictor.shape[-1] + 1, dtype=torch.float64, device=predictor.device)
    return predictor * torch.exp(index * (-math.pi * bandwidth_hz / sample_rate)).to(predictor)
