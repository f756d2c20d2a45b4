"""Losses that teach F0 and voicing."""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, log_softmax


def f0_classification_loss(
    f0_logits: Float[Tensor, "batch frames bins"],
    f0_hz: Float[Tensor, "batch frames"],
    voicing: Float[Tensor, "batch frames"],
    f0_min_hz: float,
    bin_cents: float,
    spread_cents: float = 25.0,
    unvoiced_weight: float = 0.1,
) -> Float[Tensor, ""]:
    """Cross-entropy between F0 classes and a Gaussian in cents around the reference F0.

    ``q_i ∝ exp(-(c_i - c)² / (2 spread²))`` as in CREPE (arXiv 1802.06182), normalised, so
    that the loss has the target's entropy as its lower bound. Unvoiced frames, whose reference F0
    is interpolated, count with ``unvoiced_weight``: F0 then runs smoothly into a voiced stretch.
    """
    bins = torch.arange(f0_logits.shape[-1], device=f0_hz.device) * bin_cents
    cents = 1200 * torch.log2(f0_hz / f0_min_hz)
    target = torch.softmax(-0.5 * ((bins - cents[..., None]) / spread_cents).square(), dim=-1)
    entropy = -(target * log_softmax(f0_logits, dim=-1)).sum(dim=-1)
    least = torch.full_like(voicing, unvoiced_weight)
    weight = torch.lerp(least, torch.ones_like(voicing), voicing)
    return (weight * entropy).sum() / weight.sum()


def voicing_loss(
    voicing_logit: Float[Tensor, "batch frames"], voicing: Float[Tensor, "batch frames"]
) -> Float[Tensor, ""]:
    """Binary cross-entropy of the voicing decision, in nats."""
    return binary_cross_entropy_with_logits(voicing_logit, voicing)


def f0_error_cents(
    estimate_hz: Float[Tensor, "*frames"],
    f0_hz: Float[Tensor, "*frames"],
    voicing: Float[Tensor, "*frames"],
) -> Float[Tensor, ""]:
    """Root mean square of ``1200 log2(estimate / reference)`` weighted by voicing; NaN without any
    voiced frame. What F0 is in unvoiced ones, zero included, does not matter."""
    ratio = torch.where(voicing > 0, estimate_hz / f0_hz, 1.0)
    cents = (1200 / math.log(2)) * torch.log(ratio)
    return torch.sqrt((voicing * cents.square()).sum() / voicing.sum())
