"""Two known time-varying systems: a vocal tract and an acoustic path."""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from vocoder.data.audio import read_audio
from vocoder.data.manifest import read_manifest
from vocoder.dsp.analysis.prediction import line_spectra_from_predictor
from vocoder.dsp.filters.allpole import (
    all_pole_samples,
    autocorrelation,
    interpolated_predictor,
    levinson_durbin,
)
from vocoder.dsp.filters.fir import filter_interpolated
from vocoder.dsp.framing import hold_ends
from vocoder.dsp.rooms.shoebox import room_response
from vocoder.dsp.sources.noise import white_noise
from vocoder.errors import VocoderError

RATE, HOP = 16000, 160
FRAMES = 150
SAMPLES = FRAMES * HOP
"""A second and a half."""
ORDER = 22
LONGEST = 1024
"""Taps of the room's responses, and the largest order."""
SNR_DB = 30.0
SPEED_M_PER_S = 0.5
ROOM_M = (4.0, 3.5, 2.6)
ABSORPTION = 0.55
REFLECTIONS = 8


@dataclass(frozen=True)
class Record:
    """Signals of a system, (batch, samples) each.

    Attributes:
        signal: the input.
        clean: the output.
        target: the noisy output.
        responses: the system's response at the start of every frame, (batch, frames, `LONGEST`).
    """

    signal: Tensor
    clean: Tensor
    target: Tensor
    responses: Tensor


def stretches(corpus: Path, split: str, count: int) -> Float[Tensor, "batch samples"]:
    """The loudest second and a half of utterances evenly spaced over a split, of unit power.

    Raises:
        VocoderError: too few utterances of sufficient length.
    """
    utterances = [
        u
        for u in read_manifest(corpus / "manifest.jsonl")
        if u.split == split and u.duration_s * RATE > SAMPLES + HOP
    ]
    if len(utterances) < count:
        raise VocoderError(f"{corpus}: {len(utterances)} long utterances of {split}, not {count}")
    rows = []
    for i in torch.linspace(0, len(utterances) - 1, count).round().long().tolist():
        speech = read_audio(corpus / utterances[i].path, RATE).waveform
        windows = speech.unfold(0, SAMPLES, HOP)
        rows.append(windows[windows.square().sum(dim=1).argmax()])
    speech = torch.stack(rows)
    return speech / speech.square().mean(dim=1, keepdim=True).sqrt()


def tract(speech: Float[Tensor, "batch samples"], seed: int) -> Record:
    """White noise through the all-pole filter of order 22 of real speech, 20 ms windows every 10
    ms, with linearly interpolated line spectra; the output has unit power."""
    generator = torch.Generator().manual_seed(seed)
    window = torch.hann_window(2 * HOP)
    windowed = pad(speech, (HOP // 2, HOP // 2)).unfold(1, 2 * HOP, HOP) * window
    lags = autocorrelation(windowed.double(), ORDER)
    # A floor 40 dB down defines a filter in pauses.
    lags = lags + (1e-4 * lags[..., :1] + 1e-9) * torch.eye(ORDER + 1, dtype=torch.float64)[0]
    spectra = hold_ends(line_spectra_from_predictor(levinson_durbin(lags)[0]), 0, 1)
    signal = white_noise(speech.shape[0], speech.shape[1], generator).double()
    moving = interpolated_predictor(spectra, HOP, "line_spectra")
    clean, _ = all_pole_samples(signal, moving)
    level = clean.square().mean(dim=1, keepdim=True).sqrt()
    polynomial = torch.fft.rfft(pad(moving[:, ::HOP], (1, 0), value=1.0), n=4 * LONGEST)
    responses = torch.fft.irfft(1 / polynomial)[..., :LONGEST] / level[:, :, None]
    clean = clean / level
    return _record(signal.float(), clean.float(), responses.float(), generator)


def path(speech: Float[Tensor, "batch samples"], seed: int) -> Record:
    """Speech from a source moving through a room at half a metre per second, on a new path for
    each; the responses of `LONGEST` taps are linearly interpolated between frames, 5 mm apart."""
    generator = torch.Generator().manual_seed(seed)
    responses = torch.stack([_walk(generator) for _ in speech])
    clean = causal(speech, responses)
    level = clean.square().mean(dim=1, keepdim=True).sqrt()
    return _record(speech, clean / level, responses / level[:, :, None], generator)


def _walk(generator: torch.Generator) -> Float[Tensor, "frames taps"]:
    room = torch.tensor([ROOM_M])

    def inside() -> Tensor:
        return 0.6 + (room - 1.2) * torch.rand(1, 3, generator=generator)

    start, microphone = inside(), inside()
    heading = torch.randn(1, 3, generator=generator) * torch.tensor([1.0, 1.0, 0.2])
    heading = heading / heading.norm()
    time_s = torch.arange(FRAMES)[:, None] * (HOP / RATE)
    # Reflect the path at the walls.
    place = start + SPEED_M_PER_S * time_s * heading
    reach = room - 0.6
    place = 0.3 + reach - (reach - (place - 0.3).abs()).abs()
    walls = torch.full((FRAMES, 3, 2), ABSORPTION)
    shape = (FRAMES, 3)
    return room_response(
        room.expand(shape), place, microphone.expand(shape), walls, RATE, LONGEST, REFLECTIONS
    )


def causal(
    signal: Float[Tensor, "batch samples"], taps: Float[Tensor, "batch frames taps"]
) -> Float[Tensor, "batch samples"]:
    """`filter_interpolated` with the first tap on the current sample."""
    return filter_interpolated(signal, pad(taps, (taps.shape[2], 0)))


def _record(signal: Tensor, clean: Tensor, responses: Tensor, generator: torch.Generator) -> Record:
    noise = 10 ** (-SNR_DB / 20) * white_noise(clean.shape[0], clean.shape[1], generator)
    return Record(signal, clean, clean + noise, responses)


SYSTEMS = {"vocal tract": tract, "acoustic path": path}
