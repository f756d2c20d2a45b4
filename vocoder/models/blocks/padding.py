"""Silence around a mel, for models with context beyond its ends, and inside a padded batch."""

import torch
from jaxtyping import Float
from torch import Tensor

from vocoder.features.mel import MelSpec


def pad_silence(
    mel: Float[Tensor, "batch n_mels frames"], spec: MelSpec, context: tuple[int, int]
) -> Float[Tensor, "batch n_mels padded_frames"]:
    """A mel with ``context`` frames of the log floor before and after it.

    The end of a shorter utterance, padded with the floor in a batch, is thus treated as if alone.
    """
    left, right = context
    silence = _silence(mel, spec).expand(mel.shape[0], -1, 1)
    return torch.cat([silence.expand(-1, -1, left), mel, silence.expand(-1, -1, right)], dim=2)


def silence_after(
    mel: Float[Tensor, "batch n_mels frames"], lengths: Tensor, spec: MelSpec
) -> Float[Tensor, "batch n_mels frames"]:
    """A mel with the log floor in place of whatever stands behind each item's frames.

    >>> spec = MelSpec(sample_rate=16000, n_fft=4, hop_length=2, win_length=4, n_mels=1, f_min=0,
    ...                f_max=8000, log="log10", floor=1e-3)
    >>> silence_after(torch.ones(2, 1, 3), torch.tensor([1, 3]), spec).tolist()
    [[[1.0, -3.0, -3.0]], [[1.0, 1.0, 1.0]]]
    """
    frames = torch.arange(mel.shape[2], device=mel.device)
    inside = frames < lengths.to(mel.device)[:, None]
    return torch.where(inside[:, None], mel, _silence(mel, spec))


def _silence(mel: Tensor, spec: MelSpec) -> Float[Tensor, "1 n_mels 1"]:
    floor = torch.as_tensor(spec.log_floor, dtype=mel.dtype, device=mel.device)
    return floor.expand(spec.n_mels)[None, :, None]
