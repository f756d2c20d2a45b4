"""Likelihood under a flow: that of its noise, and what the map does to volumes."""

import math

from jaxtyping import Float
from torch import Tensor


def flow_nll(
    z: Float[Tensor, "batch samples"], log_determinant: Float[Tensor, " batch"], sigma: float = 1.0
) -> Float[Tensor, " batch"]:
    """``-ln p(x) / samples`` in nats, where ``z = f(x)`` is white Gaussian noise of deviation σ:

        -ln p(x) = Σ_t [½ ln 2π + ln σ + ½ (z_t / σ)²] - ln |det ∂z/∂x|

    A density, which is below zero for waveforms predicted to within a quarter of full scale. Of
    samples with a step of Δ (2⁻¹⁵ for 16 bits within ±1) it tells the bits
    ``(nats - ln Δ) / ln 2`` that each of them costs.

    Source: R. Prenger et al., WaveGlow, arXiv 1811.00002.
    """
    constant = 0.5 * math.log(2 * math.pi) + math.log(sigma)
    energy = 0.5 * (z / sigma).square().mean(dim=1)
    return constant + energy - log_determinant / z.shape[1]
