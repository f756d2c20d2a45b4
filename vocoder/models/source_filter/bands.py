"""Canonical bands: what the networks of a universal vocoder see of any mel.

The mel of any `MelSpec` is a log gain over white noise per band. Interpolated to the bands of one
fixed spec, it looks much the same whatever the convention; seven numbers say what differs. What
the networks answer on these bands goes to the filters' bins in hertz, at any sample rate.
"""

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vocoder.errors import MelError
from vocoder.features.envelope import band_centres_hz, interpolation
from vocoder.features.mel import PRESETS, MelSpec

CANONICAL = PRESETS["vocos_24k"]
"""The mel whose bands are canonical: 100, from 0 to 12 kHz. For itself nothing is interpolated."""

DESCRIPTION_SIZE = 7
"""Numbers that describe a spec."""

SAMPLE_RATES = (16000, 48000)
LARGEST_HOP_S = 0.0201
FEWEST_BANDS = 40
LOWEST_F_MAX_HZ = 7000.0
SILENCE_NEPERS = -9.0
"""Gain, 78 dB down, above both the mel's range and the canonical bands."""


def check_served(spec: MelSpec) -> None:
    """Raise MelError, naming the field, where a universal vocoder cannot serve a spec well."""
    low, high = SAMPLE_RATES
    problem = None
    if not low <= spec.sample_rate <= high:
        problem = f"sample_rate {spec.sample_rate} is outside {low} to {high} Hz"
    elif spec.hop_length / spec.sample_rate > LARGEST_HOP_S:
        hop_ms = 1000 * spec.hop_length / spec.sample_rate
        problem = f"hop_length {spec.hop_length} is {hop_ms:.1f} ms, more than 20 ms"
    elif spec.n_mels < FEWEST_BANDS:
        problem = f"n_mels {spec.n_mels} is fewer than {FEWEST_BANDS} bands"
    elif spec.f_max < LOWEST_F_MAX_HZ:
        problem = f"f_max {spec.f_max:g} Hz is below {LOWEST_F_MAX_HZ:g} Hz"
    elif bool((spec.filterbank().sum(dim=1) == 0).any()):
        problem = f"n_mels {spec.n_mels} leaves filters without a bin of n_fft {spec.n_fft}"
    if problem is not None:
        raise MelError(f"{problem}: a universal vocoder does not serve this mel; use another spec")


def describe_spec(spec: MelSpec) -> Float[Tensor, " 7"]:
    """Numbers around zero that tell the networks how a mel was computed: octaves of hop, window and
    bands relative to the canonical ones, upper edge, rate, power, position of the frame's centre.
    """
    to_seconds = CANONICAL.sample_rate / spec.sample_rate
    return torch.tensor(
        [
            math.log2(spec.hop_length / CANONICAL.hop_length * to_seconds),
            math.log2(spec.win_length / CANONICAL.win_length * to_seconds),
            math.log2(spec.n_mels / CANONICAL.n_mels),
            spec.f_max / CANONICAL.f_max - 1,
            spec.sample_rate / CANONICAL.sample_rate - 1,
            spec.power - 1.0,
            spec.center_offset / spec.hop_length,
        ]
    )


def to_canonical(spec: MelSpec) -> Float[Tensor, "n_mels bands"]:
    """Matrix from a mel's bands to the canonical ones: linear interpolation over frequency, the
    mel's last band held above its range."""
    return interpolation(band_centres_hz(spec), band_centres_hz(CANONICAL))


def from_canonical(sample_rate: int, n_bins: int) -> Float[Tensor, "bands bins"]:
    """Matrix from the canonical bands to ``n_bins`` frequencies from 0 Hz to Nyquist."""
    return interpolation(band_centres_hz(CANONICAL), np.linspace(0, sample_rate / 2, n_bins))


def silence_above(spec: MelSpec, n_bins: int) -> Float[Tensor, " bins"]:
    """Log gain (nepers) that keeps silent what neither the mel nor the canonical bands know: 0 up
    to the higher of their upper edges, falling to `SILENCE_NEPERS` within a tenth of an octave."""
    hertz = np.linspace(0, spec.sample_rate / 2, n_bins)
    edge_hz = max(spec.f_max, CANONICAL.f_max)
    octaves = np.log2(np.maximum(hertz, 1.0) / edge_hz)
    return torch.tensor(SILENCE_NEPERS * np.clip(10 * octaves, 0, 1), dtype=torch.float32)
