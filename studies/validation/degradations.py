"""Known degradations of a recording, of equal length and without delay, for testing metrics."""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from scipy.signal import fftconvolve, firwin, freqz, kaiserord
from torch import Tensor

from vocoder.dsp.framing import fit_length
from vocoder.errors import AudioError, VocoderError
from vocoder.metrics.signals import Signal, checked_signal

Codec = Literal["mp3", "opus"]

STOP_BAND_DB = 80.0
TRANSITION_HZ = 200.0
_ENCODERS: dict[str, tuple[str, ...]] = {
    "mp3": ("-c:a", "libmp3lame"),
    # Opus varies its rate by default; the ladder needs a known rate.
    "opus": ("-c:a", "libopus", "-vbr", "off"),
}


def white_noise(samples: int, generator: torch.Generator) -> Float[Tensor, " samples"]:
    """Gaussian noise of variance 1, equally strong at all frequencies."""
    return torch.randn(samples, generator=generator)


def speech_shaped_noise(waveform: Signal, generator: torch.Generator) -> Float[Tensor, " samples"]:
    """Steady noise with the long-term spectrum of the recording itself.

    The magnitudes of the Fourier transform of the whole signal, with uniformly random phases: n =
    irfft(|X| e^{i φ}). It has the energy of the recording without its timing.

    Args:
        waveform: the recording, shape (samples,).
        generator: the source of the phases.

    Raises:
        AudioError: the signal is invalid.
    """
    signal = checked_signal(waveform, "waveform").double()
    magnitude = torch.fft.rfft(signal).abs()
    turns = torch.rand(magnitude.shape, generator=generator, dtype=torch.float64)
    # At 0 Hz and Nyquist a real signal has only a sign, which is kept.
    turns[0] = turns[-1] = 0.0
    spectrum = torch.polar(magnitude, 2 * torch.pi * turns)
    return torch.fft.irfft(spectrum, n=len(signal)).float()


def add_noise(
    waveform: Signal, noise: Float[Tensor, " samples"], snr_db: float
) -> Float[Tensor, " samples"]:
    """The recording s with noise at a known ratio: s + g n, 10 log10(Σ s² / Σ (g n)²) = snr_db.

    The ratio is over the whole utterance, pauses included.

    Raises:
        AudioError: an invalid signal, one of another length than the noise, or silence in either.
    """
    signal = checked_signal(waveform, "waveform")
    added = checked_signal(noise, "noise")
    if len(signal) != len(added):
        raise AudioError(f"{len(signal)} samples and {len(added)} of noise: make them as long")
    energy, noise_energy = (float(x.double().square().sum()) for x in (signal, added))
    if energy == 0.0 or noise_energy == 0.0:
        raise AudioError("no signal-to-noise ratio can be set with silence")
    gain = (energy / noise_energy) ** 0.5 * 10 ** (-snr_db / 20)
    return signal + gain * added


def low_pass(waveform: Signal, sample_rate: int, cutoff_hz: float) -> Float[Tensor, " samples"]:
    """The recording low-pass filtered at `cutoff_hz`.

    A linear-phase windowed sinc of odd length with a Kaiser window: 200 Hz of transition around
    the cutoff, 6 dB down there, and 80 dB down beyond.

    Raises:
        AudioError: the signal is invalid, or the transition does not fit below Nyquist.
    """
    signal = checked_signal(waveform, "waveform")
    taps = _low_pass_taps(sample_rate, cutoff_hz)
    return torch.from_numpy(fftconvolve(signal.double().numpy(), taps, mode="same")).float()


def low_pass_response(
    hertz: Float[np.ndarray, " bins"], sample_rate: float, cutoff_hz: float
) -> Float[np.ndarray, " bins"]:
    """Magnitude of the frequency response of `low_pass` at these frequencies."""
    _, response = freqz(_low_pass_taps(sample_rate, cutoff_hz), worN=hertz, fs=sample_rate)
    return np.asarray(np.abs(response))


def _low_pass_taps(sample_rate: float, cutoff_hz: float) -> Float[np.ndarray, " taps"]:
    nyquist_hz = sample_rate / 2
    if not TRANSITION_HZ / 2 < cutoff_hz < nyquist_hz - TRANSITION_HZ / 2:
        raise AudioError(
            f"no low-pass at {cutoff_hz:g} Hz of a signal that ends at {nyquist_hz:g} Hz"
        )
    length, beta = kaiserord(STOP_BAND_DB, TRANSITION_HZ / nyquist_hz)
    return np.asarray(firwin(length | 1, cutoff_hz, window=("kaiser", beta), fs=sample_rate))


def delay(waveform: Signal, samples: int) -> Float[Tensor, " samples"]:
    """The recording after `samples` of silence, its end cut off.

    Raises:
        AudioError: the signal is invalid, or shorter than the delay.
    """
    signal = checked_signal(waveform, "waveform")
    if not 0 <= samples < len(signal):
        raise AudioError(f"{len(signal)} samples cannot be delayed by {samples}")
    return torch.nn.functional.pad(signal, (samples, 0))[: len(signal)]


def code(
    waveform: Signal, sample_rate: int, codec: Codec, kbit_s: float
) -> Float[Tensor, " samples"]:
    """The recording through a codec and back, by ffmpeg with libmp3lame or libopus.

    Encoder and decoder delay are removed according to the file (LAME's header, Opus's pre-skip);
    below 10 kbit/s Opus has a residual delay of 0.1 ms.

    Args:
        waveform: the recording, shape (samples,), in [-1, 1].
        sample_rate: in Hz; ffmpeg resamples to and from the rates of MP3 and Opus.
        codec: "mp3" or "opus", one channel.
        kbit_s: constant bit rate.

    Raises:
        AudioError: the signal is invalid, or ffmpeg refuses the rate.
        VocoderError: there is no such codec, or no ffmpeg.
    """
    signal = checked_signal(waveform, "waveform")
    if codec not in get_args(Codec):
        raise VocoderError(f"no codec {codec!r}; there are: {', '.join(get_args(Codec))}")
    require_ffmpeg()
    raw = ("-f", "f32le", "-ar", str(sample_rate), "-ac", "1")
    with tempfile.TemporaryDirectory() as folder:
        coded = str(Path(folder) / f"coded.{codec}")
        encoder = (*_ENCODERS[codec], "-b:a", f"{1000 * kbit_s:.0f}")
        _ffmpeg([*raw, "-i", "pipe:0", *encoder, coded], signal.numpy().astype("<f4").tobytes())
        decoded = _ffmpeg(["-i", coded, *raw, "pipe:1"])
    samples = torch.from_numpy(np.frombuffer(decoded, dtype="<f4").copy())
    return fit_length(samples[None], len(signal))[0]


def require_ffmpeg() -> None:
    """Raise a VocoderError with installation advice, unless ffmpeg is installed."""
    if shutil.which("ffmpeg") is None:
        raise VocoderError("codecs need the program ffmpeg: apt-get install ffmpeg")


def _ffmpeg(arguments: list[str], audio: bytes = b"") -> bytes:
    command = ["ffmpeg", "-nostdin", "-loglevel", "error", *arguments]
    done = subprocess.run(command, input=audio, capture_output=True, check=False)
    if done.returncode != 0:
        # Without the memory addresses in ffmpeg's line prefixes.
        said = re.sub(r"\[[^]]* @ 0x\w+\] ", "", done.stderr.decode(errors="replace"))
        said = " ".join(said.split())
        raise AudioError(f"ffmpeg could not code or decode: {said}")
    return done.stdout
