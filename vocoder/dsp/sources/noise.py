"""Noise sources. The caller passes the generator; global random state is not used."""

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

    Fresh noise is drawn in blocks of 16 samples, torch's own on a CPU, each for all rows: a partial
    block would change the following noise. Noise thus does not depend on the number of pieces in
    which it is drawn, if the remainder of each piece begins the next; and, drawn on the generator's
    own device, not on that of the signal.

    >>> one = extend_noise(torch.empty(1, 0), 48, torch.Generator().manual_seed(0))
    >>> generator = torch.Generator().manual_seed(0)
    >>> two = extend_noise(extend_noise(torch.empty(1, 0), 17, generator), 48, generator)
    >>> torch.equal(one, two)
    True
    """
    batch, blocks = noise.shape[0], -(-max(samples - noise.shape[1], 0) // 16)
    device = noise.device if generator is None else generator.device
    fresh = white_noise(blocks * batch, 16, generator, str(device))
    rows = fresh.view(blocks, batch, 16).transpose(0, 1).reshape(batch, 16 * blocks)
    return torch.cat([noise, rows.to(noise)], dim=1)


def pulse_modulation(
    phase: Float[Tensor, "batch samples"],
    cosine_depth: Float[Tensor, "batch samples"],
    sine_depth: Float[Tensor, "batch samples"],
) -> Float[Tensor, "batch samples"]:
    """Gain that modulates noise in step with the pitch pulse, without changing its mean power.

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
