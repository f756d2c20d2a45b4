"""Silence around a mel, for models with context beyond its ends."""

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
    floor = torch.as_tensor(spec.log_floor, dtype=mel.dtype, device=mel.device)
    silence = floor.expand(mel.shape[1])[None, :, None].expand(mel.shape[0], -1, 1)
    return torch.cat([silence.expand(-1, -1, left), mel, silence.expand(-1, -1, right)], dim=2)
