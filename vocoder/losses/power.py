"""Distance of short-time magnitudes on a linear scale, which holds up a distilled model's power."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from vocoder.losses.spectral import magnitude_spectrum


def magnitude_loss(
    reference: Float[Tensor, "batch samples"],
    estimate: Float[Tensor, "batch samples"],
    n_ffts: Sequence[int],
) -> Float[Tensor, ""]:
    """Mean over window lengths of ``E (|X| - |Y|)²``; white noise of unit power has magnitudes of
    mean square one, at every length.

    Source: the power loss of arXiv 1711.10433, with magnitudes instead of powers as in ClariNet,
    arXiv 1807.07281. In float32 whatever autocast says.
    """
    with torch.autocast(reference.device.type, enabled=False):
        terms = [
            (magnitude_spectrum(reference, n) - magnitude_spectrum(estimate, n)).square().mean()
            for n in n_ffts
        ]
        return torch.stack(terms).mean()
