"""Training on the mels that an acoustic model predicts, paired with recordings.

The manifest names a mel file per utterance, predicted with the recording's own durations (teacher
forcing), so that its frames lie on the recording's. A vocoder trained on such pairs learns what
predicted mels lack.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from vocoder.data.mels import read_mel
from vocoder.data.segments import (
    Batch,
    Recording,
    SegmentSource,
    interpolate_track,
    samples_between,
)
from vocoder.errors import CorpusError, MelError
from vocoder.features.mel import MelSpec

MOST_FRAMES_APART = 4
"""Difference in length between a mel file and its recording that rounding of durations explains."""


def with_predicted_mels(recordings: Sequence[Recording], spec: MelSpec) -> list[Recording]:
    """Recordings with the mels that their manifests name, as many frames as ``spec.mel`` gives.

    A mel that is a few frames longer is cut at its end; the last frame of a shorter one is held.

    Raises:
        CorpusError: an utterance without a mel, a file that is no mel of ``spec``, or one whose
            length differs from the recording's by more than `MOST_FRAMES_APART` frames.
    """
    return [each._replace(mel=_read(each, spec)) for each in recordings]


def _read(recording: Recording, spec: MelSpec) -> Tensor:
    path = recording.utterance.mel
    if path is None:
        raise CorpusError(
            f"{recording.path}: its manifest names no mel, and data.predicted_mels wants one for "
            'each utterance; write "mel": PATH in its line'
        )
    try:
        mel = read_mel(path, spec)
    except MelError as error:
        raise CorpusError(str(error)) from error
    wanted = spec.frames(len(recording.samples))
    missing = wanted - mel.shape[2]
    if abs(missing) > MOST_FRAMES_APART:
        raise CorpusError(
            f"{path}: {mel.shape[2]} frames, but {recording.path} has {wanted} of "
            f"{spec.hop_length} samples; predict it with the recording's durations and hop length"
        )
    return pad(mel, (0, max(missing, 0)), mode="replicate")[0, :, :wanted]


class PredictedMelSource(SegmentSource):
    """Cuts segments at whole frames of the mel files; gain and speed stay as they were."""

    def batch(self, step: int, rank: int = 0, processes: int = 1) -> Batch:
        """The segments of one step that belong to one of several processes."""
        cut = [self._pair(step, item) for item in self.items(rank, processes)]
        waveform, mel, f0_hz, voicing = (torch.stack(part) for part in zip(*cut, strict=True))
        return Batch(waveform, mel, f0_hz, voicing)

    def _pair(self, step: int, item: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        random = np.random.default_rng((self.seed, step, item))
        recording = self.draw(random, self.spec)
        mel = recording.mel
        assert mel is not None
        # Starts lie a quarter of a segment beyond either end too, so that onsets are learned.
        slack = self.frames // 4
        latest = mel.shape[1] - self.frames + slack
        start = int(random.integers(-slack, max(latest, -slack) + 1))
        stop, hop, (left, right) = start + self.frames, self.spec.hop_length, self.context
        samples = samples_between(recording.samples, start * hop, stop * hop)
        f0_hz, voicing = interpolate_track(recording.pitch, np.arange(start, stop))
        return (
            torch.from_numpy(samples),
            self._frames_between(mel, start - left, stop + right),
            torch.from_numpy(f0_hz).float(),
            torch.from_numpy(voicing).float(),
        )

    def _frames_between(self, mel: Tensor, first: int, last: int) -> Tensor:
        """Frames from ``first`` up to ``last``, silence beyond the ends of the mel."""
        silence = torch.as_tensor(self.spec.log_floor, dtype=mel.dtype).expand(len(mel))[:, None]
        before = silence.expand(-1, max(min(-first, last - first), 0))
        inside = mel[:, max(first, 0) : max(last, 0)]
        after = silence.expand(-1, last - first - before.shape[1] - inside.shape[1])
        return torch.cat([before, inside, after], dim=1)
