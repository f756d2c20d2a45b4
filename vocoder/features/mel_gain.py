"""The gain by which a spectrum meets a mel."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from vocoder.features.envelope import pre_emphasis_power
from vocoder.features.mel import MelSpec

LARGEST_GAIN = 55.0
"""Bound of the gain in a bin, 35 dB."""
TINY = 1e-20
"""Added to energies, so that quotients and gradients stay finite."""


def power_of(parts: Float[Tensor, "..."], dim: int) -> Tensor:
    """Squares of real and imaginary part, two along ``dim``, added: as ``parts.square().sum(dim)``,
    whose sums over so short an axis take ten times as long."""
    real, imaginary = parts.square().unbind(dim)
    return real + imaginary


def projection_gain(
    power: Float[Tensor, "batch frames bins"],
    wanted: Float[Tensor, "batch frames bins"],
    remixing: Sequence[Float[Tensor, "rows columns"]],
    spec: MelSpec,
) -> Float[Tensor, "batch frames bins"]:
    """Factor on the spectrum, (e after the update / e before)^(1/p), from |Y|² and Fᵀ M.

    The bins are those of ``spec`` or the first of them. ``remixing``: Fᵀ F, the part of the
    filterbank F that lies there and its transpose, as factors or multiplied, whichever is quicker.
    """
    energy = power
    if spec.pre_emphasis:
        energy = energy * pre_emphasis_power(spec)[: energy.shape[-1]].to(energy)
    if spec.magnitude_eps:
        energy = energy + spec.magnitude_eps
    own = (energy + TINY).sqrt() if spec.power == 1 else energy
    for factor in remixing:
        own = own @ factor
    # In bins outside every filter both are zero, and the ratio is one.
    gain = ((wanted + TINY) / (own + TINY)).clamp(1 / LARGEST_GAIN, LARGEST_GAIN)
    return gain if spec.power == 1 else gain.sqrt()
