"""Whether a mel can be speech in its spec, and if not, which convention it is more likely in.

A mel is a bare tensor: one in decibels, or normalised, has the shape of any other, and a vocoder
makes noise of it without an error. A few numbers tell them apart, `level_statistics`. They are
taken from gains over white noise of unit power, in which speech looks alike in every spec, in the
bands of a telephone and in the loudest frames, which neither pauses nor a limited bandwidth change.
The limits lie between what recordings have, clean and noisy, and what wrong conventions have;
`studies/mel_plausibility` measures both.
"""

import math
import warnings
from functools import lru_cache
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from vocoder.errors import MelError, VocoderWarning
from vocoder.features.envelope import band_centres_hz, white_noise_level
from vocoder.features.mel import LN10, MelSpec

BANDS_HZ = (300.0, 3400.0)
"""Bands that are looked at, those of a telephone."""
FEWEST_BANDS = 8
LOUD_SHARE = 0.3
"""Share of the frames that are called loud."""
FEWEST_FRAMES, MOST_FRAMES = 64, 1024
"""Shorter mels are judged by their level alone; more frames are not looked at."""
DEPTH_DB = 100.0
"""Levels further below the loudest frames count as this far below: gaps in coded speech have no
bottom."""
FULL_SCALE_DB = 9.0
"""Loudness that no waveform in [-1, 1] exceeds."""
LOUDEST_MEAN_DB = -8.0
"""Mean level over bands and frames that speech does not exceed: it has pauses, and gaps between its
harmonics. Clipped hard at full scale it reaches -12."""
REFUSED_DB = 60.0
"""Loudness at which a mel is refused."""
WIDEST_SPREAD_DB = 20.5
"""Recordings rarely reach 19; twice their levels, as of powers in place of amplitudes, begin at 19
and have 27 in the middle."""
NARROWEST_SPREAD_DB, NARROWEST_DB, SMOOTHEST_DB = 9.5, 13.5, 1.3
"""Least spread, and least sum of spread and movement, of levels that are smoother from frame to
frame than noise is. Clean speech begins at 9 and 17; noise narrows both, but its roughness is 1.4
or more. A steady vowel has little movement. Decimal logarithms in place of natural ones have 6 and
10."""
LEAST_ASYMMETRY = 0.9
"""Recordings and noise begin at 1.0; transposed mels have about 0.7. Only a mel of as many frames
as bands can be transposed unnoticed."""
BELOW_FLOOR_DB, BELOW_FLOOR_SHARE = 10.0, 0.02
"""Predicted mels may go below the floor a little, and seldom."""
QUIET_DB, FLOOR_MARGIN_DB = -75.0, 15.0
"""Mels of which the loud frames are quieter, or nearer to the floor, are judged no further."""
SIXTEEN_BITS_DB = 20 * math.log10(32768)


class MelWarning(VocoderWarning):
    """A mel that cannot be speech in its spec."""


class LevelStatistics(NamedTuple):
    """Numbers of a mel's levels, dB over white noise of unit power, in `BANDS_HZ`.

    Fields:
        loudness_db: power of a frame, 95th percentile over frames.
        mean_db: mean over bands and frames.
        floor_margin_db: mean level of the loud frames above the spec's floor.
        spread_db: standard deviation over bands and loud frames.
        movement_db: standard deviation over loud frames, mean over bands.
        roughness_db: root mean square of (l[t-1] - 2 l[t] + l[t+1]) / √6 in loud frames, which is
            the standard deviation of independent levels.
        asymmetry: the same over bands, divided by it.
        below_floor: share of values `BELOW_FLOOR_DB` or more below the floor.
    """

    loudness_db: float
    mean_db: float
    floor_margin_db: float
    spread_db: float
    movement_db: float
    roughness_db: float
    asymmetry: float
    below_floor: float


@torch.no_grad()
def check_plausible(mel: Float[Tensor, "batch n_mels frames"], spec: MelSpec) -> None:
    """Warn of a mel that cannot be speech in its spec; refuse one far above full scale.

    Specs with fewer than `FEWEST_BANDS` bands in the range that is looked at are not judged.

    Args:
        mel: finite, of this shape: see `MelSpec.check`.

    Raises:
        MelError: louder than full scale by `REFUSED_DB` and more.

    Warns:
        MelWarning: what cannot be, and the convention that the mel is more likely in.
    """
    if int(_references(spec)[2].sum()) < FEWEST_BANDS:
        return
    square = mel.shape[2] == spec.n_mels
    # At most that many frames: the cost must not grow with the length.
    mel = mel[:, :, : max(MOST_FRAMES // mel.shape[0], 1)].float()
    log_amplitude, frames = spec.log_amplitude(mel), mel.shape[0] * mel.shape[2]
    if frames < FEWEST_FRAMES and _is_quiet(log_amplitude, spec):
        return
    statistics = level_statistics(log_amplitude, spec)
    problem = implausibility(statistics, frames, square)
    if problem is None:
        return
    message = (
        f"this mel cannot be speech in its spec: {problem}{likely_convention(mel, spec, square)}"
    )
    if statistics.loudness_db > REFUSED_DB:
        raise MelError(message)
    warnings.warn(message, MelWarning, stacklevel=3)


def _is_quiet(log_amplitude: Float[Tensor, "batch n_mels frames"], spec: MelSpec) -> bool:
    """Whether no band, and so no frame, is louder than full scale: all there is to judge about the
    few frames that a stream gets, at a tenth of the cost."""
    white = _references(spec)[0].to(log_amplitude.device)
    return float((log_amplitude - white).max()) < FULL_SCALE_DB * LN10 / 20


def level_statistics(
    log_amplitude: Float[Tensor, "batch n_mels frames"], spec: MelSpec
) -> LevelStatistics:
    """Statistics of levels given as natural logarithms of amplitudes; a batch is one long mel."""
    white, floor, bands = _references(spec)
    white, floor, bands = (values.to(log_amplitude.device) for values in (white, floor, bands))
    nepers = log_amplitude.transpose(0, 1).flatten(1)
    to_db = 20 / LN10
    below = nepers < floor - BELOW_FLOOR_DB / to_db
    levels = to_db * (nepers - white)[bands]
    power = 10 * torch.logsumexp(levels * (LN10 / 10), dim=0) / LN10 - 10 * math.log10(len(levels))
    loudness = torch.quantile(power, 0.95)
    loud = power.topk(max(int(LOUD_SHARE * len(power)), 1)).indices
    levels = levels.clamp(min=float(loudness) - DEPTH_DB)
    loudest = levels[:, loud]
    inner = loud[(loud > 0) & (loud < len(power) - 1)]
    over_time = levels[:, inner - 1] - 2 * levels[:, inner] + levels[:, inner + 1]
    over_bands = loudest[:-2] - 2 * loudest[1:-1] + loudest[2:]
    roughness = _rms(over_time) / math.sqrt(6)
    return LevelStatistics(
        loudness_db=float(loudness),
        mean_db=float(levels.mean()),
        floor_margin_db=float((loudest - to_db * (floor - white)[bands]).mean()),
        spread_db=float(loudest.std(correction=0)),
        movement_db=float(loudest.std(dim=1, correction=0).mean()),
        roughness_db=roughness,
        asymmetry=_rms(over_bands) / math.sqrt(6) / max(roughness, 1e-3),
        below_floor=float(below.float().mean()),
    )


def implausibility(statistics: LevelStatistics, frames: int, square: bool = False) -> str | None:
    """What about a mel of so many frames cannot be of speech; None where nothing is.

    A level is judged at any length and of any signal; the rest from `FEWEST_FRAMES` on, and where
    the loud frames are neither silent nor cut off by the floor. ``square``: the mel has as many
    frames as bands, and may be transposed.
    """
    s = statistics
    if s.loudness_db > FULL_SCALE_DB:
        return f"it is {s.loudness_db - FULL_SCALE_DB:.0f} dB louder than full scale"
    if frames >= FEWEST_FRAMES and s.below_floor > BELOW_FLOOR_SHARE:
        return f"{100 * s.below_floor:.0f} % of its values are below the floor"
    if frames < FEWEST_FRAMES or s.loudness_db < QUIET_DB or s.floor_margin_db < FLOOR_MARGIN_DB:
        return None
    if s.mean_db > LOUDEST_MEAN_DB:
        return f"its mean level is {s.mean_db:.0f} dB over white noise of unit power"
    if square and s.asymmetry < LEAST_ASYMMETRY:
        return "it changes less from band to band than from frame to frame"
    if s.spread_db > WIDEST_SPREAD_DB:
        return f"its levels are spread by {s.spread_db:.0f} dB (speech: 9 to 19)"
    narrow = s.spread_db < NARROWEST_SPREAD_DB and s.spread_db + s.movement_db < NARROWEST_DB
    if narrow and s.roughness_db < SMOOTHEST_DB:
        return f"its levels are spread by only {s.spread_db:.0f} dB (speech: 9 to 19)"
    return None


def likely_convention(
    mel: Float[Tensor, "batch n_mels frames"], spec: MelSpec, square: bool = False
) -> str:
    """The end of a message about an implausible mel: what it looks like, and what to do."""
    frames = mel.shape[0] * mel.shape[2]
    if square and mel.shape[2] == spec.n_mels:
        transposed = level_statistics(spec.log_amplitude(mel.mT), spec)
        if implausibility(transposed, frames) is None:
            return "; it looks like (batch, frames, n_mels): transpose it"
    mean, deviation, least, largest = _moments(mel)
    if least >= 0 and (largest <= 1 or mean + deviation < largest / 3):
        scaled = "scaled to the range from 0 to 1" if largest <= 1 else "without a logarithm"
        return f"; it looks like a mel {scaled}: {_ADVICE}"
    if abs(mean) < 0.5 and abs(deviation - 1) < 0.4:
        return (
            "; it looks normalised to zero mean and unit variance: give the spec the statistics of "
            "its corpus, spec.with_statistics(mean, scale)"
        )
    sixteen_bits = SIXTEEN_BITS_DB * LN10 / 20
    lowered = level_statistics(spec.log_amplitude(mel) - sixteen_bits, spec)
    # What was at the floor before is below it now.
    if _like_speech(lowered._replace(below_floor=0.0), frames):
        return "; it looks like the mel of 16-bit integers: divide the waveform by 32768"
    candidates = []
    for convention, nepers in _CONVENTIONS.items():
        found = level_statistics(mel * nepers, spec)
        if _like_speech(found, frames):
            candidates.append((_distance_from_speech(found), convention, nepers))
    if not candidates:
        return f"; {_ADVICE}"
    _, convention, nepers = min(candidates)
    remedy = ""
    if spec.mean == 0 and spec.scale == 1:
        own = float(spec.log_amplitude(torch.ones(1, spec.n_mels, 1))[0, 0, 0])
        remedy = f"multiply it by {nepers / own:.3g}, or "
    return f"; it looks like {convention}: {remedy}{_ADVICE}"


_ADVICE = "describe it by a MelSpec of its own (log, power, mean, scale), or compute it by v.mel"
_CONVENTIONS = {
    "the natural logarithm of amplitudes": 1.0,
    "the natural logarithm of powers": 0.5,
    "the decimal logarithm of amplitudes": LN10,
    "the decimal logarithm of powers": LN10 / 2,
    "decibels": LN10 / 20,
}
"""Nepers of amplitude per unit."""


def _like_speech(statistics: LevelStatistics, frames: int) -> bool:
    """Whether a mel is judged, and nothing speaks against it."""
    loud = statistics.loudness_db > QUIET_DB and statistics.floor_margin_db > FLOOR_MARGIN_DB
    return loud and implausibility(statistics, frames) is None


def _distance_from_speech(statistics: LevelStatistics) -> float:
    """How far a mel is from the middle of recordings, in spread and loudness."""
    spread = statistics.spread_db + statistics.movement_db
    return abs(math.log(max(spread, 1e-3) / 24)) / 0.2 + abs(statistics.loudness_db + 14) / 10


def _moments(mel: Tensor) -> tuple[float, float, float, float]:
    return float(mel.mean()), float(mel.std(correction=0)), float(mel.min()), float(mel.max())


def _rms(values: Tensor) -> float:
    return float(values.square().mean().sqrt()) if values.numel() else 0.0


@lru_cache(maxsize=256)
def _references(spec: MelSpec) -> tuple[Tensor, Tensor, Tensor]:
    """Levels of white noise and of the floor, natural logarithms of amplitudes, (n_mels, 1); which
    bands are looked at, (n_mels,)."""
    # A tensor made in inference mode could never take part in training afterwards.
    with torch.inference_mode(False):
        white = white_noise_level(spec)[:, None]
        floor = torch.as_tensor(spec.log_floor, dtype=torch.float32).expand(spec.n_mels)
        floor = spec.log_amplitude(floor[None, :, None])[0]
        # 0 Hz for filters without a bin, which count as outside.
        centres = torch.from_numpy(band_centres_hz(spec))
        return white, floor, (centres > BANDS_HZ[0]) & (centres < BANDS_HZ[1])
