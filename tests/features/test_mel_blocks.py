"""The mel of a stream is the mel of the whole."""

import pytest
import torch

from vocoder.errors import MelError
from vocoder.features import mel_blocks
from vocoder.features.mel import PRESETS
from vocoder.features.mel_blocks import mel_sections


@pytest.mark.parametrize("name", sorted(PRESETS))
@pytest.mark.parametrize("samples", [1, 700, 30_000, 44_321])
def test_sections_are_the_whole(name: str, samples: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(mel_blocks, "SECTION_FRAMES", 7)
    spec = PRESETS[name]
    waveform = 0.1 * torch.randn(samples, generator=torch.Generator().manual_seed(0))
    sections = list(mel_sections(spec, waveform.split(9_999)))
    if samples > 30_000:
        assert len(sections) > 3
    torch.testing.assert_close(
        torch.cat(sections, dim=2), spec.mel(waveform[None]), atol=1e-6, rtol=1e-6
    )


def test_nothing_has_no_mel():
    with pytest.raises(MelError, match="empty"):
        list(mel_sections(PRESETS["hifigan_22k"], ()))
