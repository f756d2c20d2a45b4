"""Noise sources. Whoever draws noise brings the generator: nothing here touches global state."""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def white_noise(
    batch: int, samples: int, generator: torch.Generator | None = None, device: str = "cpu"
) -> Float[Tensor, "batch samples"]:
    """Gaussian white noise of unit power; the same generator state gives the same noise.

    >>> white_noise(1, 3, torch.Generator().manual_seed(0)).shape
    torch.Size([1, 3])
    """
    return torch.randn(batch, samples, generator=generator, device=device)


def extend_noise(
    noise: Float[Tensor, "batch samples"],
    samples: int,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "batch more_samples"]:
    """Noise followed by fresh white noise, to at least ``samples`` samples.

    Fresh noise comes in multiples of 16 samples, the block in which torch draws on a CPU: cut off
    in the middle of one, the generator would go on with other noise. One row of noise is so the
    same in however many pieces it is drawn, if what is left over stands at the next one's head.

    >>> one = extend_noise(torch.empty(1, 0), 48, torch.Generator().manual_seed(0))
    >>> generator = torch.Generator().manual_seed(0)
    >>> two = extend_noise(extend_noise(torch.empty(1, 0), 17, generator), 48, generator)
    >>> torch.equal(one, two)
    True
    """
    missing = max(samples - noise.shape[1], 0)
    fresh = white_noise(noise.shape[0], -(-missing // 16) * 16, generator, str(noise.device))
    return torch.cat([noise, fresh.to(noise.dtype)], dim=1)


def pulse_modulation(
    phase: Float[Tensor, "batch samples"],
    cosine_depth: Float[Tensor, "batch samples"],
    sine_depth: Float[Tensor, "batch samples"],
) -> Float[Tensor, "batch samples"]:
    """Gain that moves noise in step with the pitch pulse, without changing its mean power.

    ``g = (1 + a cos 2πφ + b sin 2πφ) / sqrt(1 + (a² + b²) / 2)`` with ``a² + b² ≤ 1``. Breath noise
    is loudest while the glottis is open; steady noise beside a pulse train is heard as a second
    source (D. J. Hermes, "Synthesis of breathy vowels", Speech Communication 10, 1991).

    >>> pulse_modulation(torch.zeros(1, 1), torch.zeros(1, 1), torch.zeros(1, 1)).item()
    1.0
    """
    angle = (2 * math.pi) * phase
    swing = cosine_depth * torch.cos(angle) + sine_depth * torch.sin(angle)
    power = 1 + 0.5 * (cosine_depth.square() + sine_depth.square())
    return (1 + swing) / torch.sqrt(power)
