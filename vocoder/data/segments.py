"""Training segments: a batch is a pure function of the seed and the step.

Nothing is shuffled or consumed, so a resumed run sees what the uninterrupted one would have seen,
and several processes share a step's batch by taking their slices of it.
"""

import hashlib
import math
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import soxr
import torch
from joblib import Parallel, delayed
from pydantic import Field, field_validator, model_validator
from torch import Tensor

from vocoder.config import Config
from vocoder.data.audio import read_audio
from vocoder.data.manifest import Utterance, read_manifest
from vocoder.data.mel_draws import MelDraws
from vocoder.errors import CorpusError
from vocoder.features.mel import MelSpec
from vocoder.features.pitch import Pitch, PitchConfig, cached_pitch

MARGIN = 64
"""Samples of a recording on either side of a segment, for the resampling filter."""


class DataConfig(Config):
    """Where the speech is and how segments are cut from it.

    ``manifests``: JSON-lines files as written by ``vocoder prepare``. ``segment_frames``: mel
    frames of one segment. ``batch_size``: segments a step, over all processes. ``gain_db``: range
    of a random gain. ``speeds``: rates of playback, one drawn for each segment, as fractions of
    small numbers; pitch and formants move with it. ``speaker_balance``: 0 draws speakers in
    proportion to the speech they left, 1 equally often. ``held_out``: speakers of the split "train"
    that are validated on instead. ``mels``: mels drawn for a universal vocoder, null for the
    recipe's own alone. ``predicted_mels``: the mels are those of the files that the manifests name,
    not of the recordings; their gain and speed cannot be changed.
    """

    manifests: tuple[str, ...] = Field(min_length=1)
    segment_frames: int = Field(52, ge=4)
    batch_size: int = Field(12, ge=1)
    gain_db: tuple[float, float] = (-12.0, 6.0)
    speeds: tuple[str, ...] = ("1/1",)
    speaker_balance: float = Field(0.5, ge=0, le=1)
    held_out: tuple[str, ...] = ()
    mels: MelDraws | None = None
    predicted_mels: bool = False

    @field_validator("speeds")
    @classmethod
    def _are_fractions(cls, speeds: tuple[str, ...]) -> tuple[str, ...]:
        if not speeds:
            raise ValueError('name at least one speed, such as "1/1"')
        for speed in speeds:
            parse_speed(speed)
        return speeds

    @field_validator("gain_db")
    @classmethod
    def _is_a_range(cls, gain_db: tuple[float, float]) -> tuple[float, float]:
        if gain_db[0] > gain_db[1]:
            raise ValueError("the lower gain comes first")
        return gain_db

    @model_validator(mode="after")
    def _predicted_mels_stay_as_they_are(self) -> Self:
        plain = {"gain_db": (0.0, 0.0), "speeds": ("1/1",), "mels": None}
        for name, value in plain.items():
            if self.predicted_mels and getattr(self, name) != value:
                shown = {"gain_db": "[0, 0]", "speeds": '["1/1"]', "mels": "null"}[name]
                raise ValueError(f"predicted_mels wants {name}: {shown}; mel files are fixed")
        return self


class Recording(NamedTuple):
    """One utterance in memory: 16-bit samples at ``sample_rate`` (Hz), the pitch of its mel frames,
    and the mel that was predicted for it, (n_mels, frames), where one is trained on."""

    utterance: Utterance
    path: Path
    samples: np.ndarray
    pitch: Pitch
    sample_rate: int
    mel: Tensor | None = None


class Batch(NamedTuple):
    """Segments of ``frames`` frames.

    ``waveform`` (batch, frames * hop), ``mel`` (batch, n_mels, left + frames + right) with the
    context that the model wants, ``f0_hz`` and ``voicing`` (batch, frames). For universal vocoders
    ``band_limit_hz`` (batch,), above which the waveform is not known, and the mel's ``spec``.
    """

    waveform: Tensor
    mel: Tensor
    f0_hz: Tensor
    voicing: Tensor
    band_limit_hz: Tensor | None = None
    spec: MelSpec | None = None

    def to(self, device: torch.device) -> "Batch":
        """The batch on a device."""
        limit = self.band_limit_hz
        return Batch(
            self.waveform.to(device),
            self.mel.to(device),
            self.f0_hz.to(device),
            self.voicing.to(device),
            None if limit is None else limit.to(device),
            self.spec,
        )


def recording_paths(
    manifests: Sequence[str], split: str, held_out: Sequence[str] = ()
) -> dict[Path, Utterance]:
    """The utterances of one split by the paths of their files, in the manifests' order.

    Where speakers are ``held_out``, their utterances of the split "train" are the split "valid",
    and nothing else is: validation speakers are unseen in training.

    Raises:
        CorpusError: no utterance of that split, or a speaker held out whom no manifest has.
    """
    found: dict[Path, Utterance] = {}
    missing = set(held_out)
    for manifest in manifests:
        for utterance in read_manifest(manifest):
            missing.discard(utterance.speaker)
            if _split_of(utterance, held_out) == split:
                folder = Path(manifest).parent
                mel = None if utterance.mel is None else folder / utterance.mel
                found[folder / utterance.path] = utterance.model_copy(update={"mel": mel})
    if missing:
        raise CorpusError(
            f"data.held_out: no speaker {', '.join(sorted(missing))} in {', '.join(manifests)}"
        )
    if not found:
        raise CorpusError(f"no {split!r} utterances in {', '.join(manifests)}")
    return found


def _split_of(utterance: Utterance, held_out: Sequence[str]) -> str:
    """The utterance's split where some speakers are held out for validation."""
    own = utterance.split
    if not held_out or own not in ("train", "valid"):
        return own
    if utterance.speaker in held_out:
        return "valid" if own == "train" else "unused"
    return "train" if own == "train" else "unused"


def load_recordings(
    manifests: Sequence[str],
    split: str,
    spec: MelSpec,
    pitch: PitchConfig,
    cache_dir: Path,
    jobs: int = 1,
    limit: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    held_out: Sequence[str] = (),
) -> list[Recording]:
    """The utterances of one split, decoded and with Praat's pitch, in the manifests' order.

    Args:
        cache_dir: folder where pitch tracks are remembered.
        jobs: processes that decode and analyse.
        limit: load no more than so many, evenly spread over the split.
        progress: told how many of how many are loaded.
        held_out: see :func:`recording_paths`, as for errors.
    """
    wanted = list(recording_paths(manifests, split, held_out).items())
    if limit is not None and limit < len(wanted):
        wanted = [wanted[index * len(wanted) // limit] for index in range(limit)]
    load = delayed(_load_recording)
    calls = [load(path, utterance, spec, pitch, cache_dir) for path, utterance in wanted]
    return run_all(calls, jobs, progress)


def run_all(
    calls: Sequence[Any], jobs: int, progress: Callable[[int, int], None] | None
) -> list[Recording]:
    """Results of joblib's delayed calls in their order; ``progress`` is told how many of how many
    are done."""
    recordings: list[Recording] = []
    for recording in Parallel(n_jobs=jobs, return_as="generator")(calls):
        recordings.append(recording)
        if progress:
            progress(len(recordings), len(calls))
    return recordings


def _load_recording(
    path: Path, utterance: Utterance, spec: MelSpec, pitch: PitchConfig, cache_dir: Path
) -> Recording:
    waveform = read_audio(path, spec.sample_rate).waveform
    samples = (waveform * 32768).round().clamp(-32768, 32767).to(torch.int16).numpy()
    track = cached_pitch(
        waveform,
        spec.sample_rate,
        spec.hop_length,
        spec.frames(len(waveform)),
        spec.center_offset,
        pitch,
        cache_dir,
    )
    return Recording(utterance, path, samples, track, spec.sample_rate)


class SegmentSource:
    """Cuts the batch of any step from recordings held in memory."""

    def __init__(
        self,
        recordings: Sequence[Recording],
        config: DataConfig,
        spec: MelSpec,
        context: tuple[int, int],
        seed: int,
    ) -> None:
        self.recordings, self.config, self.spec = recordings, config, spec
        self.context, self.seed = context, seed
        self.speeds = [parse_speed(speed) for speed in config.speeds]
        self.weights = speaker_weights(recordings, config.speaker_balance)

    def batch(self, step: int, rank: int = 0, processes: int = 1) -> Batch:
        """The segments of one step that belong to one of several processes."""
        items = self.items(rank, processes)
        return self.joined([self.segment(self.spec, self.frames, step, item) for item in items])

    def joined(
        self,
        cut: Sequence["Segment"],
        spec: MelSpec | None = None,
        precision: torch.dtype | None = None,
    ) -> Batch:
        """Segments as a batch, with their mel in ``spec``, by default the recipe's own.

        Mel and target are cut from one stretch of signal that carries the mel's own window too.
        """
        spec = spec or self.spec
        waveform, f0_hz, voicing = (
            torch.from_numpy(np.stack(part)).float()
            for part in zip(*(each[:3] for each in cut), strict=True)
        )
        left, right = self.context
        hop, margin, frames = spec.hop_length, window_margin(spec), f0_hz.shape[1]
        mel = spec.mel(waveform, precision)[:, :, margin : margin + left + frames + right]
        start = (margin + left) * hop
        return Batch(waveform[:, start : start + frames * hop], mel, f0_hz, voicing)

    def items(self, rank: int, processes: int) -> range:
        """Which items of a step's batch belong to one of several processes."""
        share, remainder = divmod(self.config.batch_size, processes)
        if remainder:
            raise CorpusError(
                f"batch_size {self.config.batch_size} cannot be shared out to {processes} processes"
            )
        return range(rank * share, (rank + 1) * share)

    @cached_property
    def data_hash(self) -> str:
        """Twelve hexadecimal digits over the recordings: which there are, and every sample."""
        digest = hashlib.sha256()
        for recording in self.recordings:
            digest.update(recording.utterance.model_dump_json(exclude={"mel"}).encode())
            digest.update(recording.samples.tobytes())
            if recording.mel is not None:
                digest.update(recording.mel.numpy().tobytes())
        return digest.hexdigest()[:12]

    @property
    def frames(self) -> int:
        """Mel frames of a segment."""
        return self.config.segment_frames

    def draw(self, random: np.random.Generator, spec: MelSpec) -> Recording:
        """One recording, with the chances of `speaker_weights`."""
        return self.recordings[weighted_index(random, self.weights)]

    def segment(self, spec: MelSpec, frames: int, step: int, item: int) -> "Segment":
        """A stretch of a recording of ``frames`` frames of a mel, at the mel's sample rate."""
        random = np.random.default_rng((self.seed, step, item))
        recording = self.draw(random, spec)
        fast, slow = self.speeds[random.integers(len(self.speeds))]
        gain = 10 ** (random.uniform(*self.config.gain_db) / 20)
        hop, (left, right), margin = spec.hop_length, self.context, window_margin(spec)
        # Samples of the recording per sample of the segment.
        rate = recording.sample_rate * fast / slow
        ratio = rate / spec.sample_rate
        span = frames * hop * ratio
        # Starts lie a quarter of a segment beyond either end too, so that onsets are learned.
        slack = span / 4
        start = random.uniform(-slack, max(len(recording.samples) - span + slack, -slack))
        lead = math.ceil(MARGIN / ratio)
        before, length = (left + margin) * hop, (left + margin + frames + right + margin) * hop
        first = math.floor(start - (before + lead) * ratio)
        last = first + math.ceil((lead + length) * ratio) + MARGIN
        samples = samples_between(recording.samples, first, last)
        if ratio != 1:
            samples = soxr.resample(samples, rate, spec.sample_rate)
        begin = first + (lead + before) * ratio
        centres = begin + (np.arange(frames) * hop + spec.center_offset) * ratio
        pitch_hop, pitch_offset = self.pitch_grid(recording)
        f0_hz, voicing = interpolate_track(recording.pitch, (centres - pitch_offset) / pitch_hop)
        waveform = samples[lead : lead + length] * np.float32(gain)
        return Segment(waveform, f0_hz * fast / slow, voicing, rate)

    def pitch_grid(self, recording: Recording) -> tuple[int, int]:
        """Samples of a recording between two values of its pitch, and before the first."""
        return self.spec.hop_length, self.spec.center_offset


class Segment(NamedTuple):
    """``waveform`` (samples,) with the context and the margin of the mel's window, ``f0_hz`` and
    ``voicing`` (frames,), and the ``rate`` (Hz) at which the recording is played."""

    waveform: np.ndarray
    f0_hz: np.ndarray
    voicing: np.ndarray
    rate: float


def weighted_index(random: np.random.Generator, weights: np.ndarray) -> int:
    """An index with chances in proportion to the weights."""
    cumulative = np.cumsum(weights)
    return int(np.searchsorted(cumulative, random.random() * cumulative[-1], side="right"))


def window_margin(spec: MelSpec) -> int:
    """Frames that the padding at the ends of a signal can touch."""
    return math.ceil(spec.n_fft / 2 / spec.hop_length) + 1


def interpolate_track(pitch: Pitch, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """F0 (Hz) and voicing at fractional frames of a track: F0 log-linear between frames, voicing of
    the nearest frame, and none beyond the ends."""
    frames = len(pitch.f0_hz)
    log_f0 = np.interp(index, np.arange(frames), np.log(pitch.f0_hz.numpy()))
    nearest = np.rint(index).astype(int)
    inside = (nearest >= 0) & (nearest < frames)
    return np.exp(log_f0), pitch.voicing.numpy()[nearest.clip(0, frames - 1)] * inside


def samples_between(samples: np.ndarray, first: int, last: int) -> np.ndarray:
    """Float samples from ``first`` up to ``last``, zero beyond the ends of the recording."""
    inside = samples[max(first, 0) : max(last, 0)]
    padded = np.pad(inside, (max(-first, 0), 0))[: last - first]
    padded = np.pad(padded, (0, last - first - len(padded)))
    return padded.astype(np.float32) / 32768


def speaker_weights(recordings: Sequence[Recording], balance: float) -> np.ndarray:
    """Chance of each recording: its length, times its speaker's length to the power -balance."""
    lengths = np.array([len(recording.samples) for recording in recordings], dtype=np.float64)
    speakers = np.array([recording.utterance.speaker for recording in recordings])
    totals = {speaker: lengths[speakers == speaker].sum() for speaker in set(speakers)}
    return lengths * np.array([totals[speaker] for speaker in speakers]) ** -balance


def parse_speed(speed: str) -> tuple[int, int]:
    """Numerator and denominator of a rate of playback such as "9/8", in lowest terms.

    >>> parse_speed("18/16")
    (9, 8)
    """
    fast, _, slow = speed.partition("/")
    if not (fast.isdecimal() and slow.isdecimal() and int(fast) and int(slow)):
        raise ValueError(f"speed {speed!r} is no fraction such as 9/8")
    common = math.gcd(int(fast), int(slow))
    return int(fast) // common, int(slow) // common
