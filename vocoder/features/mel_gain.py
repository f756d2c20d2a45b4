"""The gain by which a spectrum meets a mel."""

from collections.abc import Sequence
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from vocoder.features.envelope import pre_emphasis_power
from vocoder.features.mel import MelSpec

LARGEST_GAIN = 55.0
"""Bound of one update's gain in a bin, 35 dB."""
TINY = 1e-20
"""Added to energies, so that quotients and gradients stay finite."""


def projection_gain(
    power: Float[Tensor, "batch frames bins"],
    wanted: Float[Tensor, "batch frames bins"],
    remixing: Sequence[Float[Tensor, "rows columns"]],
    spec: MelSpec,
    updates: int = 1,
) -> Float[Tensor, "batch frames bins"]:
    """Factor on the spectrum, (e after the updates / e before)^(1/p), from |Y|² and Fᵀ M.

    The bins are those of ``spec`` or the first of them. ``remixing``: Fᵀ F, the part of the
    filterbank F that lies there and its transpose, as factors or multiplied, whichever is quicker.
    """
    energy = power
    if spec.pre_emphasis:
        energy = energy * pre_emphasis_power(spec)[: energy.shape[-1]].to(energy)
    energy = energy + spec.magnitude_eps
    energy = (energy + TINY).sqrt() if spec.power == 1 else energy
    gain = torch.ones_like(energy[:1, :1])
    for _ in range(updates):
        own = energy * gain
        for factor in remixing:
            own = own @ factor
        # In bins outside every filter both are zero, and the ratio is one.
        gain = gain * ((wanted + TINY) / (own + TINY)).clamp(1 / LARGEST_GAIN, LARGEST_GAIN)
    return gain if spec.power == 1 else gain.sqrt()


@lru_cache(maxsize=128)
def spec_filters(
    spec: MelSpec, device: torch.device, dtype: torch.dtype
) -> Float[Tensor, "n_mels bins"]:
    """The spec's filterbank.

    A tensor made in inference mode could never take part in training afterwards.
    """
    with torch.inference_mode(False):
        return spec.filterbank().to(device, dtype)
