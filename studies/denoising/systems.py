"""The systems: each maps a noisy waveform to one of equal length."""

import itertools
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import noisereduce
import torch
from jaxtyping import Float
from rich.progress import track
from torch import Tensor

from studies.denoising.learned import MelDenoiser, apply_gain
from studies.denoising.noises import RATE, Mixture
from vocoder.dsp.analysis.enhancement import spectral_subtraction, wiener_filter
from vocoder.dsp.framing import fit_length
from vocoder.metrics.pesq import pesq_wb
from vocoder.models.base import Vocoder

System = Callable[[Tensor], Tensor]
_S = TypeVar("_S")

HOP = 128
GATE_FFT = 512
"""Samples; what noisereduce's authors recommend for speech."""
NOISY = "noisy"
SUBTRACTION = "spectral subtraction"
WIENER = "Wiener"
GATE = "noisereduce"
GAIN = "learned gain"
RESYNTHESIS = "resynthesis"
WIENER_RESYNTHESIS = "Wiener, resynthesis"
LEARNED_RESYNTHESIS = "learned mel, resynthesis"
NAMES = (
    NOISY,
    SUBTRACTION,
    WIENER,
    GATE,
    GAIN,
    RESYNTHESIS,
    WIENER_RESYNTHESIS,
    LEARNED_RESYNTHESIS,
)


@dataclass(frozen=True)
class Frames:
    """Settings of ours: samples a frame, and the floor of spectral subtraction (share of power) or
    the least a-priori SNR of the Wiener filter (dB)."""

    n_fft: int
    least: float

    def __str__(self) -> str:
        return f"frames of {self.n_fft}, {self.least:g}"


@dataclass(frozen=True)
class Gate:
    """Settings of noisereduce: a fixed or a moving threshold, and the fraction of noise
    reduction."""

    stationary: bool
    share: float

    def __str__(self) -> str:
        return f"{'stationary' if self.stationary else 'moving'} threshold, {self.share:g}"


FLOORS = tuple(Frames(*each) for each in itertools.product((512, 1024), (0.005, 0.02, 0.1)))
LIMITS = tuple(Frames(*each) for each in itertools.product((512, 1024), (-15.0, -8.0, -4.0)))
GATES = tuple(Gate(*each) for each in itertools.product((True, False), (0.6, 0.8, 1.0)))


def subtract(noisy: Float[Tensor, " samples"], settings: Frames) -> Tensor:
    """Spectral subtraction, with noise tracking by minimum statistics."""
    padded = fit_length(noisy[None], -(-len(noisy) // HOP) * HOP)
    cleaned = spectral_subtraction(padded, settings.n_fft, HOP, floor=settings.least)
    return fit_length(cleaned, len(noisy))[0]


def wiener(noisy: Float[Tensor, " samples"], settings: Frames) -> Tensor:
    """Wiener filter, with noise tracking by minimum statistics."""
    padded = fit_length(noisy[None], -(-len(noisy) // HOP) * HOP)
    cleaned = wiener_filter(padded, settings.n_fft, HOP, least_snr_db=settings.least)
    return fit_length(cleaned, len(noisy))[0]


def gate(noisy: Float[Tensor, " samples"], settings: Gate) -> Tensor:
    """Spectral gating by noisereduce, which measures the noise on the recording itself.

    Source: T. Sainburg, M. Thielk and T. Gentner, PLoS Comput. Biol. 16(10), 2020.
    """
    cleaned = noisereduce.reduce_noise(
        noisy.double().numpy(),
        RATE,
        stationary=settings.stationary,
        prop_decrease=settings.share,
        n_fft=GATE_FFT,
    )
    return torch.from_numpy(cleaned).float()


def speak(model: Vocoder, mel: Float[Tensor, "1 n_mels frames"], samples: int) -> Tensor:
    """The model's waveform for a mel, (samples,), with fixed noise."""
    waveform = model(mel, generator=torch.Generator().manual_seed(0))
    return fit_length(waveform, samples)[0]


def resynthesise(model: Vocoder, waveform: Float[Tensor, " samples"]) -> Tensor:
    """The waveform through its mel and the model."""
    return speak(model, model.mel(waveform), len(waveform))


def denoise_gain(model: Vocoder, denoiser: MelDenoiser, noisy: Tensor) -> Tensor:
    """The noisy spectrum times the network's gain in every mel band."""
    mel = model.mel(noisy)
    return apply_gain(model.spec, noisy, mel, denoiser(mel))


def denoise_resynthesis(model: Vocoder, denoiser: MelDenoiser, noisy: Tensor) -> Tensor:
    """The model's waveform for the network's mel."""
    return speak(model, denoiser(model.mel(noisy)), len(noisy))


def contestants(
    model: Vocoder, denoiser: MelDenoiser, valid: Sequence[Mixture]
) -> tuple[dict[str, System], dict[str, str]]:
    """All systems by name, and their selected settings.

    One setting per system for all noises and ratios: the best mean PESQ-WB on ``valid`` of six
    settings each. The Wiener filter before the model is selected by the model's output.
    """
    floor, floor_text = _best(SUBTRACTION, subtract, FLOORS, valid)
    limit, limit_text = _best(WIENER, wiener, LIMITS, valid)
    gating, gating_text = _best(GATE, gate, GATES, valid)
    before, before_text = _best(
        WIENER_RESYNTHESIS, lambda x, s: resynthesise(model, wiener(x, s)), LIMITS, valid
    )
    systems: dict[str, System] = {
        NOISY: lambda noisy: noisy,
        SUBTRACTION: lambda noisy: subtract(noisy, floor),
        WIENER: lambda noisy: wiener(noisy, limit),
        GATE: lambda noisy: gate(noisy, gating),
        GAIN: lambda noisy: denoise_gain(model, denoiser, noisy),
        RESYNTHESIS: lambda noisy: resynthesise(model, noisy),
        WIENER_RESYNTHESIS: lambda noisy: resynthesise(model, wiener(noisy, before)),
        LEARNED_RESYNTHESIS: lambda noisy: denoise_resynthesis(model, denoiser, noisy),
    }
    return systems, {
        SUBTRACTION: floor_text,
        WIENER: limit_text,
        GATE: gating_text,
        WIENER_RESYNTHESIS: before_text,
    }


def _best(
    name: str, system: Callable[[Tensor, _S], Tensor], grid: Sequence[_S], valid: Sequence[Mixture]
) -> tuple[_S, str]:
    """The setting with the best mean PESQ-WB, and a description with the best and worst scores."""
    means = {
        setting: statistics.mean(
            pesq_wb(each.clean, system(each.noisy, setting), RATE) for each in valid
        )
        for setting in track(grid, f"settings of {name}")
    }
    best = max(means, key=lambda setting: means[setting])
    return best, f"{best} | {means[best]:.3f} | {min(means.values()):.3f}"
