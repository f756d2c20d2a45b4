"""Negative log-likelihood of samples, in nats each, and divergence of predicted distributions.

Nothing is averaged here. Parameters of a distribution stand on the last axis, as a model gives
them for each sample.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy, logsigmoid, softplus

LN_2 = math.log(2.0)
"""Nats in a bit."""


def categorical_nll(
    logits: Float[Tensor, "*shape classes"], symbols: Int[Tensor, "*shape"]
) -> Float[Tensor, "*shape"]:
    """``-ln softmax(logits)[symbol]``, with symbols from 0 to classes - 1."""
    losses = cross_entropy(logits.flatten(0, -2), symbols.flatten(), reduction="none")
    return losses.view(symbols.shape)


def logistic_mixture_nll(
    parameters: Float[Tensor, "*shape three_k"],
    waveform: Float[Tensor, "*shape"],
    levels: int = 65536,
    log_scale_floor: float = -9.0,
) -> Float[Tensor, "*shape"]:
    """Probability of a quantisation step under a mixture of K logistics, as ``-ln``:

        P(x) = Σ_k π_k [σ((x + δ - μ_k) / s_k) - σ((x - δ - μ_k) / s_k)],   δ = 1 / (levels - 1)

    The lowest step (x = -1) reaches down to -∞ and the highest to ∞, so that the probabilities of
    all levels add up to one. The difference of sigmoids is evaluated in its product form
    ``σ(a) - σ(b) = σ(a) σ(-b) (1 - e^(b - a))``, whose logarithm is exact for steps of any
    probability: the published code's branches for tiny ones are not needed.

    Args:
        parameters: K logits of π, K means μ (in amplitude), K values of ln s.
        waveform: amplitudes on the grid of ``levels`` from -1 to 1 (`uniform_decode`); what lies
            beyond ±1 counts as the outermost level.
        log_scale_floor: least ln s; -9 is four steps of 16 bits.

    Source: T. Salimans et al., "PixelCNN++", arXiv 1701.05517; for 16-bit speech as in A. van den
    Oord et al., "Parallel WaveNet", arXiv 1711.10433.
    """
    if parameters.shape[-1] % 3:
        raise ValueError(f"{parameters.shape[-1]} parameters are no three for each component")
    weight_logits, means, log_scales = parameters.chunk(3, dim=-1)
    inverse_scale = torch.exp(-log_scales.clamp(min=log_scale_floor))
    delta = 1 / (levels - 1)
    x = waveform.clamp(-1, 1)[..., None]
    upper = (x + delta - means) * inverse_scale
    lower = (x - delta - means) * inverse_scale
    below_upper, above_lower = logsigmoid(upper), logsigmoid(-lower)
    width = torch.log(-torch.expm1(-2 * delta * inverse_scale))
    log_step = torch.where(
        x <= -1 + delta,
        below_upper,
        torch.where(x >= 1 - delta, above_lower, below_upper + above_lower + width),
    )
    return -torch.logsumexp(torch.log_softmax(weight_logits, dim=-1) + log_step, dim=-1)


def logistic_nll(mean: Tensor, log_scale: Tensor, waveform: Tensor) -> Tensor:
    """``-ln`` of the density ``e^(-z) / (s (1 + e^(-z))²)``, ``z = (x - μ) / s``; its mean over own
    samples is the entropy ``ln s + 2``. Shapes broadcast."""
    z = (waveform - mean) * torch.exp(-log_scale)
    return z + log_scale + 2 * softplus(-z)


def logistic_mixture_density_nll(
    parameters: Float[Tensor, "*shape three_k"],
    waveform: Float[Tensor, "*shape"],
    log_scale_floor: float = -9.0,
) -> Float[Tensor, "*shape"]:
    """``-ln`` of the density of a mixture of logistics, parameters as of
    :func:`logistic_mixture_nll`.

    For amplitudes that are not on a grid and may lie beyond ±1, where the probability of the
    outermost level, which reaches to infinity, would reward going there.
    """
    weight_logits, means, log_scales = parameters.chunk(3, dim=-1)
    components = logistic_nll(means, log_scales.clamp(min=log_scale_floor), waveform[..., None])
    return -torch.logsumexp(torch.log_softmax(weight_logits, dim=-1) - components, dim=-1)


def gaussian_nll(
    parameters: Float[Tensor, "*shape two"],
    waveform: Float[Tensor, "*shape"],
    log_scale_floor: float = -9.0,
) -> Float[Tensor, "*shape"]:
    """``½ ln 2π + ln s + ½ ((x - μ) / s)²`` for parameters μ and ln s, which is bounded below.

    A density, not a probability: it falls below zero where s < 0.24. Where the bound holds, ln s
    gets no gradient.

    Source: W. Ping, K. Peng and J. Chen, "ClariNet", arXiv 1807.07281.
    """
    mean, log_scale = parameters[..., 0], parameters[..., 1].clamp(min=log_scale_floor)
    z = (waveform - mean) * torch.exp(-log_scale)
    return 0.5 * math.log(2 * math.pi) + log_scale + 0.5 * z.square()


def gaussian_kl(
    mean_q: Float[Tensor, "*shape"],
    log_scale_q: Float[Tensor, "*shape"],
    mean_p: Float[Tensor, "*shape"],
    log_scale_p: Float[Tensor, "*shape"],
) -> Float[Tensor, "*shape"]:
    """``KL(q ‖ p) = ln(s_p / s_q) + (s_q² - s_p² + (μ_p - μ_q)²) / (2 s_p²)``.

    Source: arXiv 1807.07281.
    """
    ratio = torch.exp(2 * (log_scale_q - log_scale_p))
    z = (mean_p - mean_q) * torch.exp(-log_scale_p)
    return log_scale_p - log_scale_q + 0.5 * (ratio - 1 + z.square())


def regularised_gaussian_kl(
    mean_q: Float[Tensor, "*shape"],
    log_scale_q: Float[Tensor, "*shape"],
    mean_p: Float[Tensor, "*shape"],
    log_scale_p: Float[Tensor, "*shape"],
    weight: float = 4.0,
    log_scale_floor: float = -7.0,
) -> Float[Tensor, "*shape"]:
    """``KL(q ‖ p) + λ (ln s_p - ln s_q)²``.

    Where both are narrow the KL divergence asks for a precision of the mean that training cannot
    reach, and its gradient explodes; the second term, of scales alone, leads there gently. Inside
    the divergence the scales are bounded below, in the second term they are not.

    Source: arXiv 1807.07281; λ = 4 and the bound as in Baidu's implementation
    (PaddlePaddle/Parakeet).
    """
    divergence = gaussian_kl(
        mean_q,
        log_scale_q.clamp(min=log_scale_floor),
        mean_p,
        log_scale_p.clamp(min=log_scale_floor),
    )
    return divergence + weight * (log_scale_p - log_scale_q).square()
