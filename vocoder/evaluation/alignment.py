"""Align a recording and its resynthesis in time, length and, if asked for, level."""

import itertools
import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from vocoder.data.audio import Audio
from vocoder.errors import AudioError, VocoderError
from vocoder.metrics.level import level_difference_db

DEFAULT_MAX_LENGTH_DIFFERENCE_S = 0.5
"""Largest length difference that is cropped after delay removal. A larger difference indicates
another recording, or missing audio."""

DEFAULT_MAX_DELAY_MS = 50.0

ALIGNMENT_VERSION = 1
"""Increased whenever reading or aligning the same files would give other waveforms; cached scores
of another version are recomputed."""

LEAST_LEVEL_DB = 0.05
"""Level differences below this are not noted."""

LONGEST_SEARCH_MS = 250.0
"""Delays are searched within ± this, or half the shorter signal if that is less."""

UNTELLABLE_MS = 4.0
"""If phases are not preserved, a delay within ± this cannot be distinguished from none."""

COHERENT = 0.35
COHERENT_IF_SHORT = 0.5
"""Least whitened correlation for waveforms with the same phases; higher below `SHORT_S`, where
chance correlations are larger."""

ALIKE = 0.7
"""Least correlation of envelopes for two signals to count as the same utterance."""

SHORT_S = 1.0
SHORTEST_S = 0.25
"""Below the first, envelopes alone do not suffice; below the second, no delay is searched for."""

_BAND_EDGES_HZ = (100.0, 400.0, 800.0, 1300.0, 2000.0, 3000.0, 4500.0, 7000.0)
_WINDOW_S = 0.01
_FRAMES_PER_SECOND = 1000
_FLOOR = 1e-3
_WHITENING = 0.7


@dataclass(frozen=True)
class Delay:
    """Delay of an estimate relative to its reference.

    Attributes:
        samples: positive if the estimate is late, negative if it is early.
        exact: True if sample-accurate, from the waveforms; False if from the envelopes, to about 1
            ms.
    """

    samples: int
    exact: bool = True

    @property
    def text(self) -> str:
        """As a note in the table: "delayed by 37 samples"."""
        about = "" if self.exact else "about "
        return f"{'delayed' if self.samples > 0 else 'ahead'} by {about}{abs(self.samples)} samples"


class _Peak(NamedTuple):
    """The maximum of a correlation and its lag."""

    lag: float
    height: float


def align(
    reference: Audio,
    estimate: Audio,
    max_delay_ms: float = DEFAULT_MAX_DELAY_MS,
    max_length_difference_s: float = DEFAULT_MAX_LENGTH_DIFFERENCE_S,
) -> tuple[Audio, Audio, tuple[str, ...]]:
    """Both signals aligned and equally long, and notes of the changes.

    First the delay is removed, then the longer signal is cut at its end. Length differences
    explained by the delay do not count: leading silence, or the end of the speech lost from a
    delayed file of the recording's length.

    Args:
        reference: the recording.
        estimate: the resynthesis, at the same rate.
        max_delay_ms: see `remove_delay`.
        max_length_difference_s: most seconds cut; with 0 the lengths must agree apart from the
            delay.

    Raises:
        AudioError: the delay exceeds `max_delay_ms`, or the lengths still differ by more than
            `max_length_difference_s`.
    """
    rate, a, b = reference.sample_rate, len(reference.waveform), len(estimate.waveform)
    # No allowed delay can explain a larger difference: skip the search.
    if abs(b - a) / rate > max_length_difference_s + max_delay_ms / 1000:
        raise _too_different(a, b, rate, max_length_difference_s)
    first, second, notes = remove_delay(reference, estimate, max_delay_ms)
    c, d = len(first.waveform), len(second.waveform)
    shorter = min(c, d)
    # Opposite signs with and without the delay: the delay explains the whole difference.
    cut = min(abs(b - a), abs(d - c)) if (b > a) == (d > c) else 0
    if cut / rate > max_length_difference_s:
        lengths = (a, b) if cut == abs(b - a) else (c, d)
        raise _too_different(*lengths, rate, max_length_difference_s)
    if cut:
        longer = "longer" if d > c else "shorter"
        notes += (
            f"{longer} than the reference by {cut} samples ({1000 * cut / rate:.1f} ms), cropped",
        )
    return (
        Audio(first.waveform[:shorter], rate, first.notes),
        Audio(second.waveform[:shorter], rate, second.notes),
        notes,
    )


def match_level(reference: Audio, estimate: Audio) -> tuple[Audio, tuple[str, ...]]:
    """The estimate scaled to the reference's RMS, and a note of the gain.

    The note gives the level of the estimate in dB, if at least 0.05 dB. Peaks may exceed full
    scale; nothing is clipped or rounded. Silence is unchanged.

    Args:
        reference: the recording.
        estimate: the resynthesis, aligned with it.
    """
    level_db = level_difference_db(reference.waveform, estimate.waveform)
    if not math.isfinite(level_db):
        return estimate, ("level not matched: one of the two is silent",)
    gain = 10 ** (-level_db / 20)
    note = f"{level_text(level_db)}, matched"
    return (
        Audio(gain * estimate.waveform, estimate.sample_rate, estimate.notes),
        (note,) if is_noted(level_db) else (),
    )


def level_text(level_db: float) -> str:
    """As a note in the table: "level -3.2 dB", of the estimate relative to the recording."""
    return f"level {level_db:+.1f} dB"


def is_noted(level_db: float) -> bool:
    """Whether a level difference is worth a note: from 0.05 dB on, which rounds to 0.1."""
    return abs(level_db) >= LEAST_LEVEL_DB


def _too_different(
    reference: int, estimate: int, sample_rate: int, max_length_difference_s: float
) -> AudioError:
    return AudioError(
        f"durations differ by {abs(estimate - reference) / sample_rate:.3f} s: reference "
        f"{reference / sample_rate:.3f} s, system {estimate / sample_rate:.3f} s, allowed "
        f"{max_length_difference_s:g} s (--max-length-difference)"
    )


def check_max_length_difference(max_length_difference_s: float) -> None:
    """Raise a VocoderError unless it is a non-negative number of seconds."""
    if not (math.isfinite(max_length_difference_s) and max_length_difference_s >= 0.0):
        raise VocoderError(
            f"max_length_difference: {max_length_difference_s:g} is not a number of seconds from "
            "0 on"
        )


def check_max_delay(max_delay_ms: float) -> None:
    """Raise a VocoderError if `max_delay_ms` is out of range."""
    if not 0.0 <= max_delay_ms <= LONGEST_SEARCH_MS:
        raise VocoderError(
            f"max_delay_ms: {max_delay_ms:g} is not between 0 (files are compared as they are) and "
            f"{LONGEST_SEARCH_MS:g} ms"
        )


def remove_delay(
    reference: Audio, estimate: Audio, max_delay_ms: float = DEFAULT_MAX_DELAY_MS
) -> tuple[Audio, Audio, tuple[str, ...]]:
    """Cut the unmatched beginning, so that both signals start together.

    Args:
        reference: the recording.
        estimate: the resynthesis, at the same rate.
        max_delay_ms: largest delay removed; 0 disables the search.

    Returns:
        Both signals, not yet cropped to one length, and a note if a delay was removed.

    Raises:
        AudioError: the delay is larger than `max_delay_ms`.
    """
    if max_delay_ms == 0.0:
        return reference, estimate, ()
    rate = reference.sample_rate
    delay = find_delay(reference.waveform, estimate.waveform, rate)
    if delay.samples == 0:
        return reference, estimate, ()
    delay_ms = 1000 * delay.samples / rate
    if abs(delay_ms) > max_delay_ms:
        raise AudioError(
            f"{delay.text} ({abs(delay_ms):.1f} ms), allowed {max_delay_ms:g} ms "
            "(--max-delay-ms; 0 compares the files as they are)"
        )
    first = Audio(reference.waveform[max(-delay.samples, 0) :], rate, reference.notes)
    second = Audio(estimate.waveform[max(delay.samples, 0) :], rate, estimate.notes)
    return first, second, (f"{delay.text}, aligned",)


def find_delay(
    reference: Float[Tensor, " samples"],
    estimate: Float[Tensor, " estimate_samples"],
    sample_rate: int,
) -> Delay:
    """The constant delay of an estimate; 0 if there is none or it cannot be determined.

    The search has two steps, since a vocoder may not preserve the phases of the recording, so that
    the waveforms need not correlate best at the true lag:

    1. The log energies of seven bands from 100 Hz to 7 kHz, in 10 ms windows every millisecond,
       are correlated. Their peak gives the delay to about 1 ms.
    2. Within ± 4 ms of it the waveforms are correlated, the cross spectrum S whitened:
       sum S |S|^-0.7 e^jωτ / sum |S|^0.3, which is 1 for a delayed copy through any zero-phase
       filter. From 0.35 up (0.5 below one second) the phases count as preserved, and the peak is
       the delay to the sample.

    Otherwise the first step decides alone, if its correlation is at least 0.7, its delay more than
    4 ms and the signal at least a second long. `docs/evaluation.md` has the measurements behind
    these numbers.

    Args:
        reference: the recording, (samples,).
        estimate: the resynthesis, of nearly the same length.
        sample_rate: of both, in Hz.

    Source: the partial whitening is Knapp, Carter, "The generalized correlation method for
    estimation of time delay", IEEE Trans. ASSP 24(4), 1976, with an exponent below one.
    """
    hop_length = max(1, round(sample_rate / _FRAMES_PER_SECOND))
    shorter = min(reference.numel(), estimate.numel())
    if shorter < SHORTEST_S * sample_rate or not (reference.any() and estimate.any()):
        return Delay(0)
    is_short = shorter < SHORT_S * sample_rate
    longest = min(round(LONGEST_SEARCH_MS / 1000 * sample_rate), shorter // 2)
    envelopes = _envelope_peak(reference, estimate, sample_rate, hop_length, longest // hop_length)
    near = round(UNTELLABLE_MS / 1000 * sample_rate)
    waveforms = _waveform_peak(reference, estimate, round(envelopes.lag), near)
    if waveforms.height >= (COHERENT_IF_SHORT if is_short else COHERENT):
        return Delay(int(waveforms.lag))
    if not is_short and envelopes.height >= ALIKE and abs(envelopes.lag) > near:
        return Delay(round(envelopes.lag), exact=False)
    return Delay(0)


def _envelope_peak(
    reference: Tensor, estimate: Tensor, sample_rate: int, hop_length: int, longest: int
) -> _Peak:
    """Lag in samples and normalised correlation of the band envelopes, within ± longest frames."""
    first, second = (_envelopes(x, sample_rate, hop_length) for x in (reference, estimate))
    power = first.square().sum() * second.square().sum()
    if float(power) == 0.0:
        return _Peak(0.0, 0.0)
    size = _transform_size(first.shape[1] + second.shape[1])
    cross = (torch.fft.rfft(second, size) * torch.fft.rfft(first, size).conj()).sum(0)
    values = _around(torch.fft.irfft(cross, size), 0, longest) / power.sqrt()
    top = int(values.argmax())
    return _Peak((top - longest + _vertex(values, top)) * hop_length, float(values[top]))


def _envelopes(
    waveform: Tensor, sample_rate: int, hop_length: int
) -> Float[Tensor, "bands frames"]:
    """Log energies of the bands below Nyquist, every hop, each without its mean over time."""
    window = torch.hann_window(2 * round(_WINDOW_S * sample_rate / 2))
    spectrum = torch.stft(
        waveform.float(),
        len(window),
        hop_length,
        window=window,
        pad_mode="constant",
        return_complex=True,
    )
    power = torch.view_as_real(spectrum).square().sum(-1)
    hertz = torch.arange(power.shape[0]) * (sample_rate / len(window))
    edges = [edge for edge in _BAND_EDGES_HZ if edge < sample_rate / 2] + [math.inf]
    edges = edges[: len(_BAND_EDGES_HZ)]
    bands = torch.stack([
        power[(hertz >= low) & (hertz < high)].sum(0)
        for low, high in itertools.pairwise(edges)
    ]).double()  # fmt: skip
    # Pauses are set to the floor: they are not part of the utterance.
    floor = _FLOOR * bands.mean(1, keepdim=True) + torch.finfo(torch.float64).tiny
    levels = (bands + floor).log()
    return levels - levels.mean(1, keepdim=True)


def _waveform_peak(reference: Tensor, estimate: Tensor, centre: int, reach: int) -> _Peak:
    """Lag in samples and height of the whitened correlation, within `reach` of `centre`."""
    size = _transform_size(reference.numel() + estimate.numel() + abs(centre) + reach)
    first, second = (torch.fft.rfft(x.double(), size) for x in (reference, estimate))
    cross = second * first.conj()
    magnitude = cross.abs()
    # rfft has no negative frequencies, hence the factor 2; 0 Hz is only an offset.
    cross[0], magnitude[0] = 0.0, 0.0
    total = 2 * magnitude.pow(1 - _WHITENING).sum() / size
    if float(total) == 0.0:
        return _Peak(0.0, 0.0)
    whitened = cross / magnitude.clamp(min=torch.finfo(torch.float64).tiny).pow(_WHITENING)
    values = _around(torch.fft.irfft(whitened, size), centre, reach) / total
    top = int(values.argmax())
    return _Peak(centre - reach + top, float(values[top]))


def _transform_size(shortest: int) -> int:
    """The next power of two."""
    return 1 << (shortest - 1).bit_length()


def _around(circular: Tensor, centre: int, reach: int) -> Tensor:
    """The values at lags centre - reach … centre + reach of a circular correlation."""
    return circular[torch.arange(centre - reach, centre + reach + 1) % len(circular)]


def _vertex(values: Tensor, top: int) -> float:
    """Offset from `top`, within ± 0.5, of the parabola's vertex through it and its neighbours."""
    if not 0 < top < len(values) - 1:
        return 0.0
    before, peak, after = (float(value) for value in values[top - 1 : top + 2])
    curvature = before - 2 * peak + after
    return 0.5 * (before - after) / curvature if curvature < 0.0 else 0.0
