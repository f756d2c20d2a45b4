"""The tensor arithmetic of a source-filter vocoder, without checks: what is exported."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import pad

from vocoder.models.source_filter import SourceFilter

INPUTS = ("mel", "noise", "f0_hz", "voicing")
OUTPUTS = ("waveform", "used_f0_hz", "used_voicing")


class ExportModule(nn.Module):
    """Mel, noise and pitch in; waveform, and the F0 and voicing it was made with, out.

    Any batch and length, a whole utterance at once, the signal of `SourceFilter.forward`. Frames
    whose ``f0_hz`` is 0, and frames whose ``voicing`` is below 0, take what the model predicts: one
    graph serves with pitch from outside, without, and with part of it, and its second and third
    output are the pitch predictor. All branches are arithmetic, so that any runtime can take them.

    Args:
        vocoder: on the CPU.
        mel_projection: passes; by default as many as the vocoder's config says. With 0 the mel is
            not met at all, as suits F0 from outside that is not that of the mel.
    """

    def __init__(self, vocoder: SourceFilter, mel_projection: int | None = None) -> None:
        super().__init__()
        self.vocoder = vocoder
        self.passes = vocoder.config.mel_projection if mel_projection is None else mel_projection
        self.meets_mel = self.passes > 0 or (
            mel_projection is None and vocoder.config.mel_correction
        )
        self.tail = vocoder.reach_frames(self.passes)
        weight = vocoder.filter_network.output.weight
        floor = torch.as_tensor(vocoder.spec.log_floor).to(weight).expand(vocoder.spec.n_mels)
        self.floor: Tensor
        self.register_buffer("floor", floor[None, :, None].clone())

    @property
    def lookahead_frames(self) -> int:
        """Mel frames after its own that a sample depends on."""
        return self.vocoder.context[1] + self.tail

    def forward(
        self,
        mel: Float[Tensor, "batch n_mels frames"],
        noise: Float[Tensor, "batch frames hop"],
        f0_hz: Float[Tensor, "batch frames"],
        voicing: Float[Tensor, "batch frames"],
    ) -> tuple[Tensor, Tensor, Tensor]:
        vocoder, tail = self.vocoder, self.tail
        left, right = vocoder.context
        frames, hop = mel.shape[2], vocoder.spec.hop_length
        silence = self.floor.expand(mel.shape[0], -1, -1)
        before, after = silence.expand(-1, -1, left), silence.expand(-1, -1, right + tail)
        gain = vocoder.log_gain(torch.cat([before, mel, after], dim=2))
        predicted = vocoder.estimate_pitch(gain)
        f0_hz, voicing = _hold(f0_hz, tail), _hold(voicing, tail)
        f0_hz = torch.where(f0_hz > 0, f0_hz, predicted.f0_hz)
        voicing = torch.where(voicing >= 0, voicing, predicted.voicing)
        waveform = vocoder.synthesis(
            vocoder.controls(gain),
            f0_hz,
            voicing,
            pad(noise, (0, 0, 0, tail)).flatten(1),
            gain[:, left : left + frames + tail] if self.meets_mel else None,
            self.passes,
        )
        return waveform[:, : frames * hop], f0_hz[:, :frames], voicing[:, :frames]


def _hold(values: Tensor, tail: int) -> Tensor:
    """The last value held for ``tail`` frames more."""
    return torch.cat([values, values[:, -1:].expand(-1, tail)], dim=1)
