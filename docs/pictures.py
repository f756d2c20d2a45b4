"""The pictures of docs/dsp.md, drawn with the library itself.

    python docs/pictures.py [--folder docs/images]

From the root of a clone; they need `vocoder[iir]` and the recordings in egs/tiny.
"""

import argparse
from io import BytesIO
from pathlib import Path

import matplotlib
import torch
from matplotlib import pyplot
from matplotlib.axes import Axes
from PIL import Image
from torch import Tensor
from torch.nn.functional import pad

from vocoder.data.audio import read_audio
from vocoder.dsp.filters.allpole import all_pole, autocorrelation, levinson_durbin
from vocoder.dsp.filters.biquad import biquad_cascade, design_biquad
from vocoder.dsp.filters.tap_shapes import (
    dct_log_gain,
    grid_log_gain,
    mel_cepstrum_from_log_gain,
    mel_cepstrum_log_gain,
)
from vocoder.dsp.framing import boundary_values, interpolate_linear
from vocoder.dsp.rooms.reverb import decaying_noise, split_bands
from vocoder.dsp.rooms.shoebox import room_response
from vocoder.dsp.sources.glottal import lf_power, lf_source
from vocoder.dsp.sources.noise import white_noise
from vocoder.dsp.sources.oscillators import boundary_phase, pulse_train, sample_phase
from vocoder.features.pitch import extract_pitch

matplotlib.use("Agg")
RATE, HOP = 16000, 80
RECORDING = Path("egs/tiny/wavs/test/ru_0806.wav")
VOWEL_SECONDS = 1.09
"""The centre of a stressed vowel in it."""


def main() -> None:
    """Draw all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("docs/images"))
    folder = parser.parse_args().folder
    pyplot.rcParams.update({"figure.dpi": 100, "font.size": 9, "axes.spines.top": False})
    pyplot.rcParams.update({"axes.spines.right": False, "legend.frameon": False})
    for draw in (sources, descriptions, modulation, rooms, lesson):
        figure = draw()
        save(figure, folder / f"dsp_{draw.__name__}.png")
        pyplot.close(figure)


def save(figure: pyplot.Figure, path: Path) -> None:
    """Save with 64 colours, which reduces the size to a third."""
    pixels = BytesIO()
    figure.savefig(pixels)
    Image.open(pixels).convert("RGB").quantize(64).save(path, optimize=True)


def sources() -> pyplot.Figure:
    """Two periods and the spectrum of the pulse train and of LF pulses, all of unit power."""
    f0 = torch.full((1, RATE // HOP + 1), 110.0)
    phase = sample_phase(boundary_phase(f0, RATE, HOP), f0, RATE, HOP)
    f0_hz = interpolate_linear(f0, HOP)
    waves = {"pulse train": pulse_train(phase, f0_hz, RATE)[0]}
    for value in (0.5, 1.0, 2.5):
        rd = torch.full_like(f0, value)
        level = lf_power(rd[:, :1]).sqrt()
        waves[f"LF pulse, Rd {value:g}"] = (lf_source(phase, f0_hz, rd, RATE) / level)[0]
    figure, axes = pyplot.subplots(
        len(waves), 2, figsize=(8, 6), sharex="col", layout="constrained"
    )
    for (left, right), (name, wave) in zip(axes, waves.items(), strict=True):
        samples = 2 * RATE // 110
        start = 20 * RATE // 110 - samples // 4
        left.plot(1e3 * torch.arange(samples) / RATE, wave[start : start + samples], linewidth=1)
        left.set_title(name, loc="left", fontsize=9)
        frequency_khz, level_db = spectrum(wave)
        right.plot(frequency_khz, level_db, linewidth=0.7)
        right.set(ylim=(-90, 3), ylabel="dB")
    axes[-1, 0].set_xlabel("ms")
    axes[-1, 1].set_xlabel("kHz")
    return figure


def descriptions() -> pyplot.Figure:
    """The smoothed spectrum of a vowel, and 24 numbers of each description fitted to it."""
    bins, count = 257, 24
    speech = read_audio(RECORDING, RATE).waveform
    start = int(VOWEL_SECONDS * RATE) - 240
    frame = speech[start : start + 480] * torch.hann_window(480)
    cepstrum = torch.fft.irfft(torch.log(torch.fft.rfft(frame, n=2048).abs() + 1e-6))
    # Below the pitch period: the spectral envelope.
    kept = (torch.arange(2048) < 60) | (torch.arange(2048) > 2048 - 60)
    target = torch.fft.rfft(cepstrum * kept).real[::4].double()
    basis = grid_log_gain(torch.eye(count, dtype=torch.float64), bins)
    fitted = {
        "frequency grid": torch.linalg.lstsq(basis.T, target[:, None]).solution[:, 0] @ basis,
        "DCT": dct_log_gain(dct_log_gain(torch.eye(count).double(), bins) @ target, bins),
        "mel-cepstrum": mel_cepstrum_log_gain(
            mel_cepstrum_from_log_gain(target, count, 0.42), bins, 0.42
        ),
        "all-pole": all_pole_log_gain(target, count - 1),
    }
    figure, axes = pyplot.subplots(2, 2, figsize=(8, 5), sharex=True, sharey=True)
    figure.set_layout_engine("constrained")
    frequency_khz = torch.linspace(0, RATE / 2000, bins)
    for axis, (name, log_gain) in zip(axes.flat, fitted.items(), strict=True):
        error_db = decibels(log_gain - target).square().mean().sqrt()
        axis.plot(frequency_khz, decibels(target), color="0.7", linewidth=3)
        axis.plot(frequency_khz, decibels(log_gain), linewidth=1.2)
        axis.set_title(f"{name}: {error_db:.1f} dB RMS", loc="left", fontsize=9)
    for axis in axes[1]:
        axis.set_xlabel("kHz")
    for axis in axes[:, 0]:
        axis.set_ylabel("dB")
    return figure


def all_pole_log_gain(target: Tensor, order: int) -> Tensor:
    """Log gain (nepers) of the linear prediction of a power spectrum, gain and all."""
    lags = torch.fft.irfft(torch.exp(2 * target))[: order + 1]
    predictor, error = levinson_durbin(lags)
    polynomial = torch.fft.rfft(pad(predictor, (1, 0), value=1.0), n=2 * (len(target) - 1))
    return 0.5 * torch.log(error) - torch.log(polynomial.abs())


def modulation() -> pyplot.Figure:
    """Two stable resonances that alternate every sample, after a unit pulse."""
    samples = 120
    frequency_hz = torch.where(torch.arange(samples) % 2 == 0, 1000.0, 7000.0)[None, :, None]
    q = torch.full_like(frequency_hz, 50.0)
    sections = design_biquad("low_pass", frequency_hz.double(), q.double(), RATE)
    pulse = torch.zeros(1, samples, dtype=torch.float64)
    pulse[0, 0] = 1.0
    figure, axis = pyplot.subplots(figsize=(8, 3), layout="constrained")
    for form, label in (("direct", "direct form"), ("state_variable", "state-variable form")):
        output, _ = biquad_cascade(pulse, sections, form=form)  # type: ignore[arg-type]
        axis.semilogy(output[0].abs().clamp(min=1e-8), label=label, linewidth=1.2)
    axis.set(xlabel="samples after the pulse", ylabel="|output|", ylim=(1e-6, None))
    axis.legend()
    return figure


def rooms() -> pyplot.Figure:
    """A room by the image method, its energy decay, and decaying noise of the same time."""
    places = torch.tensor([[[6.0, 5.0, 3.0]], [[1.5, 2.0, 1.5]], [[4.0, 3.0, 1.2]]])
    walls = torch.full((1, 3, 2), 0.25)
    room = room_response(*places, walls, RATE, RATE // 2, 40)[0]
    bands = split_bands(white_noise(1, RATE // 2, generator())[0], [1000.0], RATE)
    t60 = -60 / slope_db_per_second(decay_db(room))
    tail = decaying_noise(bands, torch.tensor([t60]), torch.tensor([-40.0]), RATE)
    figure, (top, bottom) = pyplot.subplots(2, 1, figsize=(8, 4.5), sharex=True)
    figure.set_layout_engine("constrained")
    seconds = torch.arange(RATE // 2) / RATE
    top.plot(seconds, room, linewidth=0.5)
    top.set_ylabel("pressure at 1 m = 1/4π")
    for response, name in ((room, "image method"), (tail, f"decaying noise, T60 {t60:.2f} s")):
        bottom.plot(seconds, decay_db(response), label=name, linewidth=1.2)
    bottom.set(xlabel="s", ylabel="energy left (dB)", ylim=(-60, 2))
    bottom.legend()
    return figure


def lesson() -> pyplot.Figure:
    """The lesson of docs/dsp.md: recording, excitation and voice."""
    speech = read_audio(RECORDING, RATE).waveform
    frames = len(speech) // HOP
    speech = speech[None, : frames * HOP]
    pitch = extract_pitch(speech[0], RATE, HOP, frames, HOP // 2)
    f0, voicing = (boundary_values(x[None], HOP, HOP // 2) for x in (pitch.f0_hz, pitch.voicing))
    phase = sample_phase(boundary_phase(f0, RATE, HOP), f0, RATE, HOP)
    voiced = interpolate_linear(voicing, HOP)
    pulses = pulse_train(phase, interpolate_linear(f0, HOP), RATE)
    excitation = voiced * pulses + (1 - voiced) * white_noise(*phase.shape, generator())
    window = torch.hann_window(480)
    lags = autocorrelation(pad(speech, (200, 200)).unfold(1, 480, HOP) * window, 22)
    lags = lags + (1e-4 * lags[..., :1] + 1e-7) * torch.eye(23)[0]
    predictor, error = levinson_durbin(lags)
    gain = boundary_values((error / window.square().sum()).sqrt(), HOP, HOP // 2)
    voice, _ = all_pole(interpolate_linear(gain, HOP) * excitation, predictor)
    figure, axes = pyplot.subplots(3, 1, figsize=(8, 6.5), sharex=True, layout="constrained")
    waves = {"recording": speech, "excitation": excitation, "voice": voice}
    for axis, (name, wave) in zip(axes, waves.items(), strict=True):
        spectrogram(axis, wave[0])
        axis.set_title(name, loc="left", fontsize=9)
        axis.set_ylabel("kHz")
    axes[-1].set_xlabel("s")
    return figure


def spectrum(wave: Tensor) -> tuple[Tensor, Tensor]:
    """Frequencies in kHz and levels in dB below the strongest."""
    bins = torch.fft.rfft(wave * torch.hann_window(len(wave))).abs()
    level_db = 20 * torch.log10(bins / bins.max() + 1e-9)
    return torch.linspace(0, RATE / 2000, len(bins)), level_db


def spectrogram(axis: Axes, wave: Tensor) -> None:
    """Spectrogram with a range of 70 dB."""
    power = torch.stft(wave, 512, HOP, 400, torch.hann_window(400), return_complex=True).abs()
    level_db = 20 * torch.log10(power / power.max() + 1e-9)
    extent = (0, len(wave) / RATE, 0, RATE / 2000)
    axis.imshow(level_db, origin="lower", aspect="auto", extent=extent, vmin=-70, cmap="magma")


def decay_db(response: Tensor) -> Tensor:
    """Schroeder's backward integral."""
    left = response.square().flip(0).cumsum(0).flip(0)
    return 10 * torch.log10(left / left[0] + 1e-12)


def slope_db_per_second(decay: Tensor) -> float:
    """Slope between -5 and -25 dB."""
    first, last = (int((decay > level).sum()) for level in (-5, -25))
    return -20 * RATE / (last - first)


def decibels(nepers: Tensor) -> Tensor:
    """Amplitude in dB."""
    return nepers * (20 / torch.log(torch.tensor(10.0)))


def generator() -> torch.Generator:
    """Generator with a fixed seed."""
    return torch.Generator().manual_seed(0)


if __name__ == "__main__":
    main()
