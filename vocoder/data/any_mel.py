"""Training segments of many sample rates and many mels, for universal vocoders.

As in `segments` a batch is a function of the seed and the step. All of its segments share one mel,
drawn as `MelDraws` says; they come from recordings of any rate, which are resampled to the mel's.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from joblib import delayed

from vocoder.data.audio import read_audio
from vocoder.data.manifest import Utterance
from vocoder.data.mel_draws import MelDraws, frames_at
from vocoder.data.segments import (
    Batch,
    DataConfig,
    Recording,
    SegmentSource,
    recording_paths,
    run_all,
    weighted_index,
)
from vocoder.features.mel import MelSpec
from vocoder.features.pitch import PitchConfig, cached_pitch

PITCH_HOP_S = 0.005
"""Seconds between the F0 values of a recording, which are interpolated to any mel's frames."""
PASSBAND = 0.95
"""Share of a recording's Nyquist frequency up to which it holds speech."""


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
        self.limits_hz = np.array([PASSBAND * each.sample_rate / 2 for each in recordings])

    def spec_of(self, step: int) -> MelSpec:
        """The mel of a step's batch."""
        return self.draws.draw(np.random.default_rng((self.seed, step)), self.spec, self.pool)

    def batch(self, step: int, rank: int = 0, processes: int = 1) -> Batch:
        """The segments of one step that belong to one of several processes."""
        spec = self.spec_of(step)
        frames = frames_at(spec, self.spec, self.frames)
        cut = [self.segment(spec, frames, step, item) for item in self.items(rank, processes)]
        limits_hz = torch.tensor([band_limit_hz(each.rate, spec) for each in cut])
        batch = self.joined(cut, spec, torch.float32)
        return batch._replace(band_limit_hz=limits_hz.float(), spec=spec)

    def draw(self, random: np.random.Generator, spec: MelSpec) -> Recording:
        """One recording; a share of them from those that fill the range of the mel."""
        filling = self.limits_hz >= 0.9 * spec.f_max
        weights = self.weights
        if filling.any() and not filling.all() and random.random() < self.draws.wideband:
            weights = weights * filling
        return self.recordings[weighted_index(random, weights)]

    def pitch_grid(self, recording: Recording) -> tuple[int, int]:
        """As :func:`load_native_recordings` has it."""
        return round(PITCH_HOP_S * recording.sample_rate), 0


def band_limit_hz(rate: float, spec: MelSpec) -> float:
    """Frequency up to which a recording of a rate (Hz) is known: `PASSBAND` of its Nyquist
    frequency, or that of ``spec`` where the mel reaches a tenth above it and shows the silence."""
    limit_hz, nyquist_hz = PASSBAND * rate / 2, spec.sample_rate / 2
    return nyquist_hz if spec.f_max > 1.1 * limit_hz or limit_hz >= 0.99 * nyquist_hz else limit_hz
