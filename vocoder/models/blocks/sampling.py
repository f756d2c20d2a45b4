"""Sampling of predicted distributions from random numbers drawn beforehand.

Parameters are on the last axis. Equal numbers give equal samples, whether a model predicts one
sample at a time or all at once.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

_SMALLEST = 1e-5
"""Least distance of uniform numbers from 0 and 1 before the logit: ±11.5 scales, as in
PixelCNN++."""


def sample_categorical(
    logits: Float[Tensor, "*shape classes"], uniform: Float[Tensor, "*shape"]
) -> Int[Tensor, "*shape"]:
    """The class selected by a uniform number in [0, 1) from the cumulative distribution."""
    cumulative = torch.softmax(logits, dim=-1).cumsum(dim=-1)
    # The last value is one up to rounding, which must not select an invalid class.
    threshold = uniform[..., None] * cumulative[..., -1:]
    symbols = (cumulative <= threshold).sum(dim=-1)
    return symbols.clamp(max=logits.shape[-1] - 1)


def sample_logistic(
    mean: Float[Tensor, "*shape"],
    log_scale: Float[Tensor, "*shape"],
    uniform: Float[Tensor, "*shape"],
) -> Float[Tensor, "*shape"]:
    """``μ + s ln(u / (1 - u))``, not clipped."""
    return mean + log_scale.exp() * torch.logit(uniform, eps=_SMALLEST)


def sample_logistic_mixture(
    parameters: Float[Tensor, "*shape three_k"],
    uniforms: Float[Tensor, "*shape two"],
    log_scale_floor: float = -9.0,
) -> Float[Tensor, "*shape"]:
    """Amplitude within ±1 from a mixture of K logistics.

    Args:
        parameters: K logits of the weights, K means, K values of ln s, bounded below by
            ``log_scale_floor``.
        uniforms: in [0, 1); the first chooses the component, the second the amplitude.
    """
    weight_logits, means, log_scales = parameters.chunk(3, dim=-1)
    chosen = sample_categorical(weight_logits, uniforms[..., 0])[..., None]
    mean = means.gather(-1, chosen)[..., 0]
    log_scale = log_scales.gather(-1, chosen)[..., 0].clamp(min=log_scale_floor)
    return sample_logistic(mean, log_scale, uniforms[..., 1]).clamp(-1, 1)


def sample_gaussian(
    parameters: Float[Tensor, "*shape two"],
    normal: Float[Tensor, "*shape"],
    log_scale_floor: float = -9.0,
) -> Float[Tensor, "*shape"]:
    """``μ + s n`` within ±1, for parameters μ and ln s and a standard normal n."""
    scale = parameters[..., 1].clamp(min=log_scale_floor).exp()
    return (parameters[..., 0] + scale * normal).clamp(-1, 1)
