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
    power = window.square().sum() * pre_emphasis_power(spec)
    filters = spec.filterbank().double()
    if spec.power == 1:
        return torch.log(filters @ power.sqrt() * math.sqrt(math.pi) / 2).float()
    return torch.log((filters @ power).sqrt()).float()


def pre_emphasis_power(spec: MelSpec) -> Float[Tensor, " bins"]:
    """|1 - a e^{-iω}|² at the bins of the spec's transform, float64."""
    omega = torch.arange(spec.n_fft // 2 + 1, dtype=torch.float64) * (2 * math.pi / spec.n_fft)
    a = spec.pre_emphasis
    return 1 + a * a - 2 * a * torch.cos(omega)


def band_centres_hz(spec: MelSpec) -> np.ndarray:
    """Centre of gravity of each mel filter, Hz; (n_mels,). They rise if every filter holds a bin;
    one without a bin has none and gives 0."""
    filters = spec.filterbank().double().numpy()
    frequencies = np.linspace(0, spec.sample_rate / 2, filters.shape[1])
    centres: np.ndarray = filters @ frequencies / filters.sum(axis=1).clip(min=1e-30)
    return centres


def interpolation(sources: np.ndarray, targets: np.ndarray) -> Float[Tensor, "sources targets"]:
    """Matrix W of linear interpolation: ``values @ W`` are the values at the targets, held beyond
    the first and last source."""
    rows = [np.interp(targets, sources, unit) for unit in np.eye(len(sources))]
    return torch.tensor(np.stack(rows), dtype=torch.float32)


def bin_weights(spec: MelSpec, n_bins: int) -> Float[Tensor, "n_mels bins"]:
    """Matrix that interpolates values at the mel bands' centres to ``n_bins`` frequencies."""
    return interpolation(band_centres_hz(spec), np.linspace(0, spec.sample_rate / 2, n_bins))


def smoothing(frequencies_hz: np.ndarray, width_hz: float) -> Float[Tensor, "bands bands"]:
    """Matrix W of smoothing over frequency: ``values @ W`` are means of the neighbours, weighted by
    a Hann window that falls to zero ``width_hz`` to either side."""
    distance = (frequencies_hz[:, None] - frequencies_hz[None, :]) / width_hz
    weights = np.where(np.abs(distance) < 1, np.cos(np.pi / 2 * distance) ** 2, 0)
    return torch.tensor(weights / weights.sum(axis=0), dtype=torch.float32)
