"""Adversarial losses over the scores and feature maps of several discriminators."""

from collections.abc import Callable, Sequence
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import l1_loss, relu, softplus

Kind = Literal["least_squares", "hinge", "clipped_hinge", "relativistic"]


def discriminator_loss(
    real: Sequence[Tensor],
    generated: Sequence[Tensor],
    kind: Kind,
    weights: Sequence[float] | None = None,
) -> Float[Tensor, ""]:
    """Mean over discriminators of the real/generated classification loss, or, with ``weights``
    (one per discriminator), their weighted sum.

    Least squares (Mao et al., arXiv 1611.04076): ``E (D(x) - 1)² + E D(G)²``. Hinge, clipped or not
    (Lim and Ye, arXiv 1705.02894): ``E max(0, 1 - D(x)) + E max(0, 1 + D(G))``. Relativistic
    (Jolicoeur-Martineau, arXiv 1807.00734): ``E ln(1 + exp(D(G) - D(x)))``, each score beside that
    of the same place in its own recording, so that what differs from one recording to the next
    cancels.
    """
    if kind == "least_squares":
        terms = [
            (1 - r).square().mean() + g.square().mean()
            for r, g in zip(real, generated, strict=True)
        ]
    elif kind == "relativistic":
        terms = [softplus(g - r).mean() for r, g in zip(real, generated, strict=True)]
    elif kind in ("hinge", "clipped_hinge"):
        terms = [
            relu(1 - r).mean() + relu(1 + g).mean() for r, g in zip(real, generated, strict=True)
        ]
    else:
        raise ValueError(f"unknown kind {kind!r}: one of {', '.join(get_args(Kind))}")
    return _total(terms, weights)


def generator_loss(
    real: Sequence[Tensor],
    generated: Sequence[Tensor],
    kind: Kind,
    weights: Sequence[float] | None = None,
) -> Float[Tensor, ""]:
    """Mean over discriminators, or with ``weights`` their weighted sum, of ``E (1 - D(G))²`` (least
    squares), ``-E D(G)`` (hinge), ``E max(0, 1 - D(G))`` (clipped hinge, as in Vocos, arXiv
    2306.00814) or ``E ln(1 + exp(D(x) - D(G)))`` (relativistic)."""
    if kind == "least_squares":
        terms = [(1 - g).square().mean() for g in generated]
    elif kind == "hinge":
        terms = [-g.mean() for g in generated]
    elif kind == "clipped_hinge":
        terms = [relu(1 - g).mean() for g in generated]
    elif kind == "relativistic":
        terms = [softplus(r - g).mean() for r, g in zip(real, generated, strict=True)]
    else:
        raise ValueError(f"unknown kind {kind!r}: one of {', '.join(get_args(Kind))}")
    return _total(terms, weights)


def _total(terms: list[Tensor], weights: Sequence[float] | None) -> Tensor:
    """Mean of all terms, or their weighted sum."""
    if weights is None:
        return torch.stack(terms).mean()
    return torch.stack([w * term for w, term in zip(weights, terms, strict=True)]).sum()


def feature_matching_loss(
    real: Sequence[Sequence[Tensor]],
    generated: Sequence[Sequence[Tensor]],
    average: Callable[[Tensor], Tensor] = torch.clone,
) -> Float[Tensor, ""]:
    """Mean over discriminators and layers of the L1 distance of feature maps, each relative to the
    mean size of the real one (so that no layer counts more for having larger numbers).

    ``average`` gives the mean of a tensor over all processes of a batch: the sizes are those of the
    whole batch.

    Source: K. Kumar et al., MelGAN, arXiv 1910.06711; the relative scale as in A. Défossez et al.,
    EnCodec, arXiv 2210.13438.
    """
    maps = [
        (r.detach(), g)
        for reals, fakes in zip(real, generated, strict=True)
        for r, g in zip(reals, fakes, strict=True)
    ]
    sizes = torch.stack([r.abs().mean().clamp(min=1e-5) for r, _ in maps])
    distances = torch.stack([l1_loss(g, r) for r, g in maps])
    return (distances / average(sizes)).mean()


def absolute_feature_matching_loss(
    real: Sequence[Sequence[Tensor]],
    generated: Sequence[Sequence[Tensor]],
    weights: Sequence[float],
) -> Float[Tensor, ""]:
    """Weighted sum over discriminators of the summed mean L1 distances of their feature maps.

    ``Σ_k w_k Σ_i E |D_k^i(x) - D_k^i(G)|``, each mean over all entries of a map. Source: J. Kong et
    al., HiFi-GAN, arXiv 2010.05646, and its code, which counts the score as the last map.
    """
    terms = [
        torch.stack([l1_loss(g, r.detach()) for r, g in zip(reals, fakes, strict=True)]).sum()
        for reals, fakes in zip(real, generated, strict=True)
    ]
    return _total(terms, weights)
