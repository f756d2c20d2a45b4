"""Adversarial losses over the scores and feature maps of several discriminators."""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import l1_loss, relu

Kind = Literal["least_squares", "hinge"]


def discriminator_loss(
    real: Sequence[Tensor], generated: Sequence[Tensor], kind: Kind
) -> Float[Tensor, ""]:
    """Mean over discriminators of the loss that parts real from generated.

    Least squares (Mao et al., arXiv 1611.04076): ``E (D(x) - 1)² + E D(G)²``. Hinge (Lim and Ye,
    arXiv 1705.02894): ``E max(0, 1 - D(x)) + E max(0, 1 + D(G))``.
    """
    if kind == "least_squares":
        terms = [
            (1 - r).square().mean() + g.square().mean()
            for r, g in zip(real, generated, strict=True)
        ]
    else:
        terms = [
            relu(1 - r).mean() + relu(1 + g).mean() for r, g in zip(real, generated, strict=True)
        ]
    return torch.stack(terms).mean()


def generator_loss(generated: Sequence[Tensor], kind: Kind) -> Float[Tensor, ""]:
    """Mean over discriminators of ``E (1 - D(G))²`` (least squares) or ``-E D(G)`` (hinge)."""
    if kind == "least_squares":
        return torch.stack([(1 - g).square().mean() for g in generated]).mean()
    return torch.stack([-g.mean() for g in generated]).mean()


def feature_matching_loss(
    real: Sequence[Sequence[Tensor]], generated: Sequence[Sequence[Tensor]]
) -> Float[Tensor, ""]:
    """Mean over discriminators and layers of the L1 distance of feature maps, each relative to the
    mean size of the real one (so that no layer counts more for having larger numbers).

    Source: K. Kumar et al., MelGAN, arXiv 1910.06711, eq. 4; the relative scale as in A. Défossez
    et al., EnCodec, arXiv 2210.13438, eq. 2.
    """
    terms = [
        l1_loss(g, r.detach()) / r.detach().abs().mean().clamp(min=1e-5)
        for reals, fakes in zip(real, generated, strict=True)
        for r, g in zip(reals, fakes, strict=True)
    ]
    return torch.stack(terms).mean()
