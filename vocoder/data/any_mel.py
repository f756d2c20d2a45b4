"""Training segments of many sample rates and many mels, for universal vocoders.

As in `segments` a batch is a function of the seed and the step. All of its segments share one mel,
drawn as `MelDraws` says; they come from recordings of any rate, which are resampled to the mel's.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import soxr
import torch
from joblib import delayed
from torch import Tensor

from vocoder.data.audio import read_audio
from vocoder.data.manifest import Utterance
from vocoder.data.mel_draws import MelDraws, frames_at
from vocoder.data.segments import (
    Batch,
    DataConfig,
    Recording,
    SegmentSource,
    interpolate_track,
    parse_speed,
    recording_paths,
    run_all,
    samples_between,
    speaker_weights,
    window_margin,
)
from vocoder.features.mel import MelSpec
from vocoder.features.pitch import PitchConfig, cached_pitch

PITCH_HOP_S = 0.005
"""Seconds between the F0 values of a recording, which are interpolated to any mel's frames."""
PASSBAND = 0.95
"""Share of a recording's Nyquist frequency up to which it holds speech."""
MARGIN = 64
"""Samples of a recording on either side of a segment, for the resampling filter."""


def load_native_recordings(
    manifests: Sequence[str],
    split: str,
    pitch: PitchConfig,
    cache_dir: Path,
    jobs: int = 1,
    held_out: Sequence[str] = (),
    progress: Callable[[int, int], None] | None = None,
) -> list[Recording]:
    """The utterances of one split at their own rates, with Praat's pitch every 5 ms.

    Arguments and errors as of `segments.load_recordings`.
    """
    wanted = recording_paths(manifests, split, held_out).items()
    load = delayed(_load_native)
    return run_all([load(*each, pitch, cache_dir) for each in wanted], jobs, progress)


def _load_native(
    path: Path, utterance: Utterance, pitch: PitchConfig, cache_dir: Path
) -> Recording:
    audio = read_audio(path)
    rate, length = audio.sample_rate, len(audio.waveform)
    hop = round(PITCH_HOP_S * rate)
    samples = (audio.waveform * 32768).round().clamp(-32768, 32767).to(torch.int16).numpy()
    track = cached_pitch(audio.waveform, rate, hop, 1 + length // hop, 0, pitch, cache_dir)
    return Recording(utterance, path, samples, track, rate)


class AnyMelSource(SegmentSource):
    """Cuts batches of changing mels from recordings at their own rates.

    Segments of every mel last as long as ``segment_frames`` frames of the recipe's own.
    """

    def __init__(
        self,
        recordings: Sequence[Recording],
        config: DataConfig,
        draws: MelDraws,
        spec: MelSpec,
        context: tuple[int, int],
        seed: int,
    ) -> None:
        super().__init__(recordings, config, spec, context, seed)
        self.draws = draws
        self.pool = draws.pool_of(seed)
        self.rates = [fast / slow for fast, slow in map(parse_speed, config.speeds)]
        self.limits_hz = np.array([PASSBAND * each.sample_rate / 2 for each in recordings])
        self.weights = speaker_weights(recordings, config.speaker_balance)

    def spec_of(self, step: int) -> MelSpec:
        """The mel of a step's batch."""
        return self.draws.draw(np.random.default_rng((self.seed, step)), self.spec, self.pool)

    def batch(self, step: int, rank: int = 0, processes: int = 1) -> Batch:
        """The segments of one step that belong to one of several processes."""
        spec = self.spec_of(step)
        frames = frames_at(spec, self.spec, self.frames)
        cut = [self._segment_of(spec, frames, step, item) for item in self.items(rank, processes)]
        waveform, f0_hz, voicing, limit_hz = (torch.stack(part) for part in zip(*cut, strict=True))
        left, right = self.context
        margin, hop = window_margin(spec), spec.hop_length
        mel = spec.mel(waveform, torch.float32)[:, :, margin : margin + left + frames + right]
        start = (margin + left) * hop
        segment = waveform[:, start : start + frames * hop]
        return Batch(segment, mel, f0_hz, voicing, limit_hz, spec)

    def _segment_of(
        self, spec: MelSpec, frames: int, step: int, item: int
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        random = np.random.default_rng((self.seed, step, item))
        recording = self.recordings[self._choose(random, spec)]
        speed = self.rates[random.integers(len(self.rates))]
        gain = 10 ** (random.uniform(*self.config.gain_db) / 20)
        hop, (left, right), margin = spec.hop_length, self.context, window_margin(spec)
        # Samples of the recording per sample of the segment.
        ratio = recording.sample_rate * speed / spec.sample_rate
        slack, span = frames * hop * ratio / 4, frames * hop * ratio
        latest = len(recording.samples) - span + slack
        start = random.uniform(-slack, max(latest, -slack))
        lead = math.ceil(MARGIN / ratio)
        first = math.floor(start - ((left + margin) * hop + lead) * ratio)
        length = (left + margin + frames + right + margin) * hop
        samples = samples_between(
            recording.samples, first, first + math.ceil((lead + length) * ratio) + MARGIN
        )
        resampled = soxr.resample(samples, recording.sample_rate * speed, spec.sample_rate)
        waveform = torch.from_numpy(resampled[lead : lead + length] * np.float32(gain))
        begin = first + (lead + (left + margin) * hop) * ratio
        centres = begin + (np.arange(frames) * hop + spec.center_offset) * ratio
        f0_hz, voicing = interpolate_track(
            recording.pitch, centres / round(PITCH_HOP_S * recording.sample_rate)
        )
        limit_hz = PASSBAND * recording.sample_rate / 2 * speed
        # What the mel shows to be silent is known to be silent.
        if spec.f_max > 1.1 * limit_hz or limit_hz >= 0.99 * spec.sample_rate / 2:
            limit_hz = spec.sample_rate / 2
        return (
            waveform,
            torch.from_numpy(f0_hz * speed).float(),
            torch.from_numpy(voicing).float(),
            torch.tensor(limit_hz, dtype=torch.float32),
        )

    def _choose(self, random: np.random.Generator, spec: MelSpec) -> int:
        """Index of a recording."""
        filling = self.limits_hz >= 0.9 * spec.f_max
        weights = self.weights
        if filling.any() and not filling.all() and random.random() < self.draws.wideband:
            weights = weights * filling
        cumulative = np.cumsum(weights)
        return int(np.searchsorted(cumulative, random.random() * cumulative[-1], side="right"))
