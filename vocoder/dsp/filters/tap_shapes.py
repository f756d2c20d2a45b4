"""Parametric descriptions of FIR filters, and their taps with linear, minimum or mixed phase.

A description becomes a log gain (nepers) on ``bins`` frequencies from 0 to Nyquist, or a cepstrum,
and that becomes taps. All descriptions are linear in the log domain, so that any parameters give a
valid filter, and they can be compared at equal numbers of parameters.

A mel-cepstrum ``c`` describes ``log H(ω) = Σ_m c_m e^{-j m Ω(ω)}`` on the frequency axis that a
first-order all-pass warps, ``Ω(ω) = ω + 2 atan(α sin ω / (1 - α cos ω))``. It approximates the mel
scale for α = 0.42 at 16 kHz and 0.46 at 22.05 kHz.
"""

import math
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad


def grid_log_gain(
    values: Float[Tensor, "*batch points"], n_bins: int
) -> Float[Tensor, "*batch bins"]:
    """Log gains on a coarse grid from 0 to Nyquist, interpolated linearly.

    Raises:
        ValueError: fewer than two points or bins.

    >>> grid_log_gain(torch.tensor([0.0, 2.0]), 3).tolist()
    [0.0, 1.0, 2.0]
    """
    n_points = values.shape[-1]
    if n_points < 2 or n_bins < 2:
        raise ValueError(f"{n_points} points on {n_bins} bins: a line needs two of either")
    place = torch.linspace(0, n_points - 1, n_bins, dtype=torch.float64, device=values.device)
    left = place.long().clamp(max=n_points - 2)
    return torch.lerp(values[..., left], values[..., left + 1], (place - left).to(values.dtype))


def dct_log_gain(
    coefficients: Float[Tensor, "*batch coefficients"], n_bins: int
) -> Float[Tensor, "*batch bins"]:
    """Log gain ``Σ_k c_k s_k cos(π k (b + 1/2) / bins)``, s_0 = √(1/bins), else √(2/bins).

    The inverse orthonormal DCT (type II) without the higher coefficients: distances between
    coefficients equal distances between log gains.

    Raises:
        ValueError: more coefficients than bins.

    >>> dct_log_gain(torch.tensor([2.0, 0.0]), 4).tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    count = coefficients.shape[-1]
    if count > n_bins:
        raise ValueError(f"{count} coefficients for {n_bins} bins: give at least as many bins")
    k = torch.arange(count, dtype=torch.float64, device=coefficients.device)
    b = torch.arange(n_bins, dtype=torch.float64, device=coefficients.device)
    basis = math.sqrt(2 / n_bins) * torch.cos(torch.pi / n_bins * k[:, None] * (b + 0.5))
    basis[0] = math.sqrt(1 / n_bins)
    return coefficients @ basis.to(coefficients.dtype)


def mel_cepstrum_log_gain(
    mel_cepstrum: Float[Tensor, "*batch coefficients"], n_bins: int, alpha: float
) -> Float[Tensor, "*batch bins"]:
    """Log gain ``Σ_m c_m cos(m Ω(ω))`` of a mel-cepstrum; a plain cepstrum for ``alpha`` = 0.

    Raises:
        ValueError: ``alpha`` outside (-1, 1).

    Source: K. Tokuda et al., "Mel-generalized cepstral analysis", ICSLP 1994.

    >>> mel_cepstrum_log_gain(torch.tensor([1.0, 1.0]), 3, 0.0).round(decimals=5).tolist()
    [2.0, 1.0, 0.0]
    """
    return mel_cepstrum @ _warped_cosines(mel_cepstrum.shape[-1], n_bins, alpha, mel_cepstrum)


def mel_cepstrum_from_log_gain(
    log_gain: Float[Tensor, "*batch bins"], n_coefficients: int, alpha: float
) -> Float[Tensor, "*batch coefficients"]:
    """The mel-cepstrum with the nearest log gain, in least squares over the bins.

    Bins have equal weights, except 0 and Nyquist with half, since each is one point of the circle
    instead of two. Exact if the log gain has that many coefficients.

    Raises:
        ValueError: more coefficients than bins, or ``alpha`` outside (-1, 1).

    >>> c = torch.tensor([0.5, -1.0, 0.25], dtype=torch.float64)
    >>> found = mel_cepstrum_from_log_gain(mel_cepstrum_log_gain(c, 17, 0.4), 3, 0.4)
    >>> torch.allclose(found, c)
    True
    """
    n_bins = log_gain.shape[-1]
    if n_coefficients > n_bins:
        raise ValueError(f"{n_coefficients} coefficients from {n_bins} bins: ask for fewer")
    like = log_gain.to(torch.float64)
    weight = torch.ones(n_bins, dtype=torch.float64, device=log_gain.device)
    weight[[0, -1]] = math.sqrt(0.5)
    basis = _warped_cosines(n_coefficients, n_bins, alpha, like) * weight
    solution = (torch.linalg.pinv(basis) * weight[:, None]).to(log_gain.dtype)
    return log_gain @ solution


def warp_cepstrum(
    cepstrum: Float[Tensor, "*batch coefficients"], n_coefficients: int, alpha: float
) -> Float[Tensor, "*batch warped_coefficients"]:
    """Causal cepstrum on a warped frequency axis: ``Σ c_n z^-n = Σ c̃_m z̃^-m`` with the all-pass
    ``z̃^-1 = (z^-1 - α) / (1 - α z^-1)``, truncated after ``n_coefficients``.

    Converts a cepstrum to a mel-cepstrum with α, and back with -α. A finite cepstrum
    becomes an infinite one, whose m-th coefficients decay as |α|^m.

    Raises:
        ValueError: ``alpha`` outside (-1, 1).

    Source: A. V. Oppenheim and D. H. Johnson, "Discrete representation of signals", Proc. IEEE 60,
    1972.

    >>> warp_cepstrum(torch.tensor([0.0, 1.0]), 3, 0.5).tolist()
    [0.5, 0.75, -0.375]
    """
    _check_alpha(alpha)
    return cepstrum @ _warping(cepstrum.shape[-1], n_coefficients, alpha).to(cepstrum)


def linear_phase_taps(
    log_gain: Float[Tensor, "*batch bins"], n_taps: int
) -> Float[Tensor, "*batch taps"]:
    """Symmetric taps about ``n_taps // 2`` under a Hann window, for ``fir.filter_frames``.

    For ``n_taps = 2 (bins - 1)`` equal to ``fir.frequency_sampled_fir``; fewer taps smooth the gain
    over ``4 / n_taps`` of Nyquist to either side.

    Raises:
        ValueError: more taps than the bins give.

    >>> linear_phase_taps(torch.zeros(5), 3).round(decimals=5).tolist()
    [0.0, 1.0, 0.0]
    """
    n_fft = _n_fft(log_gain, n_taps)
    middle = n_taps // 2
    taps = torch.fft.irfft(log_gain.exp(), n=n_fft).roll(middle, dims=-1)[..., :n_taps]
    place = torch.arange(n_taps, dtype=torch.float64, device=taps.device) - middle
    return taps * (0.5 + 0.5 * torch.cos(2 * torch.pi / n_taps * place)).to(taps.dtype)


def minimum_phase_taps(
    log_gain: Float[Tensor, "*batch bins"], n_taps: int
) -> Float[Tensor, "*batch taps"]:
    """The first taps of the minimum-phase filter with this gain, for ``fir.filter_frames_causal``.

    The cepstrum is folded onto positive time and its exponential truncated after ``n_taps``: the
    filter of that length nearest to the complex response in least squares. Cepstrum and taps wrap
    around after ``2 (bins - 1)`` samples, so sharp resonances need enough bins.

    Raises:
        ValueError: more taps than the bins give.

    Source: A. V. Oppenheim and R. W. Schafer, "Discrete-Time Signal Processing", ch. 13.

    >>> minimum_phase_taps(torch.zeros(5), 3).round(decimals=5).tolist()
    [1.0, 0.0, 0.0]
    """
    n_fft = _n_fft(log_gain, n_taps)
    even = torch.fft.irfft(log_gain, n=n_fft)
    half = n_fft // 2
    both = 2 * even[..., 1:half]
    cepstrum = torch.cat([even[..., :1], both, even[..., half : half + 1]], dim=-1)
    return _impulse_response(cepstrum, n_fft)[..., :n_taps]


def mixed_phase_taps(
    causal: Float[Tensor, "*batch causal"],
    anticausal: Float[Tensor, "*batch anticausal"],
    n_taps: int,
    n_fft: int,
) -> Float[Tensor, "*batch taps"]:
    """Taps about ``n_taps // 2`` of a complex cepstrum: c[0], c[1], … and c[-1], c[-2], …

    Zeros and poles inside the unit circle form the causal part, those outside the anticausal part,
    such as the open phase of a glottal pulse. For ``fir.filter_frames``; computed on ``n_fft``
    points, after which the response wraps around, and truncated to ``n_taps``.

    Raises:
        ValueError: ``n_fft`` too short for the cepstrum or the taps.

    >>> mixed_phase_taps(torch.tensor([0.0]), torch.tensor([0.1]), 5, 64)[:3].round(decimals=3)
    tensor([0.0050, 0.1000, 1.0000])
    """
    left, right = anticausal.shape[-1], causal.shape[-1]
    if n_fft < max(n_taps, left + right):
        raise ValueError(
            f"{n_taps} taps of {left + right} cepstral coefficients do not fit into an n_fft of "
            f"{n_fft}: raise it"
        )
    gap = pad(causal, (0, n_fft - left - right))
    cepstrum = torch.cat([gap, anticausal.flip(-1)], dim=-1)
    return _impulse_response(cepstrum, n_fft).roll(n_taps // 2, dims=-1)[..., :n_taps]


def _impulse_response(
    cepstrum: Float[Tensor, "*batch quefrency"], n_fft: int
) -> Float[Tensor, "*batch n_fft"]:
    return torch.fft.irfft(torch.fft.rfft(cepstrum, n=n_fft).exp(), n=n_fft)


def _warped_cosines(
    count: int, n_bins: int, alpha: float, like: Tensor
) -> Float[Tensor, "coefficients bins"]:
    """cos(m Ω(ω)) in the dtype of ``like``."""
    _check_alpha(alpha)
    omega = torch.linspace(0, torch.pi, n_bins, dtype=torch.float64, device=like.device)
    warped = omega + 2 * torch.atan2(alpha * omega.sin(), 1 - alpha * omega.cos())
    m = torch.arange(count, dtype=torch.float64, device=like.device)
    return torch.cos(m[:, None] * warped).to(like.dtype)


@lru_cache(maxsize=8)
def _warping(count: int, n_coefficients: int, alpha: float) -> Float[Tensor, "count coefficients"]:
    """Row n: the power series of ``z^-n = ((z̃^-1 + α) / (1 + α z̃^-1))^n`` in z̃^-1."""
    # A cached tensor created in inference mode could not be used in training.
    with torch.inference_mode(False):
        m = torch.arange(n_coefficients, dtype=torch.float64)
        one = (1 - alpha**2) * (-alpha) ** (m - 1).clamp(min=0)
        one[0] = alpha
        # Multiplication by that series, truncated: a lower triangular Toeplitz matrix.
        lag = (m[:, None] - m).long()
        times = torch.where(lag >= 0, one[lag.clamp(min=0)], 0.0)
        rows = [(m == 0).double()]
        for _ in range(count - 1):
            rows.append(times @ rows[-1])
        return torch.stack(rows)


def _n_fft(log_gain: Tensor, n_taps: int) -> int:
    n_bins = log_gain.shape[-1]
    if not 1 <= n_taps <= 2 * (n_bins - 1):
        raise ValueError(
            f"{n_bins} bins give 1 to {2 * (n_bins - 1)} taps, not {n_taps}: use more bins"
        )
    return 2 * (n_bins - 1)


def _check_alpha(alpha: float) -> None:
    if not -1 < alpha < 1:
        raise ValueError(f"alpha {alpha} is no warping: it lies between -1 and 1")
