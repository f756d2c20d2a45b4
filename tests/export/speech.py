"""Speech for the tests of exported files: mels of a recording, and the vocoder's own answer."""

from pathlib import Path

import torch
from torch import Tensor

from tests.models.speech import seeded
from vocoder.data.audio import read_audio
from vocoder.export.files import export_module
from vocoder.export.module import StreamModule
from vocoder.models.source_filter import SourceFilter

WAV = Path(__file__).parents[2] / "egs" / "tiny" / "wavs" / "test" / "ru_0806.wav"


def recorded_mel(model: SourceFilter, seconds: float) -> Tensor:
    start, samples = model.sample_rate // 2, int(seconds * model.sample_rate)
    return model.mel(read_audio(WAV, model.sample_rate).waveform[start : start + samples])


def noise_of(mel: Tensor, hop_length: int) -> Tensor:
    return torch.randn(mel.shape[0], mel.shape[2] * hop_length, generator=seeded())


def half_given(frames: int) -> tuple[Tensor, Tensor]:
    """F0 and voicing from outside in the second half of an utterance."""
    late = torch.arange(frames)[None] >= frames // 2
    return 150.0 * late, late.float() * 1.5 - 1


@torch.inference_mode()
def after_silence(
    model: SourceFilter,
    mel: Tensor,
    noise: Tensor,
    mel_projection: int,
    low_band_projection: int = 0,
) -> Tensor:
    """The waveform of an utterance that begins in silence, as that of an exported stream does."""
    module = export_module(
        model,
        True,
        mel_projection=mel_projection,
        low_band_projection=low_band_projection,
    )
    assert isinstance(module, StreamModule)
    frames, hop = module.silent_frames, model.spec.hop_length
    floor = torch.as_tensor(model.spec.log_floor).reshape(1, -1, 1)
    silence = floor.expand(1, model.spec.n_mels, frames).to(mel)
    waveform = model(
        torch.cat([silence, mel], dim=2),
        noise=torch.cat([torch.zeros(1, frames * hop), noise], dim=1),
        mel_projection=mel_projection,
        low_band_projection=low_band_projection,
    )
    return waveform[:, frames * hop :]
