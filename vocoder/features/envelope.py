"""The spectral envelope that a mel describes: its level against white noise, and its bands."""

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vocoder.features.mel import MelSpec


def white_noise_level(spec: MelSpec) -> Float[Tensor, " n_mels"]:
    """Natural log amplitude that unit-power white noise has in each mel bin.

    The magnitude of a bin is Rayleigh-distributed: its mean is √π/2 of its root mean square.
    """
    window = torch.hann_window(spec.win_length, periodic=True, dtype=torch.float64)
    rms = window.square().sum().sqrt()
    weights = spec.filterbank().double().sum(dim=1)
    if spec.power == 1:
        return torch.log(weights * rms * math.sqrt(math.pi) / 2).float()
    return torch.log((weights * rms.square()).sqrt()).float()


def bin_weights(spec: MelSpec, n_bins: int) -> Float[Tensor, "n_mels bins"]:
    """Matrix that interpolates values at the mel bands' centres to ``n_bins`` frequencies."""
    filters = spec.filterbank().double().numpy()
    frequencies = np.linspace(0, spec.sample_rate / 2, filters.shape[1])
    centres = filters @ frequencies / filters.sum(axis=1)
    targets = np.linspace(0, spec.sample_rate / 2, n_bins)
    rows = [np.interp(targets, centres, unit) for unit in np.eye(spec.n_mels)]
    return torch.tensor(np.stack(rows), dtype=torch.float32)
