"""STOI and ESTOI: how intelligible the estimate is beside the reference, from band envelopes."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from vocoder.errors import AudioError
from vocoder.metrics.signals import Signal, checked_pair, resample

CONVENTION = (
    "STOI (Taal et al. 2011) and ESTOI (Jensen, Taal 2016) at 10 kHz, other rates resampled by "
    "soxr HQ: 15 third-octave bands from 150 Hz, segments of 384 ms, without the frames of the "
    "reference more than 40 dB below its loudest"
)
RATE = 10000
_FRAME = 256
_HOP = 128
_N_FFT = 512
_BANDS = 15
_LOWEST_HZ = 150.0
_SEGMENT = 30
_RANGE_DB = 40.0
_CLIP = 1.0 + 10.0 ** (15.0 / 20.0)


class Stoi(NamedTuple):
    """Mean correlations of short-time band envelopes, at most 1; higher is better.

    Attributes:
        stoi: each band on its own, the estimate's excess clipped at 15 dB.
        estoi: whole spectra, each band normalised first; it hears modulated maskers too.
    """

    stoi: float
    estoi: float


def stoi(reference: Signal, estimate: Signal, sample_rate: int) -> Stoi:
    """STOI and ESTOI of one utterance.

    Frames of 25.6 ms every 12.8 ms, with silent ones cut out of both signals, give the envelopes
    X_j(m) = sqrt(Σ |x̂(k, m)|² over the bins of third-octave band j). On every stretch of 30 frames,
    x and y being the envelopes of one band there,

        STOI:   mean over bands and stretches of corr(x, min(y ||x|| / ||y||, (1 + 10^0.75) x))
        ESTOI:  mean over frames and stretches of the correlation of spectra, after each band of
                the stretch was brought to mean 0 and norm 1

    All in double precision. Correlations of unit vectors u, v are computed as 1 - ||u - v||² / 2,
    so that equal signals score 1 exactly.

    Args:
        reference: the recording, shape (samples,), in [-1, 1].
        estimate: the resynthesis, as long. Silence scores 0.
        sample_rate: of both, in Hz.

    Raises:
        AudioError: invalid signals, a silent reference, or fewer than 30 frames (0.41 s) of speech
            in the reference.

    Source: Taal, Hendriks, Heusdens, Jensen, "An algorithm for intelligibility prediction of
    time-frequency weighted noisy speech", IEEE TASLP 19(7), 2011; Jensen, Taal, "An algorithm for
    predicting the intelligibility of speech masked by modulated noise maskers", IEEE/ACM TASLP
    24(11), 2016. Edges of frames and bands are those of the authors' Matlab code.
    """
    first, second = checked_pair(reference, estimate, sample_rate)
    first, second = (resample(x, sample_rate, RATE).double() for x in (first, second))
    if not first.any():
        raise AudioError("STOI is not defined for a silent reference")
    x, y = (_segments(_envelopes(signal)) for signal in _without_silence(first, second))
    return Stoi(stoi=_stoi(x, y), estoi=_estoi(x, y))


def third_octave_bands() -> Float[Tensor, "bands bins"]:
    """One where an FFT bin belongs to a band, zero elsewhere, (15, 257).

    Band j reaches from 150 · 2^((2j - 1)/6) to 150 · 2^((2j + 1)/6) Hz, each edge moved to the
    nearest bin, the upper one excluded. The last one ends at 4281 Hz.
    """
    bins_hz = torch.arange(_N_FFT // 2 + 1, dtype=torch.float64) * RATE / _N_FFT
    edges_hz = _LOWEST_HZ * 2.0 ** ((2 * torch.arange(_BANDS + 1, dtype=torch.float64) - 1) / 6)
    edges = (bins_hz - edges_hz[:, None]).abs().argmin(1)
    index = torch.arange(len(bins_hz))
    inside = (index >= edges[:-1, None]) & (index < edges[1:, None])
    return inside.double()


def _window() -> Float[Tensor, " frame"]:
    """Hann without its zeros at the ends, as Matlab's `hanning`."""
    return torch.hann_window(_FRAME + 2, periodic=False, dtype=torch.float64)[1:-1]


def _frames(signal: Float[Tensor, " samples"]) -> Float[Tensor, "frames frame"]:
    """Windowed frames; one that ends with the signal's last sample is left out, as in Matlab."""
    count = max(0, -(-(len(signal) - _FRAME) // _HOP))
    if count == 0:
        return signal.new_zeros(0, _FRAME)
    return signal.unfold(0, _FRAME, _HOP)[:count] * _window()


def _without_silence(
    reference: Float[Tensor, " samples"], estimate: Float[Tensor, " samples"]
) -> tuple[Float[Tensor, " kept"], Float[Tensor, " kept"]]:
    """Both signals, overlap-added of those frames that are loud enough in the reference."""
    x, y = _frames(reference), _frames(estimate)
    energy_db = 20 * torch.linalg.norm(x, dim=1).log10()
    loud = energy_db > max(energy_db.tolist(), default=0.0) - _RANGE_DB
    # Frames of what is left lie half over two of these: there is one less.
    count = int(loud.sum()) - 1
    if count < _SEGMENT:
        raise AudioError(
            f"STOI needs at least {_SEGMENT} frames ({(_SEGMENT + 2) * _HOP / RATE:.2f} s) of "
            f"speech in the reference, found {max(count, 0)}: leave so short a file out"
        )
    return _overlap_add(x[loud]), _overlap_add(y[loud])


def _overlap_add(frames: Float[Tensor, "frames frame"]) -> Float[Tensor, " samples"]:
    """The sum of windowed frames half over each other."""
    empty = frames.new_zeros(1, _HOP)
    heads, tails = frames[:, :_HOP], frames[:, _HOP:]
    return (torch.cat([heads, empty]) + torch.cat([empty, tails])).flatten()


def _envelopes(signal: Float[Tensor, " samples"]) -> Float[Tensor, "bands frames"]:
    """Magnitudes in third-octave bands."""
    power = torch.fft.rfft(_frames(signal), _N_FFT).abs().square()
    return (third_octave_bands() @ power.T).sqrt()


def _segments(
    envelopes: Float[Tensor, "bands frames"],
) -> Float[Tensor, "segments bands frames_of_segment"]:
    """All stretches of 30 frames, one frame after the other."""
    return envelopes.unfold(1, _SEGMENT, 1).transpose(0, 1)


def _stoi(x: Float[Tensor, "segments bands n"], y: Float[Tensor, "segments bands n"]) -> float:
    norm_x, norm_y = (torch.linalg.norm(e, dim=2, keepdim=True) for e in (x, y))
    as_loud = y * torch.where(norm_y > 0, norm_x / norm_y, 0.0)
    clipped = torch.minimum(as_loud, _CLIP * x)
    return float(_correlation(_unit(x, 2), _unit(clipped, 2), 2).mean())


def _estoi(x: Float[Tensor, "segments bands n"], y: Float[Tensor, "segments bands n"]) -> float:
    # Bands first, then spectra: the second mean is of what the first left.
    x, y = (_unit(_unit(e, 2), 1) for e in (x, y))
    return float(_correlation(x, y, 1).mean())


def _unit(values: Float[Tensor, "..."], dim: int) -> Float[Tensor, "..."]:
    """Mean 0 and norm 1 along `dim`; zeros where nothing varies."""
    centred = values - values.mean(dim, keepdim=True)
    norm = torch.linalg.norm(centred, dim=dim, keepdim=True)
    return torch.where(norm > 0, centred / norm, 0.0)


def _correlation(
    u: Float[Tensor, "..."], v: Float[Tensor, "..."], dim: int
) -> Float[Tensor, "..."]:
    """Of unit vectors along `dim`; 0 where one varies and the other does not, 1 where neither."""
    varies_u, varies_v = u.any(dim), v.any(dim)
    correlation = 1 - (u - v).square().sum(dim) / 2
    return torch.where(varies_u == varies_v, correlation, 0.0)
