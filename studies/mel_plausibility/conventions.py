"""Recordings as they may be, and their mels in conventions that the spec does not describe."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import avg_pool1d

from vocoder.features.mel import LN10, PRESETS, MelSpec

Change = Callable[[Tensor, Tensor], Tensor]
"""A waveform (1, samples) and as much white noise of unit power, to a waveform."""
Wrong = Callable[[Tensor, MelSpec], Tensor | None]
"""A waveform and the spec that a vocoder wants, to a mel in another convention; None where the
spec has this convention."""


def distinct_specs() -> dict[str, MelSpec]:
    """The presets that differ in more than their name, and HiFi-GAN's mel of powers."""
    names: dict[MelSpec, str] = {}
    for name, spec in PRESETS.items():
        names.setdefault(spec, name)
    powers = PRESETS["hifigan_22k"].model_copy(update={"power": 2, "floor": 1e-10})
    return {name: spec for spec, name in names.items()} | {"hifigan, powers": powers}


def smoothed(mel: Tensor) -> Tensor:
    """Moving average over five frames, as a regression to the mean smooths."""
    return avg_pool1d(mel, 5, 1, 2, count_include_pad=False)


# ---- recordings ---------------------------------------------------------------------------------


def _noisy(snr_db: float) -> Change:
    return lambda x, noise: x + noise * _rms(x) * 10 ** (-snr_db / 20)


def _telephone(x: Tensor, noise: Tensor) -> Tensor:
    """300 to 3400 Hz of a waveform at 24 kHz, with nothing at all beyond."""
    spectrum = torch.fft.rfft(x)
    hertz = torch.linspace(0, 12000, spectrum.shape[1])
    return torch.fft.irfft(spectrum * ((hertz > 300) & (hertz < 3400)), n=x.shape[1])


RECORDED: dict[str, Change] = {
    "as it is": lambda x, noise: x,
    "40 dB quieter": lambda x, noise: 0.01 * x,
    "peak at full scale": lambda x, noise: x / x.abs().max(),
    "clipped at its RMS": lambda x, noise: (x / _rms(x)).clamp(-1, 1),
    "telephone band": _telephone,
    "20 dB above white noise": _noisy(20),
    "10 dB above white noise": _noisy(10),
    "as loud as white noise": _noisy(0),
    "white noise alone": lambda x, noise: 0.1 * noise,
    "silence": lambda x, noise: 0 * x,
}
"""Waveforms at 24 kHz."""

# ---- wrong conventions --------------------------------------------------------------------------


def _logarithm(log: str, units_per_neper: float) -> Wrong:
    def mel(x: Tensor, spec: MelSpec) -> Tensor | None:
        if spec.log == log:
            return None
        plain = spec.model_copy(update={"log": "ln", **_PLAIN})
        return plain.mel(x) * units_per_neper

    return mel


_PLAIN = {"mean": 0.0, "scale": 1.0, "clip_min": None, "clip_max": None}


def _decibels(x: Tensor, spec: MelSpec) -> Tensor | None:
    return None if spec.log == "db" else _in_decibels(x, spec)


def _in_decibels(x: Tensor, spec: MelSpec) -> Tensor:
    return spec.model_copy(update={"log": "db", **_PLAIN}).mel(x)


def _other_power(x: Tensor, spec: MelSpec) -> Tensor | None:
    """Powers for amplitudes, amplitudes for powers; decibels are the same of both."""
    if spec.log == "db":
        return None
    power, exponent = (2, 2.0) if spec.power == 1 else (1, 0.5)
    return spec.model_copy(update={"power": power, "floor": spec.floor**exponent}).mel(x)


def _normalised(x: Tensor, spec: MelSpec) -> Tensor:
    mel = spec.mel(x)
    return (mel - mel.mean()) / mel.std()


def _normalised_bins(x: Tensor, spec: MelSpec) -> Tensor:
    mel = spec.mel(x)
    return (mel - mel.mean(2, keepdim=True)) / mel.std(2, keepdim=True).clamp(min=1e-3)


def _transposed(x: Tensor, spec: MelSpec) -> Tensor | None:
    """Only as many frames as bands have a shape that does not give it away."""
    square = spec.mel(x)[:, :, -2 * spec.n_mels : -spec.n_mels]
    return square.mT if square.shape[2] == spec.n_mels else None


WRONG: dict[str, Wrong] = {
    "natural logarithm": _logarithm("ln", 1.0),
    "decimal logarithm": _logarithm("log10", 1 / LN10),
    "decibels": _decibels,
    "powers for amplitudes, or the reverse": _other_power,
    "mean 0, variance 1 of all bins": _normalised,
    "mean 0, variance 1 of each bin": _normalised_bins,
    "waveform of 16-bit integers": lambda x, spec: spec.mel(32768 * x),
    "no logarithm": lambda x, spec: spec.model_copy(update={"log": "ln", **_PLAIN}).mel(x).exp(),
    "-100 to 20 dB as 0 to 1": lambda x, spec: ((_in_decibels(x, spec) + 100) / 120).clamp(0, 1),
    "transposed": _transposed,
}


def _rms(x: Tensor) -> Tensor:
    return x.square().mean().sqrt()
