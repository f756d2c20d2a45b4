"""The source-filter model in a trainable room, fitted to reverberant speech alone.

Learned for each recording are the model's input mel, and one number per band for the room: T60 of a
tail of decaying noise after a direct sound of one. Loudness and room are ambiguous, so three things
are fixed: a mel cell is at most ``depth_db`` weaker than in the recording and never stronger; quiet
cells are preferred (``sparseness``), so that the room explains as much as possible; and the tail's
level is ``level_db``.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import conv1d, pad

from studies.dereverberation.rooms import RATE
from vocoder.dsp.framing import fit_length
from vocoder.dsp.rooms.reverb import add_reverb, decaying_noise, split_bands
from vocoder.dsp.sources.noise import white_noise
from vocoder.errors import VocoderError
from vocoder.features.mel import MelSpec
from vocoder.losses.spectral import SpectralLoss, SpectralLossConfig
from vocoder.models.source_filter import SourceFilter

CENTRES_HZ = (125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0)
TAIL_TAPS = RATE
FIRST_T60_S = 0.5
POWER_STEPS = 150
"""Steps after which the fit in powers changes by less than 1 %."""
LAGS = 64
"""Frames of the tail used in the fit in powers, one second."""
POWER_FLOOR = 1e-8
"""Added to mel powers before the logarithm: 80 dB below the vowels, about the recordings' noise."""
LOSS = SpectralLossConfig(n_ffts=(1024, 512, 256), n_mels=(80, 40, 20))


@dataclass(frozen=True)
class Settings:
    """Fixed parameters, and the number of waveform steps after the fit in powers.

    ``sparseness`` is the fraction of a cell's power below which its dry part is dropped, and
    ``waveform_sparseness`` the weight of the same preference in the waveform fit.
    """

    sparseness: float
    depth_db: float
    level_db: float
    waveform_steps: int = 0
    waveform_sparseness: float = 0.1
    step: float = 0.03
    """Adam's for the mel cells (logits) on the waveform; for ln T60 a fifth of it."""


class Fitted(NamedTuple):
    """Result of a fit: one row per recording."""

    dry: Float[Tensor, "batch samples"]
    tail: Float[Tensor, "batch taps"]
    loss: list[float]
    """Of the waveform, step by step."""


class Unknowns(NamedTuple):
    """Learned parameters: attenuation of each mel cell (logit), and the room."""

    lowered: Float[Tensor, "batch n_mels frames"]
    log_t60: Float[Tensor, "batch bands"]
    level_db: Float[Tensor, "batch bands"]


def resynthesise(model: SourceFilter, mel: Tensor, samples: int) -> Float[Tensor, "batch samples"]:
    """The model's waveform for a mel, with fixed noise."""
    with torch.no_grad():
        return fit_length(model(mel, noise=_noise(model, mel)), samples)


def fit(model: SourceFilter, wet: Float[Tensor, "batch samples"], settings: Settings) -> Fitted:
    """Dry speech and room of each recording, from the recording alone.

    First in mel powers, where noise adds up and a step costs next to nothing, then by the
    multi-resolution STFT and mel loss between the recording and the model's speech in its room.
    F0 and voicing are predicted from the mel of the first fit and held.
    """
    mel = model.spec.mel(wet)
    unknowns = fit_powers(model.spec, mel, settings)
    losses = fit_waveform(model, wet, mel, unknowns, settings) if settings.waveform_steps else []
    with torch.no_grad():
        dry = resynthesise(model, _lower(mel, unknowns, settings), wet.shape[1])
        tail = decaying_noise(_bands(), unknowns.log_t60.exp(), unknowns.level_db, RATE)
    return Fitted(dry, tail, losses)


def fit_powers(
    spec: MelSpec, mel: Float[Tensor, "batch n_mels frames"], settings: Settings
) -> Unknowns:
    """The fit in powers: |ln P - ln Σ_k r_k D_{t-k}| with r_0 = 1 and r_k from T60 and level.

    The level is fixed: the preference for quiet mel cells would increase it.
    """
    batch, n_mels, _ = mel.shape
    log_power = mel * _nepers(spec)
    start = mel.new_full((batch, len(CENTRES_HZ)), math.log(FIRST_T60_S))
    unknowns = Unknowns(
        torch.full_like(mel, -1.0).requires_grad_(),
        start.requires_grad_(),
        torch.full_like(start, settings.level_db),
    )
    optimizer = torch.optim.Adam(
        [{"params": [unknowns.lowered], "lr": 0.25}, {"params": [unknowns.log_t60], "lr": 0.05}],
        betas=(0.9, 0.95),
    )
    weights = _band_weights(spec)
    target = (log_power.exp() + POWER_FLOOR).log()
    for _ in range(POWER_STEPS):
        dry = (_lower(mel, unknowns, settings) * _nepers(spec)).exp()
        decay = _decay_of_powers(unknowns, weights, spec.hop_length)
        past = pad(dry, (LAGS, 0))[..., :-1].reshape(1, batch * n_mels, -1)
        late = conv1d(past, decay.flip(-1).reshape(batch * n_mels, 1, LAGS), groups=batch * n_mels)
        distance = (target - (dry + late.view_as(dry) + POWER_FLOOR).log()).abs().mean()
        loss = distance + settings.sparseness * (dry + POWER_FLOOR).log().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return unknowns


def fit_waveform(
    model: SourceFilter, wet: Tensor, mel: Tensor, unknowns: Unknowns, settings: Settings
) -> list[float]:
    """Go on from the fit in powers, changing ``unknowns``. Gives the loss without the preference
    for quiet, step by step."""
    with torch.no_grad():
        f0_hz, voicing = model.predict_pitch(_lower(mel, unknowns, settings))[:2]
        frames = slice(0, mel.shape[2])
        f0_hz, voicing = f0_hz[:, frames], voicing[:, frames]
    optimizer = torch.optim.Adam(
        [
            {"params": [unknowns.lowered], "lr": settings.step},
            {"params": [unknowns.log_t60], "lr": settings.step / 5},
        ],
        betas=(0.9, 0.95),
    )
    distance, bands, noise = SpectralLoss(LOSS, RATE), _bands(), _noise(model, mel)
    losses = []
    for _ in range(settings.waveform_steps):
        lowered = _lower(mel, unknowns, settings)
        # One chunk, since overlapping parts would be computed twice.
        dry = model(lowered, f0_hz, voicing, noise=noise, chunk_frames=mel.shape[2])
        tail = decaying_noise(bands, unknowns.log_t60.exp(), unknowns.level_db, RATE)
        heard = add_reverb(fit_length(dry, wet.shape[1]), tail)
        found = torch.stack(list(distance(wet, heard).values())).sum()
        quiet = settings.waveform_sparseness * _nepers(model.spec) * lowered.mean()
        optimizer.zero_grad()
        (found + quiet).backward()
        optimizer.step()
        losses.append(float(found.detach()))
    if not math.isfinite(losses[-1]):
        raise VocoderError("the fit diverged: its loss is not finite")
    return losses


def _lower(mel: Tensor, unknowns: Unknowns, settings: Settings) -> Tensor:
    """The dry mel: that of the recording, lowered by up to ``depth_db``."""
    return mel - settings.depth_db / 20 * torch.sigmoid(unknowns.lowered)


def _decay_of_powers(
    unknowns: Unknowns, weights: Float[Tensor, "n_mels bands"], hop: int
) -> Float[Tensor, "batch n_mels lags"]:
    """Power in a band 1, 2, … frames after a frame of unit power."""
    t60 = (unknowns.log_t60 @ weights.T).exp()[..., None]
    level = (unknowns.level_db @ weights.T)[..., None]
    seconds = torch.arange(1, LAGS + 1) * (hop / RATE)
    return hop * 10 ** (level / 10 - 6 * seconds / t60)


def _band_weights(spec: MelSpec) -> Float[Tensor, "n_mels bands"]:
    """Linear interpolation over log frequency from the room's bands to the mel's."""
    filters = spec.filterbank().float()
    hz = torch.linspace(0, spec.sample_rate / 2, filters.shape[1])
    octaves = torch.log2((filters @ hz / filters.sum(dim=1)) / CENTRES_HZ[0])
    place = octaves.clamp(0, len(CENTRES_HZ) - 1)[:, None]
    return (1 - (place - torch.arange(len(CENTRES_HZ))).abs()).clamp(min=0)


def _bands() -> Float[Tensor, "bands taps"]:
    """The noise bands of every learned tail."""
    noise = white_noise(1, TAIL_TAPS, torch.Generator().manual_seed(1))[0]
    return split_bands(noise, list(CENTRES_HZ), RATE)


def _noise(model: SourceFilter, mel: Tensor) -> Tensor:
    """The model's unvoiced excitation, one for all recordings."""
    samples = mel.shape[2] * model.spec.hop_length
    noise = white_noise(1, samples, torch.Generator().manual_seed(0))
    return noise.expand(mel.shape[0], -1)


def _nepers(spec: MelSpec) -> float:
    """Natural logarithm of power in one unit of the mel."""
    if spec.log != "log10" or spec.scale != 1.0:
        raise VocoderError(f"the study is meant for mels in decades of amplitude, not {spec.log}")
    return 2 * math.log(10)
