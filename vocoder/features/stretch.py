"""Slower and faster speech: a mel stretched in time."""

import torch
from jaxtyping import Float
from torch import Tensor

from vocoder.features.mel import MelSpec

LOWEST_SPEED, HIGHEST_SPEED = 0.25, 4.0


def stretch_mel(
    mel: Float[Tensor, "batch n_mels frames"], spec: MelSpec, speed: float
) -> Float[Tensor, "batch n_mels stretched_frames"]:
    """The mel of the same speech at another speed; pitch and formants stay.

    Interpolated linearly in the mel's own values, logarithms: a frame centred at t is the mel's at
    ``speed`` · t, those at the ends held. There are ⌊frames / speed + ½⌋ frames, at least one.

    >>> from vocoder.features.mel import PRESETS
    >>> mel = torch.arange(6.0).expand(1, 100, 6)
    >>> stretch_mel(mel, PRESETS["vocos_24k"], 0.5)[0, 0, :4].tolist()
    [0.0, 0.5, 1.0, 1.5]

    Raises:
        ValueError: a speed outside 0.25 to 4.
    """
    if not LOWEST_SPEED <= speed <= HIGHEST_SPEED:
        raise ValueError(
            f"speed is {speed}: {LOWEST_SPEED} to {HIGHEST_SPEED}, 1 for the mel's own"
        )
    last = mel.shape[2] - 1
    frames = max(int(mel.shape[2] / speed + 0.5), 1)
    centre = spec.center_offset / spec.hop_length
    position = ((torch.arange(frames, device=mel.device) + centre) * speed - centre).clamp(0, last)
    before = position.long()
    after = (before + 1).clamp(max=last)
    weight = (position - before).to(mel.dtype)
    return torch.lerp(mel[:, :, before], mel[:, :, after], weight)
