"""Filters from cepstra, in real arithmetic.

The complex cepstrum ``c`` of a filter is the inverse Fourier transform of its complex log
response, ``log H(ω) = Σ_n c[n] e^{-jωn}`` (Oppenheim and Schafer, "Discrete-Time Signal
Processing", ch. 13). A filter with ``c[n] = 0`` for all ``n < 0`` is minimum-phase, one with
``c[n] = 0`` for all ``n > 0`` maximum-phase, any other mixed-phase.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def _angles(n_coefficients: int, n_bins: int, like: Tensor) -> Float[Tensor, "quefrency bins"]:
    quefrency = torch.arange(n_coefficients, dtype=torch.float64, device=like.device)
    omega = torch.linspace(0, torch.pi, n_bins, dtype=torch.float64, device=like.device)
    return quefrency[:, None] * omega


def mixed_phase_response(
    causal: Float[Tensor, "*batch causal"],
    anticausal: Float[Tensor, "*batch anticausal"],
    n_bins: int,
) -> tuple[Float[Tensor, "*batch bins"], Float[Tensor, "*batch bins"]]:
    """Log magnitude (nepers) and unwrapped phase (rad) of a mixed-phase filter.

    ``causal`` holds c[0], c[1], …; ``anticausal`` holds c[-1], c[-2], …
    ``log|H| = Σ_n c[n] cos ωn`` and ``arg H = -Σ_n c[n] sin ωn`` over both, on ``n_bins``
    frequencies from 0 to Nyquist.

    >>> gain, phase = mixed_phase_response(torch.tensor([0.0, 0.5]), torch.tensor([0.5]), 3)
    >>> torch.allclose(gain, torch.tensor([1.0, 0.0, -1.0]), atol=1e-6)
    True
    >>> phase.abs().max().item() < 1e-6
    True
    """
    right = _angles(causal.shape[-1], n_bins, causal)
    left = _angles(anticausal.shape[-1] + 1, n_bins, anticausal)[1:]
    cos_right, sin_right = right.cos().to(causal.dtype), right.sin().to(causal.dtype)
    cos_left, sin_left = left.cos().to(anticausal.dtype), left.sin().to(anticausal.dtype)
    log_gain = causal @ cos_right + anticausal @ cos_left
    return log_gain, anticausal @ sin_left - causal @ sin_right


def minimum_phase_response(
    cepstrum: Float[Tensor, "*batch coefficients"], n_bins: int
) -> tuple[Float[Tensor, "*batch bins"], Float[Tensor, "*batch bins"]]:
    """Log magnitude (nepers) and phase (rad) of the minimum-phase filter with causal cepstrum
    c[0], c[1], …; twice the real cepstrum for n > 0 (see :func:`real_cepstrum`).

    >>> gain, phase = minimum_phase_response(torch.tensor([1.0]), 2)
    >>> gain.tolist(), phase.abs().tolist()
    ([1.0, 1.0], [0.0, 0.0])
    """
    return mixed_phase_response(cepstrum, cepstrum[..., :0], n_bins)


def real_cepstrum(log_gain: Float[Tensor, "*batch bins"]) -> Float[Tensor, "*batch n_fft"]:
    """Even cepstrum of a log magnitude (nepers) on ``n_fft / 2 + 1`` bins from 0 to Nyquist.

    >>> real_cepstrum(torch.ones(3)).tolist()
    [1.0, 0.0, 0.0, 0.0]
    """
    return torch.fft.irfft(log_gain, n=2 * (log_gain.shape[-1] - 1))


def minimum_phase(log_gain: Float[Tensor, "*batch bins"]) -> Float[Tensor, "*batch bins"]:
    """Phase (rad) of the minimum-phase filter that has this log magnitude (nepers).

    The real cepstrum is folded onto positive time; the result is exact up to the cepstrum's
    time aliasing, so use enough bins.

    >>> minimum_phase(torch.ones(5)).abs().max().item()
    0.0
    """
    cepstrum = real_cepstrum(log_gain)
    half = cepstrum.shape[-1] // 2
    fold = torch.ones(half + 1, dtype=cepstrum.dtype, device=cepstrum.device)
    fold[1:half] = 2
    return minimum_phase_response(cepstrum[..., : half + 1] * fold, log_gain.shape[-1])[1]
