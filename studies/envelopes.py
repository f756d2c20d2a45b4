"""Spectral envelopes of real speech, for filter fitting."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from rich.progress import track
from torch import Tensor

from vocoder.data.audio import read_audio
from vocoder.data.manifest import read_manifest
from vocoder.errors import VocoderError
from vocoder.features.pitch import extract_pitch
from vocoder.features.world import pyworld, require_world

RATE, HOP = 16000, 80
N_FFT = 1024
"""CheapTrick's at 16 kHz: 513 bins, F0 from 47 Hz on."""
QUIET_DB = 40.0
"""Frames this far below the loudest of their recording are excluded as background noise."""


def read_envelopes(
    corpus: Path, split: str, count: int, n_bins: int
) -> Float[Tensor, "frames bins"]:
    """CheapTrick's envelopes at Praat's F0, as log gains (nepers) of zero mean; half of them
    voiced, evenly spaced over the utterances of a split. CheapTrick smooths over two thirds of F0,
    which removes the harmonics and keeps the resonances.

    Args:
        n_bins: from 0 Hz to Nyquist, a divisor of 512 and one.

    Raises:
        VocoderError: too few frames, or pyworld is not installed.
    """
    require_world()
    found: dict[bool, list[Tensor]] = {True: [], False: []}
    utterances = [u for u in read_manifest(corpus / "manifest.jsonl") if u.split == split]
    for utterance in track(utterances, f"envelopes of {split}"):
        waveform = read_audio(corpus / utterance.path, RATE).waveform
        log_gain, voiced = _frames(waveform)
        for kind, own in found.items():
            own.append(log_gain[voiced == kind])
    step = (N_FFT // 2) // (n_bins - 1)
    chosen = []
    for kind, parts in found.items():
        frames = torch.cat(parts)
        if len(frames) < count // 2:
            raise VocoderError(
                f"{corpus}: split {split} has {len(frames)} frames that are "
                f"{'voiced' if kind else 'unvoiced'}, not {count // 2}"
            )
        places = torch.linspace(0, len(frames) - 1, count // 2 + 2)[1:-1].round().long()
        chosen.append(frames[places, ::step])
    envelopes = torch.cat(chosen)
    return envelopes - envelopes.mean(dim=1, keepdim=True)


def _frames(waveform: Tensor) -> tuple[Float[Tensor, "frames bins"], Tensor]:
    """Log gains of the sufficiently loud frames, and their voicing."""
    count = len(waveform) // HOP
    pitch = extract_pitch(waveform, RATE, HOP, count, 0)
    voiced = pitch.voicing > 0.5
    # Zero is "unvoiced" there.
    f0_hz = torch.where(voiced, pitch.f0_hz, 0.0).double().numpy()
    times_s = np.arange(count) * (HOP / RATE)
    samples = waveform.double().numpy()
    power = pyworld().cheaptrick(samples, f0_hz, times_s, RATE, fft_size=N_FFT)
    level = power.mean(axis=1)
    loud = torch.from_numpy(level > 10 ** (-QUIET_DB / 10) * level.max())
    return torch.from_numpy(0.5 * np.log(power))[loud], voiced[loud]


def distance_db(a: Float[Tensor, "*batch bins"], b: Float[Tensor, "*batch bins"]) -> Tensor:
    """Log-spectral distance of log gains (nepers): the RMS over the bins of the difference in
    dB."""
    return (a - b).square().mean(dim=-1).sqrt() * (20 / np.log(10))
