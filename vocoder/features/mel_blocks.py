"""The mel of a waveform that arrives in pieces, in memory that does not grow with the waveform."""

import math
from collections.abc import Iterable, Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from vocoder.features.mel import MelSpec

SECTION_FRAMES = 1024


def mel_sections(
    spec: MelSpec, blocks: Iterable[Float[Tensor, " samples"]]
) -> Iterator[Float[Tensor, "1 n_mels frames"]]:
    """The mel of consecutive blocks in sections, which joined equal ``spec.mel`` of the whole.

    Sections of the waveform overlap by the window; frames that touch the padding of an inner end
    are dropped.

    Args:
        spec: of the mel.
        blocks: consecutive pieces of a waveform in [-1, 1], of any lengths.

    Raises:
        MelError: no samples, or samples that are NaN or infinite.
    """
    hop = spec.hop_length
    # One frame more for the previous sample of the pre-emphasis.
    margin = math.ceil(spec.n_fft / 2 / hop) + 1
    enough = (SECTION_FRAMES + 2 * margin) * hop + spec.n_fft
    held, before = torch.zeros(0), 0
    for block in blocks:
        held = torch.cat([held, block])
        while len(held) >= enough:
            last = before + SECTION_FRAMES
            yield spec.mel(held[None, : (last + margin) * hop + spec.n_fft])[:, :, before:last]
            held, before = held[(last - margin) * hop :], margin
    yield spec.mel(held[None])[:, :, before:]
